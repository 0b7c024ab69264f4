"""The port of each listener of an embedded gateway, and the check for free ports."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import Final

from shared.listener import bind, port_of

HOST: Final = "127.0.0.1"
DEFAULT_BASE: Final = 19_000
MAX_BASE: Final = 65_531
"""The highest base from which the five ports still fit below 65536."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Five ports; 0 stands for any free one."""

    box: int
    admin: int
    control_plane: int
    internal: int
    demo_provider: int

    @classmethod
    def of(cls, base: int, box_port: int | None) -> Ports:
        """Lay the ports out from `base` (0: all free ones); `box_port` moves the box listener alone."""
        box, *others = [base + number if base else 0 for number in range(5)]
        return cls(box if box_port is None else box_port, *others)

    def checked(self, box_port: int | None) -> Ports:
        """Give the ports back, the box port as a number in any case, because owners see the box port.

        Raises:
            ListenError: a port cannot be had; the message names the option to change.
        """
        for port in astuple(self)[1:]:
            bind(HOST, port, option="--port-base").close()
        with bind(HOST, self.box, option="--port-base" if box_port is None else "--box-port") as listener:
            return replace(self, box=port_of(listener))
