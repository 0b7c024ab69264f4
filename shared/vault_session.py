"""A logged-in session with Vault: log in, keep the token alive, call, and describe failures.

Both planes talk to Vault through this; the rights of the planes differ by policy. Thread-safe; calls block.
Paths and documents do not belong here.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Final, TypeVar

import hvac
import requests
from hvac import exceptions as refusals
from requests.adapters import HTTPAdapter

from shared.backoff import Backoff, jittered
from shared.secret import Secret
from shared.vault_target import VaultTarget

CONNECT_SECONDS: Final = 3.0
CLOSE_SECONDS: Final = 1.0
"""How long a close waits for a renewal under way."""
ANSWER_SECONDS: Final = 7.0
MAX_CONNECTIONS: Final = 8
MAX_CREDENTIAL_BYTES: Final = 16 * 1024
RENEW_AT: Final = 2 / 3
"""The part of a token's life after which the token is renewed, at the latest.

Jitter makes the renewal earlier.
"""
RENEW_JITTER: Final = 0.1
BACKOFF: Final = Backoff(first_seconds=0.5, last_seconds=30.0)

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class VaultFailure(Exception):  # noqa: N818  # a finding about Vault; its kinds are named below
    """Vault did not do the requested action. The message shows no path, token or content."""


class VaultMissing(VaultFailure):
    """There is nothing at the path, or its version is destroyed."""


class VaultConflict(VaultFailure):
    """Check-and-set found another version."""


class VaultRefused(VaultFailure):
    """Vault calls the request invalid."""


class VaultDenied(VaultFailure):
    """The token is good, and its policies do not allow this; or the login itself was refused."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A token as issued: its time of renewal and its time of expiry (monotonic seconds)."""

    text: Secret = field(repr=False)
    life_seconds: float
    renewable: bool
    renew_at: float
    expires_at: float


