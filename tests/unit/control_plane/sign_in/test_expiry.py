"""Expired sign-ins are forgotten without a new sign-in, a batch at a time, now and then only."""

from __future__ import annotations

import asyncio

from sqlmodel import select

from services.control_plane.sign_in.browser import LINK_SECONDS
from services.control_plane.sign_in.expiry import EXPIRED_EVERY_SECONDS, SignInExpiry
from services.control_plane.store.tables import TicketTable
from tests.unit.control_plane.world import OWNER, World


def expiry_of(world: World) -> SignInExpiry:
    return SignInExpiry(world.database, world.clock)


def sign_ins_under_way(world: World) -> int:
    with world.database.read() as session:
        return len(session.exec(select(TicketTable)).all())


def test_sign_ins_that_have_expired_are_forgotten_without_a_new_one(world: World) -> None:
    expiry = expiry_of(world)
    browser = world.context.browser
    browser.new_link_token(OWNER)
    assert expiry.forget_expired() == 0
    world.clock.now += LINK_SECONDS
    browser.new_link_token(OWNER)  # forgets the first one itself
    assert expiry.forget_expired() == 0
    world.clock.now += LINK_SECONDS
    assert expiry.forget_expired() == 1
    assert expiry.forget_expired() == 0


def test_expired_sign_ins_are_looked_for_now_and_then_only(world: World) -> None:
    expiry = expiry_of(world)
    assert expiry.forget_expired() == 0
    with world.database.quiet_write() as session:
        session.add(TicketTable(id_hash="old", kind="link", payload="{}", expires_at=0.0))
    assert expiry.forget_expired() == 0
    world.clock.now += EXPIRED_EVERY_SECONDS
    assert expiry.forget_expired() == 1


async def test_it_forgets_until_it_is_cancelled(world: World) -> None:
    world.context.browser.new_link_token(OWNER)
    world.clock.now += LINK_SECONDS
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(expiry_of(world).run())
        async with asyncio.timeout(20):
            while sign_ins_under_way(world):  # noqa: ASYNC110  # the rows are all there is to see
                await asyncio.sleep(0.01)
        task.cancel()
