"""Regular expressions mean the same on every release of CPython from 3.11 on."""

from __future__ import annotations

import ast
import re
from typing import Final

import pytest

from tests.tidy.tree import Source, sources

# CPython before 3.11.5 lets an atomic or possessive group end inside a part that failed (python/cpython
# issue 106052): `;a=` matched a pattern that demands a value behind the sign.
POSSESSIVE_GROUP: Final = re.compile(r"(?<!\\)\)(?:[*+?]|\{[0-9,]+\})\+|\(\?>")
CHARACTER_SET: Final = re.compile(r"\[(?:\\.|[^\]\\])+\]")


def has_possessive_group(text: str) -> bool:
    return POSSESSIVE_GROUP.search(CHARACTER_SET.sub("[]", text)) is not None


def literals(source: Source) -> list[str]:
    values = (node.value for node in ast.walk(source.tree) if isinstance(node, ast.Constant))
    return [
        value.decode("latin-1") if isinstance(value, bytes) else value
        for value in values
        if isinstance(value, str | bytes)
    ]


def test_no_group_of_the_product_is_possessive() -> None:
    found = [
        (source.path, text)
        for source in sources()
        if source.is_product
        for text in literals(source)
        if has_possessive_group(text)
    ]
    assert found == []


@pytest.mark.parametrize("text", ["(?:a|b)*+c", "(?>ab)", "(a){2,3}+"])
def test_a_possessive_group_is_seen(text: str) -> None:
    assert has_possessive_group(text)


@pytest.mark.parametrize("text", ["[a-z]++(?:b)*", r"\)++", "(a)+b", "a{1,2}+", "[(x)*+]"])
def test_a_pattern_that_every_release_matches_alike_is_left_alone(text: str) -> None:
    assert not has_possessive_group(text)
