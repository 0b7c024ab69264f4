"""A data plane's configuration, secret store and dialling, with a name server held in the hand."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from services.data_plane.core.limits import RelayLimits
from services.data_plane.key_test.stored_keys import StoredKeyTests
from services.data_plane.relay.upstream.dial import DialConfig
from services.data_plane.relay.upstream.egress import DirectEgress
from services.data_plane.relay.upstream.resolver import AddressInfo, Resolver
from services.data_plane.table.config_table import ConfigTable
from services.data_plane.table.secrets import SecretLoader
from shared.addresses import AddressPolicy
from shared.key_test import KeyTestRequest, KeyTestResponse
from shared.providers import ProviderName
from tests.support.config_truth import EPOCH, FakeSecretReader, Truth, document, row

KEY = "sk-org-key-0123456789abcdef"
LOOPBACK = AddressPolicy.of(["127.0.0.0/8"])


@dataclass
class Names:
    """A name server: every name is at these addresses, and a name without any does not exist."""

    addresses: Sequence[str] = ("127.0.0.1",)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> list[AddressInfo]:
        self.asked.append(host)
        if not self.addresses:
            raise OSError
        return [(2, 1, 6, "", (address, port)) for address in self.addresses]


@dataclass
class Bench:
    """A table with a feed, a secret store and the dialling of production."""

    truth: Truth = field(default_factory=Truth)
    reader: FakeSecretReader = field(default_factory=FakeSecretReader)
    names: Names = field(default_factory=Names)
    policy: AddressPolicy = LOOPBACK
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    now: float = 0.0
    total_seconds: float = 5
    answer_seconds: float = 5
    connect_seconds: float = 5
    allow_plain_http: bool = True

    def __post_init__(self) -> None:
        self.loader = SecretLoader(self.reader, monotonic=time.monotonic)
        self.table = ConfigTable(
            self.loader,
            clock=lambda: self.now,
            max_age_seconds=9,
            allow_plain_http=self.allow_plain_http,
        )
        resolver = Resolver(self.policy, look_up=self.names)
        self.dial_config = DialConfig(
            egress=DirectEgress(resolver),
            resolver=resolver,
            tls=self.tls,
            connect_seconds=self.connect_seconds,
            allow_plain_http=self.allow_plain_http,
        )
        self.key_tests = StoredKeyTests(
            self.table,
            self.loader,
            self.dial_config,
            RelayLimits(),
            total_seconds=self.total_seconds,
            answer_seconds=self.answer_seconds,
        )

    def store(
        self,
        endpoint: str,
        *,
        key: str = KEY,
        provider: ProviderName = "openai",
        enabled: bool = True,
        version: int = 1,
    ) -> None:
        self.reader.put(version, document(provider=provider, endpoint=endpoint, key=key))
        self.truth.put(row(provider=provider, enabled=enabled, version=version))
        self.table.apply_snapshot(self.truth.now)

    async def ask(
        self,
        *,
        org: str = "acme",
        provider: ProviderName = "openai",
        epoch: str = EPOCH,
        revision: int | None = None,
    ) -> KeyTestResponse:
        at = self.truth.now.revision if revision is None else revision
        return await self.key_tests.answer(KeyTestRequest(org, provider, epoch, at))


@asynccontextmanager
async def made(**parts: Any) -> AsyncIterator[Bench]:
    bench = Bench(**parts)
    yield bench
    await bench.loader.aclose()
