"""A program in a box: a realtime session of Python's openai SDK, by its environment alone."""

from __future__ import annotations

import asyncio
import base64
import json
import sys

import openai

AUDIO = base64.b64encode(bytes(range(256)) * 3_000).decode()


async def main() -> None:
    async with openai.AsyncOpenAI().realtime.connect(model="gpt-realtime") as connection:
        created = await connection.recv()
        await connection.session.update(session={"type": "realtime", "instructions": "Grüße 🦜"})
        updated = await connection.recv()
        await connection.input_audio_buffer.append(audio=AUDIO)
        spoken = await connection.recv()
    found = {
        "types": [created.type, updated.type, spoken.type],
        "audio_came_back": getattr(spoken, "delta", None) == AUDIO,
    }
    json.dump(found, sys.stdout)


asyncio.run(main())
