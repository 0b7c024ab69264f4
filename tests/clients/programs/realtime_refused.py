"""A program in a box: what Python's openai SDK makes of a WebSocket that is refused. Prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys

import openai
from websockets.exceptions import InvalidStatus


async def main() -> None:
    try:
        async with openai.AsyncOpenAI().realtime.connect(model="gpt-realtime"):
            found = {"status": 101, "message": ""}
    except InvalidStatus as error:
        body = json.loads(error.response.body or b"{}")
        found = {"status": error.response.status_code, "message": body["error"]["message"]}
    json.dump(found, sys.stdout)


asyncio.run(main())
