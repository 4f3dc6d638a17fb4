"""docs/security.md says what is true: every row of ASVS V17 is there, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCUMENT = (TESTS.parent / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:\w+/)*test_\w+\.py)::(test_\w+)`", DOCUMENT)))
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| 17\..*$", DOCUMENT, re.M)]

# The requirements of ASVS 5.0.
LEVEL_2 = ("17.1.1", "17.2.1", "17.2.2", "17.2.3", "17.2.4", "17.3.1", "17.3.2")
LEVEL_3 = ("17.1.2", "17.2.5", "17.2.6", "17.2.7", "17.2.8")
V17 = dict.fromkeys(LEVEL_2, 2) | dict.fromkeys(LEVEL_3, 3)


def test_every_requirement_has_its_row_with_its_level() -> None:
    assert {row[0]: int(row[1]) for row in ROWS} == V17
    assert len(ROWS) == len(V17)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_is_met_and_shown_by_a_test_or_says_that_it_is_not(row: list[str]) -> None:
    _, _, asks, answer, shown = row
    assert asks.endswith(".")
    assert re.match(r"(Met|\*\*Not applicable\*\*|\*\*Not met\*\*)[:,]", answer)
    if answer.startswith("Met"):
        assert "::test_" in shown


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_test_that_is_named_exists(file: str, test: str) -> None:
    tree = ast.parse((TESTS / file).read_text())
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_tests_are_named() -> None:
    assert len(NAMED) > 30
