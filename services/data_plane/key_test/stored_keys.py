"""Tries an integration's stored key in the way of a box's request.

The key comes from the table, or from the secret store by the table's pinned version, and goes only to the
endpoint stored beside the key: by the production resolver, address policy, way out, TLS and header rules,
over a connection of its own. The key test is not booked as a box's request, and no byte of the provider's is
told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from services.data_plane.core.integration import CompiledIntegration, NotReady
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_head import parse_request_head
from services.data_plane.core.request_rules import prepare_head
from services.data_plane.core.response_templates import TemplateStore
from services.data_plane.core.route import Route
from services.data_plane.key_test.models_response import REFUSALS, Broken, ModelsResponse
from services.data_plane.relay.upstream.connection import ConnectionKeeper, UpstreamConnection
from services.data_plane.relay.wire.write_batch import WriteBatch
from services.data_plane.table.compile import CompileError, compile_integration
from services.data_plane.table.secrets import SecretUnavailable
from shared.key_test import MAX_DETAIL_CHARS, TOTAL_SECONDS, KeyTestRequest, KeyTestResponse
from shared.key_test_report import KeyTestReport
from shared.providers import LOCAL_ORIGIN

if TYPE_CHECKING:
    from services.data_plane.core.limits import RelayLimits
    from services.data_plane.relay.upstream.dial import DialConfig
    from services.data_plane.table.config_table import ConfigTable
    from services.data_plane.table.secrets import SecretLoader
    from shared.config_feed import IntegrationRow

logger = logging.getLogger(__name__)

MAX_TRIALS: Final = 8
"""At once in this process; a further trial is answered as busy."""
MAX_TRIALS_PER_ORG: Final = 2
ANSWER_SECONDS: Final = 10.0
"""For the answer's head, and again for its body."""
_AUTHORITY: Final = LOCAL_ORIGIN.removeprefix("http://")


