"""Which text can be an upstream API key, and how a key is spoken of once it must not be shown.

Nothing here stores a key; the judged key leaves wrapped in a `Secret`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from services.control_plane.rules.problems import Problem, ProblemError, refused
from shared.providers import PROVIDERS, KeyKind, ProviderName, kind_of_key
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
_PLACEHOLDER = re.compile(r"run9-placeholder", re.IGNORECASE)

_KIND_OWNER: Final[dict[KeyKind, ProviderName | None]] = {
    "openai": "openai",
    "anthropic_api": "anthropic",
    "anthropic_oauth": "anthropic",
    "unknown": None,
}


@dataclass(frozen=True, slots=True)
class JudgedKey:
    """A key that can be stored, and what its owner should be told about it."""

    key: Secret
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyLabel:
    """What may be shown of a key, by which its owner recognises it."""

    last4: str
    fingerprint: str


def judge_key(provider: ProviderName, typed: Secret, *, custom_endpoint: bool) -> JudgedKey:
    """Give the trimmed key with warnings, or refuse it with the reason.

    A key that looks like the other provider's is only warned about: a gateway of the org's own behind a
    custom endpoint may take any key.
    """
    text = typed.reveal().strip()
    if _MASK.search(text):
        raise _refused(
            "This is a masked key, not the key itself. Paste the whole key, or leave the field out."
        )
    if not _VISIBLE.fullmatch(text):
        raise _refused("The key contains a space, a line break, a control or a non-ASCII character.")
    if not MIN_KEY_CHARS <= len(text) <= MAX_KEY_CHARS:
        raise _refused(f"A key has {MIN_KEY_CHARS} to {MAX_KEY_CHARS} characters.")
    if _PLACEHOLDER.fullmatch(text):
        raise _refused("This is the placeholder that boxes use. Paste the key that the provider gave you.")
    return JudgedKey(Secret(text), _warnings(provider, kind_of_key(text), custom_endpoint=custom_endpoint))


def label_key(pepper: bytes, org: str, provider: ProviderName, key: Secret) -> KeyLabel:
    """Give what may be shown of a key: its end, and 12 digits equal for equal keys of one integration.

    The fingerprint is keyed (HMAC-SHA256) by a `pepper` that no answer and no database row holds: a plain
    hash of an 8-character key, of which four characters are shown anyway, could be tried out by any member in
    seconds. Org and provider are part of the message: nobody can tell that two orgs have the same key.
    """
    text = key.reveal()
    message = b"\0".join((org.encode(), provider.encode(), text.encode()))
    digest = hmac.new(pepper, message, hashlib.sha256).hexdigest()
    return KeyLabel(text[-SHOWN_CHARS:], digest[:FINGERPRINT_HEX_CHARS])


def _refused(detail: str) -> ProblemError:
    return refused(Problem.KEY_REFUSED, KEY_POINTER, detail)


def _warnings(provider: ProviderName, kind: KeyKind, *, custom_endpoint: bool) -> tuple[str, ...]:
    title = PROVIDERS[provider].title
    owner = _KIND_OWNER[kind]
    if owner is not None and owner != provider:
        return (f"This looks like a key of {PROVIDERS[owner].title}, but it was saved for {title}.",)
    if owner is None and not custom_endpoint:
        return (f"This does not look like a key of {title}; its own endpoint will probably refuse it.",)
    return ()
