"""The findings of a key test, step by step, in the same words whichever plane tried the key.

Judges a provider's answer: a 401, a 403 and the further statuses of a provider's row may speak about the key
(`shared/refusals.py`); a time-out, 429 or 5xx says nothing about the key. Keeps no byte sent by the provider.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from shared.key_test import MAX_DETAIL_CHARS, STEPS, KeyTestStep, StepName, StepStatus
from shared.providers import PROVIDERS, ProviderName
from shared.refusals import refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable

_SKIPPED: Final = "Not tried, because of the step before."
_FIRST_SUCCESS, _FIRST_REDIRECT, _FIRST_ERROR, _NOT_FOUND = 200, 300, 400, 404
_UNAUTHORIZED: Final = 401


class KeyTestReport:
    """The steps of a key test so far. `clock` gives monotonic seconds."""

    def __init__(self, provider: ProviderName, clock: Callable[[], float]) -> None:
        self._refusals = PROVIDERS[provider].refusals
        self._refusal_statuses = PROVIDERS[provider].refusal_statuses
        self._list_name = PROVIDERS[provider].key_test.list_name
        self._clock = clock
        self._since = clock()
        self._steps: dict[StepName, KeyTestStep] = {}

    def note(self, step: StepName, status: StepStatus, detail: str) -> None:
        """Note the outcome of a step; its duration runs from the end of the previous step."""
        now = self._clock()
        seconds = None if status == "skipped" else round(max(0.0, now - self._since), 3)
        self._since = now
        self._steps[step] = KeyTestStep(step, status, detail[:MAX_DETAIL_CHARS], seconds)

    def note_next(self, status: StepStatus, detail: str) -> None:
        """Note the outcome of the first step without an outcome."""
        for step in STEPS:
            if step not in self._steps:
                self.note(step, status, detail)
                return

    def addresses(self, count: int) -> None:
        """The host's name was looked up, and every address may be connected to."""
        self.note("dns", "ok", f"The host has {count} address{'es' * (count != 1)}.")

    def looked_up_by_proxy(self) -> None:
        """The operator's proxy looks names up; this process does not."""
        self.note("dns", "skipped", "The operator's egress proxy looks the name up.")

    def connected(self, *, tls: bool) -> None:
        """There is a connection, encrypted or not."""
        if tls:
            self.note("tls", "ok", "The certificate is valid for the host.")
        else:
            self.note("tls", "skipped", "The endpoint uses plain http.")

    def too_late(self) -> None:
        """The time of the key test is over."""
        self.note_next("unknown", "The endpoint took too long to answer.")

    def status(self, status: int, body: bytes = b"") -> bool:
        """Read the status of the provider's answer; give whether the models may be counted.

        `body` is that of one of the row's `refusal_statuses`, which tells what was refused.
        """
        accepted = _FIRST_SUCCESS <= status < _FIRST_REDIRECT
        if accepted:
            self.note("authentication", "ok", "The endpoint accepted the key.")
        elif status in self._refusal_statuses:
            self._refused(status, body)
        elif _FIRST_REDIRECT <= status < _FIRST_ERROR:
            self.note(
                "authentication", "unknown", "The endpoint redirects elsewhere; that is never followed."
            )
        elif status == _NOT_FOUND:
            self.note("authentication", "unknown", "The endpoint has no model list; check its path.")
        else:
            self.note("authentication", "unknown", f"The endpoint answered with status {status}; try later.")
        return accepted

    def _refused(self, status: int, body: bytes) -> None:
        match refusal_of(status, body, self._refusals).meaning:
            case "key":
                self.note("authentication", "failed", f"The endpoint refused the key (status {status}).")
            case "permission":
                self.note("authentication", "ok", "The endpoint accepted the key.")
                self.note("model_list", "unknown", "The key is restricted: it may not list models.")
            case "account":
                self._not_told(status, "the provider account, not the key")
            case "place":
                self._not_told(status, "the address or country that asks, not the key")
            case "request":
                self._not_told(status, "the request, not the key")
            case "unknown" if status == _UNAUTHORIZED:
                # The request is ours and carries nothing but the key: RFC 9110 §15.5.2 leaves one reason.
                self.note("authentication", "failed", "The endpoint refused the key (status 401).")
            case _:
                self._not_told(status, "something that it did not name")

    def _not_told(self, status: int, what: str) -> None:
        self.note("authentication", "unknown", f"The endpoint refused {what} (status {status}).")

    def models(self, body: bytes | None) -> None:
        """Count the models in the body of a good answer; None stands for a body too long to read."""
        count = _count_models(body, self._list_name)
        if count is None:
            self.note("model_list", "unknown", "The answer is not a list of models.")
        else:
            self.note("model_list", "ok", f"The first page lists {count} model{'s' * (count != 1)}.")

    def steps(self) -> tuple[KeyTestStep, ...]:
        """Give every step, in order."""
        return tuple(self._steps.get(step) or KeyTestStep(step, "skipped", _SKIPPED) for step in STEPS)


def _count_models(body: bytes | None, list_name: str) -> int | None:
    try:
        answer = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    models = answer.get(list_name) if isinstance(answer, dict) else None
    return len(models) if isinstance(models, list) else None
