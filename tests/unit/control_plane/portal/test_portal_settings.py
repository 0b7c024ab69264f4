"""Which settings of the Portal's sign-in go together."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.control_plane.settings import ControlPlaneSettings
from shared.secret import Secret

OIDC = {
    "oidc_issuer": "https://login.test",
    "oidc_client_id": "portal",
    "portal_origin": "https://portal.test",
}


def settings(**values: str) -> ControlPlaneSettings:
    given = {"environment": "production", "internal_token": Secret("internal-token-of-tests"), **values}
    return ControlPlaneSettings.model_validate(given)


def test_production_signs_in_by_https() -> None:
    assert settings(**OIDC).oidc_issuer == "https://login.test"
    for name in ("oidc_issuer", "portal_origin"):
        plain = OIDC[name].replace("https:", "http:")
        with pytest.raises(ValidationError, match="sign-in by plain http"):
            settings(**OIDC | {name: plain})
        relaxed = settings(**OIDC | {name: plain, "environment": "development"})
        assert relaxed.oidc_client_id == "portal"


@pytest.mark.parametrize("name", ["oidc_client_id", "portal_origin"])
def test_an_issuer_needs_the_rest(name: str) -> None:
    with pytest.raises(ValidationError, match="needs oidc_client_id and portal_origin"):
        settings(**OIDC | {name: ""})


@pytest.mark.parametrize(
    "origin", ["https://portal.test/", "portal.test", "https://Portal.test", "https://u@portal.test", "null"]
)
def test_an_origin_is_written_as_browsers_do(origin: str) -> None:
    with pytest.raises(ValidationError, match="without a path"):
        settings(portal_origin=origin)
