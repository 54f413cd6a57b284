# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from appliance.collector.ask.asker import Asker
from appliance.collector.ask.replay import ReplayAsker
from appliance.collector.ask.snmp import SnmpAsker
from appliance.collector.wire.value import NO_SUCH_INSTANCE, Varbind
from appliance.model.reading import Traffic
from tests.collector.ask.agent import Tree, agent, printer

ROOTS = ["1.3.6.1.2.1.1", "1.3.6.1.2.1.43.11", "1.3.6.1.4.1"]


async def test_a_recording_says_what_the_wire_says() -> None:
    tree = Tree(printer())
    asked = [tree.varbinds[3].oid, "1.3.6.1.2.1.1.99.0", tree.varbinds[0].oid]
    async with agent(tree) as port:
        wire = SnmpAsker("127.0.0.1", port=port)
        replay: Asker = ReplayAsker(reversed(tree.varbinds), address="192.0.2.1")
        assert await replay.walk(ROOTS) == await wire.walk(ROOTS)
        assert await replay.walk(ROOTS, most=7) == (await wire.walk(ROOTS))[:7]
        assert await replay.get(asked) == await wire.get(asked)
        await wire.close()
    assert replay.traffic == Traffic()
    await replay.close()


async def test_names_that_only_begin_alike_are_not_below() -> None:
    replay = ReplayAsker(
        [Varbind("1.3.6.1.2.10.1", 2, 1), Varbind("1.3.6.1.2.1.1", 2, 1)], address="192.0.2.1"
    )
    assert [v.oid for v in await replay.walk(["1.3.6.1.2.1"])] == ["1.3.6.1.2.1.1"]


@pytest.mark.parametrize("tag", [0x80, 0x81, 0x82, 5])
async def test_recorded_absence_is_absence(tag: int) -> None:
    replay = ReplayAsker([Varbind("1.3.6.1.2.1.1", tag, None)], address="192.0.2.1")
    assert await replay.walk(["1.3.6.1"]) == []
    assert (await replay.get(["1.3.6.1.2.1.1"]))[0].tag == tag
    assert (await replay.get(["1.3.6.1.2.1.2"]))[0].tag == NO_SUCH_INSTANCE
