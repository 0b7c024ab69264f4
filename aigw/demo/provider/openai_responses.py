"""OpenAI's responses API: the answer object and the full sequence of its typed stream events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response, StreamingResponse

from aigw.demo.provider.openai_api import CREATED, headers, required, token_limit
from aigw.demo.provider.story import Story, paced, tell, text_of
from aigw.demo.provider.wire import EVENT_STREAM, Json, json_object, named_event, random_id

if TYPE_CHECKING:
    from starlette.requests import Request


async def responses(request: Request, pace_seconds: float) -> Response:
    """Answer `POST /v1/responses`, whole or as typed events."""
    body = await json_object(request)
    model = required(body, "model", str)
    prompt = text_of(required(body, "input", (str, list)))
    limit = token_limit(body, "max_output_tokens")
    story = tell("OpenAI responses", prompt, limit)
    answer = _Answer(story, model, limit)
    if body.get("stream"):
        return StreamingResponse(answer.events(pace_seconds), media_type=EVENT_STREAM, headers=headers())
    return JSONResponse(answer.finished(), headers=headers())


class _Answer:
    """A response with a single message of one text part, in every state of a stream."""

    def __init__(self, story: Story, model: str, limit: int | None) -> None:
        self._story = story
        self._item_id = random_id("msg")
        self._common = {
            "id": random_id("resp"),
            "object": "response",
            "created_at": CREATED,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": limit,
            "metadata": {},
            "model": model,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "default",
            "store": False,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": None,
            "user": None,
        }

    def finished(self) -> Json:
        """Give the answer in its final state."""
        prompt, output = self._story.prompt_tokens, len(self._story.words)
        usage = {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + output,
        }
        incomplete = {"reason": "max_output_tokens"} if self._story.cut_short else None
        end = {"status": self._end, "incomplete_details": incomplete, "usage": usage}
        return self._common | end | {"output": [self._message(self._end, [self._part(self._story.text)])]}

    async def events(self, pace_seconds: float) -> AsyncIterator[bytes]:
        """Stream the answer: created, in progress, item, part, deltas, and each of them done again."""
        number = 0
        async for kind, fields in self._steps(pace_seconds):
            yield named_event({"type": f"response.{kind}", "sequence_number": number} | fields)
            number += 1

    async def _steps(self, pace_seconds: float) -> AsyncIterator[tuple[str, Json]]:
        started = {"response": self._common | {"status": "in_progress", "output": []}}
        item = {"output_index": 0}
        part = {"item_id": self._item_id, "output_index": 0, "content_index": 0}
        text = self._story.text
        yield "created", started
        yield "in_progress", started
        yield "output_item.added", item | {"item": self._message("in_progress", [])}
        yield "content_part.added", part | {"part": self._part("")}
        async for word in paced(self._story.words, pace_seconds):
            yield "output_text.delta", part | {"delta": word, "logprobs": []}
        yield "output_text.done", part | {"text": text, "logprobs": []}
        yield "content_part.done", part | {"part": self._part(text)}
        yield "output_item.done", item | {"item": self._message(self._end, [self._part(text)])}
        yield self._end, {"response": self.finished()}

    @property
    def _end(self) -> str:
        return "incomplete" if self._story.cut_short else "completed"

    def _message(self, status: str, content: list[Json]) -> Json:
        head = {"id": self._item_id, "type": "message", "status": status, "role": "assistant"}
        return head | {"content": content}

    @staticmethod
    def _part(text: str) -> Json:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
