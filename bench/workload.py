"""The bytes of the work: the box's requests, the provider's answers, and the files with both.

The C programs of `load/` know HTTP framing but none of these bytes; every subject is given the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Kind = Literal["json", "sse"]

MODEL: Final = "gpt-5"
CHAT_PATH: Final = "/v1/chat/completions"
"""The path for gateways with knowledge of the API, which would not pass on the bench's own paths."""
ANY_LENGTH_PATH: Final = "/json/0"
"""Below the endpoint: JSON for a body of any length, for a gateway that writes the body anew."""

BOX_PREFIX: Final = "/run9/ai/openai/v1"
UPSTREAM_PREFIX: Final = "/v1"
PLACEHOLDER: Final = "run9-placeholder"
UPSTREAM_KEY: Final = "sk-bench-0123456789abcdefghijklmnopqrstuvwxyz0123"
"""Made up; only the bench's own upstream accepts it, so a subject without this key fails the run."""

REQUEST_BODY_BYTES: Final = 1024
UPLOAD_BODY_BYTES: Final = 1024 * 1024
ANSWER_BODY_BYTES: Final = 620
EVENT_BYTES: Final = 172
EVENTS_PER_STREAM: Final = 200

_INDEX_DIGITS: Final = 6
_STAMP_DIGITS: Final = 20
_INDEX_MARK: Final = b"I" * _INDEX_DIGITS
_STAMP_MARK: Final = b"T" * _STAMP_DIGITS

_USAGE: Final = (
    b'"usage":{"prompt_tokens":212,"completion_tokens":46,"total_tokens":258,"prompt_tokens_details":'
    b'{"cached_tokens":128,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,'
    b'"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}'
)

_ANSWER_START: Final = (
    b'{"id":"chatcmpl-0123456789","object":"chat.completion","choices":[{"message":{"content":"'
)
_ANSWER_END: Final = b'"},"finish_reason":"stop"}],' + _USAGE + b"}"

