# SPDX-License-Identifier: Apache-2.0
"""platen.toml: what an installer may say about the network the box is put into. Pure; docs/install.md describes it."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

import msgspec

from appliance.model.personalisation import HOST
from appliance.provision.document import Document, Problem, parse

KEYS = {
    "network": ("address", "gateway", "dns", "vlan", "hostname"),
    "time": ("ntp",),
    "proxy": ("url", "user", "password"),
    "wifi": ("ssid", "passphrase", "country"),
}
SECRETS = ("wifi.passphrase", "proxy.password")
"""Kept on the box and overwritten with asterisks in the file."""

_ELSEWHERE = {
    "ip": "address", "ipaddress": "address", "netmask": "address", "mask": "address", "nameserver": "dns",
    "nameservers": "dns", "router": "gateway", "psk": "passphrase", "key": "passphrase", "name": "hostname",
    "host": "hostname", "server": "ntp", "servers": "ntp", "username": "user", "pass": "password",
}  # fmt: skip
"""What others call our keys, as far as the spelling does not lead there."""


class Kept(msgspec.Struct, frozen=True):
    """A secret from an earlier start: its value, and how it stood in the file, by which a wiping that a power cut
    interrupted is recognised."""

    value: str
    raw: str

    def __repr__(self) -> str:
        return "Kept()"


class Proxy(msgspec.Struct, frozen=True):
    host: str
    port: int
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Proxy(host={self.host!r}, port={self.port})"


class Wifi(msgspec.Struct, frozen=True):
    ssid: str
    passphrase: str
    country: str

    def __repr__(self) -> str:
        return f"Wifi(ssid={self.ssid!r}, country={self.country!r})"


class Installer(msgspec.Struct, frozen=True, kw_only=True):
    """What platen.toml says. A family without an address is configured by the network (DHCP, router
    advertisements). `dns` and `ntp` None: those that the network names."""

    addresses: list[str] = []
    gateways: list[str] = []
    dns: list[str] | None = None
    vlan: int | None = None
    hostname: str | None = None
    ntp: list[str] | None = None
    proxy: Proxy | None = None
    wifi: Wifi | None = None


class Reading(msgspec.Struct, frozen=True):
    """`installer` None: the file has a fatal problem. `secrets`: what is to be kept, by key; `wipe`: the keys whose
    value stands in the file in clear, wholly or in part."""

    installer: Installer | None
    document: Document
    problems: list[Problem]
    secrets: dict[str, Kept]
    wipe: list[str]


class _Wrong(Exception):
    def __init__(self, en: str, de: str) -> None:
        super().__init__(en)
        self.en, self.de = en, de


def _no(en: str, de: str) -> NoReturn:
    raise _Wrong(en, de)


def read(data: bytes, kept: Mapping[str, Kept] | None = None, *, wifi: bool = True) -> Reading:
    """What the file says, with all its mistakes. `wifi`: whether this box has any; without, that part is a problem
    and the rest is used."""
    document = parse(data)
    reader = _Reader(document, kept or {})
    installer = reader.all()
    if installer is not None and installer.wifi is not None and not wifi:
        reader.problem(
            "wifi", "This box has no Wi-Fi; the cable is used.", "Diese Box hat kein WLAN; das Kabel wird benutzt.",
            fatal=False,
        )  # fmt: skip
        installer = msgspec.structs.replace(installer, wifi=None)
    problems = sorted(reader.problems, key=lambda p: (p.line, p.column))
    if any(p.fatal for p in problems):
        installer = None
    return Reading(installer, document, problems, reader.secrets, reader.wipe)


class _Reader:
    def __init__(self, document: Document, kept: Mapping[str, Kept]) -> None:
        self.document = document
        self.problems = list(document.problems)
        self.secrets: dict[str, Kept] = {}
        self.wipe: list[str] = []
        self._kept = kept
        self._values: dict[str, Any] = {}

    def problem(self, key: str, en: str, de: str, *, fatal: bool = True) -> None:
        line, column = self.document.place(key)
        self.problems.append(Problem(line=line, column=column, key=key, en=en, de=de, fatal=fatal))

    def take(self, key: str, check: Callable[[Any], Any], default: Any = None) -> Any:
        """The value as `check` makes it, or `default` where there is none or a wrong one."""
        if key not in self._values:
            return default
        try:
            return check(self._values[key])
        except _Wrong as wrong:
            self.problem(key, wrong.en, wrong.de)
            return default

    def require(self, key: str, en: str, de: str) -> None:
        if key not in self._values:
            self.problem(key, en, de)

    def all(self) -> Installer | None:
        self._names()
        addresses = self.take("network.address", _addresses, [])
        gateways = self.take("network.gateway", lambda v: _gateways(v, addresses), [])
        if any("." in a for a in addresses):
            self.require(
                "network.gateway",
                'With a fixed address the gateway is needed: gateway = "...", or gateway = [] if there is none.',
                'Zu einer festen Adresse gehört das Gateway: gateway = "...", oder gateway = [], wenn es keines gibt.',
            )
            self.require(
                "network.dns",
                'With a fixed address the name server is needed: dns = "...", or dns = [] if there is none.',
                'Zu einer festen Adresse gehört der Nameserver: dns = "...", oder dns = [], wenn es keinen gibt.',
            )
        return Installer(
            addresses=addresses,
            gateways=gateways,
            dns=self.take("network.dns", _dns),
            vlan=self.take("network.vlan", _vlan),
            hostname=self.take("network.hostname", _hostname),
            ntp=self.take("time.ntp", _ntp),
            proxy=self._proxy(),
            wifi=self._wifi(),
        )

    def _names(self) -> None:
        for table, inside in self.document.values.items():
            if table not in KEYS:
                owner = next((t for t, keys in KEYS.items() if table in keys), None)
                near = difflib.get_close_matches(table, KEYS, 1)
                if owner is not None:
                    en, de = f"This belongs below [{owner}].", f"Das gehört unter [{owner}]."
                elif near:
                    en, de = f"Did you mean [{near[0]}]?", f"Ist [{near[0]}] gemeint?"
                else:
                    parts = ", ".join(f"[{t}]" for t in KEYS)
                    en, de = (
                        f"There is no such part; there are {parts}.",
                        f"Diesen Teil gibt es nicht; es gibt {parts}.",
                    )
                self.problem(table, en, de)
            elif not isinstance(inside, dict):
                self.problem(
                    table, f"Write it as a part: [{table}].", f"Bitte als Teil schreiben: [{table}]."
                )
            else:
                for key, value in inside.items():
                    if key in KEYS[table]:
                        self._values[f"{table}.{key}"] = value
                    else:
                        self._unknown(table, key)

    def _unknown(self, table: str, key: str) -> None:
        near = _ELSEWHERE.get(key.lower()) or next(
            iter(difflib.get_close_matches(key.lower(), KEYS[table], 1)), None
        )
        owner = next((t for t, keys in KEYS.items() if key in keys or near in keys), None)
        if near in KEYS[table]:
            en, de = f"Did you mean {near}?", f"Ist {near} gemeint?"
        elif owner is not None:
            en, de = (
                f"Did you mean {near or key} below [{owner}]?",
                f"Ist {near or key} unter [{owner}] gemeint?",
            )
        else:
            keys = ", ".join(KEYS[table])
            en, de = (
                f"[{table}] has no such key; it has {keys}.",
                f"Das gibt es in [{table}] nicht; es gibt {keys}.",
            )
        self.problem(f"{table}.{key}", en, de)

    def _secret(self, key: str, check: Callable[[Any], str]) -> str:
        """The value in the file; where asterisks stand there, the one kept from before."""
        value = self.take(key, _text)
        if not value:
            return ""
        span, old = self.document.spans.get(key), self._kept.get(key)
        if span is None:
            self.problem(
                key,
                'Write it on a line of its own: key = "...", so that it can be removed from this file.',
                'Bitte auf eine eigene Zeile schreiben: schlüssel = "...", damit es hier entfernt werden kann.',
            )
            return ""
        if old is not None and _masked(span.raw, old.raw):
            if span.raw.strip("*"):
                self.wipe.append(key)
            self.secrets[key] = old
            return old.value
        if not value.strip("*"):
            self.problem(
                key,
                "This was stored on a box, and this box does not know it. Write it here once more.",
                "Das wurde auf einer Box gespeichert, und diese kennt es nicht. Bitte noch einmal eintragen.",
            )
            return ""
        checked = self.take(key, check, "")
        if checked:
            self.secrets[key] = Kept(checked, span.raw)
            self.wipe.append(key)
        return str(checked)

    def _proxy(self) -> Proxy | None:
        there = [k for k in KEYS["proxy"] if f"proxy.{k}" in self._values]
        if not there:
            return None
        self.require("proxy.url", 'url = "http://HOST:PORT" is missing.', 'url = "http://HOST:PORT" fehlt.')
        user = self.take("proxy.user", _printable, "")
        password = self._secret("proxy.password", _printable)
        found = self.take("proxy.url", _proxy_url)
        return None if found is None else Proxy(found[0], found[1], user, password)

    def _wifi(self) -> Wifi | None:
        if "wifi" not in self.document.values:
            return None
        for key, en, de in (
            ("ssid", "The network's name is missing: ssid.", "Der Name des Netzes fehlt: ssid."),
            ("passphrase", "The passphrase is missing.", "Das Kennwort fehlt: passphrase."),
            ("country", 'The country is missing: country = "DE".', 'Das Land fehlt: country = "DE".'),
        ):
            self.require(f"wifi.{key}", en, de)
        return Wifi(
            self.take("wifi.ssid", _ssid, ""),
            self._secret("wifi.passphrase", _passphrase),
            self.take("wifi.country", _country, ""),
        )


def _masked(raw: str, old: str) -> bool:
    """Whether `raw` is `old` with asterisks over all of it, or, after a power cut, over a part."""
    return len(raw) == len(old) and "*" in raw and all(r in ("*", o) for r, o in zip(raw, old, strict=True))


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 255 or not value.isprintable():
        _no(
            'It takes a text of up to 255 characters: "...".',
            'Hier gehört ein Text hin, höchstens 255 Zeichen: "...".',
        )
    return value


def _list(value: Any, most: int) -> list[str]:
    values = [v.strip() for v in ([value] if isinstance(value, str) else value)] if _texts(value) else None
    if values is None or len(values) > most or any(len(v) > 255 for v in values):
        _no(
            f'It takes a text, or a list of up to {most}: ["...", "..."].',
            f'Hier gehört ein Text hin, oder eine Liste von höchstens {most}: ["...", "..."].',
        )
    return values


def _texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, str) for v in value))


def _addresses(value: Any) -> list[str]:
    found = []
    for text in _list(value, 4):
        try:
            interface = ipaddress.ip_interface(text)
        except ValueError:
            _no(
                f"{text!r} is no address like 192.168.1.50/24.",
                f"{text!r} ist keine Adresse wie 192.168.1.50/24.",
            )
        ip, network = interface.ip, interface.network
        if "/" not in text:
            _no(
                f"The mask is missing: {text}/24, for example.",
                f"Die Netzmaske fehlt: zum Beispiel {text}/24.",
            )
        if "%" in text or ip.is_multicast or ip.is_unspecified or ip.is_loopback or ip.is_link_local:
            _no(f"{text} cannot be a box's address.", f"{text} kann nicht die Adresse einer Box sein.")
        if (
            ip.version == 4
            and network.prefixlen < 31
            and ip in (network.network_address, network.broadcast_address)
        ):
            _no(
                f"{ip} is the first or last of its network and cannot be a box's address.",
                f"{ip} ist die erste oder letzte ihres Netzes und kann nicht die Adresse einer Box sein.",
            )
        found.append(str(interface))
    return found


def _gateways(value: Any, addresses: list[str]) -> list[str]:
    found: list[str] = []
    for text in _list(value, 2):
        ip = _ip(text)
        own = [i for i in map(ipaddress.ip_interface, addresses) if i.version == ip.version]
        if not own:
            _no(
                "A gateway goes with a fixed address; address is missing or wrong.",
                "Ein Gateway gehört zu einer festen Adresse; address fehlt oder ist falsch.",
            )
        if ip.version != 6 or not ip.is_link_local:
            if not any(ip in i.network for i in own):
                nets = " ".join(str(i.network) for i in own)
                _no(
                    f"{ip} is not in the box's network ({nets}).",
                    f"{ip} liegt nicht im Netz der Box ({nets}).",
                )
            if any(ip == i.ip for i in own):
                _no("That is the box's own address.", "Das ist die eigene Adresse der Box.")
        if any(ipaddress.ip_address(f).version == ip.version for f in found):
            _no("Only one gateway of each kind.", "Nur ein Gateway je Art.")
        found.append(str(ip))
    return found


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        ip = ipaddress.ip_address(text)
        if not (ip.is_multicast or ip.is_unspecified or ip.is_loopback or "%" in text):
            return ip
    except ValueError:
        pass
    _no(f"{text!r} is no address like 192.168.1.1.", f"{text!r} ist keine Adresse wie 192.168.1.1.")


def _dns(value: Any) -> list[str]:
    return [str(_ip(v)) for v in _list(value, 4)]


def _ntp(value: Any) -> list[str]:
    values = _list(value, 4)
    for text in values:
        if not HOST.match(text):
            _no(f"{text!r} is no name or address.", f"{text!r} ist kein Name und keine Adresse.")
    return values


def _vlan(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 4094:
        _no("It takes a number from 1 to 4094.", "Hier gehört eine Zahl von 1 bis 4094 hin.")
    return value


def _hostname(value: Any) -> str:
    if not re.fullmatch(r"(?!-)[A-Za-z0-9\-]{1,63}(?<!-)", _text(value)):
        _no(
            "It takes letters a to z, digits and hyphens, without a domain.",
            "Hier sind Buchstaben a bis z, Ziffern und Bindestriche erlaubt, ohne Domäne.",
        )
    return str(value).lower()


def _printable(value: Any) -> str:
    if not re.fullmatch(r"[ -~]{1,128}", _text(value)):
        _no(
            "It takes letters without accents, digits and signs, up to 128.",
            "Hier sind Buchstaben ohne Umlaute, Ziffern und Zeichen erlaubt, höchstens 128.",
        )
    return str(value)


def _proxy_url(value: Any) -> tuple[str, int]:
    try:
        url = urlsplit(_text(value))
        host, port = url.hostname or "", url.port
    except ValueError:
        url, host, port = urlsplit(""), "", None
    if "@" in url.netloc:
        _no(
            "Write user and password as keys of their own.",
            "Bitte user und password als eigene Schlüssel schreiben.",
        )
    if url.scheme != "http" or not HOST.match(host) or port is None or url.path.strip("/") or url.query:
        _no("It takes http://HOST:PORT.", "Hier gehört http://HOST:PORT hin.")
    return host, port


def _ssid(value: Any) -> str:
    if not 1 <= len(_text(value).encode()) <= 32:
        _no("A network's name has 1 to 32 octets.", "Der Name eines Netzes hat 1 bis 32 Bytes.")
    return str(value)


def _passphrase(value: Any) -> str:
    if not re.fullmatch(r"[ -~]{8,63}|[0-9A-Fa-f]{64}", _text(value)):
        _no(
            "A passphrase has 8 to 63 letters without accents, digits and signs.",
            "Ein WLAN-Kennwort hat 8 bis 63 Zeichen: Buchstaben ohne Umlaute, Ziffern und Zeichen.",
        )
    return str(value)


def _country(value: Any) -> str:
    if not re.fullmatch("[A-Za-z]{2}", _text(value)):
        _no(
            'It takes the two letters of a country: "DE".',
            'Hier gehören zwei Buchstaben eines Landes hin: "DE".',
        )
    return str(value).upper()
