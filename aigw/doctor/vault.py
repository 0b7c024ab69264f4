"""Checks a plane's access to Vault: the login works, and the role has exactly the plane's rights."""

from __future__ import annotations

import time
from random import SystemRandom
from typing import TYPE_CHECKING, Final, Protocol

from aigw.doctor.certificates import unreadable
from aigw.doctor.clocks import examine_clock, read_clock
from aigw.doctor.finding import Finding
from shared.clock import unix_now
from shared.vault_session import VaultFailure, VaultSession
from shared.vault_target import parse_vault_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.backend_settings import BackendSettings
    from shared.clock import Clock
    from shared.vault_target import VaultTarget

ENGINE: Final = "kv-2"
"""Vault's key-value engine of version 2: version 1 has no versions, and nothing to check and set."""


class Rights(Protocol):
    """A plane's adapter, with the required and forbidden rights."""

    def wrong_rights(self) -> list[str]:
        """List the wrong rights, a sentence each. Blocks."""
        ...


def examine_vault(
    name: str,
    settings: BackendSettings,
    url: str,
    adapter: Callable[[VaultSession], Rights],
    failure: type[Exception],
    *,
    clock: Clock = unix_now,
) -> list[Finding]:
    """Check the login and the rights of the plane whose `adapter` raises `failure`. Blocks."""
    target = parse_vault_url(url)
    if reason := unreadable(target.ca_file):
        remedy = "check ca_file in AIGW_SECRET_STORE_URL, and its mount"
        return [Finding("FAIL", name, f"its ca_file {reason}", remedy)]
    session = VaultSession(
        target, settings.vault_credential, monotonic=time.monotonic, random=SystemRandom().random
    )
    try:
        wrong = adapter(session).wrong_rights()
        engine = session.engine()
        late = examine_clock(name, "Vault (AIGW_SECRET_STORE_URL)", read_clock(session.clock, clock))
    except (failure, VaultFailure) as error:
        return [Finding("FAIL", name, str(error), _remedy(str(error), target))]
    finally:
        session.close()
    if wrong:
        remedy = "run deploy/vault/setup.sh again: it writes both policies"
        return [Finding("FAIL", name, sentence, remedy) for sentence in wrong]
    if engine != ENGINE:
        found = f"{target.mount}/ is {engine or 'no engine that its role can see'}, not {ENGINE}"
        remedy = "check the mount in AIGW_SECRET_STORE_URL, or run deploy/vault/setup.sh, which makes it"
        return [Finding("FAIL", name, found, remedy)]
    return late or [Finding("ok", name, f"logged in to {target.address}, with exactly the rights it needs")]


def _remedy(reason: str, target: VaultTarget) -> str:
    """Name the things to check, by the words of the failure."""
    if "certificate has expired" in reason:
        return "renew the certificate of the server in AIGW_SECRET_STORE_URL"
    if "certificate" in reason and "trusted" in reason:
        return "check ca_file in AIGW_SECRET_STORE_URL: the CA of Vault's certificate"
    if "credential" in reason or "login" in reason:
        if target.credential_file is not None:
            return "check credential_file, role and auth_mount in AIGW_SECRET_STORE_URL, and the file's mount"
        return "check AIGW_VAULT_CREDENTIAL, and role and auth_mount in AIGW_SECRET_STORE_URL"
    return "check AIGW_SECRET_STORE_URL, and that Vault is up and unsealed"
