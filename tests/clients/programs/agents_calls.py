"""A program in a box: an agent of openai-agents, set up by its environment alone. Prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys

from agents import Agent, Runner  # type: ignore[import-not-found]  # has an environment of its own


async def main() -> None:
    agent = Agent(name="helper", model="gpt-5")
    plain = await Runner.run(agent, "say ping")
    streamed = Runner.run_streamed(agent, "say ping")
    async for _ in streamed.stream_events():
        pass
    json.dump({"responses": [plain.final_output, streamed.final_output]}, sys.stdout, ensure_ascii=False)


asyncio.run(main())
