"""A program in a box: Google's SDK for Python, set up by its environment alone. Prints JSON."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from typing import Any

from google import genai

MODEL = "gemini-2.5-flash"
QUESTION = "say ping"


def by_sync() -> dict[str, Any]:
    client = genai.Client()
    plain = client.models.generate_content(model=MODEL, contents=QUESTION)
    parts = client.models.generate_content_stream(model=MODEL, contents=QUESTION)
    chunks = [part.text for part in parts]
    file = client.files.upload(file=io.BytesIO(b"x" * 3_000_000), config={"mime_type": "text/plain"})
    embedded = client.models.embed_content(model="gemini-embedding-001", contents="x").embeddings
    assert embedded is not None
    return {
        "plain": plain.text,
        "chunks": chunks,
        "uploaded": file.size_bytes,
        "embedding": embedded[0].values,
        "tokens": client.models.count_tokens(model=MODEL, contents=QUESTION).total_tokens,
        "models": [model.name for model in client.models.list()],
    }


async def by_async() -> dict[str, Any]:
    client = genai.Client().aio
    stream = await client.models.generate_content_stream(model=MODEL, contents=QUESTION)
    return {"chunks": [part.text async for part in stream]}


json.dump({"sync": by_sync(), "async": asyncio.run(by_async())}, sys.stdout, ensure_ascii=False)
