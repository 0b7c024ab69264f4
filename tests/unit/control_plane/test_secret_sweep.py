"""Cleared secrets disappear, and only those."""

from __future__ import annotations

import asyncio
import logging

import pytest

from services.control_plane.api.integration_writes import IntegrationEdit, Target
from services.control_plane.rules.integration import KEEP
from services.control_plane.secret_sweep import SecretSweep
from services.control_plane.store.commit_signal import CommitSignal
from services.control_plane.store.integrations import pending_destructions
from shared.providers import ProviderName
from shared.secret import Secret
from tests.unit.control_plane.world import KEY, OWNER, World


def target(provider: ProviderName = "openai") -> Target:
    return Target("acme", provider, OWNER, "*")


def set_up(world: World, provider: ProviderName = "openai") -> None:
    world.writes.put(target(provider), IntegrationEdit(Secret(KEY), KEEP, enabled=True))


def sweep_of(world: World) -> SecretSweep:
    signal = CommitSignal()
    world.database.on_commit(signal.announce)
    return SecretSweep(world.database, world.memory, signal)


def pending(world: World) -> int:
    with world.database.read() as session:
        return len(pending_destructions(session, 100))


def test_the_versions_of_a_cleared_secret_are_destroyed(world: World) -> None:
    set_up(world)
    set_up(world)
    world.writes.clear(target())
    assert sweep_of(world).sweep() == 0
    assert world.memory.documents["acme", "openai"] == {}
    assert pending(world) == 0


def test_a_failing_store_is_asked_again_until_it_is_gone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    set_up(world)
    world.writes.clear(target())
    sweep = sweep_of(world)
    world.memory.failing = True
    with caplog.at_level(logging.WARNING):
        assert sweep.sweep() == 1
    assert "still there" in caplog.text
    assert pending(world) == 1
    world.memory.failing = False
    assert sweep.sweep() == 0
    assert world.memory.documents["acme", "openai"] == {}


def test_a_key_that_was_set_up_after_the_clear_survives_the_sweep(world: World) -> None:
    set_up(world)
    world.writes.clear(target())
    set_up(world)
    assert sweep_of(world).sweep() == 0
    assert set(world.memory.documents["acme", "openai"]) == {2}


async def test_a_clear_wakes_the_sweep(world: World) -> None:
    set_up(world, "anthropic")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(sweep_of(world).run())
        await asyncio.sleep(0)
        await asyncio.to_thread(world.writes.clear, target("anthropic"))
        async with asyncio.timeout(20):
            while await asyncio.to_thread(pending, world):  # noqa: ASYNC110  # a row is all there is to see
                await asyncio.sleep(0.01)
        task.cancel()
    assert world.memory.documents["acme", "anthropic"] == {}
