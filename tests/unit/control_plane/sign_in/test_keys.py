"""Where the keys of issuers come from, also when the keys do not come."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.control_plane.sign_in.issuer_route import IssuerRoute
from services.control_plane.sign_in.keys import (
    CACHE_SECONDS,
    MAX_KEYS_BYTES,
    MAX_WAITING,
    REFETCH_COOLDOWN_SECONDS,
    RETRY_SECONDS,
    STALE_SECONDS,
    WAIT_SECONDS,
    FileKeys,
    KeysUnavailable,
    UrlKeys,
)
from tests.unit.control_plane.world import Issuer

HANG_SECONDS = 20
ROUTE = IssuerRoute(ssl.create_default_context(), lambda _: None)


class JwksServer:
    """A JWKS endpoint on loopback: counts its requests and answers as told."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.body = b""
        self.announced_too_much = 0
        self.trickles = False
        self.hangs = False
        self.closing = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked += 1
                if owner.hangs:
                    owner.closing.wait(HANG_SECONDS)
                self.send_response(owner.status)
                if owner.status == 302:
                    self.send_header("location", f"http://127.0.0.1:{owner.port}/elsewhere")
                self.send_header("content-length", str(len(owner.body) + owner.announced_too_much))
                self.end_headers()
                if owner.trickles:
                    self._trickle()
                else:
                    with contextlib.suppress(OSError):  # who has read enough goes
                        self.wfile.write(owner.body)

            def _trickle(self) -> None:
                with contextlib.suppress(OSError):
                    for byte in owner.body:
                        self.wfile.write(bytes([byte]))
                        if owner.closing.wait(0.02):
                            return

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jwks"

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[JwksServer]:
    server = JwksServer()
    yield server
    server.close()


def jwks(issuer: Issuer, **changes: str) -> bytes:
    return json.dumps({"keys": [issuer.jwk | changes]}).encode()


def test_a_file_gives_its_keys_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks(Issuer()))
    keys = FileKeys(path)
    assert keys.key("key-1") is not None
    assert keys.key("key-2") is None
    replacement = tmp_path / "new.json"
    replacement.write_bytes(jwks(Issuer(), kid="key-2"))
    replacement.replace(path)
    assert keys.key("key-2") is not None
    assert keys.key("key-1") is None


UNFIT = (
    b"",
    b"[]",
    b"{}",
    b"null",
    b"\xff\xfe",
    b'{"keys": []}',
    b'{"keys": 5}',
    b'{"keys": [{"kty": "x"}]}',
    b'{"keys": [{"kty": "oct", "kid": "a"}]}',
    b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": 5, "kid": "a"}]}',
    b'{"keys": ' + b"[" * 100_000,
)


