"""A test's own corner of a real Vault: a prefix of its own, and sessions of both planes there."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hvac.exceptions import InvalidPath

from shared.secret import Secret
from shared.secret_document import SecretDocument, from_fields, to_fields
from shared.vault_session import VaultSession
from shared.vault_target import VaultTarget, parse_vault_url
from tests.support.servers.vault import MOUNT, PREFIX, VaultServer

if TYPE_CHECKING:
    from shared.providers import ProviderName

Plane = Literal["control-plane", "data-plane"]


@dataclass
class VaultStore:
    """A test's access to Vault. `put` and `read` go behind the gateway's back, as root."""

    server: VaultServer
    prefix: str

    @classmethod
    def new(cls, server: VaultServer) -> VaultStore:
        """Take a new corner, open to both planes' roles."""
        # The policies end in `orgs/*`: what lies below may be any tree, so a corner is one more folder there.
        return cls(server, f"{PREFIX}/orgs/{secrets.token_hex(6)}")

    def url(self, plane: Plane, auth: str = "approle", **options: str) -> str:
        """How a plane is told of this corner, with the login of its role."""
        role = "" if auth == "token" else f"aigw-{plane}"
        return self.server.url(auth, role, prefix=self.prefix, **options)

    def target(self, plane: Plane, auth: str = "approle", **options: str) -> VaultTarget:
        """The same, read."""
        return parse_vault_url(self.url(plane, auth, **options))

    def new_session(self, plane: Plane) -> VaultSession:
        """Log in lazily, by AppRole; the caller closes the session."""
        credential = Secret(self.server.secret_id(f"aigw-{plane}"))
        return session_of(self.target(plane), credential)

    @contextmanager
    def session(self, plane: Plane) -> Iterator[VaultSession]:
        """A session, closed at the end."""
        opened = self.new_session(plane)
        try:
            yield opened
        finally:
            opened.close()

    def put(self, version: int, document: SecretDocument) -> None:
        """Write exactly `version`, filling the missing versions before."""
        kv = self.server.root().secrets.kv.v2
        path = self.target("data-plane").path(document.org, document.provider)
        try:
            latest = kv.read_secret_metadata(path, mount_point=MOUNT)["data"]["current_version"]
        except InvalidPath:
            latest = 0
        for number in range(latest + 1, version + 1):
            fields = to_fields(document) if number == version else {}
            kv.create_or_update_secret(path, fields, cas=number - 1, mount_point=MOUNT)

    def read(self, org: str, provider: ProviderName, version: int) -> SecretDocument | None:
        """Read a version; None for a missing version."""
        path = self.target("data-plane").path(org, provider)
        try:
            answer = self.server.root().secrets.kv.v2.read_secret_version(
                path, version=version, mount_point=MOUNT, raise_on_deleted_version=True
            )
        except InvalidPath:
            return None
        return from_fields(answer["data"]["data"], org, provider)


def session_of(target: VaultTarget, credential: Secret | None) -> VaultSession:
    """Make a session by the real clock."""
    return VaultSession(target, credential, monotonic=time.monotonic, random=random.random)
