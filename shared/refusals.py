"""The meaning of a provider's 401 or 403: a key not accepted, or any of many other things.

The rules are data with dated sources; a provider's row names its own. A refusal counts as a refused key only
where the provider says so in words that no request can choose. Every other refusal leaves the key's state
unchanged, and a refusal matching no rule is called unknown.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

MAX_REASON_CHARS: Final = 200

Meaning = Literal["key", "permission", "request", "account", "place", "unknown"]
"""`key`: the key is not accepted. `permission`: the key works, and may not do this. `request`: this request
is refused whatever the key. `account`: the account is refused. `place`: the address or country is refused."""


@dataclass(frozen=True, slots=True)
class RefusalRule:
    """A known refusal of a provider.

    Attributes:
        meaning: the subject of the refusal.
        source: place and time of the observation.
        code: the error's code or type, exactly; empty for any.
        message: a pattern for the whole message, in any case; empty for any.
        statuses: with which the refusal comes.
    """

    meaning: Meaning
    source: str
    code: str = ""
    message: str = ""
    statuses: tuple[int, ...] = (401, 403)

    def applies(self, status: int, stated: StatedError) -> bool:
        """Whether this is the refusal."""
        return (
            status in self.statuses
            and (not self.code or self.code in {stated.code, stated.type})
            and (not self.message or re.fullmatch(self.message, stated.message, re.IGNORECASE) is not None)
        )


@dataclass(frozen=True, slots=True)
class StatedError:
    """An error as stated by an answer; empty where not stated."""

    code: str = ""
    type: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The meaning of a refusal, and the provider's own sentence, possibly empty."""

    meaning: Meaning
    reason: str


def refusal_of(status: int, body: bytes, rules: tuple[RefusalRule, ...]) -> Refusal:
    """Judge one of a row's `refusal_statuses` by its uncompressed body. The first rule that applies holds."""
    stated = stated_error(body)
    meanings = (rule.meaning for rule in (*rules, *COMMON_REFUSALS) if rule.applies(status, stated))
    return Refusal(next(meanings, "unknown"), stated.message[:MAX_REASON_CHARS])


def stated_error(body: bytes) -> StatedError:
    """Read the error of a JSON body in the shapes used by providers and proxies."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return StatedError()
    if isinstance(answer, list) and answer:
        answer = answer[0]  # Google answers a request for a stream without `alt=sse` by an array
    if not isinstance(answer, dict):
        return StatedError()
    error = answer.get("error")
    if isinstance(error, dict):
        code = _text(error, "code") or _reason(error)
        kind = _text(error, "type") or _text(error, "status")
        return StatedError(code, kind, _text(error, "message"))
    said = [_text(answer, name) for name in ("error", "detail", "message", "msg", "error_description")]
    return StatedError(_text(answer, "code"), _text(answer, "type"), next(filter(None, said), ""))


def _reason(error: dict[str, Any]) -> str:
    """Give the reason among the details of an error of Google's (AIP-193); empty when there is none."""
    details = error.get("details")
    found = (
        (_text(one, "reason") for one in details if isinstance(one, dict))
        if isinstance(details, list)
        else ()
    )
    return next(filter(None, found), "")


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return " ".join(value.split()) if isinstance(value, str) else ""


_CREDENTIAL: Final = (
    r"(?:api[ -]?key|x-api-key|credentials?|(?:(?:access|auth|authentication|authorization|bearer) )?token)"
)

OPENAI_REFUSALS: Final = (
    RefusalRule(
        "permission",
        "github.com/continuedev/continue/issues/10059, 2026-01-31",
        message=r"You have insufficient permissions for this operation\b.*",
    ),
    RefusalRule("permission", "measured, 2026-11", message=r"Missing scopes:.*"),
    RefusalRule(
        "permission", "named so by clients of restricted keys; no recorded answer", code="missing_scope"
    ),
    RefusalRule(
        "permission",
        "named so by clients of restricted keys; no recorded answer",
        code="insufficient_permissions",
    ),
    RefusalRule(
        "permission",
        "github.com/continuedev/continue/issues/10120, 2026-02-02",
        message=r"Project .* does not have access to model .*",
    ),
    RefusalRule("permission", "the name of the code; no recorded answer", code="model_not_found"),
    RefusalRule(
        "account", "github.com/nat/openplayground/issues/143, 2024-11-25", code="account_deactivated"
    ),
    RefusalRule(
        "account",
        "developers.openai.com/api/docs/guides/error-codes, 2026-11",
        message=r"You must be a member of an organization.*",
    ),
    RefusalRule("account", "the name of the code; no recorded answer", code="billing_not_active"),
    RefusalRule("account", "the name of the code; no recorded answer", code="organization_deactivated"),
    RefusalRule(
        "place", "developers.openai.com/api/docs/guides/error-codes, 2026-11", code="ip_not_authorized"
    ),
    RefusalRule(
        "place",
        "developers.openai.com/api/docs/guides/error-codes, 2026-11",
        message=r".*\bIP\b.* allow-?list.*",
    ),
    RefusalRule(
        "place",
        "github.com/home-assistant/core/issues/120072, 2024-07-17",
        code="unsupported_country_region_territory",
    ),
    RefusalRule(
        "request", "github.com/AIDotNet/OpenDeepWiki/issues/5, 2025-05-01", code="mismatched_organization"
    ),
    RefusalRule("request", "the name of the code; no recorded answer", code="mismatched_project"),
    RefusalRule("request", "the name of the code; no recorded answer", code="invalid_organization"),
    RefusalRule(
        "request",
        "the sentence of the dashboard's routes, known since 2023; no recorded answer",
        message=r"Your request to .* must be made with a session key.*",
    ),
    RefusalRule(
        "request",
        "developers.openai.com/api/docs/guides/error-codes, 2026-11",
        message=r"You didn't provide an API key.*",
    ),
    RefusalRule(
        "key",
        "developers.openai.com/api/docs/guides/error-codes, 2026-11",
        code="invalid_api_key",
        statuses=(401,),
    ),
    RefusalRule("key", "the name of the code; no recorded answer", code="api_key_expired"),
    RefusalRule("key", "the name of the code; no recorded answer", code="token_expired"),
    RefusalRule(
        "key",
        "developers.openai.com/api/docs/guides/error-codes, 2026-11",
        message=r"Incorrect API key provided\b.*",
        statuses=(401,),
    ),
)

