"""Where an issuer's public keys come from: a file, or a URL whose last good answer outlives an outage."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import Final, Protocol

import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from services.control_plane.sign_in.issuer_route import IssuerRoute

CACHE_SECONDS: Final = 300
FETCH_SECONDS: Final = 5.0
"""For a connection, for each piece of an answer, and about for the whole answer."""
MAX_KEYS_BYTES: Final = 256 * 1024
"""An issuer has a few keys, of a few hundred bytes each; with certificates in them, some kilobytes."""
REFETCH_COOLDOWN_SECONDS: Final = 30
RETRY_SECONDS: Final = 5
WAIT_SECONDS: Final = 1.0
"""How long a caller whose key is not known waits for a fetch: a thread is held meanwhile."""
MAX_WAITING: Final = 4
"""How many threads wait so at a time: anybody can show a token whose key is not known. No thread waits for
an issuer whose last answer took longer than `WAIT_SECONDS`, or never came: a hanging URL costs one wait."""
STALE_SECONDS: Final = 24 * 3600
_UNFIT: Final = (PyJWTError, ValueError, TypeError, AttributeError, LookupError, RuntimeError)
"""What the parsers raise for a text that is no set, or for a key of an unknown form.

A missing member is a KeyError; an unknown curve and deep nesting are RuntimeErrors.
"""


class KeysUnavailable(Exception):  # noqa: N818  # a finding about the issuer, not a failure of ours
    """The keys cannot be had now; `str()` says why, for the log."""


class KeySource(Protocol):
    """The keys of an issuer."""

    def key(self, kid: str) -> PyJWK | None:
        """Give the key of the id, None without such a key at the issuer; raises `KeysUnavailable`."""
        ...


class FileKeys:
    """Keys in a JWK Set file, read again after a change of the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._seen: tuple[int, int] | None = None
        self._keys: dict[str, PyJWK] = {}

    def key(self, kid: str) -> PyJWK | None:
        """See `KeySource`."""
        with self._lock:
            try:
                state = self._path.stat()
                seen = (state.st_mtime_ns, state.st_ino)
                if seen != self._seen:
                    self._keys = _by_id(self._path.read_bytes())
                    self._seen = seen
            except (OSError, *_UNFIT) as error:
                raise KeysUnavailable(f"{self._path} is no readable JWK Set: {_reason(error)}") from None
            return self._keys.get(kid)


class UrlKeys:
    """Keys at a JWKS URL: cached, fetched again for an unknown id at most every 30 s, never by redirect.

    A thread of its own makes each fetch, a single one at a time. Callers with a known key never wait for the
    fetch; callers with another key wait `WAIT_SECONDS` at most, or `fetch_seconds` while there are no keys.

    Not PyJWT's own client: PyJWT's client reads an answer of any size, for as long as the answer trickles,
    while all bearers of tokens wait.
    """

    def __init__(
        self,
        url: str,
        route: IssuerRoute,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        fetch_seconds: float = FETCH_SECONDS,
    ) -> None:
        self._url = url
        self._route = route
        self._monotonic = monotonic
        self._fetch_seconds = fetch_seconds
        self._lock = Lock()
        self._fetching: Event | None = None
        self._keys: dict[str, PyJWK] | None = None
        self._fetched_at = 0.0
        self._retry_at = 0.0
        self._reason = "not asked yet"
        self._was_slow = False
        self._waiting = BoundedSemaphore(MAX_WAITING)

    def key(self, kid: str) -> PyJWK | None:
        """See `KeySource`. An outage is not asked about on every request."""
        with self._lock:
            fetching = self._fetch_if_due(kid)
            known = self._usable().get(kid)
            patience = WAIT_SECONDS if self._keys else self._fetch_seconds + WAIT_SECONDS
            if self._was_slow:
                patience = 0.0
        if known is None and fetching is not None and not self._wait(fetching, patience):
            raise KeysUnavailable(f"{self._url} is being asked for its keys")
        return known or self._found(kid)

    def _wait(self, fetching: Event, patience_seconds: float) -> bool:
        """Wait for a fetch; False when it takes too long, or when enough others wait already."""
        if not patience_seconds or not self._waiting.acquire(blocking=False):
            return fetching.is_set()
        try:
            return fetching.wait(patience_seconds)
        finally:
            self._waiting.release()

    def _found(self, kid: str) -> PyJWK | None:
        with self._lock:
            usable = self._usable()
            if not usable:
                raise KeysUnavailable(f"{self._url} does not give its keys ({self._reason})")
            return usable.get(kid)

    def _usable(self) -> dict[str, PyJWK]:
        is_stale = self._monotonic() - self._fetched_at > STALE_SECONDS
        return {} if self._keys is None or is_stale else self._keys

    def _fetch_if_due(self, kid: str) -> Event | None:
        """Give the fetch under way, begun now where one is due; None when there is none."""
        if self._fetching is None and self._is_due(kid, self._monotonic()):
            self._fetching = Event()
            Thread(target=self._refresh, args=(self._fetching,), name="issuer keys", daemon=True).start()
        return self._fetching

    def _is_due(self, kid: str, now: float) -> bool:
        if now < self._retry_at:
            return False
        if self._keys is None:
            return True
        return now - self._fetched_at > (CACHE_SECONDS if kid in self._keys else REFETCH_COOLDOWN_SECONDS)

    def _refresh(self, done: Event) -> None:
        keys: dict[str, PyJWK] | None = None
        reason = "the fetch failed"
        began = time.monotonic()
        try:
            keys = self._fetch()
        except (httpx.HTTPError, httpx.InvalidURL, *_UNFIT) as error:
            reason = _reason(error)
        finally:
            with self._lock:
                now = self._monotonic()
                if keys is None:
                    self._retry_at, self._reason = now + RETRY_SECONDS, reason
                else:
                    self._keys, self._fetched_at = keys, now
                self._fetching = None
                self._was_slow = time.monotonic() - began > WAIT_SECONDS
            done.set()

    def _fetch(self) -> dict[str, PyJWK]:
        give_up_at = time.monotonic() + self._fetch_seconds
        body = bytearray()
        with (
            self._route.client(self._url, self._fetch_seconds) as http,
            http.stream("GET", self._url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise ValueError(f"it answers {answer.status_code}")
            for part in answer.iter_raw():
                body += part
                if len(body) > MAX_KEYS_BYTES or time.monotonic() > give_up_at:
                    raise ValueError("too much, or too slow")
        return _by_id(bytes(body))


def _reason(error: Exception) -> str:
    """Give the reason in one line: in our own words or the network's, never in those of the answer."""
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
        return "it is no JSON"
    if isinstance(error, (TypeError, AttributeError, LookupError, RuntimeError)):
        return "it is JSON of another form"
    return str(error).partition("\n")[0] or type(error).__name__


def _by_id(text: bytes) -> dict[str, PyJWK]:
    """Read a JWK Set (RFC 7517 §5); a key of an unknown form is left out, as the RFC wishes."""
    document = json.loads(text)
    found: dict[str, PyJWK] = {}
    for entry in document["keys"]:
        with contextlib.suppress(*_UNFIT):
            key = PyJWK.from_dict(entry)
            if key.key_id and key.public_key_use in {None, "sig"}:
                found[key.key_id] = key
    if not found:
        raise ValueError("it has no key for signatures that has an id")
    return found
