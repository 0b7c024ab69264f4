"""Docstrings name their nouns: words that only point at a noun are few in each package."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.tidy.tree import listing, sources

POINTING_WORDS = frozenset({"it", "what", "who", "that", "they", "one", "nobody"})
"""Words whose noun stands elsewhere, often nowhere: a docstring full of them reads like a riddle."""
MAX_POINTING_PER_100_WORDS = 5.0
WORST_FILES_SHOWN = 10
PACKAGES = (
    "services/data_plane/",
    "services/control_plane/",
    "services/node_agent/",
    "shared/",
    "aigw/",
    "tools/",
    "bench/",
    "tests/",
)
_CODE = re.compile(r"`[^`]*`")
_WORD = re.compile(r"[A-Za-z']+")


def _attribute_docstrings(body: list[ast.stmt]) -> Iterator[str]:
    for before, node in pairwise(body):
        if (
            isinstance(before, ast.Assign | ast.AnnAssign)
            and isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.value.value


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Give the docstrings of the module, of its classes and functions, and of their attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
        if isinstance(node, ast.Module | ast.ClassDef):
            yield from _attribute_docstrings(node.body)


def count(tree: ast.Module) -> tuple[int, int]:
    """Count the pointing words, and all words, of a file's docstrings; code in backticks is one word."""
    words = [word.lower() for text in docstrings(tree) for word in _WORD.findall(_CODE.sub("code", text))]
    return sum(word in POINTING_WORDS for word in words), len(words)


def per_100_words(package: str) -> tuple[float, list[str]]:
    """Measure the docstrings below a folder: pointing words in 100, and the files with most of them."""
    pointing: Counter[str] = Counter()
    total = 0
    for source in sources():
        if source.path.startswith(package):
            pointing[source.path], words = count(source.tree)
            total += words
    worst = [f"{path}: {number}" for path, number in pointing.most_common(WORST_FILES_SHOWN)]
    return 100 * pointing.total() / total, worst


@pytest.mark.parametrize("package", PACKAGES)
def test_the_docstrings_of_a_package_name_their_nouns(package: str) -> None:
    rate, worst = per_100_words(package)

    assert rate < MAX_POINTING_PER_100_WORDS, listing(
        worst,
        f"{rate:.1f} of 100 words in {package} are {', '.join(sorted(POINTING_WORDS))}; "
        f"below {MAX_POINTING_PER_100_WORDS} is required. Name the noun in these files:",
    )


def test_a_riddle_is_counted_in_every_kind_of_docstring() -> None:
    tree = ast.parse(
        '''"""What nobody asked for is what they get."""
LIMIT = 1
"""How many of it."""


class Door:
    """Who opens it knows."""

    width: int = 1
    """That of this."""

    async def open(self):
        """Give one to whom it belongs."""
'''
    )

    pointing, words = count(tree)

    assert (pointing, words) == (4 + 1 + 2 + 1 + 2, 8 + 4 + 4 + 3 + 6)
    assert 100 * pointing / words >= MAX_POINTING_PER_100_WORDS


def test_a_plain_sentence_and_code_in_backticks_count_nothing() -> None:
    tree = ast.parse('"""The door opens for the owner of the key; `it.that(one)` is code."""\n')

    assert count(tree) == (0, 12)
