"""What each expectation takes, written down in `schemas/expectations.yaml`.

`xuanwu check` and the catalogue's rules read that file and so need not import Great Expectations, which takes
seconds. `python -m expectations.signatures` writes it again; a test holds it against the library and our own
classes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from expectations import great, ours  # noqa: F401 - registers our own
from expectations.dimensions import DIMENSIONS
from schemas.settings import HERE

FILE = HERE / "expectations.yaml"
HEADER = """\
# What may stand behind `expect:`, with its arguments. Generated: python -m expectations.signatures
#   columns: arguments that name a field (or a list of fields) of the dataset
#   row_level: true where a failure names the rows that failed, so that `on_fail: quarantine` sets them aside
#   dimension: of GB/T 36344, where the check itself names none
"""
INTERNAL = {
    "id", "meta", "notes", "result_format", "description", "catch_exceptions", "rendered_content", "severity",
    "windows", "batch_id", "library_metadata", "condition_parser", "interval_end", "previous_rows",
}  # fmt: skip
"""Arguments of every expectation that say how Great Expectations reports, not what is expected, or that
`expectations.suite` fills in."""
COLUMNS = ("column", "column_A", "column_B", "column_list", "column_set", "birth_date", "gender")
LEFT_OUT = {
    "expect_query_results_to_match_comparison": "SQL that can read anything, over another data source",
    "unexpected_rows_expectation": "SQL that can read anything",
    "expect_table_row_count_to_equal_other_table": "a check sees one batch, and of other datasets a key",
}
COLUMN_TYPE = (great.core.ExpectColumnValuesToBeOfType, great.core.ExpectColumnValuesToBeInTypeList)
"""Row-level by name: in SQL a column has one type, so that all its values fail or none, whatever the row."""
ROW_LEVEL = (
    great.ColumnMapExpectation,
    great.ColumnPairMapExpectation,
    great.MulticolumnMapExpectation,
)


def expectations() -> dict[str, type[great.Expectation]]:
    """Name to class of every expectation that a check may use, Great Expectations' own and ours, by name."""
    names = sorted(set(great.list_registered_expectation_implementations()) - set(LEFT_OUT) - {""})
    return {name: great.get_expectation_impl(name) for name in names}


def signature(name: str, kind: type[great.Expectation]) -> dict[str, Any]:
    """Arguments, which of them are required and which name fields, whether failures are rows, and the
    dimension."""
    left_out = INTERNAL | ({"row_condition"} if issubclass(kind, COLUMN_TYPE) else set())
    keys = {key: field for key, field in kind.__fields__.items() if key not in left_out}
    return {
        "arguments": list(keys),
        "required": [key for key, field in keys.items() if field.required],
        "columns": [key for key in keys if key in COLUMNS],
        "row_level": issubclass(kind, ROW_LEVEL),
        "dimension": DIMENSIONS[name],
    }


def render() -> str:
    """The whole file."""
    content = {name: signature(name, kind) for name, kind in expectations().items()}
    return HEADER + yaml.safe_dump(content, sort_keys=False, width=110, default_flow_style=None)


def main(path: Path = FILE) -> None:
    path.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
