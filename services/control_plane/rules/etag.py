"""Entity tags (RFC 9110 §8.8.3): writing a revision as a tag, and matching a condition.

An integration's tag is its revision, `"0"` before the first set-up; the snapshot's is `"<epoch>-<revision>"`.
"""

from __future__ import annotations

import re
from typing import Final

from services.control_plane.rules.problems import Fault, Problem, ProblemError

MAX_CONDITION_CHARS: Final = 1024

# RFC 9110 §8.8.3: etagc is visible ASCII but the double quote; the obs-text range is left out.
_TAG = r'(?:W/)?"[\x21\x23-\x7e]*"'
_LIST = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*")


def tag_of(revision: int) -> str:
    """Write a revision as a strong entity tag."""
    return f'"{revision}"'


def require_match(condition: str | None, revision: int) -> bool:
    """Tell whether `If-Match` names `revision`; refuse a missing or malformed condition.

    Strong comparison (RFC 9110 §13.1.1): a weak tag never matches.
    """
    if condition is None:
        raise ProblemError(
            Problem.PRECONDITION_REQUIRED,
            "Send If-Match with the ETag of the state that you have seen, or If-Match: * to overwrite any.",
        )
    if condition.strip() == "*":
        return True
    return tag_of(revision) in _tags(condition)


def none_match(condition: str | None, tag: str) -> bool:
    """Tell whether `If-None-Match` names `tag`, for a 304. Weak comparison (§13.1.2)."""
    if condition is None:
        return False
    if condition.strip() == "*":
        return True
    return tag in [given.removeprefix("W/") for given in _tags(condition)]


def _tags(condition: str) -> list[str]:
    text = condition.strip()
    if len(text) > MAX_CONDITION_CHARS or not _LIST.fullmatch(text):
        detail = 'A condition is * or a list of quoted entity tags, e.g. If-Match: "12".'
        raise ProblemError(Problem.BAD_REQUEST, detail, (Fault(detail, parameter="header If-Match"),))
    return re.findall(_TAG, text)
