"""Generated paths: whatever is accepted stays inside the endpoint's base path, byte for byte (threats 5, 10).

The oracle, written from the contract and not from the code, decodes step by step, resolves dot segments as
servers do, and asks whether the result has left the base or names a refused route.
"""

from __future__ import annotations

from hypothesis import event, given
from hypothesis import strategies as st

from services.data_plane.core.refused import Refused
from services.data_plane.core.route import forwarded_target, split_target
from tests.corpus.replay import ROUTES, integration_of, replay

HEX = b"0123456789abcdefABCDEF"
REFUSED = {
    "openai": (b"organization", b"projects", b"realtime/client_secrets", b"realtime/sessions",
               b"realtime/transcription_sessions", b"chatkit/sessions", b"vaults"),
    "anthropic": (b"organizations", b"vaults"),
}  # fmt: skip
SEGMENTS = tuple(
    b"models|v1|V1|x|..|.|...|..;a|;a|%2e|%2E|%2e%2e|%252e|.%2e|%2e%252e|%25252e|organization|organizations|%6frganization"
    b"|ORGANIZATION|%256frganization|organization;x|projects|vaults|realtime|client_secrets|sessions|client%5fsecrets"
    b"|chatkit|file%2Fa|a%20b|%|%2|%zz|%25|%00|%0d%0a|%2f|%2f..|..%2f|%5c|..%5c..|\\|\\..|@evil|evil:80|$|~|a=b&c|%c3%a9"
    b"".split(b"|")
)
JOINS = (b"/", b"/", b"/", b"/", b"//", b"\\", b"%2f", b"%5C", b"%252F", b";/", b"")
BASES = {
    "openai": ("https://api.openai.com/v1", "https://h.example", "https://h.example/a/b"),
    "anthropic": ("https://api.anthropic.com", "https://h.example/deep/v1"),
}
EXPECTED_BASE = {
    "https://api.openai.com/v1": b"/v1", "https://h.example": b"", "https://h.example/a/b": b"/a/b",
    "https://api.anthropic.com": b"/v1", "https://h.example/deep/v1": b"/deep/v1",
}  # fmt: skip


@st.composite
def rests(draw: st.DrawFn) -> bytes:
    out = b""
    for _ in range(draw(st.integers(0, 5))):
        out += draw(st.sampled_from(JOINS)) + draw(st.sampled_from(SEGMENTS))
    if draw(st.integers(0, 3)) == 0:
        text = draw(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=12))
        out += b"/" + text.replace("#", "").replace("?", "").encode()
    return out


def decoded(path: bytes) -> bytes:
    """Percent-decode once, by hand."""
    out, at = bytearray(), 0
    while at < len(path):
        if (
            path[at] == 0x25
            and len(path[at + 1 : at + 3]) == 2
            and all(c in HEX for c in path[at + 1 : at + 3])
        ):
            out.append(int(path[at + 1 : at + 3], 16))
            at += 3
        else:
            out.append(path[at])
            at += 1
    return bytes(out)


def resolved(path: bytes) -> tuple[list[bytes], bool]:
    """Give the segments as seen by a server after resolution, and whether any step was a dot segment."""
    stack: list[bytes] = []
    dots = False
    for segment in path.replace(b"\\", b"/").split(b"/"):
        name = segment.split(b";")[0]
        if name in {b".", b".."}:
            dots = True
            if name == b".." and stack:
                stack.pop()
        elif name:
            stack.append(name.lower())
    return stack, dots


def is_refused_route(provider: str, segments: list[bytes]) -> bool:
    while segments[:1] == [b"v1"]:
        segments = segments[1:]
    path = b"/".join(segments) + b"/"
    return any(path.startswith(route + b"/") for route in REFUSED[provider])


@given(provider=st.sampled_from(("openai", "anthropic")), rest=rests(), query=rests(), data=st.data())
def test_an_accepted_path_stays_inside_the_base_path_and_passes_byte_for_byte(
    provider: str, rest: bytes, query: bytes, data: st.DataObject
) -> None:
    sent_query = b"?" + query if query else b""
    endpoint = data.draw(st.sampled_from(BASES[provider]))
    path, split_query = split_target(b"/run9/ai/" + provider.encode() + rest + sent_query)
    assert split_query == sent_query
    try:
        route = ROUTES.find(path)
    except Refused as refused:
        event(refused.rejection.code)
        return
    if route is None:
        event("not the relay's")
        assert not rest.startswith(b"/") and rest  # noqa: PT018  # one statement about the prefix
        return
    event("accepted")
    base = EXPECTED_BASE[endpoint]
    integration = integration_of("openai" if provider == "openai" else "anthropic", endpoint=endpoint)
    target = forwarded_target(integration.base_path, route, sent_query)
    assert target.startswith(base + b"/") or target in {base + sent_query, b"/" + sent_query}
    forwarded_rest = target[len(base) : len(target) - len(sent_query)]
    if forwarded_rest == b"/":
        forwarded_rest = b""  # an empty path is written as a slash (RFC 9112 §3.2.1)
    assert rest.endswith(forwarded_rest.removeprefix(b"/"))
    taken_out = rest[: len(rest) - len(forwarded_rest)]
    assert set(taken_out.split(b"/")) <= {b"", b"v1"}
    assert taken_out.split(b"/").count(b"v1") <= 2
    reading = forwarded_rest
    for _ in range(3):
        segments, dots = resolved(reading)
        assert not dots
        assert not any(byte < 0x20 or byte == 0x7F for byte in reading)
        assert not is_refused_route(provider, segments)
        reading = decoded(reading)


@given(
    provider=st.sampled_from((b"openai", b"anthropic")),
    versions=st.integers(0, 2),
    segments=st.lists(
        st.text(st.sampled_from("abcXYZ019-_.~!$&'()*+,=:@%2FC"), min_size=1, max_size=8),
        min_size=1,
        max_size=4,
    ),
)
def test_an_ordinary_path_is_accepted(provider: bytes, versions: int, segments: list[str]) -> None:
    """Nothing is refused without a reason: no dot segment, control byte or refused route in any reading."""
    rest = "/".join(segments).encode()
    readings = [rest, decoded(rest), decoded(decoded(rest))]
    harmless = not any(
        resolved(reading)[1]
        or any(byte < 0x20 or byte == 0x7F for byte in reading)
        or is_refused_route(provider.decode(), resolved(reading)[0])
        for reading in readings
    )
    path = b"/run9/ai/" + provider + b"/v1" * versions + b"/" + rest
    if not harmless:
        return
    route = ROUTES.find(path)
    assert route is not None
    assert route.rest == b"/" + rest or segments[0] == "v1"


@given(rest=rests(), query=rests())
def test_a_whole_request_never_reaches_another_path(rest: bytes, query: bytes) -> None:
    target = b"/run9/ai/openai/v1" + rest + b"?" + query
    result = replay([b"GET " + target + b" HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n"])
    for sent in result.sent:
        forwarded = sent.sent_head.split(b" ")[1]
        assert forwarded.startswith((b"/v1/", b"/v1?"))
        assert forwarded.endswith(b"?" + query)
        assert b" HTTP/1.1\r\nHost: api.openai.com\r\n" in sent.sent_head