class StoredKeyTests:
    """Makes key tests, a few at a time."""

    def __init__(
        self,
        table: ConfigTable,
        secrets: SecretLoader,
        dial_config: DialConfig,
        limits: RelayLimits,
        *,
        total_seconds: float = TOTAL_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._table = table
        self._secrets = secrets
        self._dial_config = dial_config
        self._limits = limits
        self._total_seconds = total_seconds
        self._answer_seconds = answer_seconds
        self._running: Counter[str] = Counter()

    async def answer(self, request: KeyTestRequest) -> KeyTestResponse:
        """Try the stored key. Takes at most about `total_seconds`."""
        if self._running.total() >= MAX_TRIALS or self._running[request.org] >= MAX_TRIALS_PER_ORG:
            return KeyTestResponse("busy")
        self._running[request.org] += 1
        try:
            return await self._answer(request)
        finally:
            self._running[request.org] -= 1
            if not self._running[request.org]:
                del self._running[request.org]

    async def _answer(self, request: KeyTestRequest) -> KeyTestResponse:
        org, provider = request.org, request.provider
        if not self._has_revision(request) or self._table.look_up(org, provider) is NotReady.UNKNOWN:
            return KeyTestResponse("not_yet")
        row = self._table.row(org, provider)
        if row is None:
            return KeyTestResponse("not_set_up")
        notes = KeyTestReport(provider, asyncio.get_running_loop().time)
        integration: CompiledIntegration | None = None
        try:
            async with asyncio.timeout(self._total_seconds):
                integration = await self._integration(row)
                await self._try(notes, integration)
        except (SecretUnavailable, CompileError) as error:
            return KeyTestResponse("key_unavailable", detail=str(error)[:MAX_DETAIL_CHARS])
        except TimeoutError:
            if integration is None:
                return KeyTestResponse("key_unavailable", detail="the secret store did not answer in time")
            notes.too_late()
        steps = notes.steps()
        found = ", ".join(f"{step.step} {step.status}" for step in steps)
        logger.info("the stored %s key of org %s was tested: %s", provider, org, found)
        return KeyTestResponse("tried", endpoint=str(integration.endpoint), steps=steps)

    def _has_revision(self, request: KeyTestRequest) -> bool:
        position = self._table.position
        return (
            position is not None and position.epoch == request.epoch and position.revision >= request.revision
        )

    async def _integration(self, row: IntegrationRow) -> CompiledIntegration:
        """Give the requests' integration if of the pinned version, else read that version, on or off."""
        found = self._table.look_up(row.org, row.provider)
        if isinstance(found, CompiledIntegration) and found.secret_version == row.secret_version:
            return found
        document = await self._secrets.get(row.org, row.provider, row.secret_version)
        return compile_integration(row, document, allow_plain_http=self._dial_config.allow_plain_http)

    async def _try(self, notes: KeyTestReport, integration: CompiledIntegration) -> None:
        connection = await self._connect(notes, integration)
        if connection is None:
            return
        try:
            response = ModelsResponse(connection)
            response.ask(models_request(integration))
            await self._read(notes, response)
        finally:
            connection.abort()

    async def _connect(
        self, notes: KeyTestReport, integration: CompiledIntegration
    ) -> UpstreamConnection | None:
        """Look the name up, then dial; a failure is noted."""
        config, endpoint = self._dial_config, integration.endpoint
        if config.resolver is None:
            notes.looked_up_by_proxy()
        else:
            try:
                infos = await config.resolver.resolve(endpoint.host, endpoint.port)
            except Refused as refused:
                notes.note("dns", "failed", _sentence(refused.detail))
                return None
            notes.addresses(len(infos))
        key, limits = integration.pool_key, self._limits
        templates = TemplateStore().endpoint(key)
        try:
            # A dialer without sessions: the certificate is looked at each time.
            connection = await config.dialer().dial(
                endpoint,
                lambda: UpstreamConnection(
                    ConnectionKeeper(), key, limits, WriteBatch(), float("inf"), templates
                ),
            )
        except Refused as refused:
            notes.note("tls", "failed", _sentence(refused.detail))
            return None
        notes.connected(tls=endpoint.tls)
        return connection

    async def _read(self, notes: KeyTestReport, response: ModelsResponse) -> None:
        # `wait` leaves the futures alone when time is up; they are the response's to fill.
        await asyncio.wait({response.status}, timeout=self._answer_seconds)
        if not response.status.done():
            notes.note("authentication", "unknown", "The answer came too late.")
            return
        status = response.status.result()
        if isinstance(status, Broken):
            notes.note("authentication", "unknown", status.detail)
            return
        refusal = b""
        if status in REFUSALS:
            await asyncio.wait({response.body}, timeout=self._answer_seconds)
            if response.body.done() and isinstance(found := response.body.result(), bytes):
                refusal = found
        if not notes.status(status, refusal):
            return
        await asyncio.wait({response.body}, timeout=self._answer_seconds)
        body = response.body.result() if response.body.done() else Broken("The answer came too late.")
        if isinstance(body, Broken):
            notes.note("model_list", "unknown", body.detail)
        else:
            notes.models(body)


def models_request(integration: CompiledIntegration) -> bytes:
    """Write the request for the model list: a box's request, prepared in the relay's way.

    **Holds the key in clear.**
    """
    row = integration.provider
    extra = "".join(f"{name}: {value}\r\n" for name, value in row.key_test.headers.items())
    asked = (
        f"GET {row.local_path.rstrip('/')}{row.key_test.path} HTTP/1.1\r\n"
        f"Host: {_AUTHORITY}\r\nAccept: application/json\r\n"
        f"Accept-Encoding: identity\r\nUser-Agent: run9-ai-gateway-key-test\r\n{extra}\r\n"
    )
    head = parse_request_head(asked.encode(), asked.count("\r\n"))
    return prepare_head(head, Route(row, row.key_test.path.encode(), "models"), b"", integration)


def _sentence(detail: str) -> str:
    """Make a refusal's detail a sentence."""
    return f"{detail[:1].upper()}{detail[1:].rstrip('.')}."
