# SPDX-License-Identifier: Apache-2.0
"""U-Boot's environment: which slots it would start, and how often it still tries (fw_printenv(1), fw_setenv(1))."""

from __future__ import annotations

import asyncio

import msgspec

from appliance.model.errors import Fault

COMMITTED = 9
"""BOOT_x_LEFT of a slot that has proved itself; U-Boot never counts it down."""

COMMAND_S = 10.0
_KEYS = ("BOOT_ORDER", "BOOT_A_LEFT", "BOOT_B_LEFT", "BOOT_SEEN")


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """`order`: bootnames, the next one first. `left`: tries by bootname. `seen`: boots in a row of a committed slot
    that never came as far as our gate."""

    order: list[str] = []
    left: dict[str, int] = {}
    seen: int = 0

    def pending(self, bootname: str) -> bool:
        """U-Boot would still start it on trial."""
        return bootname in self.order and 0 < self.left.get(bootname, 0) < COMMITTED

    def spent(self, bootname: str) -> bool:
        """It was tried, and its tries are used up: RAUC's "bad" would have taken it out of the order."""
        return bootname in self.order and self.left.get(bootname, 0) == 0


async def read() -> Environment:
    """As it is now. Fault where it cannot be read."""
    return parse(await _run("fw_printenv"))


async def seen() -> None:
    """Say that this boot came as far as our gate."""
    await _run("fw_setenv", "BOOT_SEEN", "0")


def parse(text: str) -> Environment:
    """fw_printenv's lines."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return Environment(
        order=values.get("BOOT_ORDER", "").split(),
        left={k[5:-5]: _number(values[k]) for k in _KEYS[1:3] if k in values},
        seen=_number(values.get("BOOT_SEEN", "0")),
    )


def _number(text: str) -> int:
    try:
        return int(text, 16)  # RAUC and U-Boot write hexadecimal
    except ValueError:
        return 0


async def _run(*command: str) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as e:
        raise Fault(f"{command[0]} cannot be run: {e.strerror}", hint="") from e
    try:
        async with asyncio.timeout(COMMAND_S):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Fault(f"{command[0]} did not end", hint="") from None
    if process.returncode:
        said = " ".join(err.decode("utf-8", "replace").split())[:200]
        raise Fault(f"{command[0]} failed: {said}", hint="")
    return out.decode("utf-8", "replace")[:65_536]
