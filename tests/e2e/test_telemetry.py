"""Both planes beside a real HTTP receiver of OTLP: spans, request records and audit, and no secret in any."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.answers import json_answer
from tests.support.planes_apart import PlanesApart
from tests.support.polling import eventually
from tests.support.scripted_upstream import ScriptedUpstream

KEY = "sk-key-of-acme-000000001"
HEADER = "collector-token-of-tests-only"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONTEXT = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1", "baggage": "user=u"}


class Receiver:
    """What a collector has been sent. `bodies` are (path, body)."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        self.tokens: set[str | None] = set()

    def traces(self) -> list[ExportTraceServiceRequest]:
        """Give the requests with spans, as protobuf reads these."""
        return [json_format.Parse(body, ExportTraceServiceRequest()) for body in self._sent("/v1/traces")]

    def logs(self) -> list[ExportLogsServiceRequest]:
        """Give the requests with log records, as protobuf reads these."""
        return [json_format.Parse(body, ExportLogsServiceRequest()) for body in self._sent("/v1/logs")]

    def _sent(self, path: str) -> list[bytes]:
        return [body for at, body in list(self.bodies) if at == path]

    def text(self) -> str:
        return b"".join(body for _, body in list(self.bodies)).decode()

    @contextmanager
    def running(self) -> Iterator[str]:
        """Receive; give the origin."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.tokens.add(self.headers["x-collector-token"])
                receiver.bodies.append((self.path, body))
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


async def test_a_request_and_a_change_reach_the_collector_and_no_secret_does(tmp_path: Path) -> None:
    planes, receiver = PlanesApart.in_folder(tmp_path), Receiver()
    upstream = ScriptedUpstream(keys=frozenset({KEY.encode()}), respond=lambda _: json_answer({}))
    with receiver.running() as origin:
        planes.environment |= {
            "AIGW_OTLP_ENDPOINT": origin,
            "AIGW_OTLP_HEADERS": f"x-collector-token={HEADER}",
        }
        async with upstream:
            with planes.plane("data-plane"), planes.plane("control-plane"):
                async with planes.rest() as control_plane:
                    await planes.register_node(control_plane)
                    await planes.data_plane_is_ready()
                    org = await control_plane.new_org()
                    await control_plane.set_up(org, "openai", KEY, f"{upstream.origin}/v1")
                    token, url = planes.box_token(org), planes.box_url("openai/v1/models")

                    async def is_answered() -> bool:
                        head = {"X-Run9-Box-Token": token, "authorization": "Bearer placeholder", **CONTEXT}
                        return (await control_plane.client.get(url, headers=head)).status_code == 200

                    await eventually(is_answered, "the call passes")

                    async def has_all() -> bool:
                        text = receiver.text()
                        return all(word in text for word in (SPAN, "aigw.exchange", "integration.put"))

                    await eventually(has_all, "spans, request records and audit arrive")
                    await taken_is_counted(planes)
            await asyncio.to_thread(planes.data.close)
    spans = [
        span
        for message in receiver.traces()
        for resource in message.resource_spans
        for span in resource.scope_spans[0].spans
    ]
    answered = [span for span in spans if not span.status.code]
    assert {span.name for span in answered} == {"models"}
    assert receiver.logs()
    assert f'"traceId":"{TRACE}"' in receiver.text()
    assert receiver.tokens == {HEADER}
    for secret in (KEY, HEADER, token, "placeholder"):
        assert secret not in receiver.text()
    for log in planes.logs:
        assert HEADER not in log.read_text()
    sent = upstream.requests[0].head.lower()
    for name in CONTEXT:
        assert name.encode() not in sent, "the trace context stays inside unless set"


async def taken_is_counted(planes: PlanesApart) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for port, name in (
            ("admin_port", 'aigw_telemetry_taken_total{signal="traces"}'),
            ("internal_port", "aigw_control_audit_records_taken_total"),
        ):

            async def is_counted(port: str = port, name: str = name) -> bool:
                head = {"authorization": f"Bearer {planes.environment['AIGW_INTERNAL_TOKEN']}"}
                text = (await client.get(f"http://127.0.0.1:{planes.ports[port]}/metrics", headers=head)).text
                found = [line for line in text.splitlines() if line.startswith(name)]
                return bool(found) and float(found[0].rpartition(" ")[2]) > 0

            await eventually(is_counted, f"{name} is counted")
