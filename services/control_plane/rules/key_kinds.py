"""Whose key a text looks like, by its public start, and what is said where such a key does not belong.

One table. The Portal's `key_rules.js` holds the same starts; a test compares both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shared.providers import ProviderName


@dataclass(frozen=True, slots=True)
class KeyStart:
    """One public start of keys.

    Attributes:
        start: the text that such keys begin with.
        vendor: whose keys these are, as people call that company.
        provider: the provider whose card takes them; None for a vendor without a card.
        hosts: where such a key belongs: these hosts and the hosts below them.
        administers: whether the key administers an account and can call no model.
    """

    start: str
    vendor: str
    provider: ProviderName | None = None
    hosts: tuple[str, ...] = ()
    administers: bool = False


# The first match counts, so that a longer start stands before a shorter one. Sources: each vendor's
# documentation of its keys, November 2026.
KEY_STARTS: Final[tuple[KeyStart, ...]] = (
    KeyStart("sk-demo-", "the demo provider"),
    KeyStart("sk-ant-api03-demo-", "the demo provider"),
    KeyStart("sk-ant-admin", "Anthropic", "anthropic", administers=True),
    KeyStart("sk-admin-", "OpenAI", "openai", administers=True),
    KeyStart("sk-ant-sid", "claude.ai (a browser session)"),
    KeyStart("sk-ant-", "Anthropic", "anthropic", ("anthropic.com",)),
    KeyStart("sk-or-", "OpenRouter", None, ("openrouter.ai",)),
    KeyStart("sk-lf-", "Langfuse"),
    KeyStart("sk-", "OpenAI", "openai", ("openai.com",)),
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
    """Tell whether a host is one of the vendor's own."""
    return any(host == own or host.endswith("." + own) for own in row.hosts)
