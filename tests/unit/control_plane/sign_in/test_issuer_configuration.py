"""The choice from an issuer's published configuration: how the secret is shown, prompts, and its sign-out."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl, unquote_plus

import httpx
import pytest

from services.control_plane.sign_in.issuer_configuration import ClientAuthMethod
from services.control_plane.sign_in.oidc import (
    DISCOVERY_SECONDS,
    RETRY_SECONDS,
    IssuerUnavailable,
    PromptRefused,
    SignInFailed,
)
from tests.unit.control_plane.sign_in.provider import CLIENT_ID, URL, Provider
from tests.unit.control_plane.sign_in.test_oidc import DISCOVERY, refused


@pytest.fixture
def provider() -> Provider:
    return Provider()


# -- how the client is known to the token endpoint (RFC 6749 §2.3.1, OpenID Connect Core §9)

ODD_SECRET = "a b+c:d%e/f=é&"


@pytest.mark.parametrize(
    ("supported", "wanted", "shown"),
    [
        (None, None, "basic"),
        (["client_secret_post", "client_secret_basic"], None, "basic"),
        (["client_secret_post"], None, "post"),
        (["private_key_jwt", "client_secret_post"], None, "post"),
        (["client_secret_basic"], "client_secret_post", "post"),
        (["client_secret_post"], "client_secret_basic", "basic"),
    ],
)
async def test_the_secret_is_shown_as_the_issuer_takes_it(
    provider: Provider, supported: list[str] | None, wanted: ClientAuthMethod | None, shown: str
) -> None:
    seen: list[httpx.Request] = []
    provider.configuration = {} if supported is None else {"token_endpoint_auth_methods_supported": supported}

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(400)

    provider.answers["/token"] = note
    await refused(provider, provider.client(secret=ODD_SECRET, auth_method=wanted))
    header = seen[0].headers.get("authorization", "")
    form = dict(parse_qsl(seen[0].content.decode()))
    if shown == "post":
        assert (form["client_id"], form["client_secret"], header) == (CLIENT_ID, ODD_SECRET, "")
        return
    assert "client_secret" not in form
    user, _, password = base64.b64decode(header.removeprefix("Basic ")).decode("ascii").partition(":")
    assert (unquote_plus(user), unquote_plus(password)) == (CLIENT_ID, ODD_SECRET)


async def test_an_issuer_that_takes_no_secret_is_told_to_the_operator(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.configuration = {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}
    with pytest.raises(IssuerUnavailable):
        await provider.client().leave()
    assert "neither in Basic nor in the body" in caplog.text
    await provider.client(secret=None).leave()


# -- after a sign-out


@pytest.mark.parametrize(
    ("supported", "prompt"),
    [
        (None, "select_account"),
        (["none", "select_account", "login"], "select_account"),
        (["none", "login"], "login"),
        (["none"], None),
    ],
)
async def test_an_issuer_is_told_to_ask_who_signs_in(
    provider: Provider, supported: list[str] | None, prompt: str | None
) -> None:
    provider.configuration = {} if supported is None else {"prompt_values_supported": supported}
    gateway = provider.client()
    assert httpx.URL((await gateway.leave(ask_who=True)).url).params.get("prompt") == prompt
    assert "prompt" not in httpx.URL((await gateway.leave()).url).params


async def test_an_issuer_that_refuses_a_prompt_is_left_to_with_another(provider: Provider) -> None:
    """An issuer need not list its known prompts, and may refuse the rest."""
    gateway = provider.client()
    refused_prompt = ""
    seen: list[str | None] = []
    kinds: list[type[SignInFailed]] = []
    for _ in range(3):
        departure = await gateway.leave(ask_who=True, refused_prompt=refused_prompt)
        seen.append(httpx.URL(departure.url).params.get("prompt"))
        back = {"state": departure.memory["state"], "error": "invalid_request"}
        with pytest.raises(SignInFailed) as caught:
            await gateway.arrive(back, departure.memory)
        kinds.append(type(caught.value))
        refused_prompt = departure.memory["prompt"]
    assert seen == ["select_account", "login", None]
    assert kinds == [PromptRefused, PromptRefused, SignInFailed]
    denied = await gateway.leave(ask_who=True)
    with pytest.raises(SignInFailed, match="cancelled or refused"):
        await gateway.arrive({"state": denied.memory["state"], "error": "access_denied"}, denied.memory)


async def test_a_sign_out_goes_on_at_an_issuer_that_has_one(provider: Provider) -> None:
    assert await provider.client().sign_out_url() is None
    provider.configuration = {"end_session_endpoint": f"{URL}/end?tenant=acme"}
    url = await provider.client().sign_out_url()
    assert url is not None
    assert dict(httpx.URL(url).params) == {
        "tenant": "acme",
        "client_id": CLIENT_ID,
        "post_logout_redirect_uri": "https://portal.test/sign-in",
    }
    assert await provider.client(signs_out_there=False).sign_out_url() is None
    provider.answers[DISCOVERY] = lambda _: httpx.Response(500)
    assert await provider.client().sign_out_url() is None, "a dead issuer keeps nobody signed in here"


# -- how long a configuration is good for


class FakeSeconds:
    """Seconds moved only by a test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_failed_discovery_is_not_repeated_by_each_visitor(provider: Provider) -> None:
    seconds = FakeSeconds()
    gateway = provider.client(monotonic=seconds)
    provider.answers[DISCOVERY] = lambda _: httpx.Response(503)
    for _ in range(3):
        with pytest.raises(IssuerUnavailable):
            await gateway.leave()
    assert provider.asked == [DISCOVERY]
    del provider.answers[DISCOVERY]
    seconds.now += RETRY_SECONDS
    await gateway.leave()
    assert provider.asked == [DISCOVERY, DISCOVERY]


async def test_the_keys_at_hand_are_kept_until_the_issuer_names_another_place(provider: Provider) -> None:
    seconds = FakeSeconds()
    gateway = provider.client(monotonic=seconds)
    for _ in range(2):
        await gateway.leave()
        seconds.now += DISCOVERY_SECONDS
    assert (provider.asked, provider.keys_asked_at) == ([DISCOVERY, DISCOVERY], [f"{URL}/jwks"])
    provider.configuration = {"jwks_uri": f"{URL}/moved"}
    await gateway.leave()
    assert provider.keys_asked_at == [f"{URL}/jwks", f"{URL}/moved"]
