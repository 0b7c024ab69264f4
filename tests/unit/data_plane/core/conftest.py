"""Hypothesis profiles of the core's property tests: the default profile is small, `nightly` is long.

    pytest tests/unit/data_plane/core --hypothesis-profile=nightly --timeout=7200

The folder has to be named: only then does pytest read this file before Hypothesis looks for the profile.
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
