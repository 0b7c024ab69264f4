"""The comparison of a client's requests through the gateway with those of two direct runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.matrix.comparison import Comparison, compare
from tests.clients.wire import Seen


def seen(body: Any = None, target: bytes = b"/v1/x", **headers: str) -> Seen:
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    return b"POST", target, fields, b"" if body is None else json.dumps(body).encode()


SAME = seen({"a": 1}, accept="x")


@pytest.mark.parametrize(
    ("through", "direct", "again", "expected"),
    [
        pytest.param([SAME], [SAME], [SAME], Comparison(), id="the same"),
        pytest.param(
            [seen({"id": "x 3"})], [seen({"id": "x 1"})], [seen({"id": "x 2"})],
            Comparison(varies=("id",)), id="an id that the client makes up",
        ),
        pytest.param(
            [seen({"id": "y 3"})], [seen({"id": "x 1"})], [seen({"id": "x 2"})],
            Comparison(differs=("id",)), id="a difference beside a made-up word",
        ),
        pytest.param(
            [seen({"a": "2"})], [seen({"a": "1"})], [seen({"a": "1"})],
            Comparison(differs=("a",)), id="a value of the gateway",
        ),
        pytest.param(
            [seen(accept="y")], [seen(accept="x")], [seen(accept="x")],
            Comparison(differs=("header accept",)), id="a header's value",
        ),
        pytest.param(
            [seen(b="1", a="1")], [seen(a="1", b="1")], [seen(a="1", b="1")],
            Comparison(differs=("the headers' order",)), id="the order of headers",
        ),
        pytest.param(
            [seen({"a": 1, "b": 2})], [seen({"b": 2, "a": 1})], [seen({"b": 2, "a": 1})],
            Comparison(differs=("the body's form",)), id="the order of a body's names",
        ),
        pytest.param(
            [seen({"m": '{"id": "3"}'})], [seen({"m": '{"id": "1"}'})], [seen({"m": '{"id": "2"}'})],
            Comparison(varies=("m|json.id",)), id="JSON inside a string",
        ),
        pytest.param(
            [seen({"l": [{"t": 3}]})], [seen({"l": [{"t": 1}]})], [seen({"l": [{"t": 2}]})],
            Comparison(varies=("l[].t",)), id="a place of a list has no number",
        ),
        pytest.param(
            [seen({"a": 1, "b": 2, "c": 3})],
            [seen({"c": 3, "a": 1, "b": 2})],
            [seen({"c": 3, "b": 2, "a": 1})],
            Comparison(varies=("the body's form",)), id="an order that the client makes up",
        ),
        pytest.param(
            [seen(a="", b="", c="")], [seen(c="", a="", b="")], [seen(c="", b="", a="")],
            Comparison(varies=("the headers' order",)), id="an order of headers that the client makes up",
        ),
        pytest.param(
            [seen({"now": "2026-12-01T03:01:59.9Z"})], [seen({"now": "2026-12-01T03:02:01.1Z"})],
            [seen({"now": "2026-12-01T03:02:03.2Z"})],
            Comparison(varies=("now",)), id="a minute that went by",
        ),
        pytest.param(
            [seen({"t": 8.5})], [seen({"t": 7.3})], [seen({"t": 7.4})],
            Comparison(varies=("t",)), id="a time",
        ),
        pytest.param([SAME] * 2, [SAME], [SAME], Comparison(differs=("2 requests, directly 1",)), id="more"),
        pytest.param(
            [SAME], [SAME], [SAME] * 2, Comparison(varies=("the number of requests: 1 or 2",)), id="a number",
        ),
        pytest.param(
            [seen(target=b"/a"), seen(target=b"/b")], [seen(target=b"/b"), seen(target=b"/a")],
            [seen(target=b"/a"), seen(target=b"/b")], Comparison(), id="requests at the same time",
        ),
    ],
)  # fmt: skip
def test_a_difference_that_the_client_does_not_make_itself_is_named(
    through: list[Seen], direct: list[Seen], again: list[Seen], expected: Comparison
) -> None:
    assert compare(through, direct, again) == expected
