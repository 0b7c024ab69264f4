"""The agent is replaced again and again while boxes call: no connection is refused, no stream is cut."""

from __future__ import annotations

import pytest

from tests.agent.callers import Callers, streaming
from tests.agent.node import Node
from tests.lab.conftest import Form

pytestmark = [pytest.mark.xdist_group("laboratory"), pytest.mark.timeout(7200)]


async def test_upgrades_under_load_refuse_nothing_and_cut_nothing(node: Node, form: Form) -> None:
    listen = node.plain()
    await node.rest.attached("a", "acme", listen)
    callers = Callers(listen["address"])
    async with callers.calling(), streaming(listen["address"]) as goes_on:
        for number in range(form.upgrades):
            node.agent.upgrade()
            await node.agent.replaced(number + 2)
            assert goes_on()
            assert callers.failures == []
    assert set(callers.answers) == {"acme"}
