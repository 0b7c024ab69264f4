"""How header lines are cut: the acceptable lines, the remembered lines, and no line changed by the cut."""

from __future__ import annotations

import pytest

from services.data_plane.core.field_lines import (
    CAPTURE,
    MAX_NAME_BYTES,
    MAX_REMEMBERED_NAMES,
    PASS,
    STRIP,
    BadFields,
    FieldRules,
    parse_fields,
)


def _judge(lower: bytes) -> int:
    return {b"drop": STRIP, b"note": CAPTURE, b"both": CAPTURE | PASS}.get(lower, PASS)


def _rules() -> FieldRules:
    return FieldRules(_judge)


def _parse(*lines: bytes) -> tuple[list[bytes], list[bytes], dict[bytes, list[bytes]]]:
    start = b"GET / HTTP/1.1\r\n"
    return parse_fields(start + b"\r\n".join((*lines, b"", b"")), len(start), _rules())


def test_lines_are_kept_raw_in_their_order_with_case_and_duplicates() -> None:
    sent = [b"B: 2", b"a:1", b"B:\t3 ", b"Both: x", b"aCCEPT:", b"a:1"]
    lines, kept, captured = _parse(*sent)
    assert lines == sent
    assert kept == sent
    assert captured == {b"both": [b"x"]}


def test_flags_say_what_is_kept_and_what_is_noted() -> None:
    lines, kept, captured = _parse(b"Drop: 1", b"Note:  2\t", b"NOTE: 3", b"Both: 4", b"Else: 5")
    assert len(lines) == 5
    assert kept == [b"Both: 4", b"Else: 5"]
    assert captured == {b"note": [b"2", b"3"], b"both": [b"4"]}


def test_a_head_without_fields_has_no_lines() -> None:
    assert parse_fields(b"GET / HTTP/1.1\r\n\r\n", 16, _rules()) == ([], [], {})


@pytest.mark.parametrize(
    "line",
    [b"no-colon", b": 1", b"", b"a : 1", b"a\t: 1", b" a: 1", b"\ta: 1", b"a b: 1", b"a\xe9: 1", b"a/b: 1",
     b"a: \x00", b"a: \x1f", b"a: \x7f", b"a: x\ry", b"a: x\ny", b"a: x\r", b"a: x\n", b"\na: x",
     b"x" * (MAX_NAME_BYTES + 1) + b": 1"],
)  # fmt: skip
def test_a_line_that_two_parsers_may_read_differently_is_refused(line: bytes) -> None:
    with pytest.raises(BadFields):
        _parse(b"X: 1", line, b"Y: 2")


def test_an_accepted_line_does_not_make_the_same_name_without_a_colon_acceptable() -> None:
    rules = _rules()
    assert rules.read(b"Repeated: 1")[0] == PASS
    for line in (b"Repeated", b"Repeated : 1", b" Repeated: 1"):
        with pytest.raises(BadFields):
            rules.read(line)
        head = b"GET / HTTP/1.1\r\n" + line + b"\r\n\r\n"
        with pytest.raises(BadFields):
            parse_fields(head, 16, rules)


def test_a_long_name_of_the_limit_passes() -> None:
    line = b"x" * MAX_NAME_BYTES + b": 1"
    assert _parse(line)[1] == [line]


def test_names_that_a_box_makes_up_do_not_fill_the_memory() -> None:
    rules = _rules()
    for number in range(2 * MAX_REMEMBERED_NAMES + 1):
        rules.read(b"X-%d: 1" % number)
        assert len(rules.remembered) <= MAX_REMEMBERED_NAMES


def test_no_value_is_remembered() -> None:
    rules = _rules()
    for line in (b"Note: secret", b"Else: secret", b"Drop: secret"):
        rules.read(line)
    assert set(rules.remembered) == {b"Note", b"Else", b"Drop"}


def test_a_name_that_is_no_token_is_not_remembered() -> None:
    rules = _rules()
    with pytest.raises(BadFields):
        rules.read(b"a b: 1")
    assert not rules.remembered
