"""Where an issuer's public keys come from: a file, or a URL whose last good answer outlives an outage."""

from __future__ import annotations

import json
import time
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError, PyJWKSetError, PyJWTError

CACHE_SECONDS: Final = 300
FETCH_TIMEOUT_SECONDS: Final = 5
REFETCH_COOLDOWN_SECONDS: Final = 30
RETRY_SECONDS: Final = 5
STALE_SECONDS: Final = 24 * 3600


class KeysUnavailable(Exception):  # noqa: N818  # a finding about the issuer, not a failure of ours
    """The keys cannot be had now; `str()` says why, for the log."""


class KeySource(Protocol):
    """The keys of one issuer."""

    def key(self, kid: str) -> PyJWK | None:
        """Give the key of that id, None when the issuer has none; raises `KeysUnavailable`."""
        ...


class FileKeys:
    """Keys in a JWK Set file, read again when it changes."""

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
                    self._keys = _by_id(PyJWKSet.from_dict(json.loads(self._path.read_text())))
                    self._seen = seen
            except (OSError, ValueError, TypeError, AttributeError, PyJWTError) as error:
                raise KeysUnavailable(f"{self._path} is no readable JWK Set: {error}") from None
            return self._keys.get(kid)


class UrlKeys:
    """Keys at a JWKS URL: cached, fetched again for an unknown id at most every 30 s, never by redirect."""

    def __init__(self, url: str) -> None:
        self._client = PyJWKClient(
            url,
            lifespan=CACHE_SECONDS,
            timeout=FETCH_TIMEOUT_SECONDS,
            cooldown_duration=REFETCH_COOLDOWN_SECONDS,
        )
        self._lock = Lock()
        self._last_good: PyJWKSet | None = None
        self._last_good_at = 0.0
        self._retry_at = 0.0

    def key(self, kid: str) -> PyJWK | None:
        """See `KeySource`. One caller fetches at a time; an outage is not asked about on every request."""
        with self._lock:
            if time.monotonic() >= self._retry_at:
                try:
                    return self._fresh(kid)
                except (PyJWKClientError, PyJWKSetError, ValueError) as error:
                    self._retry_at = time.monotonic() + RETRY_SECONDS
                    reason = type(error).__name__
            else:
                reason = "tried a moment ago"
            if self._last_good is None or time.monotonic() - self._last_good_at > STALE_SECONDS:
                raise KeysUnavailable(f"{self._client.uri} does not give its keys ({reason})")
            return _by_id(self._last_good).get(kid)

    def _fresh(self, kid: str) -> PyJWK | None:
        known = self._client.get_jwk_set()
        if (key := _by_id(known).get(kid)) is None:
            try:
                key = self._client.get_signing_key(kid)
            except PyJWKClientConnectionError:
                raise
            except PyJWKClientError:
                key = None
        self._last_good, self._last_good_at = known, time.monotonic()
        return key


def _by_id(keys: PyJWKSet) -> dict[str, PyJWK]:
    return {key.key_id: key for key in keys.keys if key.key_id and key.public_key_use in {None, "sig"}}
