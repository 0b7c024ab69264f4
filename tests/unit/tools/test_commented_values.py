"""The values of closed sets, read with their comments."""

from __future__ import annotations

import pytest

from tools.commented_values import NoSuchSetError, commented_values


def test_the_values_of_a_literal_come_with_their_comments() -> None:
    outcomes = commented_values("services/data_plane/account/record.py", "Outcome = Literal[")

    assert outcomes["client_gone"] == "the box left first"


def test_a_set_that_is_not_there_is_an_error_and_no_empty_table() -> None:
    with pytest.raises(NoSuchSetError, match="no line 'Nothing = Literal"):
        commented_values("services/data_plane/account/record.py", "Nothing = Literal[")
