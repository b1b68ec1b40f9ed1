"""Every row-level expectation sets aside just its failing rows: one that fails and one that passes for each."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml

from expectations.known import Known
from expectations.signatures import FILE
from tests.expectations.conftest import END, Judge

pytestmark = pytest.mark.filterwarnings("ignore:.*GX Core:DeprecationWarning")
KINDS = yaml.safe_load(FILE.read_text(encoding="utf-8"))
ROW_LEVEL = sorted(name for name, kind in KINDS.items() if kind["row_level"])
Example = tuple[dict[str, Any], dict[str, Any], list[int], int]
A = {"column": "a"}
PAIR = {"column_A": "a", "column_B": "b"}
LIST = {"column_list": ["a", "b"]}

# name: (columns, arguments, failing rows counted from 0, rows evaluated)
EXAMPLES: dict[str, Example] = {
    "expect_column_pair_values_a_to_be_greater_than_b": ({"a": [2, 1, None], "b": [1, 2, None]}, PAIR, [1], 2),
    "expect_column_pair_values_to_be_equal": ({"a": ["x", "x", None], "b": ["x", "y", None]}, PAIR, [1], 2),
    "expect_column_pair_values_to_be_in_set": (
        {"a": ["1", "2"], "b": ["男", "男"]}, {**PAIR, "value_pairs_set": [["1", "男"], ["2", "女"]]}, [1], 2,
    ),
    "expect_column_value_lengths_to_be_between": ({"a": ["玄武湖", "湖", None]}, {**A, "min_value": 2, "max_value": 3}, [1], 2),
    "expect_column_value_lengths_to_equal": ({"a": ["玄武", "玄武湖", None]}, {**A, "value": 2}, [1], 2),
    "expect_column_value_z_scores_to_be_less_than": (
        {"a": [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0, 9.0]}, {**A, "threshold": 2, "double_sided": True}, [7], 8,
    ),
    "expect_column_values_to_be_between": ({"a": [5, 11, None, -1]}, {**A, "min_value": 0, "max_value": 10}, [1, 3], 3),
    "expect_column_values_to_be_dateutil_parseable": ({"a": ["2026-03-01", "1 March 2026", "not one", None]}, A, [2], 3),
    "expect_column_values_to_be_decreasing": ({"a": [3, None, 2, 2, 5]}, {**A, "strictly": True}, [3, 4], 4),
    "expect_column_values_to_be_in_code_list": ({"a": ["1", "2", "9", None]}, {**A, "codes": "gender"}, [2], 3),
    "expect_column_values_to_be_in_set": ({"a": ["x", "y", None]}, {**A, "value_set": ["x"]}, [1], 2),
    "expect_column_values_to_be_in_type_list": ({"a": ["x", "y", None]}, {**A, "type_list": ["BIGINT"]}, [0, 1], 2),
    "expect_column_values_to_be_increasing": ({"a": [1, 3, None, 2, 4]}, A, [3], 4),
    "expect_column_values_to_be_json_parseable": ({"a": ['{"k": 1}', "{", None]}, A, [1], 2),
    "expect_column_values_to_be_null": ({"a": [None, "x"]}, A, [1], 2),
    "expect_column_values_to_be_of_type": ({"a": [1, 2]}, {**A, "type_": "VARCHAR"}, [0, 1], 2),
    "expect_column_values_to_be_unique": ({"a": ["x", "y", "x", None, None]}, A, [0, 2], 3),
    "expect_column_values_to_be_valid_division_code": ({"a": ["320102", "999999", None]}, A, [1], 2),
    "expect_column_values_to_be_valid_mobile_number": ({"a": ["13800138000", "12345678901", None]}, A, [1], 2),
    "expect_column_values_to_be_valid_resident_id": ({"a": ["11010519491231002X", "110105194912310021", None]}, A, [1], 2),
    "expect_column_values_to_be_valid_uscc": ({"a": ["91350100M000100Y43", "91350100M000100Y44", None]}, A, [1], 2),
    "expect_column_values_to_exist_in_dataset": (
        {"a": ["k1", "k9", None]}, {**A, "dataset": "other.set", "field": "key"}, [1], 2,
    ),
    "expect_column_values_to_match_json_schema": (
        {"a": ['{"k": 1}', '{"k": "x"}', "{", None]},
        {**A, "json_schema": {"type": "object", "properties": {"k": {"type": "integer"}}}}, [1, 2], 3,
    ),
    "expect_column_values_to_match_like_pattern": ({"a": ["苏A123", "沪B1", None]}, {**A, "like_pattern": "苏%"}, [1], 2),
    "expect_column_values_to_match_like_pattern_list": (
        {"a": ["ab", "a", "c", None]}, {**A, "like_pattern_list": ["a%", "%b"], "match_on": "all"}, [1, 2], 3,
    ),
    "expect_column_values_to_match_regex": ({"a": ["J3201-1", "xJ3201", None]}, {**A, "regex": r"^J3201-\d$"}, [1], 2),
    "expect_column_values_to_match_regex_list": (
        {"a": ["a1", "b1", "c1", None]}, {**A, "regex_list": ["^a", "^b"], "match_on": "any"}, [2], 3,
    ),
    "expect_column_values_to_match_strftime_format": (
        {"a": ["2026-03-01", "2026-02-30", "20260301", None]}, {**A, "strftime_format": "%Y-%m-%d"}, [1, 2], 3,
    ),
    "expect_column_values_to_not_be_in_set": ({"a": ["x", "y", None]}, {**A, "value_set": ["y"]}, [1], 2),
    "expect_column_values_to_not_be_null": ({"a": ["x", None]}, A, [1], 2),
    "expect_column_values_to_not_be_outliers": ({"a": [1, 2, 3, 2, 1, 2, 3, 99, None]}, A, [7], 8),
    "expect_column_values_to_not_match_like_pattern": ({"a": ["x", "测试甲", None]}, {**A, "like_pattern": "测试%"}, [1], 2),
    "expect_column_values_to_not_match_like_pattern_list": (
        {"a": ["x", "ab", "cb", None]}, {**A, "like_pattern_list": ["a%", "c%"]}, [1, 2], 3,
    ),
    "expect_column_values_to_not_match_regex": ({"a": ["x", "测试甲", None]}, {**A, "regex": "测试"}, [1], 2),
    "expect_column_values_to_not_match_regex_list": (
        {"a": ["x", "ab", "cb", None]}, {**A, "regex_list": ["^a", "^c"]}, [1, 2], 3,
    ),
    "expect_compound_columns_to_be_unique": ({"a": ["x", "x", "x"], "b": [1, 2, 1]}, LIST, [0, 2], 3),
    "expect_multicolumn_sum_to_equal": ({"a": [1, 2, 5], "b": [9, 8, 6]}, {**LIST, "sum_total": 10}, [2], 3),
    "expect_multicolumn_values_to_be_equal": ({"a": [1, 2], "b": [1, 3]}, LIST, [1], 2),
    "expect_resident_id_to_match_birth_date_and_gender": (
        {
            "a": ["11010519491231002X"] * 4 + ["110105491231002", None],
            "born": [date(1949, 12, 31), date(1949, 12, 30), None, date(1949, 12, 31), date(2000, 1, 1), date(2000, 1, 1)],
            "sex": ["2", "2", None, "1", "1", "1"],
        },
        {**A, "birth_date": "born", "gender": "sex"}, [1, 3], 5,
    ),
    "expect_select_column_values_to_be_unique_within_record": ({"a": ["x", "x"], "b": ["y", "x"]}, LIST, [1], 2),
}  # fmt: skip


RIGHT_TYPE = {
    "expect_column_values_to_be_in_type_list": {"type_list": ["DATE", "VARCHAR"]},
    "expect_column_values_to_be_of_type": {"type_": "BIGINT"},
}


@pytest.fixture
def known(connection: duckdb.DuckDBPyConnection) -> Known:
    connection.execute("""CREATE VIEW "dataset other.set" AS SELECT unnest(['k1', 'k2']) AS key""")
    return Known(END, codes={"gender": ["1", "2"]}, datasets=frozenset({"other.set"}))


def test_each_row_level_expectation_has_an_example() -> None:
    assert len(ROW_LEVEL) > 35
    assert sorted(EXAMPLES) == ROW_LEVEL


@pytest.mark.parametrize("name", ROW_LEVEL)
def test_sets_aside_the_failing_rows(judge: Judge, known: Known, name: str) -> None:
    columns, arguments, bad, evaluated = EXAMPLES[name]
    (result,), failing = judge(columns, [{"expect": name, **arguments}], known)
    assert (result.success, result.failed, result.evaluated) == (False, len(bad), evaluated)
    assert failing == {1: bad}


@pytest.mark.parametrize("name", ROW_LEVEL)
def test_passes_without_the_failing_rows(judge: Judge, known: Known, name: str) -> None:
    columns, arguments, bad, _ = EXAMPLES[name]
    keep = [i for i in range(len(next(iter(columns.values())))) if i not in bad]
    typed = {column: pa.array(values) for column, values in columns.items()}
    good = {column: values.take(pa.array(keep, pa.int64())) for column, values in typed.items()}
    (result,), failing = judge(good, [{"expect": name, **arguments, **RIGHT_TYPE.get(name, {})}], known)
    assert (result.success, result.failed, failing) == (True, 0, {})


@pytest.mark.parametrize("name", ROW_LEVEL)
def test_an_empty_batch_passes(judge: Judge, known: Known, name: str) -> None:
    columns, arguments, _, _ = EXAMPLES[name]
    empty = {column: pa.array(values).slice(0, 0) for column, values in columns.items()}
    (result,), failing = judge(empty, [{"expect": name, **arguments}], known)
    assert (result.failed, result.evaluated, failing) == (0, 0, {})


@pytest.mark.parametrize("name", [n for n in ROW_LEVEL if "row_condition" in KINDS[n]["arguments"]])
def test_a_row_condition_leaves_the_others_out(judge: Judge, known: Known, name: str) -> None:
    columns, arguments, bad, _ = EXAMPLES[name]
    twice = {column: pa.concat_arrays([pa.array(values)] * 2) for column, values in columns.items()}
    rows = len(next(iter(columns.values())))
    twice["half"] = pa.array([1] * rows + [2] * rows)
    (result,), failing = judge(
        twice, [{"expect": name, **arguments, "row_condition": 'col("half") == 1'}], known
    )
    assert (result.failed, failing) == (len(bad), {1: bad})


def test_mostly_is_recorded_and_the_rows_are_set_aside_all_the_same(judge: Judge) -> None:
    check = {"expect": "expect_column_values_to_be_in_set", "column": "a", "value_set": ["x"], "mostly": 0.5}
    (result,), failing = judge({"a": ["x", "x", "y"]}, [check])
    assert (result.success, result.failed, failing) == (True, 1, {1: [2]})


def test_a_warning_keeps_no_rows(judge: Judge) -> None:
    check = {"expect": "expect_column_values_to_not_be_null", "column": "a", "on_fail": "warn"}
    (result,), failing = judge({"a": ["x", None]}, [check])
    assert (result.success, result.failed, failing) == (False, 1, {})


def test_a_division_code_within_prefixes_or_a_code_list(judge: Judge) -> None:
    check = {"expect": "expect_column_values_to_be_valid_division_code", "column": "a"}
    checks = [{**check, "within": within} for within in ("3201", ["3201", "3202"], "nanjing")]
    codes = {"a": ["320102", "320201", "110101", "3201"]}
    _, failing = judge(codes, checks, Known(END, codes={"nanjing": ["320102", "320104"]}))
    assert failing == {1: [1, 2, 3], 2: [2, 3], 3: [1, 2, 3]}


def test_fields_may_bear_the_names_of_keywords(judge: Judge) -> None:
    names = [
        "at",
        "desc",
        "group",
        "order",
        "table",
        "column",
        "select",
        "window",
        "user",
        "value",
        "before",
        "code",
    ]
    kinds = ["not_be_null", "be_unique", "be_increasing", "not_be_outliers"]
    checks = [
        {"expect": f"expect_column_values_to_{kind}", "column": name} for name in names for kind in kinds
    ]
    totals = [
        {"expect": "expect_column_max_to_be_between", "column": name, "max_value": 9, "on_fail": "warn"}
        for name in names
    ]
    results, failing = judge({name: [1, 2, 3] for name in names}, checks + totals)
    assert all(result.success for result in results) and failing == {}


def test_timestamps_and_dates_compare_with_the_catalogues(judge: Judge) -> None:
    moments = pa.array([datetime(2026, 3, 1), datetime(2027, 3, 1)], pa.timestamp("us", "UTC"))
    days = pa.array([date(2026, 3, 1), date(2027, 3, 1)])
    checks = [
        {"expect": "expect_column_values_to_be_between", "column": c, "max_value": date(2026, 12, 31)}
        for c in "ab"
    ]
    results, failing = judge({"a": moments, "b": days}, checks)
    assert failing == {1: [1], 2: [1]} and [r.failed for r in results] == [1, 1]
