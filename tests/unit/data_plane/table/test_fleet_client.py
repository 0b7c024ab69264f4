"""The client of the control plane's internal listener trusts nobody without need."""

from __future__ import annotations

import ssl

from services.data_plane.table.fleet_client import authorities


def test_an_address_of_plain_http_loads_no_authority_and_would_still_verify() -> None:
    context = authorities("http://127.0.0.1:9902")
    assert context.get_ca_certs() == []
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_an_address_of_https_is_verified_by_public_authorities() -> None:
    context = authorities("https://control-plane.internal:9902")
    assert context.get_ca_certs()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
