"""The path table of the contract, the refused routes in every encoding, and ordinary paths kept as sent."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest

from services.data_plane.core.refused import Refused
from services.data_plane.core.route import forwarded_target, split_target
from shared.rejections import Rejection
from tests.corpus.replay import ROUTES, integration_of

TABLE = [
    ("/run9/ai/openai/v1/models", "/v1/models"),
    ("/run9/ai/openai/models", "/v1/models"),
    ("/run9/ai/openai/v1/v1/models", "/v1/models"),
    ("/run9/ai/openai/v1/v1/v1/models", "/v1/v1/models"),
    ("/run9/ai/openai/v1//models", "/v1/models"),
    ("/run9/ai/openai//v1//models", "/v1/models"),
    ("/run9/ai/openai//models", "/v1/models"),
    ("/run9/ai/openai/v1/files//x", "/v1/files//x"),
    ("/run9/ai/openai/v1/models/", "/v1/models/"),
    ("/run9/ai/openai/v1", "/v1"),
    ("/run9/ai/openai/v1beta/x", "/v1/v1beta/x"),
    ("/run9/ai/openai/v10", "/v1/v10"),
    ("/run9/ai/openai/V1/models", "/v1/V1/models"),
    ("/run9/ai/anthropic/v1/messages", "/v1/messages"),
    ("/run9/ai/anthropic/messages", "/v1/messages"),
    ("/run9/ai/anthropic/v1/v1/messages", "/v1/messages"),
    ("/run9/ai/anthropic//v1/messages?beta=true", "/v1/messages?beta=true"),
    ("/run9/ai/anthropic/v1/messages/batches/msgbatch_1/results", "/v1/messages/batches/msgbatch_1/results"),
]
RAW = [
    *(
        "files/file-abc%2Fdef",
        "models/gpt%2D4%3Aft",
        "models/ft:gpt-4o:org::id",
        "assistants/a%20b",
        "x/%C3%A9",
    ),
    *("files/a%252Fb", "files/100%", "files/%zz", "x/~user", "x/...", "x/..y", "x/y..", "x/.well-known"),
    *("x/a;b=c", "x/a,b", "x/(a)", "x/a=b&c", "x/a@b", "x/$a!*'", "x/%E2%80%AE", "x/a:b", 'x/"<>^`{|}'),
    *("models?limit=1&after=%2F..%2F", "models?..", "models?", "models??x=/../", "models?x=%0d%0a%00"),
    *("organizational", "organizations", "vault", "project", "realtime", "realtime/calls", "chatkit/threads"),
    *("messages/count_tokens", "responses/input_tokens", "tokenize", "models/x:countTokens", "x/max_tokens"),
    *("webhook_event_types", "user_profiles/x", "environments/x", "agents/sessions", "realtime/translations"),
    *(
        "threads/x/runs",
        "files/a.b.c",
        "images/edits",
        "x/secretary",
        "x/tokens",
        "x/keys",
        "x/curl",
    ),
    *(
        "fine_tuning/checkpoints/x",
        "organizational/x",
        "x/organization",
        "files/vaults",
        "models?organization/",
        "models?x=client_secrets",
    ),
]
REFUSED_OPENAI = (
    *(
        "organization",
        "projects",
        "realtime/client_secrets",
        "realtime/sessions",
        "vaults",
        "chatkit/sessions",
    ),
    *("realtime/transcription_sessions", "realtime/translations/client_secrets", "webhook_endpoints"),
    *(
        "webhook_endpoints/x/rotate_secret",
        "fine_tuning/checkpoints/x/permissions",
        "oauth/token",
        "x/auth_tokens",
    ),
)
REFUSED_ANTHROPIC = (
    *("organizations", "vaults", "tunnels", "tunnels/x/reveal_token", "tunnels/x/rotate_token", "compliance"),
    *("user_profiles/x/enrollment_url", "user_profiles/x/action_urls", "environments/x/work/poll"),
    "anything/x/reveal_token",
)
REFUSED = [
    *(("openai", route) for route in REFUSED_OPENAI),
    *(("anthropic", route) for route in REFUSED_ANTHROPIC),
]


def _percent(text: str) -> str:
    return "".join(f"%{ord(char):02x}" for char in text)


DISGUISES: dict[str, Callable[[str], str]] = {
    "plain": lambda route: route,
    "below": lambda route: f"{route}/x/y",
    "slash at the end": lambda route: f"{route}/",
    "query": lambda route: f"{route}?x=1",
    "capitals": lambda route: route.upper(),
    "one letter percent-encoded": lambda route: f"%{ord(route[0]):02X}{route[1:]}",
    "percent-encoded": _percent,
    "percent-encoded twice": lambda route: _percent(route).replace("%", "%25"),
    "percent-encoded in turn": lambda route: f"%{ord(route[0]):02x}%25{ord(route[1]):02x}{route[2:]}",
    "percent-encoded capitals": lambda route: _percent(route.upper()),
    "parameter": lambda route: f"{route};x=y/z",
    "parameter in each segment": lambda route: route.replace("/", ";a/") + ";b",
    "encoded parameter": lambda route: f"{route}%3bx",
    "empty segments": lambda route: "/" + route.replace("/", "///"),
    "empty segment with a parameter": lambda route: f";x/{route}",
    "encoded slashes": lambda route: quote(route, safe="") + "%2fx",
    "encoded slash in front": lambda route: f"%2f{route}",
    "slashes encoded twice": lambda route: route.replace("/", "%252f"),
    "backslashes": lambda route: route.replace("/", "\\") + "\\x",
    "backslash in front": lambda route: f"\\{route}",
    "encoded backslashes": lambda route: route.replace("/", "%5c") + "%5Cx",
    "versions in front": lambda route: f"v1/v1/v1/{route}",
    "encoded version in front": lambda route: f"%761/{route}",
    "version with a parameter in front": lambda route: f"v1;x/{route}",
    "question mark encoded": lambda route: f"{route}%3f",
    "question mark encoded twice": lambda route: f"{route}%253Fx/y",
    "question mark in each segment": lambda route: route.replace("/", "%3fx/") + "%3fx",
    "fragment encoded": lambda route: f"{route}%23",
    "fragment encoded twice": lambda route: f"{route}%2523/x",
    "dot at the end": lambda route: f"{route}.",
    "dots at the end of each segment": lambda route: route.replace("/", "../") + "...",
    "encoded dot at the end": lambda route: f"{route}%2e%2E",
    "blank at the end": lambda route: f"{route}%20",
    "blanks and dots": lambda route: f"%20{route}.%20.%20/x",
    "blank segment in front": lambda route: f"%20/{route}",
    "no-break space at the end": lambda route: f"{route}%c2%a0",
    "no-break space in Latin-1": lambda route: f"{route}%a0",
    "file extension": lambda route: f"{route}.json",
    "custom verb": lambda route: f"{route}:run",
    "full-width letter": lambda route: quote(chr(ord(route[0]) + 0xFEE0)) + route[1:],
    "full-width, encoded twice": lambda route: quote(quote(chr(ord(route[-1]) + 0xFEE0))).join(
        (route[:-1], "")
    ),
    "full-width separators": lambda route: route.replace("/", quote("\uff0f")) + quote("\uff0f"),
    "full-width percent sign": lambda route: quote("\uff05") + f"{ord(route[0]):02x}{route[1:]}",
    "division slash": lambda route: route.replace("/", quote("\u2215")) + quote("\u2215x"),
    "accent": lambda route: route[0] + quote("\u0301") + route[1:],
    "invisible character": lambda route: route[0] + quote("\u200b") + route[1:] + quote("\u00ad"),
    "long s": lambda route: route.replace("s", quote("\u017f")),
    "hyphens": lambda route: route.replace("_", "-"),
    "percent-encoded three times": lambda route: _percent(route).replace("%", "%2525"),
    "percent-encoded four times": lambda route: _percent(route).replace("%", "%252525"),
    "a gateway's prefix": lambda route: f"openai/v1/{route}",
    "beta version in front": lambda route: f"v1beta/{route}",
    "capital version in front": lambda route: f"V1/{route}",
}


def target_of(text: str) -> str | None:
    path, query = split_target(text.encode())
    route = ROUTES.find(path)
    if route is None:
        return None
    return forwarded_target(integration_of(route.provider.name).base_path, route, query).decode()


@pytest.mark.parametrize(("path", "target"), TABLE)
def test_version_segments_fall_out_and_the_endpoint_goes_in_front(path: str, target: str) -> None:
    assert target_of(path) == target


@pytest.mark.parametrize("rest", RAW)
@pytest.mark.parametrize("base", ["/run9/ai/openai/v1/", "/run9/ai/openai/"])
def test_any_other_path_and_query_pass_byte_for_byte(base: str, rest: str) -> None:
    assert target_of(base + rest) == "/v1/" + rest


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("https://h.example", "/models"),
        ("https://h.example/v1", "/v1/models"),
        ("https://h.example/a/b/", "/a/b/models"),
        ("https://h.example:8443/openai/deployments/x", "/openai/deployments/x/models"),
    ],
)
def test_a_custom_openai_endpoint_carries_its_own_version(endpoint: str, target: str) -> None:
    route = ROUTES.find(b"/run9/ai/openai/v1/models")
    assert route is not None
    integration = integration_of("openai", endpoint=endpoint)
    assert forwarded_target(integration.base_path, route, b"") == target.encode()


@pytest.mark.parametrize(
    "endpoint", ["https://h.example/a", "https://h.example/a/v1", "https://h.example/a/v1/"]
)
def test_a_custom_anthropic_endpoint_goes_without_a_version(endpoint: str) -> None:
    route = ROUTES.find(b"/run9/ai/anthropic/messages")
    assert route is not None
    integration = integration_of("anthropic", endpoint=endpoint)
    assert forwarded_target(integration.base_path, route, b"?b") == b"/a/v1/messages?b"


def test_an_empty_path_becomes_a_slash() -> None:
    route = ROUTES.find(b"/run9/ai/openai")
    assert route is not None
    assert forwarded_target(b"", route, b"?x") == b"/?x"


@pytest.mark.parametrize(
    "path",
    ["/", "/run9", "/run9/ai", "/run9/ai/", "/run9/ai/setup.sh", "/run9/ai/openaix/v1", "/run9/ai/OpenAI/x",
     "/run9/ai/google/v1/x", "//run9/ai/openai/v1/x", "/run9//ai/openai/v1/x", "/run9/ai//openai/v1/x", "*",
     "/run9/ai/openai%2fv1/x", "/run9%2fai/openai/v1/x", "/run9/ai/openai;x/v1", "/x/../run9/ai/openai/v1/x"],
)  # fmt: skip
def test_a_path_that_is_not_the_relays_is_none_of_its_business(path: str) -> None:
    assert target_of(path) is None


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize(("provider", "route"), REFUSED)
@pytest.mark.parametrize("version", ["", "v1/", "v1/v1/"])
def test_a_refused_route_is_refused_in_every_encoding(
    provider: str, route: str, version: str, disguise: str
) -> None:
    with pytest.raises(Refused) as caught:
        target_of(f"/run9/ai/{provider}/{version}{DISGUISES[disguise](route)}")
    assert caught.value.rejection is Rejection.ROUTE_NOT_ALLOWED


@pytest.mark.parametrize(
    "segment",
    ["..", ".", "%2e", "%2E%2e", ".%2e", "%252e", "%252e.", "%252E%252e", "..;x", ".;", "..%3bx", "..%253bx",
     "..%2f..", "%2e%2e%2f", "x%2f..", "x%5c..", "x\\..", "..\\x", "%252f..", "x%255c..", "%2e%252e"],
)  # fmt: skip
@pytest.mark.parametrize("shape", ["{}", "{}/x", "x/{}", "x/{}/y", "/{}/x"])
@pytest.mark.parametrize("provider", ["openai/v1", "anthropic"])
def test_a_dot_segment_is_refused_after_up_to_two_decodes(provider: str, shape: str, segment: str) -> None:
    with pytest.raises(Refused) as caught:
        target_of(f"/run9/ai/{provider}/{shape.format(segment)}")
    assert caught.value.rejection is Rejection.BAD_REQUEST


@pytest.mark.parametrize(
    ("text", "because"),
    [
        *((f"realtime/%{u}0063lient_secrets", "%u") for u in ("u", "U")),
        ("x/%25u002e", "%u"),
        ("x/%c0%ae%c0%ae/y", "UTF-8"),
        ("x/%c0%afy", "UTF-8"),
        ("x/%25c0%25ae", "UTF-8"),
        ("x/%e0%80%ae", "UTF-8"),
        ("x/%f0%80%80%ae", "UTF-8"),
        ("x/%ff", "UTF-8"),
        ("x/%fc%80%80%80%80%ae", "UTF-8"),
        ("x/%EF%BC%8E%EF%BC%8E/y", "dot segment"),
        ("x/%E2%80%A5/y", "dot segment"),
        ("x/..%20/y", "dot segment"),
        ("x/%20../y", "dot segment"),
        ("x/%2525252525252e", "encoded more than"),
        ("realtime/client_secrets%00", "control byte"),
        ("realtime/client_secrets%2500.json", "control byte"),
    ],
)
def test_a_path_that_servers_read_differently_is_refused(text: str, because: str) -> None:
    with pytest.raises(Refused, match=because) as caught:
        target_of("/run9/ai/openai/v1/" + text)
    assert caught.value.rejection is Rejection.BAD_REQUEST


@pytest.mark.parametrize("byte", [*range(0x20), 0x7F])
@pytest.mark.parametrize("escape", ["%{:02x}", "%{:02X}", "%25{:02x}"])
def test_an_encoded_control_byte_in_a_path_is_refused(escape: str, byte: int) -> None:
    with pytest.raises(Refused, match="control byte"):
        target_of("/run9/ai/openai/v1/x" + escape.format(byte) + "y")


def test_a_long_path_is_judged_like_a_short_one() -> None:
    long = "a" * 5000
    assert target_of(f"/run9/ai/openai/v1/{long}") == f"/v1/{long}"
    with pytest.raises(Refused):
        target_of(f"/run9/ai/openai/v1/{long}/%252e%252e/x")


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/run9/ai/openai/v1/chat/completions", "chat/completions"),
        ("/run9/ai/openai/v1/models/gpt-4o", "models"),
        ("/run9/ai/openai/v1/files/file-abc123/content", "files"),
        ("/run9/ai/anthropic/v1/messages/count_tokens", "messages/count_tokens"),
        ("/run9/ai/openai/v1/x%20y", ""),
        ("/run9/ai/openai", ""),
    ],
)
def test_a_label_names_the_operation_and_no_id(path: str, label: str) -> None:
    route = ROUTES.find(path.encode())
    assert route is not None
    assert route.label == label


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"GET /run9/ai/openai/v1/x HTTP/9\r\n", "openai"),
        (b"POST /run9/ai/anthropic HTTP/1.1\n", "anthropic"),
        (b"POST /run9/ai/anthropic?x", "anthropic"),
        (b"GET /run9/ai/anthropicx ", None),
        (b"GET /x HTTP/1.1\r\n", None),
        (b"\x16\x03\x01", None),
        (b"", None),
    ],
)
def test_an_unreadable_head_still_tells_in_whose_shape_to_answer(raw: bytes, name: str | None) -> None:
    provider = ROUTES.hint(raw)
    assert (provider.name if provider else None) == name
