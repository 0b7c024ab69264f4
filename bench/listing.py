"""All rows of the table, in its order."""

from __future__ import annotations

from typing import Final

from bench.rows import LOAD_ROWS, Row
from bench.trials.listing import TRIALS
from bench.trials.trial import Trial

AnyRow = Row | Trial

ROWS: Final[tuple[AnyRow, ...]] = (*LOAD_ROWS, *TRIALS)
