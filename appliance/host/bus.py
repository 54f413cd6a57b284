# SPDX-License-Identifier: Apache-2.0
"""D-Bus, through dbus-fast: calls, properties and signals, with plain values instead of variants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusError, InterfaceNotFoundError, InvalidAddressError
from dbus_fast.unpack import unpack_variants

from appliance.model.errors import BusError, ServiceDown

CALL_S = 25.0
"""What libdbus waits for an answer, too."""

_ABSENT = (
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.NoReply",
    "org.freedesktop.DBus.Error.Disconnected",
    "org.freedesktop.DBus.Error.Spawn.ExecFailed",
    "org.freedesktop.DBus.Error.Spawn.ChildExited",
    "org.freedesktop.DBus.Error.TimedOut",
)
_PROPERTIES = "org.freedesktop.DBus.Properties"

Listener = Callable[[str, list[Any]], None]
"""Gets the signal's member and its arguments."""


def texts(values: Mapping[str, str]) -> dict[str, Variant]:
    """An a{sv} argument of texts."""
    return {name: Variant("s", value) for name, value in values.items()}


class Bus:
    """A connection to the system bus. Errors: ServiceDown where the bus or the service is not there, BusError
    with the service's own words where it refuses."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._listeners: list[tuple[str, str, Listener]] = []
        self._gone: dict[str, list[Callable[[], None]]] = {}
        bus.add_message_handler(self._heard)

    @classmethod
    async def open(cls, address: str | None = None) -> Bus:
        """The bus at `address`, else the system's ($DBUS_SYSTEM_BUS_ADDRESS)."""
        try:
            return cls(await MessageBus(bus_address=address, bus_type=BusType.SYSTEM).connect())
        except (OSError, EOFError, DBusError, InvalidAddressError) as e:
            raise ServiceDown("The system's message bus is not running", hint="") from e

    def close(self) -> None:
        self._bus.disconnect()

    async def call(
        self,
        service: str,
        path: str,
        method: str,
        signature: str = "",
        *arguments: Any,
        timeout_s: float = CALL_S,
    ) -> list[Any]:
        """What `method`, its interface in front, answers."""
        interface, _, member = method.rpartition(".")
        message = Message(
            destination=service,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(arguments),
        )
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._bus.call(message)
        except TimeoutError:
            raise ServiceDown(f"{service} did not answer", hint="", code="service-slow") from None
        except (OSError, EOFError, DBusError, InterfaceNotFoundError) as e:
            raise ServiceDown(f"{service} cannot be reached: {e}", hint="") from e
        if reply is None:
            raise ServiceDown(f"{service} cannot be reached", hint="")
        if reply.message_type == MessageType.ERROR:
            if reply.error_name in _ABSENT:
                raise ServiceDown(f"{service} is not running", hint="")
            raise BusError(str(reply.body[0]) if reply.body else str(reply.error_name), hint="")
        return list(unpack_variants(reply.body))

    async def properties(self, service: str, path: str, interface: str) -> dict[str, Any]:
        """All of an interface's."""
        answer = await self.call(service, path, f"{_PROPERTIES}.GetAll", "s", interface)
        return dict(answer[0])

    async def listen(self, path: str, interface: str, listener: Listener) -> None:
        """Hand every signal of `interface` on `path` to `listener`; changes of its properties come as
        ("PropertiesChanged", [changed])."""
        self._listeners.append((path, interface, listener))
        for wanted in (interface, _PROPERTIES):
            await self._match(f"type='signal',path='{path}',interface='{wanted}'")

    async def watch(self, service: str, gone: Callable[[], None]) -> None:
        """Call `gone` whenever the service leaves the bus."""
        self._gone.setdefault(service, []).append(gone)
        await self._match(
            "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'," + f"arg0='{service}'"
        )

    async def _match(self, rule: str) -> None:
        name = "org.freedesktop.DBus"
        await self.call(name, "/org/freedesktop/DBus", f"{name}.AddMatch", "s", rule)

    def _heard(self, message: Message) -> None:
        if message.message_type != MessageType.SIGNAL:
            return
        body = list(unpack_variants(message.body))
        if message.member == "NameOwnerChanged":
            if not body[2]:
                for gone in self._gone.get(body[0], []):
                    gone()
            return
        for path, interface, listener in self._listeners:
            if message.path != path:
                continue
            if message.interface == interface:
                listener(str(message.member), body)
            elif message.interface == _PROPERTIES and body[0] == interface:
                listener("PropertiesChanged", [body[1]])
