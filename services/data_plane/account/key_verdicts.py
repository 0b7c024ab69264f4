"""The providers' verdicts on each org's key in real traffic: accepted or rejected.

Remembers a verdict per (org, provider), bounded, and gives out the new verdicts. Names, times and versions
only: a verdict is of one version of the secret, and says nothing of a later key.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, cast

from shared.acknowledgement import MAX_SEEN, Seen
from shared.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.data_plane.account.record import ExchangeRecord
    from shared.providers import ProviderName

MAX_REMEMBERED_VERDICTS: Final = 10_000
REPEAT_SECONDS: Final = 30.0
"""An unchanged verdict is news again after this long."""
KEY_REJECTED: Final = "upstream_key_rejected"
_FIRST_REDIRECT_STATUS: Final = 300


@dataclass(slots=True)
class _Verdict:
    is_accepted: bool
    at: float
    version: int
    told_at: float = 0.0


class KeyVerdicts:
    """A verdict per (org, provider); the least recently touched verdict goes first."""

    def __init__(self, max_verdicts: int = MAX_REMEMBERED_VERDICTS) -> None:
        self._max_verdicts = max_verdicts
        self._verdicts: OrderedDict[tuple[str, str], _Verdict] = OrderedDict()
        self._news: dict[tuple[str, str], None] = {}

    def note(self, record: ExchangeRecord) -> None:
        """Remember the exchange's verdict on the key; most failures say nothing."""
        is_accepted = _verdict_of(record)
        if is_accepted is None:
            return
        key = (record.org, record.provider)
        at = record.started_at + record.seconds
        verdict = self._verdicts.get(key)
        version = record.secret_version
        if verdict is not None and version < verdict.version and record.started_at <= verdict.at:
            return  # an answer to a request that left with the key before; a later one: a restored database
        if verdict is None:
            verdict = self._verdicts[key] = _Verdict(is_accepted, at, version)
            if len(self._verdicts) > self._max_verdicts:
                self._news.pop(self._verdicts.popitem(last=False)[0], None)
            self._news[key] = None
        elif (verdict.is_accepted, verdict.version) != (is_accepted, version) or (
            at - verdict.told_at >= REPEAT_SECONDS
        ):
            self._news[key] = None
        verdict.is_accepted, verdict.at, verdict.version = is_accepted, at, version
        self._verdicts.move_to_end(key)

    def news(self) -> tuple[Seen, ...]:
        """Give the untold verdicts, the oldest first, at most `MAX_SEEN`."""
        return tuple(self._seen(*key) for key in islice(self._news, MAX_SEEN))

    def _seen(self, org: str, provider: str) -> Seen:
        verdict = self._verdicts[org, provider]
        said: Literal["accepted", "rejected"] = "accepted" if verdict.is_accepted else "rejected"
        return Seen(org, cast("ProviderName", provider), said, verdict.at, verdict.version)

    def is_rejected(self, org: str, provider: str, version: int) -> bool:
        """Tell whether the last verdict on this version of an org's key was a refusal."""
        verdict = self._verdicts.get((org, provider))
        return verdict is not None and not verdict.is_accepted and verdict.version == version

    def told(self, seen: Sequence[Seen]) -> None:
        """Note the arrival of these verdicts. Verdicts changed meanwhile stay news."""
        for one in seen:
            key = (one.org, one.provider)
            verdict = self._verdicts.get(key)
            if verdict is None:
                continue
            verdict.told_at = one.at
            if (verdict.is_accepted, verdict.version) == (one.verdict == "accepted", one.secret_version):
                self._news.pop(key, None)


def _verdict_of(record: ExchangeRecord) -> bool | None:
    """Whether the provider took the key; None when the exchange does not tell."""
    if not record.org or not record.provider:
        return None
    if record.code == KEY_REJECTED:
        key_routes = next((row.key_routes for name, row in PROVIDERS.items() if name == record.provider), ())
        return False if record.route.partition("/")[0] in key_routes else None
    return True if not record.code and 0 < record.status < _FIRST_REDIRECT_STATUS else None
