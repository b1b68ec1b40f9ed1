"""An outage is never a failed check, and no message quotes a value."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from expectations.known import Known
from schemas.errors import CatalogueError, EngineError
from tests.expectations.conftest import END, Judge, entry_of

CANARY = "金丝雀Canary77"
GOOD = {"expect": "expect_column_values_to_not_be_null", "column": "a"}


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        (
            {"expect": "expect_column_values_to_be_between", "column": "a", "min_value": 5},
            "InvalidColumnTypeError",
        ),
        (
            {"expect": "expect_column_values_to_match_regex", "column": "a", "regex": "(?=x)"},
            "InvalidInputException",
        ),
        ({"expect": "expect_column_sum_to_be_between", "column": "a", "min_value": 5}, "BinderException"),
        ({"expect": "expect_column_values_to_not_be_null", "column": "absent"}, ""),
        ({"expect": "expect_column_max_to_be_recent", "column": "a", "within": "2d"}, "ValueError"),
    ],
)
def test_the_engine_failed(judge: Judge, check: dict[str, Any], kind: str) -> None:
    with pytest.raises(EngineError, match="the data are not judged") as caught:
        judge({"a": [CANARY, "1"]}, [GOOD, {"on_fail": "warn", **check}])
    assert kind in str(caught.value) and CANARY not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert caught.value.next_step


def test_it_names_the_check_that_failed_and_no_other(judge: Judge) -> None:
    with pytest.raises(EngineError) as caught:
        judge(
            {"a": ["x"], "b": ["y"]},
            [GOOD, {"expect": "expect_column_values_to_match_regex", "column": "b", "regex": "("}],
        )
    assert caught.value.place["rule"] == "expect_column_values_to_match_regex"
    assert caught.value.place["field"] == "b"


def test_arguments_that_the_library_refuses_are_told_all_at_once(judge: Judge) -> None:
    checks = [
        {"expect": "expect_column_values_to_be_in_set", "column": "a"},
        {"expect": "expect_column_values_to_not_be_null", "column": "a", "colour": "red"},
        {"expect": "expect_table_row_count_not_to_drop", "max_drop": 3},
    ]
    with pytest.raises(CatalogueError) as caught:
        judge({"a": ["x"]}, checks)
    assert [problem.key.split(".")[0] for problem in caught.value.problems] == [
        "checks[1]",
        "checks[2]",
        "checks[3]",
    ]


def test_a_dataset_that_is_not_there_is_no_failed_check(judge: Judge) -> None:
    check = {
        "expect": "expect_column_values_to_exist_in_dataset",
        "column": "a",
        "dataset": "no.where",
        "field": "k",
    }
    with pytest.raises(EngineError, match=r"no\.where has no curated table"):
        judge({"a": ["x"]}, [check])


@pytest.mark.parametrize(
    ("kind", "argument"), [("be_in_code_list", "codes"), ("be_valid_division_code", "within")]
)
def test_a_code_list_that_is_not_there_is_no_failed_check(judge: Judge, kind: str, argument: str) -> None:
    check = {"expect": f"expect_column_values_to_{kind}", "column": "a", argument: "nowhere"}
    with pytest.raises(EngineError, match="there is no code list nowhere"):
        judge({"a": ["x"]}, [check])


def test_too_little_memory_is_an_engine_error(connection: duckdb.DuckDBPyConnection) -> None:
    from expectations.run import run

    connection.execute("SET memory_limit = '5MB'; SET temp_directory = ''")
    connection.execute(
        "CREATE VIEW batch AS SELECT i || repeat('x', 100) AS a, i AS _seq, 'f' AS _file, i AS _row FROM range(500000) t(i)"
    )
    entry = entry_of({"a": "string"}, [{"expect": "expect_column_values_to_be_unique", "column": "a"}])
    with pytest.raises(EngineError, match="OutOfMemoryException") as caught:
        run(entry, connection, Known(END))
    assert "XUANWU_MEMORY" in str(caught.value)
