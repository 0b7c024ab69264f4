"""Sign-in at an issuer of a company: a real provider behind a private authority and a forward proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from aigw.doctor.issuers import examine_issuers
from services.control_plane.bootstrap import issuer_keys, issuer_route, oidc_sign_in
from services.control_plane.settings import ControlPlaneSettings
from services.control_plane.sign_in.oidc import (
    IssuerUnavailable,
    OidcSignIn,
    PromptRefused,
    SignInFailed,
)
from tests.support.connect_proxy import ConnectProxy
from tests.support.servers.openid_provider import (
    CLIENT_ID,
    HOST,
    PORTAL,
    OpenIdProvider,
    ProviderOptions,
    walk,
)

Way = Callable[[OpenIdProvider, ConnectProxy, Path, pytest.MonkeyPatch], ControlPlaneSettings]
CREDENTIALS = "gateway:proxy password:of tests"
ODD_SECRET = "a b+c:d%e/f=&"
KINDS = {
    "basic": ProviderOptions(secret=ODD_SECRET),
    "post": ProviderOptions(secret=ODD_SECRET, auth_method="client_secret_post", verified_as_text=True),
}


@pytest.fixture(scope="module", params=KINDS)
def provider(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenIdProvider]:
    with OpenIdProvider(tmp_path_factory.mktemp("issuer"), KINDS[request.param]) as provider:
        yield provider


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy(CREDENTIALS) as proxy:
        yield proxy


def settings_of(provider: OpenIdProvider, folder: Path, **more: object) -> ControlPlaneSettings:
    return ControlPlaneSettings.model_validate(
        {
            "database_url": f"sqlite:///{folder / 'gateway.db'}",
            "secret_store_url": f"local://{folder / 'secrets'}",
            "internal_token": "internal-token-of-tests",
            "portal_origin": PORTAL,
            "oidc_issuer": provider.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": ODD_SECRET,
            "issuers": [
                {"issuer": provider.issuer, "audience": "rest", "jwks_url": f"{provider.issuer}/jwks"}
            ],
            **more,
        }
    )


def address_of(proxy: ConnectProxy) -> str:
    user, _, password = CREDENTIALS.partition(":")
    return f"http://{user}:{quote(password, safe='')}@127.0.0.1:{proxy.port}"


def by_settings(
    provider: OpenIdProvider, proxy: ConnectProxy, folder: Path, _: pytest.MonkeyPatch
) -> ControlPlaneSettings:
    return settings_of(
        provider,
        folder,
        issuer_ca_file=str(provider.ca_file),
        issuer_proxy=f"127.0.0.1:{proxy.port}",
        issuer_proxy_credentials=CREDENTIALS,
    )


def by_environment(
    provider: OpenIdProvider, proxy: ConnectProxy, folder: Path, environment: pytest.MonkeyPatch
) -> ControlPlaneSettings:
    environment.setenv("SSL_CERT_FILE", str(provider.ca_file))
    environment.setenv("HTTPS_PROXY", address_of(proxy))
    environment.setenv("NO_PROXY", "other.company.test")
    return settings_of(provider, folder)


def gateway_of(settings: ControlPlaneSettings) -> OidcSignIn:
    gateway = oidc_sign_in(settings, issuer_route(settings))
    assert gateway is not None
    return gateway


@pytest.mark.parametrize("way", [by_settings, by_environment])
async def test_a_person_signs_in_by_the_companys_authority_and_proxy(
    provider: OpenIdProvider,
    proxy: ConnectProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: Way,
) -> None:
    settings = way(provider, proxy, tmp_path, monkeypatch)
    gateway = gateway_of(settings)
    departure = await gateway.leave()
    async with provider.browser(address_of(proxy)) as browser:
        back = await walk(browser, departure.url, "ada")
        asked_before = len(proxy.asked)
        person = await gateway.arrive(back, departure.memory)
        assert person.email == "ada@example.test"
        assert len(proxy.asked) - asked_before >= 2, "the token, the keys and the user info go that way too"
        signed_out = await gateway.sign_out_url()
        assert signed_out is not None
        assert (await browser.get(signed_out)).status_code == 200, (
            "the issuer knows the client and the way back"
        )
    (bearer,) = settings.issuers
    assert await asyncio.to_thread(issuer_keys(bearer, issuer_route(settings)).key, "of nobody") is None
    assert set(proxy.asked) == {HOST}
    assert [finding.grade for finding in await examine_issuers(settings)] == ["ok", "ok"]


async def test_after_a_sign_out_the_issuer_asks_who_signs_in(
    provider: OpenIdProvider, proxy: ConnectProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This issuer lists no prompts, and refuses `select_account`; `login` makes it ask."""
    gateway = gateway_of(by_settings(provider, proxy, tmp_path, monkeypatch))
    async with provider.browser(address_of(proxy)) as browser:
        first = await gateway.leave()
        assert (await gateway.arrive(await walk(browser, first.url, "ada"), first.memory)).email[:3] == "ada"
        again = await gateway.leave()
        assert (await gateway.arrive(await walk(browser, again.url, "bob"), again.memory)).email[:3] == "ada"
        refused = await gateway.leave(ask_who=True)
        with pytest.raises(PromptRefused):
            await gateway.arrive(await walk(browser, refused.url, "bob"), refused.memory)
        asked = await gateway.leave(ask_who=True, refused_prompt=refused.memory["prompt"])
        assert (await gateway.arrive(await walk(browser, asked.url, "bob"), asked.memory)).email[:3] == "bob"


async def test_an_address_that_the_issuer_calls_unverified_signs_nobody_in(
    provider: OpenIdProvider, proxy: ConnectProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = gateway_of(by_settings(provider, proxy, tmp_path, monkeypatch))
    departure = await gateway.leave()
    async with provider.browser(address_of(proxy)) as browser:
        back = await walk(browser, departure.url, "unverified")
    with pytest.raises(SignInFailed, match="no verified email address"):
        await gateway.arrive(back, departure.memory)


@pytest.mark.parametrize(
    ("left_out", "said", "remedy"),
    [
        ("issuer_ca_file", "CERTIFICATE_VERIFY_FAILED", "AIGW_ISSUER_CA_FILE"),
        ("issuer_proxy", "", "AIGW_ISSUER_PROXY"),
        ("issuer_proxy_credentials", "407", "AIGW_ISSUER_PROXY"),
    ],
)
async def test_what_is_left_out_keeps_everybody_out_and_the_doctor_names_the_setting(
    provider: OpenIdProvider,
    proxy: ConnectProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    left_out: str,
    said: str,
    remedy: str,
) -> None:
    whole = by_settings(provider, proxy, tmp_path, monkeypatch)
    settings = whole.model_copy(update={left_out: None})
    with pytest.raises(IssuerUnavailable):
        await gateway_of(settings).leave()
    for finding in await examine_issuers(settings):
        assert finding.grade == "FAIL"
        assert said in finding.text
        assert remedy in finding.remedy


def test_an_issuer_on_loopback_needs_no_exception_from_the_environments_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*.internal.test,login.acme.test")
    settings = ControlPlaneSettings.model_validate(
        {"internal_token": "internal-token-of-tests", "database_url": f"sqlite:///{tmp_path / 'g.db'}"}
    )
    for direct in (
        "https://127.0.0.1:5/x",
        "https://[::1]/x",
        "https://localhost/x",
        "https://login.acme.test/x",
    ):
        assert settings.issuer_proxy_for(direct) is None
    assert settings.issuer_proxy_for("https://login.test/x") is not None
    assert settings.issuer_proxy_for("http://login.test/x") is None
