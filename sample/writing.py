"""The forms in which departments hand over data. Every file appears whole or not at all, and the same for one
seed."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import xlsxwriter

from sample.plan import Flags, Part

Parts = Iterable[Part]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it on clean exit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.writing")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sqlite(path: Path, table: str, parts: Parts) -> None:
    """A department's database with one table of text columns, without any constraint: as the faults need
    it."""
    with replacing(path) as file, closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")
        columns: list[str] = []
        for part in parts:
            if not columns:
                columns = list(part.columns)
                database.execute(f"CREATE TABLE {table} ({', '.join(f'{name} TEXT' for name in columns)})")
            marks = ", ".join("?" * len(columns))
            rows = zip(*(part.columns[name].to_pylist() for name in columns), strict=True)
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        database.execute("COMMIT")


def delimited(path: Path, parts: Parts, encoding: str, delimiter: str = ",") -> None:
    """CSV or TSV. Rows with the fault `ragged_row` get a cell too many."""
    with replacing(path) as file, file.open("wb") as out:
        for number, part in enumerate(parts):
            if number == 0:
                out.write((delimiter.join(part.columns) + "\n").encode(encoding))
            text = _rows(part, delimiter)
            ragged = part.faults.get("ragged_row")
            out.write(_with_cell_too_many(text, ragged, delimiter).encode(encoding.removesuffix("-sig")))


def _rows(part: Part, delimiter: str) -> str:
    if any("\0" in value for value in part.columns[next(iter(part.columns))].to_pylist()):
        lines = io.StringIO()
        rows = zip(*(column.to_pylist() for column in part.columns.values()), strict=True)
        csv.writer(lines, delimiter=delimiter, lineterminator="\n").writerows(rows)
        return lines.getvalue()
    options = pa_csv.WriteOptions(include_header=False, delimiter=delimiter, quoting_style="needed")
    sink = pa.BufferOutputStream()
    pa_csv.write_csv(pa.table(part.columns), sink, options)
    return sink.getvalue().to_pybytes().decode()


def _with_cell_too_many(text: str, ragged: Flags | None, delimiter: str) -> str:
    if ragged is None or not ragged.any():
        return text
    lines = text.splitlines()
    for row in ragged.nonzero()[0]:
        lines[row] += f"{delimiter}见附件"
    return "\n".join(lines) + "\n"


def json_lines(path: Path, parts: Parts) -> None:
    """JSON Lines, gzipped, without a time in the gzip header."""
    with (
        replacing(path) as file,
        file.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as out,
    ):
        for part in parts:
            for row in _objects(part):
                out.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def json_document(path: Path, parts: Parts, head: dict[str, object], name: str) -> None:
    """One JSON document, its records under `data.<name>`."""
    rows = [row for part in parts for row in _objects(part)]
    with replacing(path) as file, file.open("w", encoding="utf-8") as out:
        _dump({**head, "data": {name: rows}}, out)


def _dump(document: dict[str, object], out: IO[str]) -> None:
    json.dump(document, out, ensure_ascii=False, indent=1)
    out.write("\n")


def _objects(part: Part) -> Iterator[dict[str, object]]:
    rows = zip(*(column.to_pylist() for column in part.columns.values()), strict=True)
    return (dict(zip(part.columns, row, strict=True)) for row in rows)


def parquet(path: Path, parts: Parts) -> None:
    """Parquet, a row group for each part."""
    with replacing(path) as file:
        writer: pq.ParquetWriter | None = None
        for part in parts:
            table = pa.table(part.columns)
            writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is not None:
            writer.close()


def workbook(path: Path, title: str, parts: Parts, made: datetime) -> None:
    """An Excel form: a merged title, a header of two rows with merged cells, a sum and notes at the end.

    Column names with `/` are a group and what stands below it.
    """
    with replacing(path) as file, xlsxwriter.Workbook(file) as book:
        book.set_properties({"created": made})
        sheet = book.add_worksheet("医疗机构")
        row = 3
        for number, part in enumerate(parts):
            if number == 0:
                _form_head(book, sheet, title, list(part.columns))
            for values in zip(*(column.to_pylist() for column in part.columns.values()), strict=True):
                sheet.write_row(row, 0, values)
                row += 1
        sheet.write_row(row, 0, ["合计", f"{row - 3}家"])
        sheet.write(row + 1, 0, "填报单位：各区卫生健康委员会")
        sheet.write(row + 2, 0, "注：实有床位为月末数。")


def _form_head(book: xlsxwriter.Workbook, sheet: xlsxwriter.Workbook, title: str, names: list[str]) -> None:
    bold = book.add_format({"bold": True, "align": "center"})
    sheet.merge_range(0, 0, 0, len(names) - 1, title, bold)
    groups = [name.split("/")[0] for name in names]
    for column, name in enumerate(names):
        group, _, below = name.partition("/")
        if not below:
            sheet.merge_range(1, column, 2, column, group, bold)
        elif groups.index(group) == column:
            sheet.merge_range(1, column, 1, column + groups.count(group) - 1, group, bold)
    for column, name in enumerate(names):
        if "/" in name:
            sheet.write(2, column, name.partition("/")[2], bold)
