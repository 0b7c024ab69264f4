"""Google's Gemini API on the wire: keys in a query, statuses about a key, upload addresses, usage, routes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

from services.data_plane.account.key_verdicts import KeyVerdicts
from services.data_plane.core.usage.tokens import NoUsage, Usage
from tests.relay.conftest import RelayUnderTest, RunRelay, request
from tests.support.answers import chunk_bytes, chunked, head_bytes, json_answer, whole
from tests.support.scripted_upstream import Answer, Close, Pause, ScriptedUpstream, Send

KEY = "AIzaSy-0rg5KeyOfTheOrganizationItself-42"
OTHER_KEY = "AIzaSyLeft-In-The-Box-0123456789abcdefgh"
KEYS = frozenset({KEY.encode()})
GENERATE = "/v1beta/models/gemini-2.5-flash:generateContent"
STREAM = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
SAID = {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 2, "totalTokenCount": 15}


def google_error(status: int, reason: str, message: str = "It was refused.") -> dict[str, Any]:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    return {"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT", "details": [info]}}


async def asked(
    gateway: RelayUnderTest, upstream: ScriptedUpstream, answer: Answer, path: str = GENERATE, *lines: str
) -> tuple[bytes, bytes]:
    """Make one call; give the head and the body that the box received."""
    gateway.set_up(upstream.origin, "gemini", key=KEY)
    upstream.queue(answer)
    received = await gateway.ask(request("POST", path, *lines, body=b"{}", provider="gemini", close=True))
    await gateway.settled(lambda: len(gateway.books.records) == 1)
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        (f"?key={OTHER_KEY}", b""),
        (f"?alt=sse&key={OTHER_KEY}&x=%2F+", b"?alt=sse&x=%2F+"),
        (f"?%6bey={OTHER_KEY}&alt=sse", b"?alt=sse"),
        (f"?alt=sse&$key={OTHER_KEY}&access_token=ya29.token", b"?alt=sse"),
        ("?alt=sse&&a=%2f;b&keys=1", b"?alt=sse&&a=%2f;b&keys=1"),
    ],
)
async def test_a_key_in_the_query_stays_here_and_the_rest_passes_byte_for_byte(
    run_relay: RunRelay, query: str, sent: bytes
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        head, _ = await asked(
            gateway, upstream, json_answer({}), STREAM + query, "x-goog-api-key: placeholder"
        )
    assert head.startswith(b"HTTP/1.1 200 ")
    assert upstream.requests[0].target == STREAM.encode() + sent
    assert upstream.requests[0].values("x-goog-api-key") == [KEY.encode()]
    assert gateway.books.records[0].leaked_key is (OTHER_KEY in query)


@pytest.mark.parametrize("status", ["400 Bad Request", "403 Forbidden"])
@pytest.mark.parametrize("form", ["whole", "chunked", "until close", "in an array"])
async def test_a_refused_key_is_told_as_one_whatever_the_status(
    run_relay: RunRelay, status: str, form: str
) -> None:
    error = google_error(400, "API_KEY_INVALID", "API key not valid. Please pass a valid API key.")
    body = json.dumps([error] if form == "in an array" else error).encode()
    answers: dict[str, Answer] = {
        "whole": whole(body, status=status),
        "in an array": whole(body, status=status),
        "chunked": (
            Send(head_bytes(status, [("Transfer-Encoding", "chunked")]) + chunk_bytes(body[:40])),
            Pause(0.05),
            Send(chunk_bytes(body[40:]) + b"0\r\n\r\n"),
        ),
        "until close": (Send(head_bytes(status, [("Connection", "close")]) + body), Close()),
    }
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        head, said = await asked(gateway, upstream, answers[form])
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"x-run9-error: upstream_key_rejected" in head
    shown = json.loads(said)["error"]
    assert (shown["code"], shown["status"]) == (400, "INVALID_ARGUMENT")
    assert "Org Settings > AI Integrations > Google Gemini" in shown["message"]
    verdicts = KeyVerdicts()
    verdicts.note(gateway.books.records[0])
    assert [seen.verdict for seen in verdicts.news()] == ["rejected"]


BAD_REQUEST = json.dumps(google_error(400, "BAD_VALUE", "* contents is not specified"), indent=2).encode()
OF_ONE = [BAD_REQUEST[at : at + 1] for at in range(len(BAD_REQUEST))]


@pytest.mark.parametrize(
    ("answer", "received"),
    [
        (whole(BAD_REQUEST, status="400 Bad Request"), BAD_REQUEST),
        (whole(b"x" * 200_000, status="400 Bad Request"), b"x" * 200_000),
        (whole(b"", status="400 Bad Request"), b""),
        (whole(BAD_REQUEST, status="403 Forbidden"), BAD_REQUEST),
        (
            chunked(OF_ONE, status="400 Bad Request"),
            b"".join(chunk_bytes(piece) for piece in OF_ONE) + b"0\r\n\r\n",
        ),
        (
            chunked([b"y" * 9_000] * 20, status="400 Bad Request"),
            chunk_bytes(b"y" * 9_000) * 20 + b"0\r\n\r\n",
        ),
    ],
    ids=["json", "long", "empty", "403", "chunks", "many chunks"],
)
async def test_a_refusal_that_is_not_about_the_key_passes_byte_for_byte(
    run_relay: RunRelay, answer: Answer, received: bytes
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        head, body = await asked(gateway, upstream, answer)
    assert head.startswith((b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 403 Forbidden"))
    assert b"x-run9-error" not in head
    assert body == received
    assert gateway.books.records[0].outcome == "answered"


async def test_a_connection_goes_on_behind_a_refusal_that_passed(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(upstream.origin, "gemini", key=KEY)
        upstream.queue(whole(BAD_REQUEST, status="400 Bad Request"), json_answer({"ok": 1}))
        client = await gateway.connect()
        for status, said in ((b"400", BAD_REQUEST), (b"200", b'{"ok": 1}')):
            client.send(request("POST", GENERATE, body=b"{}", provider="gemini"))
            head, body = await client.read_answer()
            assert head.split(b" ")[1] == status
            assert body == said
    assert [one.connection for one in upstream.requests] == [0, 0]


async def test_a_refusal_that_breaks_off_is_a_visible_break(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    cut = (Send(head_bytes("400 Bad Request", [("content-length", "99")]) + b"half"), Close())
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(upstream.origin, "gemini", key=KEY)
        upstream.queue(cut)
        client = await gateway.connect()
        client.send(request("POST", GENERATE, body=b"{}", provider="gemini"))
        with pytest.raises(ConnectionError):
            await client.read_all()
    assert gateway.books.records[0].outcome == "upstream_broke"


async def test_a_refusal_that_shows_the_key_is_told_without_the_key(run_relay: RunRelay) -> None:
    message = f"Permission denied: Consumer 'api_key:{KEY}' has been suspended."
    answer = json_answer(google_error(403, "CONSUMER_SUSPENDED", message), status="403 Forbidden")
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        head, said = await asked(gateway, upstream, answer)
    assert b"x-run9-error: upstream_request_refused" in head
    assert b"the provider account does not allow it" in said
    assert KEY.encode() not in said


async def test_an_upload_goes_on_through_the_gateway(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        address = f"{upstream.origin}/upload/v1beta/files?upload_id=T0ken&upload_protocol=resumable"
        named = [("X-Goog-Upload-URL", address), ("X-Goog-Upload-Status", "active")]
        head, _ = await asked(gateway, upstream, whole(b"", head=named), "/upload/v1beta/files")
        local = "http://10.0.2.2:1000/run9/ai/gemini/upload/v1beta/files?upload_id=T0ken&upload_protocol=resumable"
        assert f"\r\nx-goog-upload-url: {local}\r\n".encode() in head + b"\r\n"
        assert b"\r\nX-Goog-Upload-Status: active" in head
        assert upstream.origin.encode() not in head
        upstream.queue(json_answer({"file": {}}))
        path = local.removeprefix("http://10.0.2.2:1000/run9/ai/gemini")
        await gateway.ask(request("POST", path, body=b"data", provider="gemini", close=True))
    assert upstream.requests[1].target == path.encode()
    assert upstream.requests[1].body == b"data"


@pytest.mark.parametrize(
    "address", ["https://upload.example/files?upload_id=T0ken", "/../openai/v1/x", "//other.example/x", "x?y"]
)
async def test_an_upload_is_never_sent_elsewhere(run_relay: RunRelay, address: str) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        answer = whole(b"", head=[("x-goog-upload-url", address)])
        head, said = await asked(gateway, upstream, answer, "/upload/v1beta/files")
    assert b"x-run9-error: upstream_redirect" in head
    assert address.encode() not in head + said


async def test_an_upload_address_that_holds_the_key_never_passes(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        address = f"{upstream.origin}/upload/v1beta/files?key={KEY}&upload_id=T0ken"
        head, said = await asked(gateway, upstream, whole(b"", head=[("x-goog-upload-url", address)]))
    assert b"x-run9-error: upstream_invalid" in head
    assert KEY.encode() not in head + said


def answer_of(text: str, *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}]}}
    said = SAID if last else {"promptTokenCount": 9, "totalTokenCount": 9}
    return {
        "candidates": [candidate | ({"finishReason": "STOP"} if last else {})],
        "usageMetadata": said,
        "modelVersion": "gemini-2.5-flash",
    }


PARTS = [answer_of("Hello", last=False), answer_of("!", last=True)]
ARRAY = b"[" + b"\n,\r\n".join(json.dumps(part, indent=2).encode() for part in PARTS) + b"\n]\n"


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(answer_of("Hello!", last=True)),
        chunked([b"data: " + json.dumps(part).encode() + b"\r\n\r\n" for part in PARTS]),
        chunked([ARRAY[at : at + 50] for at in range(0, len(ARRAY), 50)]),
    ],
    ids=["document", "events", "array"],
)
async def test_the_usage_of_every_form_is_read(run_relay: RunRelay, answer: Answer) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        await asked(gateway, upstream, answer, STREAM)
    assert gateway.books.records[0].usage == Usage(9, 0, 0, 6, 2)
    assert gateway.books.records[0].route == "v1beta/models"


async def test_an_array_that_was_cut_off_is_not_counted(run_relay: RunRelay) -> None:
    gateway = await run_relay()
    cut = (Send(head_bytes("200 OK", [("content-length", str(len(ARRAY)))]) + ARRAY[:-200]), Close())
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(upstream.origin, "gemini", key=KEY)
        upstream.queue(cut)
        client = await gateway.connect()
        client.send(request("POST", STREAM, body=b"{}", provider="gemini"))
        await client.read(200)
        await gateway.settled(lambda: len(gateway.books.records) == 1)
    assert gateway.books.records[0].usage is NoUsage.CUT


@pytest.mark.parametrize(
    "path",
    [
        "/v1alpha/auth_tokens",
        "/v1alpha/authTokens",
        "/v1alpha/auth%5Ftokens",
        "/v1alpha/%61uth_tokens?key=x",
        "/auth_tokens",
        "/v1alpha/authTokens:create",
        "/v1beta/webhooks",
        "/v1beta/webhooks/w:rotateSigningSecret",
        "/v1beta/credentials",
        "/v1beta/environments",
        "/v1beta/interactions/i/auth_tokens",
        "/batch",
        "/batch/v1beta",
        "/$rpc/google.ai.generativelanguage.v1alpha.AuthTokenService/CreateToken",
        "/%24rpc/google.ai.generativelanguage.v1beta.ModelService/ListModels",
        "/v1beta/tunedModels/x/permissions",
    ],
)
async def test_routes_that_mint_a_credential_or_carry_others_are_refused(
    run_relay: RunRelay, path: str
) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        gateway.set_up(upstream.origin, "gemini", key=KEY)
        head = await gateway.ask(request("POST", path, body=b"{}", provider="gemini", close=True))
    assert b"x-run9-error: route_not_allowed" in head
    assert upstream.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/m:countTokens",
        "/v1beta/models/m:batchEmbedContents",
        "/v1beta/batches/b:cancel",
        "/v1beta/cachedContents",
        "/v1beta/openai/chat/completions",
        "/v1/models/m:generateContent",
        "/upload/v1beta/files",
    ],
)
async def test_every_other_route_passes_with_its_version(run_relay: RunRelay, path: str) -> None:
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        await asked(gateway, upstream, json_answer({}), path)
    assert upstream.requests[0].target == path.encode()


@pytest.mark.parametrize("path", ["", "/"])
async def test_a_warm_up_is_answered_here(run_relay: RunRelay, path: str) -> None:
    gateway = await run_relay()
    head = await gateway.ask(request("HEAD", path, provider="gemini", close=True))
    assert head.startswith(b"HTTP/1.1 200 ")


LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
TURN = {"promptTokenCount": 5, "responseTokenCount": 7, "totalTokenCount": 12}


async def _live(connection: ServerConnection) -> None:
    """Be Google's live API: JSON in binary messages, a usage at the end of every turn."""
    request = connection.request
    assert request is not None
    seen: dict[str, Any] = {"path": request.path, "key": request.headers.get_all("x-goog-api-key")}
    seen["authorization"] = request.headers.get("authorization")
    await connection.send(json.dumps({"setupComplete": seen}).encode())
    async for _ in connection:
        content = {"modelTurn": {"parts": [{"text": "hi"}]}}
        await connection.send(json.dumps({"serverContent": content}).encode())
        last = {"serverContent": {"turnComplete": True}, "usageMetadata": TURN}
        await connection.send(json.dumps(last).encode())


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (f"?key={OTHER_KEY}", {}),
        ("?access_token=ya29.left-in-the-box&alt=x", {}),
        ("?bearer_token=ya29.left-in-the-box", {"Authorization": "Token auth_tokens/left-in-the-box"}),
        ("", {"x-goog-api-key": OTHER_KEY}),
    ],
)
async def test_a_live_websocket_has_the_orgs_key_alone_and_its_turns_are_counted(
    run_relay: RunRelay, query: str, headers: dict[str, str]
) -> None:
    gateway = await run_relay()
    async with serve(_live, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        gateway.set_up(f"http://127.0.0.1:{port}", "gemini", key=KEY)
        url = f"ws://127.0.0.1:{gateway.port}/run9/ai/gemini{LIVE}{query}"
        async with websockets.connect(url, additional_headers=headers, compression=None) as ws:
            await ws.send(json.dumps({"setup": {"model": "models/gemini-live"}}))
            seen = json.loads(await ws.recv())["setupComplete"]
            await ws.send("{}")
            for _ in range(4):
                await ws.recv()
    await gateway.settled(lambda: bool(gateway.books.records))
    assert (seen["key"], seen["authorization"]) == ([KEY], None)
    assert seen["path"] == LIVE + ("?alt=x" if "alt=x" in query else "")
    record = gateway.books.records[0]
    assert (record.status, record.outcome, record.usage) == (101, "spliced", Usage(10, 0, 0, 14, 0))


async def test_a_stream_in_openais_shape_is_sent_on_with_the_key_in_googles_header_and_counted(
    run_relay: RunRelay,
) -> None:
    chunk = {"object": "chat.completion.chunk", "model": "gemini-2.5-flash"}
    said = {"completion_tokens": 10, "prompt_tokens": 8, "total_tokens": 518}
    choice = {"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}
    pieces = [json.dumps(chunk | {"choices": [choice], "usage": said}).encode(), b"[DONE]"]
    gateway = await run_relay()
    async with ScriptedUpstream(keys=KEYS) as upstream:
        answer = chunked([b"data: " + piece + b"\n\n" for piece in pieces])
        path = "/v1beta/openai/chat/completions"
        await asked(gateway, upstream, answer, path, "Authorization: Bearer placeholder")
    assert upstream.requests[0].target == path.encode()
    assert gateway.books.records[0].usage == Usage(8, 0, 0, 510, 500)