_REQUEST_HEADERS: Final = (
    # As openai-python 3.54 sends them, in its order; Host, Authorization and Content-Length are filled in.
    ("Host", "{host}"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Connection", "keep-alive"),
    ("authorization", "Bearer {key}"),
    ("accept", "application/json"),
    ("content-type", "application/json"),
    ("user-agent", "OpenAI/Python 3.54.0"),
    ("x-stainless-lang", "python"),
    ("x-stainless-package-version", "3.54.0"),
    ("x-stainless-os", "Linux"),
    ("x-stainless-arch", "x64"),
    ("x-stainless-runtime", "CPython"),
    ("x-stainless-runtime-version", "3.11.7"),
    ("x-stainless-async", "false"),
    ("x-stainless-retry-count", "0"),
    ("x-stainless-read-timeout", "600"),
    ("Content-Length", "{length}"),
)

_ANSWER_HEADERS: Final = (
    ("Date", "Tue, 03 Nov 2026 10:15:00 GMT"),
    ("Content-Type", "{type}"),
    ("{framing}", "{framing_value}"),
    ("Connection", "keep-alive"),
    ("openai-processing-ms", "412"),
    ("openai-version", "2020-10-01"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-limit-tokens", "30000000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-remaining-tokens", "29999986"),
    ("x-ratelimit-reset-requests", "6ms"),
    ("x-ratelimit-reset-tokens", "0s"),
    ("x-request-id", "req_0123456789abcdef0123456789abcdef"),
    ("x-content-type-options", "nosniff"),
    ("CF-RAY", "8f0123456789abcd-FRA"),
    ("Server", "cloudflare"),
)


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a connection, again and again.

    Attributes:
        kind: a JSON answer, or a stream of events.
        body_bytes: the request body's length; the upstream refuses any other.
        events: events per stream; 0 for JSON.
        interval_us: microseconds between the events of a stream; 0 is as fast as events are taken.
    """

    kind: Kind
    body_bytes: int = REQUEST_BODY_BYTES
    events: int = 0
    interval_us: int = 0

    @property
    def path(self) -> str:
        """The path below the endpoint, which tells the upstream the answer to give."""
        if self.kind == "json":
            return f"/json/{self.body_bytes}"
        return f"/sse/{self.body_bytes}/{self.events}/{self.interval_us}"


def request_bytes(
    work: Work,
    *,
    prefix: str,
    key: str,
    authority: str,
    path: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """Write a whole request of the box, head and body; `path` replaces prefix and work's path."""
    stream = b"true" if work.kind == "sse" else b"false"
    body = _padded(
        b'{"model":"%s","stream":%s,"messages":[{"role":"user","content":"' % (MODEL.encode(), stream),
        b'"}]}',
        work.body_bytes,
    )
    asked = path or f"{prefix}{work.path}"
    head = request_head(asked, key=key, authority=authority, body_bytes=work.body_bytes, headers=headers)
    return head + body


def request_head(
    path: str, *, key: str, authority: str, body_bytes: int, headers: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """Write the head of a box's request with a body of so many bytes."""
    filled = {"host": authority, "key": key, "length": str(body_bytes)}
    lines = [f"POST {path} HTTP/1.1"]
    others = {name: value.format_map(filled) for name, value in _REQUEST_HEADERS} | dict(headers)
    lines += [f"{name}: {value}" for name, value in others.items()]
    return _head(lines)


def answer_body() -> bytes:
    """The JSON document of the upstream's answer."""
    return _padded(_ANSWER_START, _ANSWER_END, ANSWER_BODY_BYTES)


def answer_words() -> bytes:
    """The model's words in the answer: a gateway writing the answer anew must not change the words."""
    return answer_body().removeprefix(_ANSWER_START).removesuffix(_ANSWER_END)


def answer_bytes() -> bytes:
    """The whole JSON answer, head and body."""
    return _answer_head("application/json", "Content-Length", str(ANSWER_BODY_BYTES)) + answer_body()


def stream_head() -> bytes:
    """The head of a streamed answer."""
    return _answer_head("text/event-stream; charset=utf-8", "Transfer-Encoding", "chunked")


def event_template() -> bytes:
    """An event with its two variable fields still marked by letters."""
    start = b'data: {"id":"chatcmpl-0123456789","object":"chat.completion.chunk","i":"'
    start += _INDEX_MARK + b'","t":"' + _STAMP_MARK + b'","delta":"'
    return _padded(start, b'"}\n\n', EVENT_BYTES)


def write_files(folder: Path) -> list[str]:
    """Write the files of the C programs into `folder`; gives the options of both programs."""
    folder.mkdir(parents=True, exist_ok=True)
    template = event_template()
    parts = {
        "answer": answer_bytes(),
        "answer-body": answer_body(),
        "answer-words": answer_words(),
        "stream-head": stream_head(),
        "event": template,
    }
    options: list[str] = []
    for name, data in parts.items():
        (folder / name).write_bytes(data)
        options += [f"--{name}", str(folder / name)]
    fields = ((_INDEX_MARK, "index"), (_STAMP_MARK, "stamp"))
    for mark, name in fields:
        options += [f"--{name}-at", str(template.index(mark))]
    return options


def _answer_head(content_type: str, framing: str, framing_value: str) -> bytes:
    filled = {"type": content_type, "framing": framing, "framing_value": framing_value}
    lines = [f"{name.format_map(filled)}: {value.format_map(filled)}" for name, value in _ANSWER_HEADERS]
    return _head(["HTTP/1.1 200 OK", *lines])


def _head(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode()


def _padded(start: bytes, end: bytes, length: int) -> bytes:
    """Fill the middle with words, as a model's answer has them."""
    words = b"the quick brown fox jumps over a lazy dog while streams go on "
    room = length - len(start) - len(end)
    return start + (words * (room // len(words) + 1))[:room] + end
