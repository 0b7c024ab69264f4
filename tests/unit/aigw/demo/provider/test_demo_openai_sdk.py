"""The real openai SDK reads every answer of the demo provider, and so do its strict types."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from aigw.demo.provider.app import DemoKeys, build_app
from shared.secret import Secret

KEY = "sk-demo-right-key-0001"
KEYS: DemoKeys = {"openai": Secret(KEY), "anthropic": Secret("sk-ant-api03-x"), "gemini": Secret("AIza-x")}
HELLO: Any = [{"role": "user", "content": "ping pong"}]


@pytest.fixture
async def raw() -> AsyncIterator[httpx2.AsyncClient]:
    app = build_app(KEYS, pace_seconds=0)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://demo") as client:
        yield client


@pytest.fixture
def client(raw: httpx2.AsyncClient) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=KEY, base_url="http://demo/v1", http_client=raw, max_retries=0)


def strict(kind: type[BaseModel], answer: BaseModel) -> None:
    """Check, as the SDK itself does not, that the answer has every field promised by its type."""
    kind.model_validate(answer.model_dump(), strict=False)


async def test_a_chat_completion_has_text_and_usage(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="gpt-5.2", messages=HELLO)
    strict(ChatCompletion, answer)
    assert str(answer.choices[0].message.content).endswith("You wrote: ping pong")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 2
    assert answer.usage.total_tokens == 2 + answer.usage.completion_tokens
    assert str(answer._request_id).startswith("req_")


async def test_a_token_limit_cuts_a_chat_completion(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="m", messages=HELLO, max_completion_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert len(str(answer.choices[0].message.content).split()) == 3


async def test_streamed_chat_words_join_to_the_plain_answer(client: openai.AsyncOpenAI) -> None:
    plain = await client.chat.completions.create(model="m", messages=HELLO)
    stream = await client.chat.completions.create(
        model="m", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    for chunk in chunks:
        strict(ChatCompletionChunk, chunk)
    words = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(words) == plain.choices[0].message.content
    assert chunks[-1].usage == plain.usage
    assert chunks[-2].choices[0].finish_reason == "stop"


async def test_a_response_has_text_and_usage(client: openai.AsyncOpenAI) -> None:
    answer = await client.responses.create(model="gpt-5.2", input="ping pong")
    strict(Response, answer)
    assert answer.status == "completed"
    assert answer.output_text.endswith("You wrote: ping pong")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


async def test_a_response_stream_sends_the_whole_typed_sequence(raw: httpx2.AsyncClient) -> None:
    body = {"model": "m", "input": "hi", "stream": True, "max_output_tokens": 2}
    answer = await raw.post("/v1/responses", json=body, headers={"authorization": f"Bearer {KEY}"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = answer.text.rstrip("\n").split("\n\n")
    events = [json.loads(block.split("\n")[1].removeprefix("data: ")) for block in blocks]
    assert [block.split("\n")[0] for block in blocks] == [f"event: {event['type']}" for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "incomplete",
    ]
    adapter: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    for event in events:
        adapter.validate_python(event)


async def test_the_sdks_accumulating_stream_ends_in_the_final_response(client: openai.AsyncOpenAI) -> None:
    async with client.responses.stream(model="m", input="hi") as stream:
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert "".join(deltas) == final.output_text
    assert final.status == "completed"


async def test_models_are_listed_and_found(client: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert "gpt-5.2" in names
    assert (await client.models.retrieve(names[0])).object == "model"
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        await client.models.retrieve("no-such")


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_embeddings_are_unit_vectors_that_depend_on_the_input(
    client: openai.AsyncOpenAI, encoding: Any
) -> None:
    answer = await client.embeddings.create(
        model="text-embedding-3-small", input=["one", "two"], dimensions=64, encoding_format=encoding
    )
    if encoding == "float":
        strict(CreateEmbeddingResponse, answer)
        first, second = (entry.embedding for entry in answer.data)
        assert sum(x * x for x in first) == pytest.approx(1)
        assert first != second
    else:
        assert [len(str(entry.embedding)) for entry in answer.data] == [344, 344]


async def test_the_sdks_own_embedding_form_is_decoded(client: openai.AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model="m", input="one")
    assert len(answer.data[0].embedding) == 1536
    assert isinstance(answer.data[0].embedding[0], float)


async def test_a_wrong_key_gets_openais_401_with_the_ends_of_the_key(client: openai.AsyncOpenAI) -> None:
    wrong = client.with_options(api_key="sk-wrong-abcdefghijkl-9876")
    with pytest.raises(openai.AuthenticationError) as raised:
        await wrong.models.list()
    assert raised.value.code == "invalid_api_key"
    assert raised.value.type == "invalid_request_error"
    assert "sk-wrong********9876" in str(raised.value)


async def test_answers_carry_request_id_and_rate_limits(raw: httpx2.AsyncClient) -> None:
    answer = await raw.get("/v1/models", headers={"authorization": f"Bearer {KEY}"})
    assert {"x-request-id", "x-ratelimit-remaining-tokens", "openai-processing-ms"} <= set(answer.headers)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b"{}", "model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":[]}', "messages"),
        (b'{"model":"m","messages":3}', "messages"),
        (b'{"model":"m","messages":[{}],"max_tokens":0}', "max_tokens"),
    ],
)
async def test_a_malformed_body_gets_openais_400(
    raw: httpx2.AsyncClient, body: bytes, param: str | None
) -> None:
    answer = await raw.post("/v1/chat/completions", content=body, headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param


async def test_an_unknown_path_gets_openais_404(raw: httpx2.AsyncClient) -> None:
    answer = await raw.post("/v1/nothing", headers={"authorization": f"Bearer {KEY}"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "Invalid URL (POST /v1/nothing)")