ANTHROPIC_REFUSALS: Final = (
    RefusalRule(
        "request",
        "github.com/anthropics/anthropic-sdk-typescript/issues/741, 2025-04-05",
        message=r"CORS requests .*",
    ),
    RefusalRule(
        "request",
        "measured with a setup token on messages/count_tokens, 2026-11",
        message=r"OAuth authentication is (?:currently )?not supported.*",
    ),
    RefusalRule(
        "account",
        "github.com/anthropics/claude-code/issues/6752, 2025-08-28, and 65714, 2026-06-05",
        message=r"OAuth authentication is (?:currently )?not allowed for this organization.*",
    ),
    RefusalRule(
        "permission",
        "github.com/anthropics/claude-code/issues/13724, 2025-12-11",
        message=r"OAuth token does not meet scope requirement .*",
    ),
    RefusalRule(
        "request",
        "the error types of platform.claude.com/docs/en/api/errors; the sentence has no recorded answer",
        message=r"x-api-key header is required",
    ),
    RefusalRule(
        "request",
        "the error types of platform.claude.com/docs/en/api/errors; the sentence has no recorded answer",
        message=r"Request not allowed",
    ),
    RefusalRule(
        "account",
        "the error types of platform.claude.com/docs/en/api/errors; the sentence has no recorded answer",
        message=r"(?:This|Your) organization has been disabled.*",
    ),
    RefusalRule(
        "account",
        "the error types of platform.claude.com/docs/en/api/errors; the sentence has no recorded answer",
        message=r"Your account does not have access to .*",
    ),
    RefusalRule(
        "account",
        "the error types of platform.claude.com/docs/en/api/errors; the sentence has no recorded answer",
        code="billing_error",
    ),
    RefusalRule(
        "place",
        "the sentence has no recorded answer",
        message=r".*\bIP address\b.* not (?:allowed|permitted|authorized)\b.*",
    ),
    RefusalRule("key", "measured, 2026-11", message=r"invalid x-api-key\.?", statuses=(401,)),
    RefusalRule(
        "key",
        "the error types of platform.claude.com/docs/en/api/errors; the sentence has no recorded answer",
        message=r"Invalid bearer token\.?",
        statuses=(401,),
    ),
    RefusalRule(
        "key",
        "the error types of platform.claude.com/docs/en/api/errors; the sentence has no recorded answer",
        message=r"Invalid (?:API key|authentication credentials)\.?",
        statuses=(401,),
    ),
    RefusalRule(
        "key",
        "github.com/anthropics/claude-code/issues/6459, 2025-08-24",
        message=r"OAuth (?:access )?token has expired\b.*",
    ),
    RefusalRule(
        "key",
        "github.com/anthropics/claude-code/issues/9635, 2025-10-16, and vm0-ai/vm0/issues/29128, 2026-08-25",
        message=r"OAuth (?:access )?token has been revoked\b.*",
    ),
    RefusalRule(
        "key",
        "the error types of platform.claude.com/docs/en/api/errors; the sentence has no recorded answer",
        message=r"(?:This |The )?API key (?:has|is) (?:been )?(?:expired|revoked|disabled|deleted)\.?",
    ),
    RefusalRule(
        "permission",
        "the error types of platform.claude.com/docs/en/api/errors; the sentence has no recorded answer",
        code="permission_error",
        statuses=(403,),
    ),
)

COMMON_REFUSALS: Final = (
    RefusalRule(
        "key",
        "the code of OpenAI's own errors, which endpoints like it copy, 2026-11",
        code="invalid_api_key",
    ),
    RefusalRule(
        "key",
        "the sentence of LiteLLM's proxy; no recorded answer",
        message=r"Authentication Error, Invalid proxy server token passed\b.*",
    ),
    RefusalRule(
        "key",
        "DeepSeek's sentence, github.com/continuedev/continue/issues/11820, 2026-03-25",
        message=r"Authentication Fails, Your api key: \S+ is invalid",
        statuses=(401,),
    ),
    RefusalRule(
        "key",
        "the words themselves say so",
        message=r"(?:the |your |this )?(?:incorrect|invalid|expired|revoked) "
        + _CREDENTIAL
        + r"(?: provided)?[.!]?",
    ),
    RefusalRule(
        "key",
        "the words themselves say so",
        message=r"(?:the |your |this )?"
        + _CREDENTIAL
        + r" (?:is|has|was) (?:been )?(?:incorrect|invalid|not valid|expired|revoked|disabled)[.!]?",
    ),
)
"""Tried after a provider's own: custom endpoints have shapes of their own."""
