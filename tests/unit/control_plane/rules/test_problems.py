"""The catalogue of refusals, and the refusal for each case."""

from __future__ import annotations

import pytest

from services.control_plane.rules.membership import require_owner, require_reader
from services.control_plane.rules.problems import TYPE_PREFIX, Problem, ProblemError


def test_every_problem_has_its_own_type_and_an_error_status() -> None:
    types = [problem.type for problem in Problem]
    assert len(set(types)) == len(types)
    assert all(kind.startswith(TYPE_PREFIX) and kind == kind.lower() for kind in types)
    assert all(400 <= problem.status < 600 for problem in Problem)


def test_two_problems_of_one_status_and_title_are_still_two() -> None:
    # An Enum makes equal values aliases of each other: a copied title would silently merge two types.
    assert len(Problem.__members__) == len(list(Problem))


def test_a_stranger_is_told_nothing_and_a_member_is_told_whom_to_ask() -> None:
    with pytest.raises(ProblemError) as stranger:
        require_owner(None, ("boss@acme.test",))
    assert stranger.value.problem is Problem.NOT_FOUND
    assert "boss" not in stranger.value.detail
    with pytest.raises(ProblemError) as member:
        require_owner("member", ("boss@acme.test",))
    assert member.value.problem is Problem.OWNER_REQUIRED
    assert member.value.extensions == {"owners": ["boss@acme.test"]}
    require_owner("owner", ())
    assert require_reader("member") == "member"
