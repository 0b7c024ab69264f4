"""The servers behind a plane's backends that show a certificate, by the URLs in its settings."""

from __future__ import annotations

from typing import Final

from sqlalchemy import make_url

from aigw.doctor.served_certificates import TlsServer
from shared.redis_link import is_redis_url, parse_redis_url
from shared.vault_target import is_vault_url, parse_vault_url

POSTGRES_PORT: Final = 5432
_VERIFYING: Final = {"verify-ca", "verify-full"}
"""In the other modes libpq takes any certificate, an expired one too."""


def backend_servers(secret_store_url: str, event_bus_url: str) -> list[TlsServer]:
    """Give the servers of Vault and Redis that speak TLS."""
    servers = []
    if is_vault_url(secret_store_url):
        servers += TlsServer.of_url("AIGW_SECRET_STORE_URL", parse_vault_url(secret_store_url).address)
    if is_redis_url(event_bus_url) and (target := parse_redis_url(event_bus_url)).tls:
        servers += [TlsServer("AIGW_EVENT_BUS_URL", host, port) for host, port in target.hosts]
    return servers


def database_servers(url: str) -> list[TlsServer]:
    """Give the hosts of a Postgres URL whose certificates the driver verifies."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        return []
    _, options = parsed.get_dialect()().create_connect_args(parsed)
    if options.get("sslmode") not in _VERIFYING:
        return []
    hosts = str(options.get("host", "")).split(",")
    ports = str(options.get("port", POSTGRES_PORT)).split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    return [
        TlsServer("AIGW_DATABASE_URL", host, int(port or POSTGRES_PORT), is_postgres=True)
        for host, port in zip(hosts, ports, strict=True)
        if host and not host.startswith("/")
    ]
