"""A database's URL: which ones are accepted, and the remedy for each of the others.

The settings import this file, and every `aigw` command reads their names. So SQLAlchemy, which is half a
second and 20 MiB, is imported where a URL is read and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import URL

MAX_PORT: Final = 65_535


def checked_database_url(text: str) -> URL:
    """Read a database's URL; raises `ValueError` with the remedy and without any part of the text."""
    if not text.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ValueError("a database is sqlite:///FILE or postgresql+psycopg://…")
    url = _parsed(text)
    if url is None:
        raise ValueError(
            "a database is postgresql+psycopg://USER:PASSWORD@HOST:PORT/NAME; the port is a number up to "
            f"{MAX_PORT}, and / : @ ? # [ ] in the password are written by their codes, as %2F for /"
        )
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ValueError("an in-memory SQLite database is lost between connections: name a file")
    return url


def _parsed(text: str) -> URL | None:
    from sqlalchemy import make_url  # noqa: PLC0415  # see above
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415  # same

    try:
        url = make_url(text)
        url.get_dialect()().create_connect_args(url)
    except (ValueError, ArgumentError):
        return None
    if "@" in (url.host or ""):  # the end of a password that holds a raw one
        return None
    return url if url.port is None or 0 < url.port <= MAX_PORT else None
