"""The allowed names of orgs, people and nodes, with a single canonical text for each.

Names become URL segments, folder names and claims of box tokens; the pattern of an org is therefore the
pattern of `shared/box_token.py`.
"""

from __future__ import annotations

import re
from typing import Final

from services.control_plane.rules.problems import Problem, ProblemError, refused

ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$"
"""Ids of orgs, nodes and node keys. The first character keeps `.` and `..` out of folder names."""
NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f]*$"
"""Text to search by: Postgres takes no NUL in a text, and nothing stored holds a control character."""
MAX_EMAIL_CHARS: Final = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets
MAX_ORG_NAME_CHARS: Final = 200

_ID = re.compile(ID_PATTERN.removeprefix("^").removesuffix("$"))
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


def is_id(text: str) -> bool:
    """Whether `text` can be the id of an org, a node or a key."""
    return _ID.fullmatch(text) is not None


def checked_id(text: str, what: str) -> str:
    """Give `text` back, or refuse it as the id of `what` (`an organization`, `a node`)."""
    if not is_id(text):
        raise ProblemError(
            Problem.INVALID,
            f"The id of {what} has up to 128 letters, digits or . _ : @ - and starts with a letter or digit.",
        )
    return text


def canonical_email(text: str) -> str | None:
    """Give the canonical form of an email address, for matching people; None for a text of another form.

    The whole address is compared without case: no mail system in use tells two people apart by case, and two
    spellings of an owner must not become two people.
    """
    if len(text) > MAX_EMAIL_CHARS or not _EMAIL.fullmatch(text):
        return None
    return text.lower()


def checked_email(text: str) -> str:
    """Give the canonical address, or refuse."""
    email = canonical_email(text)
    if email is None:
        raise ProblemError(Problem.INVALID, "The member is not named by a plain email address.")
    return email


def checked_org_name(text: str) -> str:
    """Give the trimmed, visible name, or refuse: 1 to 200 printable characters on one line."""
    name = text.strip()
    if not name or len(name) > MAX_ORG_NAME_CHARS or not name.isprintable():
        raise refused(
            Problem.INVALID,
            "#/name",
            f"A name has 1 to {MAX_ORG_NAME_CHARS} printable characters on one line.",
        )
    return name
