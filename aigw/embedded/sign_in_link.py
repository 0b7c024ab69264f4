"""A new one-time link into the Portal of a running `aigw up`, for a used or expired link.

Whoever may write the data folder may sign in anyway, so the database is asked directly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aigw.failures import UserError
from services.control_plane.sign_in.browser import BrowserSignIn
from services.control_plane.store.database import Database
from shared.clock import unix_now

if TYPE_CHECKING:
    from pathlib import Path

PORTAL_FILE: Final = "portal-url"
"""The file in the data folder by which `aigw up` tells where its Portal is.

The file goes when `aigw up` stops.
"""


def sign_in_link(data_dir: Path, email: str) -> str:
    """Make a one-time sign-in link for a person; raises `UserError`."""
    try:
        portal_url = (data_dir / PORTAL_FILE).read_text()
    except OSError:
        raise UserError(
            f"No aigw up runs with the data folder {data_dir}. Start it, or name another by --data-dir."
        ) from None
    database = Database(f"sqlite:///{data_dir.absolute() / 'gateway.db'}")
    try:
        token = BrowserSignIn(database, unix_now, "").new_link_token(email)
    finally:
        database.close()
    return f"{portal_url}sign-in#{token}"
