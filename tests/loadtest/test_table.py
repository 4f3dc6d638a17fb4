"""Tables are aligned, and a percentile is one of the values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.table import percentile, table


def test_the_first_column_is_flush_left_and_the_others_right() -> None:
    assert table(["load", "result"], [["a", "1"], ["longer", "1000000"]]).splitlines() == [
        "load     result",
        "------  -------",
        "a             1",
        "longer  1000000",
    ]


def test_a_table_without_rows_is_its_head() -> None:
    assert table(["a", "bc"], []) == "a  bc\n-  --"


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        table(["a", "b"], [["1", "2", "3"]])


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.01, 1), (0.5, 10), (0.95, 19), (0.951, 20), (1.0, 20)])
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(share: float, value: int) -> None:
    assert percentile(range(20, 0, -1), share) == value


def test_of_nothing_there_is_no_percentile() -> None:
    assert math.isnan(percentile([], 0.5))


@given(st.lists(st.integers(), min_size=1), st.floats(0, 1))
def test_a_percentile_is_a_value_that_enough_of_all_do_not_exceed(values: list[int], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
