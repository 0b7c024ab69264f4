"""The real anthropic SDK reads every answer of the demo provider, and so do its strict types."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from aigw.demo.provider.app import DemoKeys, build_app
from shared.secret import Secret

KEY = "sk-ant-api03-right-key"
KEYS: DemoKeys = {"openai": Secret("sk-x"), "anthropic": Secret(KEY), "gemini": Secret("AIza-x")}
HELLO: Any = [{"role": "user", "content": [{"type": "text", "text": "ping pong"}]}]
HEAD = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}


@pytest.fixture
async def raw() -> AsyncIterator[httpx2.AsyncClient]:
    app = build_app(KEYS, pace_seconds=0)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://demo") as client:
        yield client


@pytest.fixture
def client(raw: httpx2.AsyncClient) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key=KEY, base_url="http://demo", http_client=raw, max_retries=0)


async def test_a_message_has_text_and_usage(client: anthropic.AsyncAnthropic) -> None:
    answer = await client.messages.create(model="claude-opus-4-6", max_tokens=100, messages=HELLO)
    Message.model_validate(answer.model_dump())
    block = answer.content[0]
    assert block.type == "text"
    assert block.text.endswith("You wrote: ping pong")
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens == 2
    assert str(answer._request_id).startswith("req_")


async def test_max_tokens_cuts_a_message(client: anthropic.AsyncAnthropic) -> None:
    answer = await client.messages.create(model="m", max_tokens=3, messages=HELLO)
    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 3)


async def test_a_message_stream_sends_every_kind_of_event(raw: httpx2.AsyncClient) -> None:
    body = {"model": "m", "max_tokens": 2, "messages": HELLO, "stream": True}
    answer = await raw.post("/v1/messages?beta=true", json=body, headers=HEAD)
    blocks = answer.text.rstrip("\n").split("\n\n")
    events = [json.loads(block.split("\n")[1].removeprefix("data: ")) for block in blocks]
    assert [block.split("\n")[0] for block in blocks] == [f"event: {event['type']}" for event in events]
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    adapter: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
    for event in events:
        if event["type"] != "ping":  # the SDK drops pings before it types events
            adapter.validate_python(event)


async def test_the_sdks_accumulating_stream_ends_in_the_final_message(
    client: anthropic.AsyncAnthropic,
) -> None:
    async with client.messages.stream(model="m", max_tokens=100, messages=HELLO) as stream:
        words = [text async for text in stream.text_stream]
        final = await stream.get_final_message()
    assert len(words) > 10
    assert final.content[0].type == "text"
    assert "".join(words) == final.content[0].text
    assert final.usage.output_tokens == len(words)


async def test_tokens_are_counted(client: anthropic.AsyncAnthropic) -> None:
    count = await client.messages.count_tokens(model="m", messages=HELLO)
    assert count.input_tokens == 2


async def test_models_are_listed_in_anthropics_shape(client: anthropic.AsyncAnthropic) -> None:
    models = [model async for model in client.models.list()]
    assert models[0].type == "model"
    assert (await client.models.retrieve(models[0].id)).display_name == models[0].display_name
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("no-such")


async def test_the_key_is_taken_as_a_bearer_token_too(raw: httpx2.AsyncClient) -> None:
    client = anthropic.AsyncAnthropic(auth_token=KEY, base_url="http://demo", http_client=raw)
    assert [model async for model in client.models.list()]


async def test_a_wrong_key_gets_anthropics_401(raw: httpx2.AsyncClient) -> None:
    wrong = anthropic.AsyncAnthropic(api_key="sk-ant-wrong", base_url="http://demo", http_client=raw)
    with pytest.raises(anthropic.AuthenticationError) as raised:
        await wrong.models.list()
    body = raised.value.body
    assert isinstance(body, dict)
    assert body["error"] == {"type": "authentication_error", "message": "Invalid bearer token"}
    assert body["request_id"] == raised.value.request_id


@pytest.mark.parametrize(
    ("head", "message"),
    [({}, "x-api-key header is required"), ({"x-api-key": "sk-ant-wrong"}, "invalid x-api-key")],
)
async def test_no_key_and_a_wrong_one_are_told_apart(
    raw: httpx2.AsyncClient, head: dict[str, str], message: str
) -> None:
    answer = await raw.get("/v1/models", headers={"anthropic-version": "2023-06-01", **head})
    assert (answer.status_code, answer.json()["error"]["message"]) == (401, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "We could not parse the JSON body of your request."),
        (b"{}", "model: Field required"),
        (b'{"model":"m"}', "max_tokens: Field required"),
        (b'{"model":"m","max_tokens":0}', "max_tokens: must be greater than or equal to 1"),
        (b'{"model":"m","max_tokens":9}', "messages: Field required"),
        (b'{"model":"m","max_tokens":9,"messages":[]}', "messages: at least one message is required"),
        (b'{"model":"m","max_tokens":"9","messages":[]}', "max_tokens: Input should be a valid int"),
    ],
)
async def test_a_malformed_body_gets_anthropics_400(
    raw: httpx2.AsyncClient, body: bytes, message: str
) -> None:
    answer = await raw.post("/v1/messages", content=body, headers=HEAD)
    assert answer.status_code == 400
    assert answer.json()["error"] == {"type": "invalid_request_error", "message": message}


async def test_a_missing_version_is_refused(raw: httpx2.AsyncClient) -> None:
    answer = await raw.post("/v1/messages", json={}, headers={"x-api-key": KEY})
    assert "anthropic-version" in answer.json()["error"]["message"]


async def test_answers_carry_request_id_and_rate_limits(raw: httpx2.AsyncClient) -> None:
    answer = await raw.get("/v1/models", headers=HEAD)
    assert {"request-id", "anthropic-ratelimit-input-tokens-remaining"} <= set(answer.headers)
    missing = await raw.get("/v1/nothing", headers=HEAD)
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found_error")
