"""The rules for the text of an upstream API key, and the labels of a hidden key.

Nothing here stores a key; the judged key leaves wrapped in a `Secret`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from services.control_plane.rules.key_kinds import KeyStart, belongs_to, is_example, key_start
from services.control_plane.rules.pasted_key import clean_key
from services.control_plane.rules.problems import Problem, ProblemError, refused
from shared.endpoint import Endpoint
from shared.providers import PROVIDERS, ProviderName
from shared.secret import Secret

MIN_KEY_CHARS: Final = 8
MAX_KEY_CHARS: Final = 512
SHOWN_CHARS: Final = 4
FINGERPRINT_HEX_CHARS: Final = 12
KEY_POINTER: Final = "#/api_key"

# Visible ASCII without the space: such a text is safe as a header value (RFC 9110 §5.5), and a space inside a
# pasted key always means that more than the key was pasted.
_VISIBLE = re.compile(r"[\x21-\x7e]*")
# What screens show in place of a key: ellipses, bullets, stars. No provider's key contains any of these.
_MASK = re.compile(r"…|\.\.\.|[•●·]{2}|\*\*|^[xX]{8,}$|Secret\(|redacted|<[^>]*>", re.IGNORECASE)
_LINE_BREAK = re.compile(r"[\r\n]")
_PLACEHOLDER = re.compile(r"run9-placeholder", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class JudgedKey:
    """A storable key, with the warnings for its owner."""

    key: Secret
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyLabel:
    """The visible facts of a key, for its owner to recognise the key."""

    last4: str
    fingerprint: str


def judge_key(provider: ProviderName, typed: Secret, endpoint: Endpoint, *, is_own: bool) -> JudgedKey:
    """Give the cleaned key with warnings, or refuse with the reason.

    `endpoint` is where the key would go; `is_own` tells whether the endpoint is the provider's own. A key of
    another provider's form only gets a warning: a gateway of the org's own behind a custom endpoint may take
    any key. At most one warning concerns the key, and one the text pasted around the key.
    """
    pasted = clean_key(typed.reveal())
    text = pasted.text
    if _MASK.search(text):
        raise _refused(
            "This is a masked key, not the key itself. Paste the whole key, or leave the field out."
        )
    if _LINE_BREAK.search(text):
        raise _refused("There is a line break inside the key. Paste the key alone, in one line.")
    if not _VISIBLE.fullmatch(text):
        raise _refused("The key contains a space, a line break, a control or a non-ASCII character.")
    if not MIN_KEY_CHARS <= len(text) <= MAX_KEY_CHARS:
        raise _refused(f"A key has {MIN_KEY_CHARS} to {MAX_KEY_CHARS} characters.")
    if _PLACEHOLDER.fullmatch(text):
        raise _refused("This is the placeholder that boxes use. Paste the key that the provider gave you.")
    row = key_start(text)
    if row is not None and row.administers:
        raise _refused(
            f"This is an admin key of {row.vendor} ({row.start}…): it administers the account and can call "
            f"no model. Make an API key at {PROVIDERS[provider].key_page}."
        )
    warnings = (_warning(provider, text, row, endpoint, is_own=is_own), _left_out(pasted.left_out))
    return JudgedKey(Secret(text), tuple(filter(None, warnings)))


def label_key(pepper: bytes, org: str, provider: ProviderName, key: Secret) -> KeyLabel:
    """Give the visible facts of a key: its end, and 12 digits equal for equal keys of the same integration.

    The fingerprint is keyed (HMAC-SHA256) by a `pepper` outside every answer and database row: a plain hash
    of an 8-character key, of which four characters are shown anyway, could be tried out by any member in
    seconds. Org and provider are part of the message: equal keys of two orgs cannot be recognised.
    """
    text = key.reveal()
    message = b"\0".join((org.encode(), provider.encode(), text.encode()))
    digest = hmac.new(pepper, message, hashlib.sha256).hexdigest()
    return KeyLabel(text[-SHOWN_CHARS:], digest[:FINGERPRINT_HEX_CHARS])


def _refused(detail: str) -> ProblemError:
    return refused(Problem.KEY_REFUSED, KEY_POINTER, detail)


def _warning(
    provider: ProviderName, text: str, row: KeyStart | None, endpoint: Endpoint, *, is_own: bool
) -> str:
    """Give the most important sentence about a storable key; "" for none."""
    title = PROVIDERS[provider].title
    if is_example(text):
        return "This looks like a stand-in from a document, not like a key."
    if row is None:
        unknown = f"This does not look like a key of {title}; its own endpoint will probably refuse it."
        return unknown if is_own else ""
    if row.demo:
        return f"This is a key of the demo provider; {title} itself will refuse it." if is_own else ""
    if row.provider != provider and (is_own or not belongs_to(row, endpoint.host)):
        return f"This looks like a key of {row.vendor}, but it is for {title}."
    if not is_own and not belongs_to(row, endpoint.host):
        return f"This looks like a key of {row.vendor}, and it is sent to {endpoint.authority} instead."
    return ""


def _left_out(parts: tuple[str, ...]) -> str:
    if not parts:
        return ""
    return f"Left out of what was pasted: {', '.join(parts)}."
