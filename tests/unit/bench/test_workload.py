"""Tests of `bench/workload.py`: the requests and answers on the wire."""

import re

from bench.workload import (
    ANSWER_BODY_BYTES,
    EVENT_BYTES,
    Work,
    answer_body,
    answer_bytes,
    answer_words,
    event_template,
    request_bytes,
    stream_head,
)


def _header_count(message: bytes) -> int:
    return len(message.split(b"\r\n\r\n")[0].split(b"\r\n")) - 1


def test_a_request_is_one_kilobyte_with_the_seventeen_headers_of_the_sdk() -> None:
    request = request_bytes(Work("json"), prefix="/run9", key="k", authority="h:1")
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /run9/json/1024 HTTP/1.1\r\nHost: h:1\r\n")
    assert (_header_count(request), len(body)) == (17, 1024)
    assert b"\r\nContent-Length: 1024" in head
    assert b"\r\nauthorization: Bearer k\r\n" in head


def test_a_stream_is_asked_for_by_its_path() -> None:
    assert Work("sse", events=200, interval_us=20_000).path == "/sse/1024/200/20000"


def test_answers_have_sixteen_headers_and_the_agreed_length() -> None:
    assert _header_count(answer_bytes()) == _header_count(stream_head()) == 16
    assert len(answer_body()) == ANSWER_BODY_BYTES
    assert b"\r\nContent-Length: 620\r\n" in answer_bytes()
    assert b"\r\nTransfer-Encoding: chunked\r\n" in stream_head()


def test_an_event_has_room_for_its_number_and_its_time_once_each() -> None:
    event = event_template()
    assert len(event) == EVENT_BYTES
    assert re.findall(rb"I{6}|T{20}", event) == [b"I" * 6, b"T" * 20]
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")


def test_a_header_of_a_peer_is_added_or_replaces_the_one_of_the_same_name() -> None:
    headers = (("Accept-Encoding", "identity"), ("x-portkey-provider", "openai"))
    request = request_bytes(
        Work("json"), prefix="/v1", key="k", authority="h:1", path="/v1/chat/completions", headers=headers
    )
    assert request.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert _header_count(request) == 18
    assert b"\r\nAccept-Encoding: identity\r\n" in request
    assert b"\r\nx-portkey-provider: openai\r\n" in request


def test_only_a_stream_is_asked_for_as_one() -> None:
    bodies = [
        request_bytes(work, prefix="", key="k", authority="h")
        for work in (Work("json"), Work("sse", events=1))
    ]
    assert [b'"stream":true' in body for body in bodies] == [False, True]


def test_the_words_are_what_stands_between_the_quotes_of_the_content() -> None:
    assert b'"content":"' + answer_words() + b'"}' in answer_body()