@pytest.mark.parametrize("content", [None, *UNFIT], ids=range(len(UNFIT) + 1))
def test_a_missing_or_useless_file_is_unavailable(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "jwks.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeysUnavailable, match="JWK Set"):
        FileKeys(path).key("key-1")


def test_a_key_of_an_unknown_form_does_not_take_the_others_away(tmp_path: Path) -> None:
    file, good = tmp_path / "keys.json", Issuer().jwk
    for unknown in ({"kty": "oct"}, {"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"}, {"kty": "new"}, 5, None):
        other = unknown | {"kid": "other"} if isinstance(unknown, dict) else unknown
        file.write_text(json.dumps({"keys": [other, good]}))
        assert FileKeys(file).key(good["kid"]) is not None, unknown


def test_a_key_for_encryption_verifies_nothing(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks(Issuer(), use="enc"))
    with pytest.raises(KeysUnavailable, match="no key for signatures"):
        FileKeys(path).key("key-1")


def test_a_url_is_asked_once_for_many_tokens(server: JwksServer) -> None:
    server.body = jwks(Issuer())
    keys = UrlKeys(server.url, ROUTE)
    assert all(keys.key("key-1") for _ in range(10))
    assert server.asked == 1


def test_unknown_key_ids_do_not_make_us_ask_again_and_again(server: JwksServer) -> None:
    server.body = jwks(Issuer())
    keys = UrlKeys(server.url, ROUTE)
    assert [keys.key(f"unknown-{number}") for number in range(10)] == [None] * 10
    assert server.asked <= 2


@pytest.mark.parametrize(("status", "body"), [(500, b"oops"), (200, b"not json"), (200, b"[]"), (302, b"")])
def test_an_endpoint_without_keys_is_unavailable_and_not_asked_on_every_request(
    server: JwksServer, status: int, body: bytes
) -> None:
    server.status, server.body = status, body
    keys = UrlKeys(server.url, ROUTE)
    for _ in range(5):
        with pytest.raises(KeysUnavailable):
            keys.key("key-1")
    assert server.asked == 1


def test_a_server_that_is_not_there_is_unavailable() -> None:
    server = JwksServer()
    server.close()
    with pytest.raises(KeysUnavailable):
        UrlKeys(server.url, ROUTE).key("key-1")


@pytest.mark.parametrize(
    "body",
    [
        jwks(Issuer()) + b" " * MAX_KEYS_BYTES,
        b'{"keys": ' + b"[" * 60_000,
        b'{"keys": 7}',
        b'{"keys": [7]}',
        b'{"keys": [{"kty": "OKP", "kid": 7}]}',
    ],
    ids=["too large", "deeply nested", "no list", "no objects", "kid is no text"],
)
def test_an_answer_that_is_no_set_of_keys_is_unavailable(server: JwksServer, body: bytes) -> None:
    server.body = body
    with pytest.raises(KeysUnavailable):
        UrlKeys(server.url, ROUTE).key("key-1")


def test_an_answer_that_is_cut_off_is_unavailable(server: JwksServer) -> None:
    server.body, server.announced_too_much = jwks(Issuer()), 10
    with pytest.raises(KeysUnavailable):
        UrlKeys(server.url, ROUTE).key("key-1")


def test_an_answer_that_trickles_is_given_up(server: JwksServer) -> None:
    server.body, server.trickles = jwks(Issuer()), True
    with pytest.raises(KeysUnavailable):
        UrlKeys(server.url, ROUTE, fetch_seconds=0.1).key("key-1")


def test_the_last_good_keys_outlive_an_outage_for_a_day(server: JwksServer) -> None:
    now = 0.0
    server.body = jwks(Issuer())
    keys = UrlKeys(server.url, ROUTE, monotonic=lambda: now)
    assert keys.key("key-1") is not None
    server.status = 500
    now = CACHE_SECONDS + 1
    assert keys.key("key-1") is not None
    now = STALE_SECONDS + 1
    with pytest.raises(KeysUnavailable):
        keys.key("key-1")


def test_a_new_key_is_found_once_the_cool_down_is_over(server: JwksServer) -> None:
    now = 0.0
    server.body = jwks(Issuer())
    keys = UrlKeys(server.url, ROUTE, monotonic=lambda: now)
    assert keys.key("key-2") is None
    server.body = jwks(Issuer(), kid="key-2")
    assert keys.key("key-2") is None
    now = REFETCH_COOLDOWN_SECONDS + 1
    assert keys.key("key-2") is not None
    assert keys.key("key-1") is None
    assert server.asked == 2


def hanging(server: JwksServer, now: list[float]) -> UrlKeys:
    """Known keys, due to be fetched again from a hanging server."""
    server.body = jwks(Issuer())
    keys = UrlKeys(server.url, ROUTE, monotonic=lambda: now[0])
    assert keys.key("key-1") is not None
    server.hangs = True
    now[0] = CACHE_SECONDS + 1.0
    return keys


def test_a_url_that_hangs_holds_up_nobody_whose_key_is_known(server: JwksServer) -> None:
    keys = hanging(server, [0.0])
    began = time.monotonic()
    assert all(keys.key("key-1") for _ in range(100))
    assert time.monotonic() - began < WAIT_SECONDS, (
        "the caller that begins the fetch does not wait for it either"
    )
    while server.asked < 2:
        server.closing.wait(0.01)


def test_a_few_threads_at_most_wait_for_a_key_that_is_not_known(server: JwksServer) -> None:
    keys = hanging(server, [0.0])
    refused: list[float] = []
    threads = [threading.Thread(target=_refuse, args=(keys, refused)) for _ in range(5 * MAX_WAITING)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == len(threads)
    assert sum(seconds > WAIT_SECONDS / 2 for seconds in refused) <= MAX_WAITING


def test_a_url_that_hung_is_asked_again_and_no_thread_waits_for_it_again(server: JwksServer) -> None:
    now = [0.0]
    server.body = jwks(Issuer())
    keys = UrlKeys(server.url, ROUTE, monotonic=lambda: now[0], fetch_seconds=WAIT_SECONDS + 0.3)
    assert keys.key("key-1") is not None
    server.hangs = True
    now[0] = REFETCH_COOLDOWN_SECONDS + 1.0
    refused: list[float] = []
    _refuse(keys, refused)
    _until_fetched(keys)
    for turn in range(1, 4):
        now[0] += RETRY_SECONDS + 1.0
        _refuse(keys, refused)
        assert keys.key("key-1") is not None
        _until_fetched(keys)
        assert server.asked == 2 + turn
    assert refused[0] >= WAIT_SECONDS / 2
    assert max(refused[1:]) < WAIT_SECONDS / 2
    server.hangs = False
    now[0] += RETRY_SECONDS + 1.0
    server.body = jwks(Issuer(), kid="key-2")
    _refuse_or_find(keys)
    _until_fetched(keys)
    assert keys.key("key-2") is not None


def _until_fetched(keys: UrlKeys) -> None:
    while keys._fetching is not None:
        time.sleep(0.01)


def _refuse_or_find(keys: UrlKeys) -> None:
    """Have the keys fetched: the caller may be early."""
    with contextlib.suppress(KeysUnavailable):
        keys.key("key-2")


def _refuse(keys: UrlKeys, refused: list[float]) -> None:
    began = time.monotonic()
    with pytest.raises(KeysUnavailable, match="is being asked"):
        keys.key("of nobody")
    refused.append(time.monotonic() - began)


def test_keys_are_renewed_behind_those_who_show_a_known_one(server: JwksServer) -> None:
    now = [0.0]
    server.body = jwks(Issuer())
    keys = UrlKeys(server.url, ROUTE, monotonic=lambda: now[0])
    assert keys.key("key-1") is not None
    server.body = jwks(Issuer(), kid="key-2")
    now[0] = CACHE_SECONDS + 1.0
    assert keys.key("key-1") is not None, "the last good keys serve meanwhile"
    deadline = time.monotonic() + HANG_SECONDS
    while keys.key("key-2") is None:
        assert time.monotonic() < deadline
    assert keys.key("key-1") is None
