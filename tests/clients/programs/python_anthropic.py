"""A program in a box: Python's anthropic SDK beyond plain calls, by its environment alone. Prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import anthropic
from anthropic.types import MessageParam

MODEL = "claude-sonnet-5"
MESSAGES: list[MessageParam] = [{"role": "user", "content": "say ping"}]


def by_sync() -> dict[str, Any]:
    client = anthropic.Anthropic()
    raw = client.messages.with_raw_response.create(model=MODEL, max_tokens=100, messages=MESSAGES)
    with client.messages.stream(model=MODEL, max_tokens=100, messages=MESSAGES) as stream:
        words = list(stream.text_stream)
    file = client.beta.files.upload(file=("f.txt", b"x" * 3_000_000, "text/plain"))
    return {
        "raw": raw.parse().content[0].to_dict(),
        "request_id": raw.headers["request-id"],
        "remaining": raw.headers["anthropic-ratelimit-requests-remaining"],
        "words": words,
        "uploaded": file.size_bytes > 3_000_000,
        "tokens": client.messages.count_tokens(model=MODEL, messages=MESSAGES).input_tokens,
    }


async def by_async() -> dict[str, Any]:
    async with anthropic.AsyncAnthropic() as client:
        async with client.messages.stream(model=MODEL, max_tokens=100, messages=MESSAGES) as stream:
            words = [word async for word in stream.text_stream]
            final = await stream.get_final_message()
        models = [model.id async for model in client.models.list()]
    return {"words": words, "final": final.content[0].to_dict(), "models": models}


json.dump({"sync": by_sync(), "async": asyncio.run(by_async())}, sys.stdout, ensure_ascii=False)
