"""Every expectation on a column or table as a whole: one batch that meets it and one that does not."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import yaml

from expectations.known import Known
from expectations.observed import WITHHELD
from expectations.signatures import FILE
from tests.expectations.conftest import END, Judge

KINDS = yaml.safe_load(FILE.read_text(encoding="utf-8"))
WHOLE = sorted(name for name, kind in KINDS.items() if not kind["row_level"])
A = {"column": "a"}
NUMBERS = {"a": [1, 2, 3, 4, None]}
LETTERS = {"a": ["x", "y", "x", None]}
DAYS = {"a": [date(2026, 2, 1), date(2026, 3, 2)]}
WEIGHTS = {"values": ["x", "y"], "weights": [0.66, 0.34]}

# name: (columns, arguments that hold, arguments that do not)
EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "expect_column_distinct_values_to_be_in_set": (LETTERS, {**A, "value_set": ["x", "y", "z"]}, {**A, "value_set": ["x"]}),
    "expect_column_distinct_values_to_contain_set": (LETTERS, {**A, "value_set": ["x"]}, {**A, "value_set": ["z"]}),
    "expect_column_distinct_values_to_equal_set": (LETTERS, {**A, "value_set": ["x", "y"]}, {**A, "value_set": ["x"]}),
    "expect_column_kl_divergence_to_be_less_than": (
        LETTERS, {**A, "partition_object": WEIGHTS, "threshold": 0.1},
        {**A, "partition_object": {"values": ["x", "y"], "weights": [0.01, 0.99]}, "threshold": 0.1},
    ),
    "expect_column_max_to_be_between": (NUMBERS, {**A, "max_value": 4}, {**A, "max_value": 3}),
    "expect_column_max_to_be_recent": (DAYS, {**A, "within": "2d"}, {**A, "within": "1h"}),
    "expect_column_mean_to_be_between": (NUMBERS, {**A, "min_value": 2.5, "max_value": 2.5}, {**A, "max_value": 2}),
    "expect_column_median_to_be_between": (NUMBERS, {**A, "min_value": 2, "max_value": 3}, {**A, "max_value": 1}),
    "expect_column_min_to_be_between": (NUMBERS, {**A, "min_value": 1}, {**A, "min_value": 2}),
    "expect_column_most_common_value_to_be_in_set": (LETTERS, {**A, "value_set": ["x"]}, {**A, "value_set": ["y"]}),
    "expect_column_proportion_of_non_null_values_to_be_between": (NUMBERS, {**A, "min_value": 0.8}, {**A, "min_value": 0.9}),
    "expect_column_proportion_of_unique_values_to_be_between": (LETTERS, {**A, "max_value": 0.7}, {**A, "min_value": 0.9}),
    "expect_column_quantile_values_to_be_between": (
        NUMBERS, {**A, "quantile_ranges": {"quantiles": [0.0, 1.0], "value_ranges": [[1, 1], [4, 4]]}},
        {**A, "quantile_ranges": {"quantiles": [0.0, 1.0], "value_ranges": [[2, 2], [4, 4]]}},
    ),
    "expect_column_stdev_to_be_between": (NUMBERS, {**A, "min_value": 1.29, "max_value": 1.3}, {**A, "max_value": 1}),
    "expect_column_sum_to_be_between": (NUMBERS, {**A, "min_value": 10, "max_value": 10}, {**A, "max_value": 9}),
    "expect_column_to_exist": (NUMBERS, A, {"column": "b"}),
    "expect_column_type_to_be": (NUMBERS, {**A, "type_": "BIGINT"}, {**A, "type_": "VARCHAR"}),
    "expect_column_unique_value_count_to_be_between": (LETTERS, {**A, "max_value": 2}, {**A, "min_value": 3}),
    "expect_table_column_count_to_be_between": (NUMBERS, {"max_value": 1}, {"min_value": 2}),
    "expect_table_column_count_to_equal": (NUMBERS, {"value": 1}, {"value": 4}),
    "expect_table_columns_to_match_ordered_list": (NUMBERS, {"column_list": ["a"]}, {"column_list": ["a", "_seq"]}),
    "expect_table_columns_to_match_set": (NUMBERS, {"column_set": ["a"]}, {"column_set": ["b"]}),
    "expect_table_row_count_not_to_drop": (NUMBERS, {"max_drop": 0.5}, {"max_drop": 0.4}),
    "expect_table_row_count_to_be_between": (NUMBERS, {"min_value": 5}, {"min_value": 6}),
    "expect_table_row_count_to_equal": (NUMBERS, {"value": 5}, {"value": 4}),
}  # fmt: skip
KNOWN = Known(END, previous_rows=10)


def test_each_has_an_example() -> None:
    assert len(WHOLE) > 20
    assert sorted(EXAMPLES) == WHOLE


@pytest.mark.parametrize("name", WHOLE)
def test_holds_and_does_not(judge: Judge, name: str) -> None:
    columns, holds, fails = EXAMPLES[name]
    checks = [{"expect": name, "on_fail": "stop", **arguments} for arguments in (holds, fails)]
    (good, bad), failing = judge(columns, checks, KNOWN)
    assert (good.success, good.evaluated, good.failed) == (True, 1, 0)
    assert (bad.success, bad.evaluated, bad.failed, failing) == (False, 1, 1, {})


def test_what_was_observed_is_told_of_public_fields_and_counts_only(judge: Judge) -> None:
    checks = [
        {"expect": "expect_column_max_to_be_between", "column": "a", "max_value": 9},
        {"expect": "expect_column_max_to_be_between", "column": "p", "max_value": 9},
        {"expect": "expect_column_mean_to_be_between", "column": "p", "max_value": 9},
        {"expect": "expect_column_unique_value_count_to_be_between", "column": "p", "max_value": 9},
        {"expect": "expect_column_distinct_values_to_be_in_set", "column": "a", "value_set": [1]},
        {"expect": "expect_table_row_count_to_equal", "value": 2},
    ]
    results, _ = judge(
        {"a": [1, 2], "p": [7, 8]}, [{**c, "on_fail": "warn"} for c in checks], grades={"p": 3}
    )
    assert [result.observed for result in results] == ["2", None, None, "2", None, "2"]


def test_what_slipped_into_a_public_field_is_withheld(judge: Judge) -> None:
    """A telephone number in a column of numbers is its extreme; a bound as long says that numbers there are so."""
    checks = [
        {"expect": "expect_column_max_to_be_between", "column": "n", "max_value": 9},
        {"expect": "expect_column_max_to_be_between", "column": "n", "max_value": 9_999_999_999},
        {"expect": "expect_column_max_to_be_between", "column": "n", "max_value": 20_000_000_000},
        {"expect": "expect_column_mean_to_be_between", "column": "n", "max_value": 9},
        {"expect": "expect_column_min_to_be_between", "column": "n", "min_value": 9},
        {"expect": "expect_column_max_to_be_recent", "column": "d", "within": "2d"},
    ]
    columns = {"n": [1, 13987651234], "d": [date(2026, 3, 1)] * 2}
    results, _ = judge(columns, [{**c, "on_fail": "warn"} for c in checks], KNOWN)
    assert [result.observed for result in results] == [
        WITHHELD,
        WITHHELD,
        "13987651234",
        WITHHELD,
        "1",
        "2026-03-01",
    ]
