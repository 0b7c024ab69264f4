"""The demo beside separate planes, as in docker-compose.yml: credentials, provider, org.

`prepare` makes every credential once; `run_provider` and `seed` are the demo provider and the demo org. Not
for production, where credentials come from the platform.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from typing import TYPE_CHECKING, Final

from aigw.demo.provider.app import DemoKeys, build_app, demo_keys
from aigw.embedded.banner import MEMBER, OWNER
from aigw.embedded.data_dir import DataDir
from aigw.embedded.local_issuer import LocalIssuer
from aigw.embedded.providers_wanted import Wanted
from aigw.embedded.seed import ORG, Seeder
from aigw.failures import UserError
from services.control_plane.settings import ControlPlaneSettings
from services.control_plane.sign_in.browser import BrowserSignIn
from services.control_plane.store.database import Database
from shared.clock import unix_now
from shared.listener import bind, port_of, serve

if TYPE_CHECKING:
    from pathlib import Path

DATABASE_HOST: Final = "postgres:5432"
DRAIN_SECONDS: Final = 2
_OPEN_FOLDER: Final = 0o777
_READABLE: Final = 0o644
_USERS: Final = """\
user default off
user health on nopass resetkeys resetchannels -@all +ping
user aigw-control-plane on >{control} resetkeys ~aigw:* resetchannels -@all +ping +select +time +xadd \
+xrange +xrevrange +del +set +get +hset +multi +exec
user aigw-data-plane on >{data} resetkeys %R~aigw:* resetchannels -@all +ping +select +time +xread \
+hget +hstrlen
"""


def prepare(folder: Path) -> bool:
    """Make every credential below `folder`, one sub-folder a reader.

    False when the credentials exist already. The files are readable by whoever has the folder: the volumes
    keep the services apart.
    """
    done = folder / "demo" / "prepared"
    if done.exists():
        return False
    postgres, control, data = (secrets.token_urlsafe(24) for _ in range(3))
    internal, platform, pepper, feed = (secrets.token_urlsafe(24) for _ in range(4))
    url = f"postgresql+psycopg://aigw:{postgres}@{DATABASE_HOST}/aigw"
    files = {
        "postgres/password": postgres,
        "redis/users.acl": _USERS.format(control=control, data=data),
        "control-plane/database-url": url,
        "control-plane/redis-password": control,
        "control-plane/internal-token": internal,
        "control-plane/platform-token": platform,
        "control-plane/fingerprint-key": pepper,
        "control-plane/feed-key": feed,
        "data-plane/feed-key": feed,
        "data-plane/redis-password": data,
        "data-plane/internal-token": internal,
    }
    for name, content in files.items():
        _write(folder / name, content)
    for shared in ("control-plane/vault", "data-plane/vault", "vault"):
        # Vault's set-up runs as another user, and leaves its credentials there.
        (folder / shared).mkdir(parents=True, exist_ok=True)
        (folder / shared).chmod(_OPEN_FOLDER)
    with_issuer = _opened(folder)
    _write(folder / "control-plane" / "issuer.jwks.json", with_issuer.jwks_file.read_text())
    _write(done, "")
    return True


async def run_provider(folder: Path, host: str, port: int, pace_seconds: float, stop: asyncio.Event) -> None:
    """Run the demo provider until `stop`."""
    listener = bind(host, port, option="--port")
    app = build_app(_keys(folder), pace_seconds=pace_seconds)

    def started() -> None:
        sys.stderr.write(f"Demo provider on port {port_of(listener)}\n")

    await serve(app, listener, stop=stop, started=started, grace_seconds=DRAIN_SECONDS)


async def seed(folder: Path, url: str, provider_origin: str) -> str:
    """Set the demo org up at the control plane at `url`; give a one-time sign-in link for its owner.

    Uses the control plane's own settings. Raises `UserError`.
    """
    settings = ControlPlaneSettings()
    if settings.platform_token is None:
        raise UserError("The demo org needs AIGW_PLATFORM_TOKEN, the control plane's own.")
    keys = _keys(folder)
    owner_token = _opened(folder).mint(OWNER, "Demo Owner", unix_now())
    data = DataDir.open(folder / "demo")
    try:
        seeder = Seeder(url, settings.platform_token, owner_token, data)
        rows = settings.offered_providers()
        await seeder.seed([Wanted.demo(row, provider_origin, keys) for row in rows], None)
    finally:
        data.close()
    database = Database(settings.database_url)
    try:
        link = BrowserSignIn(database, unix_now, settings.portal_origin).new_link_token(OWNER)
    finally:
        database.close()
    origin = settings.portal_origin or url
    return f"Org {ORG}, owner {OWNER}, member {MEMBER}. Sign in once: {origin}/sign-in#{link}"


def _opened(folder: Path) -> LocalIssuer:
    data = DataDir.open(folder / "demo")
    try:
        return LocalIssuer.open(data)
    finally:
        data.close()


def _keys(folder: Path) -> DemoKeys:
    data = DataDir.open(folder / "demo")
    try:
        return demo_keys(data)
    finally:
        data.close()


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(_READABLE)
