"""The agent's own answers are whole HTTP, and both providers' clients find the sentence in them."""

from __future__ import annotations

import http.client
import io
import json

import pytest

from services.node_agent.rules.refusal import NO_DATA_PLANE, TOO_MANY


class _Answered:
    """Stands for a socket from which `http.client` reads an answer."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


@pytest.mark.parametrize(
    ("answer", "code"),
    [(NO_DATA_PLANE, "gateway_unreachable"), *((answer, "overloaded") for answer in TOO_MANY.values())],
)
def test_an_answer_is_whole_and_in_both_shapes(answer: bytes, code: str) -> None:
    response = http.client.HTTPResponse(_Answered(answer))  # type: ignore[arg-type]  # it only calls makefile
    response.begin()
    body = json.loads(response.read())
    assert (response.status, response.getheader("x-run9-error")) == (503, code)
    assert response.getheader("x-run9-error-source") == "gateway"
    assert response.getheader("connection") == "close"
    assert response.getheader("retry-after") == "2"
    assert body["type"] == "error"
    assert body["error"]["code"] == code
    assert 0 < len(body["error"]["message"]) < 300
