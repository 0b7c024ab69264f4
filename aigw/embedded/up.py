"""`aigw up`: both planes and the demo provider in a single process, on loopback, set up and ready to use.

The planes are the production ones with embedded backends; only this module knows about the shared process.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from aigw.demo.provider.app import build_app, demo_keys
from aigw.embedded.banner import MEMBER, OWNER, banner
from aigw.embedded.data_dir import DataDir, write_private
from aigw.embedded.liveness import wait_until_live
from aigw.embedded.local_issuer import AUDIENCE, ISSUER, LocalIssuer
from aigw.embedded.parts import Parts
from aigw.embedded.ports import HOST, Ports
from aigw.embedded.providers_wanted import Wanted
from aigw.embedded.ready_file import Ready, write
from aigw.embedded.seed import NODE, ORG, Seeder
from aigw.embedded.sign_in_link import PORTAL_FILE
from aigw.failures import EXPECTED
from aigw.node_key import NodeKey, new_key_pem
from aigw.planes.control_plane import build_control_plane
from aigw.planes.data_plane import build_data_plane
from aigw.process import settle_memory
from services.control_plane.bootstrap import ControlPlane
from services.control_plane.settings import ControlPlaneSettings, Issuer
from services.data_plane.bootstrap import DataPlane
from services.data_plane.settings import DataPlaneSettings
from shared.clock import unix_now
from shared.listener import bind, port_of, serve
from shared.memory_stream import MemoryStream
from shared.providers import Provider
from shared.secret import Secret

DRAIN_SECONDS: Final = 2
LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
READY_FILE: Final = "ready.json"
"""The ready file in the data folder, where no other place was asked for; gone when the gateway stops."""
_NODE_KEY_FILE: Final = "node-key.pem"


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The command's options.

    Attributes:
        command: the shell's way of calling the command.
        wanted: the providers with an endpoint of the user's; the demo stands behind all others.
    """

    command: str

    data_dir: Path
    ready_file: Path | None
    port_base: int
    box_port: int | None
    identity_mode: Literal["static", "header"]
    preface_socket: Path | None
    demo_pace_seconds: float
    wanted: tuple[Wanted, ...]


async def run_up(options: UpOptions, stop: asyncio.Event) -> None:
    """Run everything until `stop`; raises an expected failure when something prevents the run."""
    ports = Ports.of(options.port_base, options.box_port).checked(options.box_port)
    data = DataDir.open(options.data_dir)
    try:
        async with asyncio.TaskGroup() as group:
            parts = Parts(group)
            start = group.create_task(_start(_Embedded(options, ports, data), parts), name="start")
            await stop.wait()
            start.cancel()  # the user did not wait for it
            await _stop(parts)
    except BaseExceptionGroup as failures:
        raise _expected_in(failures) from None
    finally:
        for name in (PORTAL_FILE, READY_FILE):
            (data.root / name).unlink(missing_ok=True)
        data.close()


async def _start(embedded: _Embedded, parts: Parts) -> None:
    """Start everything; the parts started so far are stopped properly when the rest cannot start."""
    try:
        await embedded.start(parts)
    except Exception:
        await _stop(parts)
        raise


async def _stop(parts: Parts) -> None:
    # Streams that are cut by a stop are no errors to report.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    await parts.stop()


