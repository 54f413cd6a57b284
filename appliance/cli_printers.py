# SPDX-License-Identifier: Apache-2.0
"""`platen discover`, `platen query` and `platen simulate`: commands of the packages below, under the one roof."""

from __future__ import annotations

import argparse

from appliance.cli import Commands, Run

KEYS = "PLATEN_AUTH_KEY and PLATEN_PRIV_KEY hold the passphrases of SNMPv3."


def add(commands: Commands) -> None:
    commands.add(
        "discover",
        _discover,
        summary="find the printers of some addresses",
        text="""
            Asks every address of the TARGETs, or of the attached networks where none is given, one question of 43
            octets, at a gentle pace, and reads each printer that answers. Other devices are left alone after their
            first answer.

            A TARGET is an address, a range 192.168.1.1-192.168.2.254, a prefix 192.168.1.0/24, an IPv6 address,
            or a DNS name. Only private addresses are asked.""",
        examples="""
            platen discover
            platen discover 192.168.1.0/24
            platen discover 10.1.0.0/16 --exclude 10.1.9.0/24 --rate 200
            platen discover 192.168.1.1-192.168.1.99 --json | jq -r .printer.model
            """,
        status="0  at least one printer was found\n1  none was found",
    )
    commands.add(
        "query",
        _query,
        summary="read everything one printer says of itself",
        text="""
            Asks one printer once, or replays a recording through the same code, and shows identity, status,
            meters, supplies, alerts, trays and storage, and what the asking cost in packets.

            Nothing is ever written to a printer.""",
        examples="""
            platen query 192.168.1.20
            platen query printer.example.org:1161 --snmp 1 --community secret
            PLATEN_AUTH_KEY=... PLATEN_PRIV_KEY=... platen query 10.0.0.9 --snmp 3 --user monitor
            platen query --walk kyocera.snmprec --json | jq .meters
            """,
        more=KEYS,
        status="0  it was read\n1  no answer, not a printer, access refused, or the name is not known",
    )
    commands.add(
        "simulate",
        _simulate,
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


def _discover(parser: argparse.ArgumentParser) -> Run:
    from appliance.collector import discover

    discover.add_arguments(parser)
    return discover.run


def _query(parser: argparse.ArgumentParser) -> Run:
    from appliance.collector import query

    query.add_arguments(parser)
    return query.run


def _simulate(parser: argparse.ArgumentParser) -> Run:
    from appliance.simulate import command

    command.add_arguments(parser)
    return command.run
