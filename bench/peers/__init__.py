"""Gateways to measure against: their programs, or the locks by which `make bench-peers` gets them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LOCKED: Final = Path(__file__).parent
INSTALLED: Final = LOCKED.parent.parent / ".tools" / "bench-peers"
"""Where tools/bench_peers.sh puts the peers from outside this repository."""
