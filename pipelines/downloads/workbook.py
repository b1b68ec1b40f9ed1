"""XLSX, where the table is small enough for Excel: text stays text, nothing becomes a formula, a link or
3.2E+17."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from lake import scratch, store
from pipelines.downloads.cells import as_text
from pipelines.downloads.dictionary import flat
from schemas.settings import Settings

MOST_ROWS = 1_048_575
"""Rows of a sheet less the header."""
LONGEST_TEXT = 32_767
"""UTF-16 units of a cell."""
DIGITS = 15
"""Excel keeps this many digits of a number: longer ones are written as text."""
OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


class Unfit(Exception):
    """The table does not fit into a workbook; the reason is told in the release's index."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


def write_xlsx(
    uri: str,
    rows: pa.RecordBatchReader,
    *,
    words: dict[str, Any],
    count: int,
    settings: Settings,
    now: datetime,
) -> tuple[str, int]:
    """A sheet `data` with a header row, and the data dictionary as a sheet of its own; the file's SHA-256 (hex) and
    size in bytes. Raises Unfit, before writing anything at `uri`, where there are too many rows or cells, or a text is
    too long for a cell."""
    _require_room(count, len(rows.schema), settings.xlsx_cells)
    with scratch.folder(settings, "xlsx") as folder:
        path = folder / "book.xlsx"
        with xlsxwriter.Workbook(path, OPTIONS | {"tmpdir": str(folder)}) as book:
            book.set_properties({"title": words["title"]["zh"], "created": now.replace(tzinfo=None)})
            day = book.add_format({"num_format": "yyyy-mm-dd"})
            _sheet(book.add_worksheet("data"), rows, day)
            _sheet(book.add_worksheet("data_dictionary"), flat(words).to_reader(), day)
        return store.write_stream(uri, store.blocks(str(path)))


def _require_room(rows: int, columns: int, most_cells: int) -> None:
    if rows > MOST_ROWS:
        raise Unfit(
            f"共 {rows} 行，超过 Excel 工作表的上限 {MOST_ROWS} 行",
            f"{rows} rows: a sheet of Excel holds {MOST_ROWS}",
        )
    if rows * columns > most_cells:
        raise Unfit(
            f"共 {rows * columns} 个单元格，超过设定的上限 {most_cells} 个",
            f"{rows * columns} cells: XUANWU_XLSX_CELLS allows {most_cells}",
        )


def _sheet(sheet: Worksheet, rows: pa.RecordBatchReader, day: Any) -> None:
    sheet.freeze_panes(1, 0)
    for column, name in enumerate(rows.schema.names):
        sheet.write_string(0, column, name)
    put = [_cell(sheet, field.type, day) for field in rows.schema]
    at = 1
    for batch in rows:
        columns = [_values(column) for column in batch.columns]
        for row in zip(*columns, strict=True):
            for column, value in enumerate(row):
                if value is not None:
                    put[column](at, column, value)
            at += 1


def _values(column: pa.Array) -> list[Any]:
    kind = column.type
    if pa.types.is_string(kind):
        _require_short(column)
    elif pa.types.is_timestamp(kind) or pa.types.is_binary(kind):
        column = as_text(column)
        _require_short(column)
    return list(column.to_pylist())


def _require_short(text: pa.Array) -> None:
    long = text.filter(pc.greater(pc.utf8_length(text), LONGEST_TEXT // 2))
    if any(len(value.encode("utf-16-le")) // 2 > LONGEST_TEXT for value in long.to_pylist() if value):
        raise Unfit(
            f"有文本超过 Excel 单元格的上限 {LONGEST_TEXT} 个字符",
            f"a text is longer than a cell's {LONGEST_TEXT}",
        )


def _cell(sheet: Worksheet, kind: pa.DataType, day: Any) -> Callable[[int, int, Any], object]:
    if pa.types.is_boolean(kind):
        return sheet.write_boolean
    if pa.types.is_date(kind):
        return lambda row, column, value: _write_day(sheet, row, column, value, day)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        return lambda row, column, value: _write_number(sheet, row, column, value)
    return sheet.write_string


def _write_day(sheet: Worksheet, row: int, column: int, value: date, day: Any) -> None:
    """Excel knows no day before 1900."""
    if value.year < 1900:
        sheet.write_string(row, column, value.isoformat())
    else:
        sheet.write_datetime(row, column, datetime(value.year, value.month, value.day), day)


def _write_number(sheet: Worksheet, row: int, column: int, value: float | Decimal) -> None:
    exact = isinstance(value, float) or len(Decimal(value).as_tuple().digits) <= DIGITS
    if exact and math.isfinite(value):
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, f"{value:f}" if isinstance(value, Decimal) else str(value))
