"""The Vault secret store, read side: exactly the pinned version, by a role without any other right.

hvac blocks, so every call is in a small pool of threads, and never on the event loop.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from services.data_plane.table.secrets import SecretUnavailable
from shared.secret_document import SecretDocument, SecretDocumentError, from_fields
from shared.vault_session import MAX_CONNECTIONS, VaultFailure, VaultSession

if TYPE_CHECKING:
    from shared.providers import ProviderName

READ_THREADS: Final = MAX_CONNECTIONS


class VaultSecretReader:
    """A `SecretReader`. `session` is its login to Vault."""

    def __init__(self, session: VaultSession, *, threads: int = READ_THREADS) -> None:
        self.session = session
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="vault")

    async def read(self, org: str, provider: ProviderName, version: int) -> SecretDocument:
        """See `SecretReader.read`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read, org, provider, version)

    def _read(self, org: str, provider: ProviderName, version: int) -> SecretDocument:
        try:
            path = self.session.target.path(org, provider)
            answer = self.session.call(lambda client: self._read_version(client, path, version))
            data = answer["data"]
            if data["metadata"]["version"] != version:
                raise SecretUnavailable("Vault gave another version than the one that was asked for")
            return from_fields(data["data"], org, provider)
        except (VaultFailure, SecretDocumentError) as error:
            raise SecretUnavailable(str(error)) from None
        except (KeyError, TypeError):
            raise SecretUnavailable("Vault's answer is not that of a KV v2 engine") from None

    def _read_version(self, client: Any, path: str, version: int) -> Any:
        return client.secrets.kv.v2.read_secret_version(
            path, version=version, mount_point=self.session.target.mount, raise_on_deleted_version=True
        )

    def wrong_rights(self) -> list[str]:
        """List the wrong rights of this role, a sentence each; for the operator's check. Blocks.

        Raises:
            SecretUnavailable: Vault cannot be asked.
        """
        target = self.session.target
        try:
            held = self.session.rights(f"{target.mount}/data/{target.path('any', 'openai')}")
        except VaultFailure as error:
            raise SecretUnavailable(str(error)) from None
        sentences = []
        if not held & {"read", "root"}:
            sentences.append("The data plane's role lacks read on data/.")
        if more := sorted(held - {"read"}):
            sentences.append(f"The data plane's role may {', '.join(more)} on data/; it must only read.")
        return sentences

    async def aclose(self) -> None:
        """See `SecretReader.aclose`."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        # Closing waits for the thread that keeps the token alive.
        await asyncio.to_thread(self.session.close)
