"""Expectations on values that must be known elsewhere: in a code list, or as the key of another dataset."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from expectations import great
from expectations.conditions import condition
from expectations.sqltables import codes_table, dataset_view


def _in_code_list(column: Any, codes: str) -> Any:
    return column.in_(sa.select(sa.column("code")).select_from(sa.table(codes_table(codes))))


def _exists(column: Any, dataset: str, field: str) -> Any:
    other: Any = sa.column(field)
    return column.in_(sa.select(other).select_from(sa.table(dataset_view(dataset))).where(other.is_not(None)))


condition("column_values.in_code_list", ("codes",), _in_code_list)
condition("column_values.exist_in_dataset", ("dataset", "field"), _exists, looks="elsewhere")


class ExpectColumnValuesToBeInCodeList(great.ColumnMapExpectation):
    """Each value is a code of the catalogue's code list `codes`."""

    codes: str

    map_metric: ClassVar[str] = "column_values.in_code_list"
    success_keys: ClassVar[tuple[str, ...]] = ("mostly", "codes")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "codes")


class ExpectColumnValuesToExistInDataset(great.ColumnMapExpectation):
    """Each value stands in `field` of the curated table of `dataset`, as a foreign key does."""

    dataset: str
    field: str

    map_metric: ClassVar[str] = "column_values.exist_in_dataset"
    success_keys: ClassVar[tuple[str, ...]] = ("mostly", "dataset", "field")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "dataset", "field")