class VaultSession:
    """Calls Vault in a single role.

    `credential`: the token (auth token), the secret id (approle) or the JWT; where the target names a file,
    the file is read instead, at every login. `monotonic` gives monotonic seconds, `random` floats in [0, 1).
    A thread keeps the token alive from the first call until `close`.
    """

    def __init__(
        self,
        target: VaultTarget,
        credential: Secret | None,
        *,
        monotonic: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self.target = target
        self._credential = credential
        self._monotonic = monotonic
        self._random = random
        self._http = _http_session(target.ca_file)
        self._token: _Token | None = None
        self._login = Lock()
        self._failed_logins = 0
        self._next_login_at = float("-inf")
        self._last_failure: VaultFailure = VaultFailure("Vault was not asked yet")
        self._keeper: Thread | None = None
        self._closed = Event()
        self.calls = self.failures = 0

    @property
    def token_left_seconds(self) -> float | None:
        """How long the present token lives on; None before the first login."""
        token = self._token
        return None if token is None else token.expires_at - self._monotonic()

    def call(self, use: Callable[[Any], _Result]) -> _Result:
        """Give the result of `use` for an `hvac.Client`.

        Log in before the call where needed, once more if revoked.

        Raises:
            VaultMissing, VaultConflict, VaultRefused, VaultDenied: as their names say. VaultFailure: anything
                else; whether Vault acted is unknown.
        """
        token = self._live_token(refused=None)
        try:
            return self._attempt(use, token.text)
        except VaultDenied:
            if self._is_alive(token):
                raise
        return self._attempt(use, self._live_token(refused=token).text)

    def rights(self, path: str) -> frozenset[str]:
        """Give the rights of this role at `path`, mount included: `read`, `update` …; raises as `call`."""
        answer = self.call(lambda client: client.sys.get_capabilities([path]))
        try:
            return frozenset(answer["data"][path]) - {"deny"}
        except (KeyError, TypeError):
            raise VaultFailure("Vault does not tell what this role may do") from None

    def engine(self) -> str:
        """Name the engine at the target's mount with its version, e.g. `kv-2`; empty: none to be seen there.

        Vault tells every role with a right below the mount; raises as `call`.
        """
        path = f"/v1/sys/internal/ui/mounts/{self.target.mount}"
        try:
            about = self.call(lambda client: client.adapter.get(path))["data"]
            version = (about.get("options") or {}).get("version", "")
            return f"{about['type']}-{version}".rstrip("-")
        except (VaultDenied, VaultMissing):
            return ""
        except (KeyError, TypeError, AttributeError):
            raise VaultFailure("Vault does not tell which engine is mounted") from None

    def clock(self) -> float | None:
        """Give Vault's time, in Unix seconds; None from a Vault that does not tell."""
        try:
            return float(self.call(lambda client: client.adapter.get(_HEALTH))["server_time_utc"])
        except (VaultFailure, KeyError, TypeError, ValueError):
            return None

    def close(self) -> None:
        """Stop keeping the token alive and let go of connections. The token runs out by itself."""
        self._closed.set()
        if self._keeper is not None:
            self._keeper.join(CLOSE_SECONDS)  # a daemon: the end of the process needs no more
        self._http.close()

    def _attempt(self, use: Callable[[Any], _Result], token: Secret | None) -> _Result:
        client = hvac.Client(
            url=self.target.address,
            # An empty text: for None, hvac would look for a token in the environment and the home folder.
            token=token.reveal() if token else "",
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            # A redirect would carry the token to wherever it points.
            allow_redirects=False,
            session=self._http,
            namespace=self.target.namespace,
        )
        self.calls += 1
        try:
            result = use(client)
        # An error of requests is an OSError; so is a missing `ca_file`, which requests does not map.
        except (refusals.VaultError, OSError) as error:
            mapped = _mapped(error)
            # A missing or contested secret is a good answer.
            self.failures += not isinstance(mapped, (VaultMissing, VaultConflict))
            raise mapped from None
        if isinstance(result, requests.Response) and result.is_redirect:
            raise VaultFailure("Vault answered with a redirect; name the active server or a load balancer")
        return result

    # -- logging in

    def _live_token(self, refused: _Token | None) -> _Token:
        """Give a token neither expired nor `refused` by Vault. A single thread logs in."""
        if (token := self._usable(refused)) is not None:
            return token  # without the lock: a login that hangs must not hold up those who need none
        with self._login:
            if (token := self._usable(refused)) is not None:
                return token
            if self._monotonic() < self._next_login_at:
                raise type(self._last_failure)(str(self._last_failure))
            return self._log_in()

    def _usable(self, refused: _Token | None) -> _Token | None:
        token = self._token
        live = token is not None and token is not refused and self._monotonic() < token.expires_at
        return token if live else None

    def _log_in(self) -> _Token:
        """Log in, whoever holds the lock; a failure begins or lengthens the back-off."""
        try:
            self._token = token = self._ask_for_token()
        except VaultFailure as failure:
            self._failed_logins += 1
            self._last_failure = failure
            self._next_login_at = self._monotonic() + self._backoff(self._failed_logins)
            if self._failed_logins == 1:
                _log.warning("the login to Vault failed, trying again: %s", failure)
            raise
        if self._failed_logins:
            _log.info("logged in to Vault after %d failures", self._failed_logins)
        self._failed_logins = 0
        self._keep_alive()
        return token

    def _ask_for_token(self) -> _Token:
        credential = self._read_credential()
        asked_at = self._monotonic()
        try:
            if self.target.auth == "token":
                # A token logs in by being looked at: that tells its life.
                about = self._attempt(lambda client: client.auth.token.lookup_self(), credential)["data"]
                return self._token_of(credential, about["ttl"], about.get("renewable"), asked_at)
            path = f"/v1/auth/{self.target.auth_mount}/login"
            proof = self._proof(credential)
            given = self._attempt(
                lambda client: client.adapter.login(path, use_token=False, json=proof), None
            )["auth"]
            text = Secret(given["client_token"])
            return self._token_of(text, given["lease_duration"], given["renewable"], asked_at)
        except (VaultDenied, VaultRefused):
            raise VaultDenied("Vault refused the login") from None
        except (KeyError, TypeError):
            raise VaultFailure("what answers at Vault's address is not Vault") from None

    def _proof(self, credential: Secret) -> dict[str, str]:
        if self.target.auth == "approle":
            return {"role_id": self.target.role, "secret_id": credential.reveal()}
        return {"role": self.target.role, "jwt": credential.reveal()}

    def _token_of(self, text: Secret, life_seconds: float, renewable: object, now: float) -> _Token:
        if life_seconds <= 0:  # a token that never expires
            return _Token(text, 0.0, renewable=False, renew_at=float("inf"), expires_at=float("inf"))
        renew_at = now + life_seconds * (RENEW_AT - RENEW_JITTER * self._random())
        return _Token(text, life_seconds, bool(renewable), renew_at, now + life_seconds)

    def _read_credential(self) -> Secret:
        path = self.target.credential_file
        if path is None:
            if not self._credential:
                raise VaultDenied("there is no credential for Vault; set AIGW_VAULT_CREDENTIAL")
            return self._credential
        try:
            with path.open("rb") as file:
                return Secret(file.read(MAX_CREDENTIAL_BYTES).decode("ascii").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise VaultFailure(
                f"the credential file for Vault is not readable ({type(error).__name__})"
            ) from None

    def _is_alive(self, token: _Token) -> bool:
        """Whether Vault knows the token: then a refusal was about its policies."""
        try:
            self._attempt(lambda client: client.auth.token.lookup_self(), token.text)
        except VaultDenied:
            return False
        except VaultFailure:
            return True  # not known: no reason to log in again
        return True

    # -- keeping the token alive

    def _keep_alive(self) -> None:
        if self._keeper is None and not self._closed.is_set():
            self._keeper = Thread(target=self._keep, name="vault token", daemon=True)
            self._keeper.start()

    def _keep(self) -> None:
        failures = 0
        while not self._closed.wait(self._pause(failures)):
            try:
                self._renew()
            except Exception as error:  # noqa: BLE001  # a thread's boundary: the token must be kept whatever comes
                failures += 1
                if failures == 1:
                    _log.warning(
                        "the Vault token was not renewed, trying again: %s",
                        error if isinstance(error, VaultFailure) else type(error).__name__,
                    )
            else:
                failures = 0

    def _pause(self, failures: int) -> float | None:
        """Seconds until the keeper has something to do; None: never, the token does not expire."""
        if failures:
            return self._backoff(failures)
        token = self._token
        assert token is not None, "the keeper starts with the first token"
        return None if token.renew_at == float("inf") else max(0.0, token.renew_at - self._monotonic())

    def _renew(self) -> None:
        """Renew the token, or log in anew when renewal fails or the role's limit is near."""
        token = self._token
        assert token is not None, "the keeper starts with the first token"
        if self._monotonic() < token.renew_at:
            return  # another thread has logged in meanwhile
        renewed = self._renewed(token) if token.renewable else None
        with self._login:
            if self._token is not token:
                return
            if renewed is None:
                self._log_in()
            else:
                self._token = renewed

    def _renewed(self, token: _Token) -> _Token | None:
        """Give the token with its new life, or None near its maximal life: the new life is then shorter."""
        asked_at = self._monotonic()
        try:
            given = self._attempt(lambda client: client.auth.token.renew_self(), token.text)["auth"]
        except (VaultDenied, VaultRefused):
            return None
        if given["lease_duration"] < token.life_seconds:
            return None
        return self._token_of(token.text, given["lease_duration"], given["renewable"], asked_at)

    def _backoff(self, failures: int) -> float:
        return jittered(BACKOFF.pause_seconds(failures), RENEW_JITTER, self._random())


def _http_session(ca_file: Path | None) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxies, netrc or CA of the environment: this carries keys
    system_authorities = ssl.get_default_verify_paths().cafile
    session.verify = str(ca_file) if ca_file else system_authorities or True
    session.mount("https://", _adapter())
    session.mount("http://", _adapter())
    return session


def _adapter() -> HTTPAdapter:
    return HTTPAdapter(pool_connections=1, pool_maxsize=MAX_CONNECTIONS, max_retries=0)


_HEALTH: Final = "/v1/sys/health?standbyok=true&perfstandbyok=true"

# The first that fits; after them, whatever else hvac or requests raise.
_MEANINGS: Final[tuple[tuple[type[Exception], type[VaultFailure], str], ...]] = (
    (refusals.InvalidPath, VaultMissing, "Vault has no such version, or it was destroyed"),
    (refusals.Forbidden, VaultDenied, "Vault denied it; the role's policy does not allow this"),
    (refusals.Unauthorized, VaultDenied, "Vault denied it"),
    (refusals.InvalidRequest, VaultRefused, "Vault calls the request invalid"),
    (refusals.VaultDown, VaultFailure, "Vault is sealed or has no active server"),
    (refusals.RateLimitExceeded, VaultFailure, "Vault's quota is used up"),
    (requests.exceptions.SSLError, VaultFailure, "Vault's certificate is not trusted"),
    (requests.Timeout, VaultFailure, "Vault did not answer in time"),
    (requests.ConnectionError, VaultFailure, "Vault cannot be reached"),
)


def _mapped(error: Exception) -> VaultFailure:
    if isinstance(error, refusals.InvalidRequest) and "check-and-set" in str(error):
        return VaultConflict("Vault holds another version")
    if isinstance(error, requests.exceptions.SSLError) and "certificate has expired" in str(error):
        return VaultFailure("Vault's certificate has expired")
    for kind, meaning, sentence in _MEANINGS:
        if isinstance(error, kind):
            return meaning(sentence)
    if not isinstance(error, (refusals.VaultError, requests.RequestException)):
        return VaultFailure("the ca_file for Vault cannot be read")
    return VaultFailure(f"Vault failed ({type(error).__name__})")
