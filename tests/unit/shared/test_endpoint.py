"""Tests of `shared/endpoint.py`: which base URLs are read; both planes read the same."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.endpoint import MAX_ENDPOINT_CHARS, Endpoint, EndpointError, parse_endpoint

ACCEPTED = [
    ("https://api.openai.com/v1", Endpoint("https", "api.openai.com", 443, "/v1")),
    ("https://api.openai.com/v1/", Endpoint("https", "api.openai.com", 443, "/v1")),
    ("https://api.anthropic.com", Endpoint("https", "api.anthropic.com", 443, "")),
    ("https://api.anthropic.com/", Endpoint("https", "api.anthropic.com", 443, "")),
    ("HTTPS://API.OpenAI.com/V1", Endpoint("https", "api.openai.com", 443, "/V1")),
    ("http://127.0.0.1:8080/a/b.c", Endpoint("http", "127.0.0.1", 8080, "/a/b.c")),
    ("https://host:443", Endpoint("https", "host", 443, "")),
    ("https://host:0443", Endpoint("https", "host", 443, "")),
    ("https://host:", Endpoint("https", "host", 443, "")),
    ("http://host:443", Endpoint("http", "host", 443, "")),
    ("https://host:65535/x", Endpoint("https", "host", 65535, "/x")),
    ("https://[2606:4700::1111]/v1", Endpoint("https", "2606:4700::1111", 443, "/v1")),
    ("https://[2606:4700::ABCD]:8443", Endpoint("https", "2606:4700::abcd", 8443, "")),
    ("https://xn--bcher-kva.example", Endpoint("https", "xn--bcher-kva.example", 443, "")),
    ("https://h/~user/a-b_c;d=e,f(g)*'!$&+:@", Endpoint("https", "h", 443, "/~user/a-b_c;d=e,f(g)*'!$&+:@")),
    ("https://h/...", Endpoint("https", "h", 443, "/...")),
]

REFUSED = [
    ("", "must start with"),
    ("api.openai.com", "must start with"),
    ("//api.openai.com", "must start with"),
    ("ftp://api.openai.com", "must start with"),
    ("file:///etc/passwd", "must start with"),
    ("javascript:alert(1)", "must start with"),
    ("https:", "no valid host"),
    ("https://", "no valid host"),
    ("https:///v1", "no valid host"),
    ("https:host", "no valid host"),
    ("https://:443", "no valid host"),
    ("https://user@host", "user name"),
    ("https://user:secret@host", "user name"),
    ("https://@host", "user name"),
    ("https://good.example@evil.example/", "user name"),
    ("https://host?x=1", "query or a fragment"),
    ("https://host/?", "query or a fragment"),
    ("https://host/v1#", "query or a fragment"),
    ("https://host/v1#frag", "query or a fragment"),
    ("https://host:0", "port must be"),
    ("https://host:65536", "port must be"),
    ("https://host:-1", "port must be"),
    ("https://host:+80", "port must be"),
    ("https://host:8o", "port must be"),
    ("https://host:80:90", "port must be"),
    ("https://host.", "no valid host"),
    ("https://.host", "no valid host"),
    ("https://a..b", "no valid host"),
    ("https://-a.example", "no valid host"),
    ("https://a-.example", "no valid host"),
    ("https://under_score.example", "no valid host"),
    ("https://a%2eb", "no valid host"),
    ("https://*.example", "no valid host"),
    ("https://" + "a" * 64, "no valid host"),
    ("https://" + ".".join(["a" * 63] * 4), "no valid host"),
    ("https://host\\@evil.example", "user name"),
    ("https://host\\evil", "no valid host"),
    ("https://host, evil", "a space"),
    ("https://bücher.example", "non-ASCII"),
    ("https://host/\N{FULLWIDTH FULL STOP}", "non-ASCII"),
    ("https://[::1", "no valid host"),
    ("https://::1]", "no valid host"),
    ("https://[]", "valid"),
    ("https://[1.2.3.4]", "valid"),
    ("https://[v1.example.com]", "no valid host"),
    ("https://[::1]evil.example", "no valid host"),
    ("https://[::1]evil.example:80", "no valid host"),
    ("https://evil.example[::1]", "valid"),
    ("https://[fe80::1%25eth0]", "valid"),
    ("https://[::1::]", "valid"),
    ("https://::1", "valid"),
    ("https://host//v1", "empty segment"),
    ("https://host/a//b", "empty segment"),
    ("https://host/a%2fb", "not allowed"),
    ("https://host/%2e%2e", "not allowed"),
    ("https://host/a\\b", "not allowed"),
    ("https://host/<v1>", "not allowed"),
    ("https://host/.", "segments"),
    ("https://host/..", "segments"),
    ("https://host/a/../b", "segments"),
    ("https://host/a/./", "segments"),
    ("https://host/" + "a" * MAX_ENDPOINT_CHARS, "longer than"),
]


@pytest.mark.parametrize(("text", "endpoint"), ACCEPTED)
def test_a_good_base_url_is_split(text: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_a_bad_base_url_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(EndpointError, match=reason) as caught:
        parse_endpoint(text)
    assert str(caught.value).endswith(".")


def test_the_reason_does_not_repeat_what_was_typed() -> None:
    for text, _ in REFUSED:
        if len(text) > 20:
            with pytest.raises(EndpointError) as caught:
                parse_endpoint(text)
            assert text not in str(caught.value)


def test_the_length_limit_is_exact() -> None:
    longest = "https://host/" + "a" * (MAX_ENDPOINT_CHARS - 13)
    assert len(str(parse_endpoint(longest))) == MAX_ENDPOINT_CHARS
    with pytest.raises(EndpointError):
        parse_endpoint(longest + "a")


_BASE = "https://api.example:8443/v1/x"


@pytest.mark.parametrize("position", range(len(_BASE) + 1))
def test_no_byte_at_any_position_leads_to_a_request_line_or_another_reading(position: int) -> None:
    for byte in range(256):
        text = _BASE[:position] + chr(byte) + _BASE[position:]
        try:
            endpoint = parse_endpoint(text)
        except EndpointError:
            continue
        assert 0x21 <= byte <= 0x7E
        written = str(endpoint)
        assert not set(written) & set(" \r\n\t\0\\?#%")
        assert "@" not in endpoint.authority
        assert written.startswith("https://")
        assert parse_endpoint(written) == endpoint


_LABEL = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?", fullmatch=True)
_HOST = st.one_of(
    st.lists(_LABEL, min_size=1, max_size=4).map(".".join),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
_SEGMENT = st.from_regex(r"[A-Za-z0-9\-._~!$&'()*+,;=:@]{1,12}", fullmatch=True).filter(
    lambda segment: segment not in {".", ".."}
)


@given(
    scheme=st.sampled_from(["https", "http", "HTTPS"]),
    host=_HOST,
    port=st.one_of(st.none(), st.integers(1, 65535)),
    segments=st.lists(_SEGMENT, max_size=4),
    slash=st.sampled_from(["", "/"]),
)
def test_what_is_written_reads_back_the_same(
    scheme: str, host: str, port: int | None, segments: list[str], slash: str
) -> None:
    path = "".join(f"/{segment}" for segment in segments)
    endpoint = parse_endpoint(f"{scheme}://{host}{'' if port is None else f':{port}'}{path}{slash}")
    assert parse_endpoint(str(endpoint)) == endpoint
    assert endpoint.base_path == path
    assert endpoint.port == (port or (443 if endpoint.tls else 80))


@given(st.text(alphabet=st.characters(max_codepoint=0x17F), max_size=60))
def test_any_text_after_the_scheme_is_refused_or_stable(text: str) -> None:
    try:
        endpoint = parse_endpoint("https://" + text)
    except EndpointError:
        return
    assert parse_endpoint(str(endpoint)) == endpoint
    if ":" in endpoint.host:
        IPv6Address(endpoint.host)


@pytest.mark.parametrize(
    ("text", "authority", "origin"),
    [
        ("https://h/v1", "h", "https://h"),
        ("https://h:443", "h", "https://h"),
        ("https://h:80", "h:80", "https://h:80"),
        ("http://h:80", "h", "http://h"),
        ("https://[::1]:9/x", "[::1]:9", "https://[::1]:9"),
        ("https://[::1]", "[::1]", "https://[::1]"),
    ],
)
def test_the_host_header_leaves_out_a_default_port(text: str, authority: str, origin: str) -> None:
    endpoint = parse_endpoint(text)
    assert (endpoint.authority, endpoint.origin) == (authority, origin)
    assert endpoint.tls is text.startswith("https")
