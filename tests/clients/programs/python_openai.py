"""A program in a box: Python's openai SDK beyond plain calls, by its environment alone. Prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import openai

QUESTION = "say ping"


def by_sync() -> dict[str, Any]:
    client = openai.OpenAI()
    raw = client.responses.with_raw_response.create(model="gpt-5", input=QUESTION)
    with client.chat.completions.stream(
        model="gpt-5", messages=[{"role": "user", "content": QUESTION}]
    ) as stream:
        chat = stream.get_final_completion().choices[0].message.content
    file = client.files.create(file=("f.jsonl", b"x" * 3_000_000), purpose="batch")
    return {
        "raw": raw.parse().output_text,
        "request_id": raw.headers["x-request-id"],
        "remaining": raw.headers["x-ratelimit-remaining-requests"],
        "chat": chat,
        "uploaded": file.bytes > 3_000_000,
        "embedding": client.embeddings.create(model="e", input="x").data[0].embedding,
    }


async def by_async() -> dict[str, Any]:
    async with openai.AsyncOpenAI() as client:
        async with client.responses.stream(model="gpt-5", input=QUESTION) as stream:
            deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
            final = await stream.get_final_response()
        models = [model.id async for model in client.models.list()]
    return {"deltas": deltas, "final": final.output_text, "models": models}


json.dump({"sync": by_sync(), "async": asyncio.run(by_async())}, sys.stdout, ensure_ascii=False)
