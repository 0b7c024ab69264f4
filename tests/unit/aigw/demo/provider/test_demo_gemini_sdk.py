"""The real google-genai SDK reads every answer of the demo provider; array streams are read as JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from threading import Thread
from typing import Any

import httpx2
import pytest
import uvicorn
from google import genai
from google.genai import errors, types

from aigw.demo.provider.app import DemoKeys, build_app
from shared.listener import bind, port_of
from shared.secret import Secret

KEY = "AIza-right-key"
KEYS: DemoKeys = {"openai": Secret("sk-x"), "anthropic": Secret("sk-ant-x"), "gemini": Secret(KEY)}
MODEL = "gemini-2.5-flash"
HELLO: Any = {"contents": [{"role": "user", "parts": [{"text": "ping pong"}]}]}


@pytest.fixture
async def raw() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(build_app(KEYS, pace_seconds=0))
    head = {"x-goog-api-key": KEY}
    async with httpx2.AsyncClient(transport=transport, base_url="http://demo", headers=head) as client:
        yield client


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The SDK takes no transport, so the test starts a server."""
    listener = bind("127.0.0.1", 0, option="port")
    config = uvicorn.Config(build_app(KEYS, pace_seconds=0), lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{port_of(listener)}"
    server.should_exit = True
    thread.join(10)
    listener.close()


def made(address: str, key: str = KEY) -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=address))


@pytest.fixture(scope="module")
def client(address: str) -> genai.Client:
    return made(address)


def test_an_answer_has_text_and_usage(client: genai.Client) -> None:
    answer = client.models.generate_content(model=MODEL, contents="ping pong")
    usage = answer.usage_metadata
    assert answer.text is not None
    assert answer.text.endswith("You wrote: ping pong")
    assert usage is not None
    assert (usage.prompt_token_count, usage.candidates_token_count) == (2, len(answer.text.split()))


def test_a_limit_cuts_an_answer(client: genai.Client) -> None:
    config = types.GenerateContentConfig(max_output_tokens=3)
    answer = client.models.generate_content(model=MODEL, contents="ping", config=config)
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS


def test_a_stream_gives_the_words_of_the_answer_in_turn(client: genai.Client) -> None:
    pieces = list(client.models.generate_content_stream(model=MODEL, contents="ping pong"))
    whole = client.models.generate_content(model=MODEL, contents="ping pong")
    assert len(pieces) > 20
    assert "".join(piece.text or "" for piece in pieces) == whole.text
    assert pieces[-1].usage_metadata == whole.usage_metadata


def test_models_and_token_counts_are_read(client: genai.Client) -> None:
    models = client.models
    assert MODEL in [str(model.name).removeprefix("models/") for model in models.list()]
    assert models.get(model=MODEL).display_name == "Gemini 2.5 Flash"
    assert models.count_tokens(model=MODEL, contents="one two three").total_tokens == 3


def test_a_wrong_key_and_an_unknown_model_are_refused_in_googles_shape(
    client: genai.Client, address: str
) -> None:
    other = made(address, "AIza-wrong")
    with pytest.raises(errors.ClientError, match="API_KEY_INVALID"):
        other.models.get(model=MODEL)
    with pytest.raises(errors.ClientError, match="NOT_FOUND"):
        client.models.get(model="gemini-0")


async def test_a_stream_without_alt_is_one_json_array(raw: httpx2.AsyncClient) -> None:
    answer = await raw.post(f"/v1beta/models/{MODEL}:streamGenerateContent", json=HELLO)
    pieces = json.loads(answer.text)
    words = "".join(piece["candidates"][0]["content"]["parts"][0]["text"] for piece in pieces)
    assert words.endswith("You wrote: ping pong")
    assert [piece["candidates"][0].get("finishReason") for piece in pieces[-2:]] == [None, "STOP"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (f"/v1beta/models/{MODEL}:generateContent", {}, 400),
        (f"/v1beta/models/{MODEL}:predict", HELLO, 404),
        ("/v1beta/files", HELLO, 404),
        (f"/v1/models/{MODEL}:generateContent", HELLO, 200),
    ],
)
async def test_other_requests_have_an_answer_of_google(
    raw: httpx2.AsyncClient, path: str, body: Any, status: int
) -> None:
    answer = await raw.post(path, json=body)
    assert answer.status_code == status
    assert "candidates" in answer.json() or answer.json()["error"]["code"] == status


async def test_each_api_answers_on_the_path_that_all_have_by_its_own_credential() -> None:
    transport = httpx2.ASGITransport(build_app(KEYS, pace_seconds=0))
    found = []
    async with httpx2.AsyncClient(transport=transport, base_url="http://demo") as client:
        for head in (
            {"authorization": "Bearer sk-x"},
            {"x-api-key": "sk-ant-x", "anthropic-version": "2023-06-01"},
            {"x-goog-api-key": KEY},
        ):
            answer = (await client.get("/v1/models", headers=head)).json()
            found.append(next(iter(answer)))
    assert found == ["object", "data", "models"]