def _expected_in(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the first failure for a user to mend; otherwise give all failures."""
    expected = failures.subgroup(EXPECTED)
    if expected is None:
        return failures
    first: BaseException = expected
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


class _Embedded:
    """An embedded gateway: its settings come from the options and the data folder, then the parts start."""

    def __init__(self, options: UpOptions, ports: Ports, data: DataDir) -> None:
        self._options = options
        self._ports = ports
        self._data = data
        self._stream = MemoryStream()
        self._issuer = LocalIssuer.open(data)
        self._internal_token = data.secret("internal-token")
        self._platform_token = data.secret("platform-token")
        self._demo_keys = demo_keys(data)

    async def start(self, parts: Parts) -> None:
        """Start every part, set the demo org up, and say so."""
        demo_origin = await self._start_demo_provider(parts)
        settings = self._control_plane_settings(demo_origin)
        control_plane = build_control_plane(settings, self._stream)
        await parts.start("control plane", lambda up, stop: control_plane.run(started=up, stop=stop))
        data_plane = build_data_plane(self._data_plane_settings(control_plane), self._stream)
        await parts.start("data plane", lambda up, stop: data_plane.run(started=up, stop=stop))
        control_plane.reach_data_plane(f"http://{HOST}:{data_plane.admin_port}")
        rows = settings.offered_providers()
        ready = self._ready(control_plane, data_plane, rows)
        seeder = Seeder(ready.control_plane_url, self._platform_token, Secret(ready.owner_token), self._data)
        cards = await seeder.seed(self._wanted(rows, demo_origin), self._node())
        await wait_until_live(ready, cards)
        write_private(self._data.root / PORTAL_FILE, ready.portal_url.encode())
        settle_memory()
        write(Path(ready.ready_file), ready)
        sys.stdout.write(banner(ready, [card.note for card in cards], self._options.command))
        sys.stdout.flush()

    async def _start_demo_provider(self, parts: Parts) -> str:
        listener = bind(HOST, self._ports.demo_provider, option="--port-base")
        app = build_app(self._demo_keys, pace_seconds=self._options.demo_pace_seconds)

        async def run(started: Callable[[], None], stop: asyncio.Event) -> None:
            await serve(app, listener, stop=stop, started=started, grace_seconds=DRAIN_SECONDS)

        await parts.start("demo provider", run)
        return f"http://{HOST}:{port_of(listener)}"

    def _control_plane_settings(self, demo_origin: str) -> ControlPlaneSettings:
        issuer = Issuer(issuer=ISSUER, audience=AUDIENCE, jwks_file=self._issuer.jwks_file)
        return ControlPlaneSettings(
            environment="development",
            database_url=self._data.database_url,
            secret_store_url=self._data.secret_store_url,
            event_bus_url="memory://",
            control_plane_host=HOST,
            control_plane_port=self._ports.control_plane,
            internal_host=HOST,
            internal_port=self._ports.internal,
            drain_seconds=DRAIN_SECONDS,
            internal_token=self._internal_token,
            platform_token=self._platform_token,
            issuers=(issuer,),
            endpoint_address_exceptions=LOOPBACK,
            allow_plain_http_endpoints=True,
            box_origin=f"http://{HOST}:{self._ports.box}",
            demo_origins=(demo_origin,),
        )

    def _data_plane_settings(self, control_plane: ControlPlane) -> DataPlaneSettings:
        return DataPlaneSettings(
            environment="development",
            **self._box_listeners(),
            admin_host=HOST,
            admin_port=self._ports.admin,
            drain_seconds=DRAIN_SECONDS,
            control_plane_internal_url=f"http://{HOST}:{control_plane.internal_port}",
            portal_origin=f"http://{HOST}:{control_plane.public_port}",
            internal_token=self._internal_token,
            secret_store_url=self._data.secret_store_url,
            event_bus_url="memory://",
            static_org=ORG,
            endpoint_address_exceptions=LOOPBACK,
            allow_plain_http_endpoints=True,
        )

    def _box_listeners(self) -> dict[str, Any]:
        """Give the settings for the addresses of boxes, and of this machine's node agent."""
        mode, port, path = self._options.identity_mode, self._ports.box, self._options.preface_socket
        if path is None:
            return {"identity_mode": mode, "box_host": HOST, "box_port": port}
        preface = f"proxy-tlv+unix://{path.absolute()}?mode=0600"
        return {"box_listeners": (f"{mode}+tcp://{HOST}:{port}", preface)}

    def _wanted(self, rows: Iterable[Provider], demo_origin: str) -> list[Wanted]:
        """Give the endpoint behind each offered provider: the user's, or the demo."""
        chosen = {one.provider: one for one in self._options.wanted}
        return [chosen.get(row.name) or Wanted.demo(row, demo_origin, self._demo_keys) for row in rows]

    def _node(self) -> dict[str, str] | None:
        """Give the body for registering this machine's node key, in header mode."""
        if self._options.identity_mode != "header":
            return None
        pem = self._data.kept(_NODE_KEY_FILE, new_key_pem)
        return {"kid": NODE, "public_key": NodeKey.from_pem(pem, _NODE_KEY_FILE).public_text}

    def _ready(self, control_plane: ControlPlane, data_plane: DataPlane, rows: Iterable[Provider]) -> Ready:
        origin = f"http://{HOST}:{control_plane.public_port}"
        boxes = f"http://{HOST}:{data_plane.box_port}"
        in_header_mode = self._options.identity_mode == "header"
        now = unix_now()
        return Ready(
            portal_url=f"{origin}/",
            portal_sign_in_url=control_plane.sign_in_url(OWNER),
            portal_member_sign_in_url=control_plane.sign_in_url(MEMBER),
            control_plane_url=origin,
            admin_url=f"http://{HOST}:{data_plane.admin_port}",
            org=ORG,
            owner_token=self._issuer.mint(OWNER, "Demo Owner", now).reveal(),
            member_token=self._issuer.mint(MEMBER, "Demo Member", now).reveal(),
            platform_token=self._platform_token.reveal(),
            base_urls={row.name: boxes + row.local_path for row in rows},
            node_key_file=str(self._data.root / _NODE_KEY_FILE) if in_header_mode else None,
            node_kid=NODE if in_header_mode else None,
            data_dir=str(self._data.root.absolute()),
            ready_file=str((self._options.ready_file or self._data.root / READY_FILE).absolute()),
        )
