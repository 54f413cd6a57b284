# SPDX-License-Identifier: Apache-2.0
"""`platen simulate`: the simulator's own command, under the one roof."""

from __future__ import annotations

import argparse

from appliance.cli import Commands, Run


def add(commands: Commands) -> None:
    commands.add(
        "simulate",
        _arguments,
        summary="let recordings answer SNMP on loopback addresses",
        text="""
            Each FILE answers as the device it was recorded from: the first at the address of --listen, the next
            one at the address behind it, and so on. SNMPv1 and v2c, GET, GETNEXT and GETBULK; nothing can be set.
            All of 127.0.0.0/8 can be used without setting anything up.""",
        examples="""
            platen simulate printer.snmprec
            platen simulate one.snmprec two.snmprec,loss=0.3 --listen 127.7.0.1:1161
            platen query 127.7.0.1:1161
            """,
        status="0  ended by Ctrl-C or SIGTERM",
    )


def _arguments(parser: argparse.ArgumentParser) -> Run:
    from appliance.simulate import command

    command.add_arguments(parser)
    return command.run
