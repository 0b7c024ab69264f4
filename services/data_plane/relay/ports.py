"""The relay's needs from the rest of the data plane: a few small interfaces, given to it at start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from services.data_plane.core.unidentified import Unidentified

if TYPE_CHECKING:
    from services.data_plane.account.record import ExchangeRecord
    from services.data_plane.core.integration import CompiledIntegration, NotReady
    from services.data_plane.core.key_scan import KeySearch
    from services.data_plane.core.unidentified import IdentityFault
    from services.data_plane.core.usage.tap import Tapped
    from shared.box_token import Box
    from shared.providers import ProviderName

__all__ = ["Account", "Identity", "PrefaceDoor", "ProvenIdentity", "Table", "Unidentified"]


class Identity(Protocol):
    """Which box is calling."""

    def identify(self, token: bytes | None) -> Box:
        """Give the box of a request, from its `X-Run9-Box-Token` value if any.

        Pure and quick; raises `Unidentified`.
        """
        ...


class ProvenIdentity(Identity, Protocol):
    """The identity of a connection with a proved box."""

    @property
    def box(self) -> Box:
        """The box."""
        ...


class PrefaceDoor(Protocol):
    """Judges the prefaces of connections, on a listener with prefaces."""

    def prove(self, token: bytes) -> ProvenIdentity:
        """Verify a preface's token, once for all requests of its connection; raises `Unidentified`."""
        ...

    def unproven(self, why: Unidentified) -> Identity:
        """Give the identity of a connection whose token was refused: each of its requests is told why."""
        ...

    def refuse(self, detail: str, fault: IdentityFault) -> Unidentified:
        """Count a connection without a token, and explain the refusal."""
        ...


class Table(Protocol):
    """The compiled configuration."""

    def look_up(self, org: str, provider: ProviderName) -> CompiledIntegration | NotReady:
        """Give the integration, or why there is none. No I/O."""
        ...

    async def load(self, org: str, provider: ProviderName) -> None:
        """Bring the secret of a `LOADING` integration into memory, single-flight.

        Returns on arrival or failure; look up again afterwards.
        """
        ...


class Account(Protocol):
    """The books."""

    def finished(
        self, record: ExchangeRecord, tapped: Tapped | None = None, key: KeySearch | None = None
    ) -> None:
        """Count a finished exchange and log its line, with the usage held by `tapped`, if any.

        Names and labels are searched for `key`, the org's, before the record is kept; None where no
        organization is known, or its key is not in memory.
        Must not block or raise. The last bytes of the answer may still be waiting for the turn's end.
        """
        ...
