"""What the limit on open descriptors leaves to connections: the relay's limits, lowered to fit. Pure.

A process without a free descriptor can neither accept nor dial: its readiness, its metrics and every org fail
together, and an orchestrator restarts a healthy fleet. So connections never get the last descriptors.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.data_plane.core.limits import RelayLimits

KEPT_BACK_DESCRIPTORS: Final = 128
"""For the admin listener, Vault, Redis, the control plane, name servers, the log and the interpreter; of a
limit below 512, a quarter."""
DESCRIPTORS_PER_CONNECTION: Final = 2
"""A box's connection, and the provider's for its exchange."""
_IDLE_UPSTREAMS_SHARE: Final = 8
"""One descriptor in eight may belong to an unused connection to a provider."""
_ORGS_TO_FILL_ALL: Final = 2
"""One org alone takes at most half of all connections, and of the idle ones to providers."""
_UNIDENTIFIED_SHARE: Final = 4


def fit_descriptors(limits: RelayLimits, descriptors: int) -> RelayLimits:
    """Give `limits` with every number of connections lowered to what `descriptors` allow."""
    free = descriptors - min(KEPT_BACK_DESCRIPTORS, descriptors // 4)
    idle_upstreams = min(limits.max_idle_upstreams, max(free // _IDLE_UPSTREAMS_SHARE, 1))
    in_all = min(limits.max_connections, max((free - idle_upstreams) // DESCRIPTORS_PER_CONNECTION, 1))
    of_an_org = limits.max_connections_per_org or in_all // _ORGS_TO_FILL_ALL
    per_org = max(min(of_an_org, in_all), 1)
    return replace(
        limits,
        max_idle_upstreams=idle_upstreams,
        max_idle_upstreams_per_endpoint=min(
            limits.max_idle_upstreams_per_endpoint, max(idle_upstreams // _ORGS_TO_FILL_ALL, 1)
        ),
        max_connections=in_all,
        max_connections_per_org=per_org,
        max_connections_per_box=min(limits.max_connections_per_box, per_org),
        max_unidentified_connections=min(
            limits.max_unidentified_connections, max(in_all // _UNIDENTIFIED_SHARE, 1)
        ),
    )
