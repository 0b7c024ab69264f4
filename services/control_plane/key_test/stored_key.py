"""Has a data plane try a stored key: this plane can read none back.

Asks any answering process at the operator's address of the fleet's admin listeners, each time by a new
connection, so a process not yet aware of a change is not asked twice in a row. The answers hold steps and
sentences, never a key.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Literal

import httpx

from shared.key_test import (
    KEY_TESTS_PATH,
    MAX_KEY_TEST_BYTES,
    TOTAL_SECONDS,
    KeyTestError,
    KeyTestRequest,
    KeyTestResponse,
    decode_key_test_response,
    encode_key_test_request,
)
from shared.secret import Secret

CONNECT_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = TOTAL_SECONDS + 4.0
"""For a single answer: a data plane bounds its trial itself, so this limit is for a hanging data plane."""
NOT_YET_SECONDS: Final = 2.0
"""The time for a change to arrive there before the answer "not yet".

Usually a change takes a quarter of a second.
"""
RETRY_SECONDS: Final = 0.2
MAX_REQUESTS: Final = 16
SETTING: Final = "AIGW_DATA_PLANE_ADMIN_URL"

Reason = Literal["not_configured", "no_answer", "token_refused", "not_yet", "key_unavailable", "busy"]
_log = logging.getLogger(__name__)


class NotTried(Exception):  # noqa: N818  # a state of the fleet, named as it is seen
    """No process could try the key; `str()` is a sentence with the party at fault and the remedy."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason


class StoredKeyTester:
    """Asks for key tests.

    Args:
        admin_url: where the fleet's admin listeners are, e.g. `http://data-plane:9901`; `""`: nowhere.
        token: the fleet's.
    """

    def __init__(
        self,
        admin_url: str,
        token: Secret,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        not_yet_seconds: float = NOT_YET_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._admin_url = admin_url.rstrip("/")
        self._not_yet_seconds = not_yet_seconds
        self._client = httpx.AsyncClient(
            headers={
                "Authorization": f"Bearer {token.reveal()}",
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
            },
            timeout=httpx.Timeout(answer_seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=MAX_REQUESTS, max_keepalive_connections=0),
            transport=transport,
            trust_env=False,
            follow_redirects=False,
        )

    def reach(self, admin_url: str) -> None:
        """Send key tests to this address from now on."""
        self._admin_url = admin_url.rstrip("/")

    async def probe(self, request: KeyTestRequest) -> KeyTestResponse:
        """Give the result of a key test, or `not_set_up`; waits a little for a change still under way.

        Raises:
            NotTried: no process could try the key.
        """
        if not self._admin_url:
            raise NotTried(
                "not_configured",
                f"No gateway process is known that could test the saved key. Your operator sets {SETTING}. "
                "A typed key can be tested all the same.",
            )
        give_up_at = asyncio.get_running_loop().time() + self._not_yet_seconds
        while True:
            answer = await self._ask(request)
            if answer.outcome != "not_yet":
                return _tried(answer)
            if asyncio.get_running_loop().time() >= give_up_at:
                raise NotTried(
                    "not_yet",
                    "The gateway process that was asked has not heard of your last change yet. Try again in "
                    "a moment; if that lasts, your operator should look at its health.",
                )
            await asyncio.sleep(RETRY_SECONDS)

    async def _ask(self, request: KeyTestRequest) -> KeyTestResponse:
        try:
            async with self._client.stream(
                "POST", self._admin_url + KEY_TESTS_PATH, content=encode_key_test_request(request)
            ) as answer:
                status, body = answer.status_code, await _read(answer)
        except httpx.PoolTimeout:
            raise _busy() from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            _log.warning("no data plane takes the test of a stored key: %s", type(error).__name__)
            raise _no_answer() from None
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise NotTried(
                "token_refused",
                "The gateway process refused this control plane. Your operator gives both planes the same "
                "AIGW_INTERNAL_TOKEN.",
            )
        try:
            if status == httpx.codes.OK:
                return decode_key_test_response(body)
            _log.warning("a data plane answered the test of a stored key with status %d", status)
        except KeyTestError as error:
            _log.warning("a data plane's answer is %s", error)
        raise _no_answer()

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


async def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MAX_KEY_TEST_BYTES:
            break  # cut off, so it decodes as nothing
    return bytes(body)


def _tried(answer: KeyTestResponse) -> KeyTestResponse:
    match answer.outcome:
        case "busy":
            raise _busy()
        case "key_unavailable":
            raise NotTried(
                "key_unavailable",
                f"The gateway process cannot use the saved key: {answer.detail.rstrip('.')}. Your operator "
                "should look at the secret store; saving the key again may help.",
            )
        case _:
            return answer


def _busy() -> NotTried:
    return NotTried("busy", "Too many tests are running at this moment. Try again in a minute.")


def _no_answer() -> NotTried:
    return NotTried(
        "no_answer",
        f"No gateway process answers where {SETTING} points to, so the saved key could not be tested. Your "
        "operator should look there. Nothing is known of the key.",
    )
