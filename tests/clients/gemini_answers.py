"""What Google's Gemini API answers to the calls that real clients make here, in its own shapes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from tests.clients.org import BASE_PATH
from tests.clients.provider_answers import TEXT, VECTOR, WORDS
from tests.support.answers import chunked, json_answer, whole
from tests.support.scripted_upstream import Answer, ReceivedRequest

MODEL: Final = "gemini-2.5-flash"
UPLOAD: Final = "upload_id=T0ken&upload_protocol=resumable"
_HEAD: Final = (("server-timing", "gfet4t7; dur=42"), ("set-cookie", "session=1"))


def gemini_answer(request: ReceivedRequest) -> Answer:
    """Answer as Google does, under each version of its API."""
    path, _, query = request.target.decode().partition("?")
    call, _, verb = f"{request.method.decode()} {path.removeprefix(BASE_PATH)}".partition(":")
    answer: Answer | None = None
    match verb:
        case "streamGenerateContent" if query == "alt=sse":
            events = [_response([word], last=word == WORDS[-1]) for word in WORDS]
            answer = chunked([b"data: " + json.dumps(event).encode() + b"\r\n\r\n" for event in events])
        case "generateContent":
            answer = json_answer(_response([TEXT], last=True), head=_HEAD)
        case "countTokens":
            answer = json_answer({"totalTokens": 3}, head=_HEAD)
        case "batchEmbedContents":
            answer = json_answer({"embeddings": [{"values": VECTOR}]}, head=_HEAD)
        case "" if call in {"GET /v1beta/models", "GET /v1/models"}:
            model = {"name": f"models/{MODEL}", "displayName": "Gemini 2.5 Flash", "inputTokenLimit": 1}
            answer = json_answer({"models": [model]}, head=_HEAD)
        case "" if call in {"POST /upload/v1beta/files", "POST /upload/v1/files"}:
            answer = _upload(request, path, query)
    error = {"code": 404, "message": f"No such route: {call} {verb}", "status": "NOT_FOUND"}
    return answer or json_answer({"error": error}, status="404 Not Found")


def _upload(request: ReceivedRequest, path: str, query: str) -> Answer:
    """Begin a resumable upload, or take its bytes at the address that the beginning was given."""
    if not query:
        host = request.values("host")[0].decode()
        address = f"http://{host}{path}?{UPLOAD}"
        return whole(b"", head=[("x-goog-upload-url", address), ("x-goog-upload-status", "active")])
    assert query == UPLOAD, "the address was changed on its way"
    file = {"name": "files/f-1", "uri": "https://files.example/f-1", "state": "ACTIVE"}
    stored = {"file": file | {"sizeBytes": str(len(request.body)), "mimeType": "text/plain"}}
    return json_answer(stored, head=[("x-goog-upload-status", "final")])


def _response(texts: Sequence[str], *, last: bool) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text} for text in texts]}
    candidate = {"content": content, "index": 0} | ({"finishReason": "STOP"} if last else {})
    said = {"promptTokenCount": 3, "totalTokenCount": 3}
    if last:
        said |= {"candidatesTokenCount": 7, "totalTokenCount": 10}
    return {"candidates": [candidate], "usageMetadata": said, "modelVersion": MODEL, "responseId": "r-1"}
