"""Hypothesis profiles of the core's property tests: the default one is small, `nightly` is long.

pytest tests/unit/data_plane/core --hypothesis-profile=nightly

The folder has to be named, because pytest reads this file before it chooses the profile only then.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

NIGHTLY_EXAMPLES = 100_000

settings.register_profile(
    "nightly",
    max_examples=NIGHTLY_EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
