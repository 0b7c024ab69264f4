"""The agent's own fixed answers to a box while no data plane can answer.

The agent reads no HTTP, so an answer cannot take the shape of the called provider. Its body fits both:
OpenAI's clients read `error.message`, Anthropic's read `type` and `error.type` as well.
"""

from __future__ import annotations

import json
from typing import Final

from shared.rejections import Rejection

_REASONS: Final = {503: "Service Unavailable"}


def refusal(rejection: Rejection, detail: str) -> bytes:
    """Write a whole HTTP/1.1 answer that closes the connection."""
    body = json.dumps(
        {
            "type": "error",
            "error": {
                "type": "overloaded_error" if rejection is Rejection.OVERLOADED else "api_error",
                "message": rejection.render("The provider", detail),
                "param": None,
                "code": rejection.code,
            },
        }
    ).encode()
    head = [
        f"HTTP/1.1 {rejection.status} {_REASONS[rejection.status]}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"x-run9-error: {rejection.code}",
        f"x-run9-error-source: {rejection.source}",
        "connection: close",
    ]
    if rejection.retry_after_seconds is not None:
        head.append(f"retry-after: {rejection.retry_after_seconds}")
    return "\r\n".join([*head, "", ""]).encode() + body


NO_DATA_PLANE: Final = refusal(Rejection.GATEWAY_UNREACHABLE, "no data plane accepts connections")
TOO_MANY: Final = {
    "box": refusal(Rejection.OVERLOADED, "this box has too many connections"),
    "org": refusal(Rejection.OVERLOADED, "this organization has too many connections on the node"),
    "all": refusal(Rejection.OVERLOADED, "the node has too many connections"),
}
