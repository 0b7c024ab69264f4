"""Sessions of browsers: their owners and their ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from services.control_plane.sign_in.bearer import Person
from services.control_plane.sign_in.browser import SESSION_COOKIE
from tests.unit.control_plane.world import MEMBER, OWNER, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def request_with(token: str | None = None) -> Request:
    cookies = [] if token is None else [(b"cookie", f"{SESSION_COOKIE}={token}".encode())]
    return Request({"type": "http", "method": "GET", "headers": [(b"host", b"portal.test"), *cookies]})


def sign_in(world: World, email: str, *, holding: str | None = None) -> str:
    """Sign in with a browser already holding a session; give the new session."""
    response = Response()
    world.context.browser.sign_in(request_with(holding), response, Person(email))
    return response.headers["set-cookie"].partition("=")[2].partition(";")[0]


def test_a_session_is_its_persons(world: World) -> None:
    token = sign_in(world, OWNER)
    assert world.context.browser.visitor(request_with(token)) == Person(OWNER)
    assert world.context.browser.visitor(request_with(token[:-1])) is None


def test_signing_in_ends_the_session_that_the_browser_had(world: World) -> None:
    """Session fixation: whoever planted or saw the cookie before must have nothing after the sign-in."""
    browser = world.context.browser
    planted = sign_in(world, MEMBER)
    new = sign_in(world, OWNER, holding=planted)
    assert new != planted
    assert browser.visitor(request_with(planted)) is None
    assert browser.visitor(request_with(new)) == Person(OWNER)


def test_signing_in_takes_no_token_that_the_browser_made_up(world: World) -> None:
    made_up = "x" * 43
    assert sign_in(world, OWNER, holding=made_up) != made_up
    assert world.context.browser.visitor(request_with(made_up)) is None


def test_signing_in_leaves_other_peoples_sessions_alone(world: World) -> None:
    other = sign_in(world, MEMBER)
    sign_in(world, OWNER)
    assert world.context.browser.visitor(request_with(other)) == Person(MEMBER)
