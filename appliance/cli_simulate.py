# SPDX-License-Identifier: Apache-2.0
"""`platen simulate`: the simulator's own command, under the one roof."""

from __future__ import annotations

from appliance.cli import Commands
from appliance.simulate import command


def add(commands: Commands) -> None:
    parser = commands.add(
        "simulate",
        command.run,
        summary=command.HELP,
        text="",
        examples="""
            platen simulate printer.snmprec
            platen simulate one.snmprec two.snmprec,loss=0.3 --listen 127.7.0.1:1161
            platen query 127.7.0.1:1161
            """,
        status="0  ended by Ctrl-C or SIGTERM",
    )
    ending = parser.epilog or ""
    command.add_arguments(parser)
    parser.epilog = f"{parser.epilog or ''}\n{ending}"
