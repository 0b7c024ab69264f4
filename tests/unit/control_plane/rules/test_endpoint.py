"""Which base URLs an org may name."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from services.control_plane.rules.endpoint import EndpointPolicy, judge_endpoint
from services.control_plane.rules.problems import Problem, ProblemError

STRICT = EndpointPolicy()
EMBEDDED = EndpointPolicy(
    allow_plain_http=True, exceptions=(ip_network("127.0.0.0/8"), ip_network("::1/128"))
)


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("https://API.Example.com/v1/", "https://api.example.com/v1"),
        (" https://api.example.com:443 ", "https://api.example.com"),
        ("https://api.example.com:8443/a/b", "https://api.example.com:8443/a/b"),
        ("https://3com.example", "https://3com.example"),
        ("https://x.0xyz", "https://x.0xyz"),
    ],
)
def test_an_endpoint_is_written_in_one_way(typed: str, canonical: str) -> None:
    assert str(judge_endpoint(typed, STRICT)) == canonical


@pytest.mark.parametrize(
    "typed",
    [
        "http://api.example.com/v1",
        "ftp://api.example.com",
        "api.example.com",
        "",
        "https://",
        "https://user:pass@api.example.com",
        "https://api.example.com/v1?x=1",
        "https://api.example.com/v1#x",
        "https://api.example.com/../x",
        "https://api.example.com/\r\nx",
        "https://api.example.com\0",
        "https://127.0.0.1/v1",
        "https://8.8.8.8/v1",
        "https://[::1]/v1",
        "https://[::ffff:169.254.169.254]/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://1.2.3.4.5/",
        "https://example.0x1/",
    ],
)
def test_what_is_not_a_named_https_host_is_refused(typed: str) -> None:
    with pytest.raises(ProblemError) as caught:
        judge_endpoint(typed, STRICT)
    assert caught.value.problem is Problem.ENDPOINT_REFUSED
    assert caught.value.faults[0].pointer == "#/endpoint"


def test_the_operators_exceptions_open_exactly_what_they_name() -> None:
    assert str(judge_endpoint("http://127.0.0.1:8000/v1", EMBEDDED)) == "http://127.0.0.1:8000/v1"
    assert str(judge_endpoint("http://[::1]:8000", EMBEDDED)) == "http://[::1]:8000"
    for other in ("http://10.0.0.1", "http://2130706433", "http://127.1", "https://8.8.8.8"):
        with pytest.raises(ProblemError):
            judge_endpoint(other, EMBEDDED)
