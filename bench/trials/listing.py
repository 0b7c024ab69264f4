"""The trials in the order of the table's lines."""

from __future__ import annotations

from typing import Final

from bench.trials.gone import GONE
from bench.trials.identity import IDENTITY
from bench.trials.node_agent import NODE_AGENT
from bench.trials.orgs import ORGS
from bench.trials.slow import SLOW_READER, SLOW_WRITER
from bench.trials.trial import Trial
from bench.trials.usage_tap import USAGE_TAP
from bench.trials.workers import WORKERS

TRIALS: Final[tuple[Trial, ...]] = (
    ORGS,
    USAGE_TAP,
    IDENTITY,
    WORKERS,
    NODE_AGENT,
    SLOW_READER,
    SLOW_WRITER,
    GONE,
)
