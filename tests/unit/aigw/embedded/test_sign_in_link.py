"""New sign-in links for a running `aigw up`."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigw.embedded.sign_in_link import PORTAL_FILE, sign_in_link
from aigw.failures import UserError
from services.control_plane.sign_in.browser import BrowserSignIn
from services.control_plane.store import migrate
from services.control_plane.store.database import Database
from shared.clock import unix_now


def test_a_link_leads_to_the_running_portal_and_works_once(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'gateway.db'}")
    migrate.upgrade(database)
    (tmp_path / PORTAL_FILE).write_text("http://127.0.0.1:19002/")
    where, _, token = sign_in_link(tmp_path, "ada@example.test").partition("#")
    assert where == "http://127.0.0.1:19002/sign-in"
    browser = BrowserSignIn(database, unix_now, "")
    person = browser.use_link_token(token)
    assert person is not None
    assert person.email == "ada@example.test"
    assert browser.use_link_token(token) is None
    database.close()


def test_without_a_running_gateway_the_remedy_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Start it, or name another by --data-dir"):
        sign_in_link(tmp_path, "ada@example.test")
