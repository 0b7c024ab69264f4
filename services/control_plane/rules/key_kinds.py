"""The owner of a key by its public start, and the wording for a key in the wrong place.

The starts come from the rows of the providers and from a table of vendors without a row. `GET providers`
carries them to the Portal, which judges a typed key in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shared.providers import PROVIDERS, Provider, ProviderName


@dataclass(frozen=True, slots=True)
class KeyStart:
    """A public start of keys.

    Attributes:
        start: the text at the beginning of such keys.
        vendor: the owner of these keys, under the company's usual name.
        provider: the provider whose card takes them; None for a vendor without a card.
        hosts: where such a key belongs: these hosts and the hosts below them.
        administers: whether the key administers an account and can call no model.
        demo: whether the demo provider made the key.
    """

    start: str
    vendor: str
    provider: ProviderName | None = None
    hosts: tuple[str, ...] = ()
    administers: bool = False
    demo: bool = False


# Sources: each vendor's documentation of its keys, November 2026.
_VENDORS_WITHOUT_A_ROW: Final[tuple[KeyStart, ...]] = (
    KeyStart("sk-demo-", "the demo provider", demo=True),
    KeyStart("sk-ant-api03-demo-", "the demo provider", demo=True),
    KeyStart("sk-ant-sid", "claude.ai (a browser session)"),
    KeyStart("sk-or-", "OpenRouter", None, ("openrouter.ai",)),
    KeyStart("sk-lf-", "Langfuse"),
    KeyStart("sess-", "OpenAI (a browser session)"),
    KeyStart("gsk_", "Groq", None, ("groq.com",)),
    KeyStart("xai-", "xAI", None, ("x.ai",)),
    KeyStart("pplx-", "Perplexity", None, ("perplexity.ai",)),
    KeyStart("AIza", "Google", None, ("googleapis.com",)),
    KeyStart("hf_", "Hugging Face", None, ("huggingface.co",)),
    KeyStart("nvapi-", "NVIDIA", None, ("nvidia.com",)),
    KeyStart("tgp_v1_", "Together AI", None, ("together.xyz", "together.ai")),
    KeyStart("fw_", "Fireworks AI", None, ("fireworks.ai",)),
    KeyStart("csk-", "Cerebras", None, ("cerebras.ai",)),
    KeyStart("r8_", "Replicate", None, ("replicate.com",)),
    KeyStart("AKIA", "Amazon Web Services"),
    KeyStart("ghp_", "GitHub"),
    KeyStart("github_pat_", "GitHub"),
    KeyStart("sk_live_", "Stripe"),
    KeyStart("sk_test_", "Stripe"),
)


def key_starts(rows: Iterable[Provider]) -> tuple[KeyStart, ...]:
    """Give the starts of all known keys, a longer start before a shorter: the first match counts."""
    found = {other.start: other for other in _VENDORS_WITHOUT_A_ROW}
    for row in rows:
        for shape in row.keys:
            found[shape.prefix] = KeyStart(shape.prefix, row.vendor, row.name, row.key_hosts)
        for prefix in row.admin_keys:
            found[prefix] = KeyStart(prefix, row.vendor, row.name, administers=True)
    return tuple(sorted(found.values(), key=lambda one: -len(one.start)))


KEY_STARTS: Final = key_starts(PROVIDERS.values())

_EXAMPLE: Final = re.compile(
    r"(?:sk-|sk-ant-|sk-proj-|sk-ant-api\d\d-)?(?:your|my|the|insert|replace|change|put|enter|paste)"
    r"(?:[-_ ]|key|api|token|secret|real)[a-z0-9_-]*"
    r"|(?:sk-)?(?:api[-_]?key|test[-_]?key|example|dummy|placeholder|fake|foo|changeme)[a-z0-9_-]*"
    r"|.*(?:x{6,}|0123456789abcdef0123|goes[-_]here|12345678901234567890).*",
    re.IGNORECASE,
)


def key_start(text: str) -> KeyStart | None:
    """Tell whose key this looks like; None for an unknown start."""
    return next((row for row in KEY_STARTS if text.startswith(row.start)), None)


def is_example(text: str) -> bool:
    """Tell whether this is a stand-in from a document (`YOUR-KEY`), which a vendor never gives out."""
    return _EXAMPLE.fullmatch(text) is not None


def belongs_to(row: KeyStart, host: str) -> bool:
    """Tell whether a host is the vendor's own."""
    return any(host == own or host.endswith("." + own) for own in row.hosts)
