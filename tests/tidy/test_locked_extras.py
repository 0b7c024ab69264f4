"""The locks install on any day, with any pip: each pin names the extras that other packages ask for.

pip 23.2, for one, looks for `name[extra]` beside a pin without the extra, finds a release that is newer than
the lock, and refuses it for its missing hash: from that day on nothing installs.
"""

from __future__ import annotations

from importlib.metadata import Distribution, distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tidy.tree import listing, texts

INSTALLED_HERE = ("requirements/runtime.txt", "requirements/build.txt", "requirements/dev.txt")


def _pins() -> dict[str, set[str]]:
    """Give the extras of each pin, by the pin's name."""
    pins: dict[str, set[str]] = {}
    for path in INSTALLED_HERE:
        lines = (line.removesuffix("\\").strip() for line in texts()[path].splitlines())
        for pin in (Requirement(line) for line in lines if line and not line.startswith(("#", "--hash"))):
            pins.setdefault(canonicalize_name(pin.name), set()).update(pin.extras)
    return pins


def _asked_by(distribution: Distribution, extras: set[str]) -> list[Requirement]:
    """Give the requirements of a distribution that is installed with `extras`, as far as they hold here."""
    asked = [Requirement(text) for text in distribution.requires or ()]
    return [
        one
        for one in asked
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in {"", *extras})
    ]


def test_a_pin_names_every_extra_that_another_package_asks_for() -> None:
    pins, faults = _pins(), []
    for distribution in distributions():
        name = canonicalize_name(distribution.name)
        for asked in _asked_by(distribution, pins[name]) if name in pins else ():
            missing = asked.extras - pins.get(canonicalize_name(asked.name), set())
            if missing:
                faults.append(f"{asked.name} without {', '.join(sorted(missing))}, which {name} asks for")
    assert not faults, listing(faults, "Lock again by `make lock`.")
