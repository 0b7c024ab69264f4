"""How conditions are compared with revisions."""

from __future__ import annotations

import pytest

from services.control_plane.rules.etag import none_match, require_match, tag_of
from services.control_plane.rules.problems import Problem, ProblemError


@pytest.mark.parametrize("condition", ['"7"', ' "7" ', '"1", "7"', '"1","7"', "*"])
def test_a_condition_that_names_the_revision_matches(condition: str) -> None:
    assert require_match(condition, 7)


@pytest.mark.parametrize("condition", ['"8"', 'W/"7"', '"07"', '""'])
def test_another_or_a_weak_tag_does_not_match(condition: str) -> None:
    assert not require_match(condition, 7)


def test_a_missing_condition_is_refused_as_428() -> None:
    with pytest.raises(ProblemError) as caught:
        require_match(None, 7)
    assert caught.value.problem is Problem.PRECONDITION_REQUIRED


@pytest.mark.parametrize("condition", ["7", '"7', '*, "7"', "", '"7" "8"', '"1",' * 400])
def test_a_malformed_condition_is_refused_as_400(condition: str) -> None:
    with pytest.raises(ProblemError) as caught:
        require_match(condition, 7)
    assert caught.value.problem is Problem.BAD_REQUEST


def test_if_none_match_compares_weakly() -> None:
    assert none_match('W/"7"', tag_of(7))
    assert none_match("*", tag_of(7))
    assert not none_match(None, tag_of(7))
    assert not none_match('"8"', tag_of(7))
