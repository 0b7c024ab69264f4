"""Names permitted for orgs, nodes and people."""

from __future__ import annotations

import pytest

from services.control_plane.rules.names import canonical_email, checked_id, checked_org_name, is_id
from services.control_plane.rules.problems import ProblemError


@pytest.mark.parametrize("text", ["acme", "0", "Org_1.a:b@c-d", "x" * 128])
def test_ids_are_what_box_tokens_can_carry(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("text", ["", ".", "..", "-a", "a/b", "a b", "a\n", "ä", "x" * 129, "a\0"])
def test_an_id_can_never_leave_its_folder_or_its_line(text: str) -> None:
    with pytest.raises(ProblemError):
        checked_id(text, "a node")


def test_an_email_address_is_matched_without_case() -> None:
    assert canonical_email("Ann.Owner+x@Example.COM") == "ann.owner+x@example.com"


@pytest.mark.parametrize(
    "text", ["", "a", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "a@-b", "a" * 65 + "@b", "a@" + "b" * 254]
)
def test_what_is_no_plain_address_names_nobody(text: str) -> None:
    assert canonical_email(text) is None


def test_an_orgs_name_is_one_trimmed_printable_line() -> None:
    assert checked_org_name("  Acme GmbH & Co. ✓ ") == "Acme GmbH & Co. ✓"
    for bad in (" ", "a\nb", "a\0", "x" * 201, "\ud800"):
        with pytest.raises(ProblemError):
            checked_org_name(bad)
