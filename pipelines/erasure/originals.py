"""Landed files without some of their rows. What stays keeps its place and its values, and every row its number.

CSV, TSV      the record becomes one of empty cells, which readers leave out; all else keeps its text
JSON Lines    the line becomes an empty one
JSON          the record becomes `{}`; every other byte of the document stays
Parquet       the row's cells become null
Excel, ODS    the workbook is written anew by its values (.xlsx), the row's cells empty: formulas and looks are lost

Text is written in UTF-8, and each member of an archive as a file of its own without compression. The manifest names
the rows (`LandedFile.erased`), so that no reader gives them, whatever its format makes of an empty place.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xlsxwriter
from python_calamine import CalamineWorkbook

from lake import parquet, store
from lake.records import LandedFile, Received
from pipelines.readers import member_of, open_text, scan
from pipelines.readers import read as read_rows
from pipelines.readers.delimited_head import delimiter, dialect, open_table
from pipelines.readers.jsontext import DOCUMENT
from pipelines.readers.opening import open_seekable
from pipelines.readers.workbook import LIMIT
from pipelines.readers.workbook import text as cell_text
from pipelines.readers.workbook_errors import error_cells
from pipelines.sources.scanned import columns_of
from pipelines.telling import file_name
from schemas.errors import LakeError
from schemas.model import Entry, FileSource, HttpSource

BATCH_ROWS: Final = 1 << 15
CELL: Final = 1 << 28
"""Characters of one CSV cell at most."""
Rows = Callable[[pa.RecordBatch], pa.Array]
_FORMATS: Final = {
    datetime: "yyyy-mm-dd hh:mm:ss",
    date: "yyyy-mm-dd",
    time: "hh:mm:ss",
    timedelta: "[hh]:mm:ss",
}
_SCAN = json.JSONDecoder().raw_decode


class Choice:
    """Which rows of one file go: those whose text says so, and those named by the number that readers give."""

    def __init__(
        self,
        rows: Iterable[int] = (),
        in_text: Callable[[str], bool] = lambda _: False,
        in_rows: Rows = lambda batch: pa.repeat(pa.scalar(False), batch.num_rows),
    ) -> None:
        self._rows, self._in_text, self._in_rows = set(rows), in_text, in_rows
        self.taken: list[int] = []

    def one(self, number: int, text: str) -> bool:
        if number in self._rows or self._in_text(text):
            self.taken.append(number)
            return True
        return False

    def of(self, batch: pa.RecordBatch, first: int) -> pa.Array:
        """Booleans for the rows of a batch whose first one has this number."""
        numbers = pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64))
        hit = pc.or_(self._in_rows(batch), pc.is_in(numbers, pa.array(sorted(self._rows), pa.int64())))
        self.taken += numbers.filter(hit).to_pylist()
        return hit


def chosen(file: LandedFile, entry: Entry, choice: Choice) -> list[int]:
    """The numbers of the rows that go, of those that are still there; nothing is written."""
    with Path(os.devnull).open("wb") as nowhere:
        _write(file, entry, choice, nowhere)
    return sorted(set(choice.taken) - set(file.erased))


def without(file: LandedFile, entry: Entry, rows: list[int], path: str) -> LandedFile:
    """Write the file anew at `path` without these rows, and return it as the manifest is to name it. Without rows it
    is written in the same form.

    LakeError, with nothing left at `path`, if it would not read as the same file without them."""
    with store.output(path) as stream:
        _write(file, entry, Choice(rows), stream)
    erased = tuple(sorted({*file.erased, *rows}))
    received = file.received or Received(sha256=file.sha256, size=file.size, rows=file.rows)
    made = file.model_copy(
        update={
            "path": path,
            "sha256": store.sha256_of(path),
            "size": store.size_of(path),
            "encoding": None if file.format in {"parquet", "excel"} else "utf-8",
            "erased": erased,
            "received": received,
        }
    )
    left = scan(made, entry.source, columns_of(entry)).rows
    if left != received.rows - len(erased) or _digests(made, entry) != _digests(file, entry, rows):
        store.remove_file(path)
        raise LakeError(
            f"without {len(rows)} rows the file would not read as before; it stays as it is",
            dataset=entry.id,
            file=file_name(file.name),
            next_step="keep the file for inspection: it does not read as it was landed",
        )
    return made.model_copy(update={"rows": left})


def _digests(file: LandedFile, entry: Entry, without: Iterable[int] = ()) -> list[str] | None:
    """Of each column as readers give it, but for some rows. None for workbooks, where a column's type depends on all
    its cells."""
    if file.format == "excel":
        return None
    gone = pa.array(sorted(without), pa.int64())
    names = [*columns_of(entry), "_row", "_error", "_raw"]
    sums = [hashlib.sha256() for _ in names]
    for batch in read_rows(file, entry.source, columns_of(entry)):
        left = batch.filter(pc.invert(pc.is_in(batch["_row"], gone)))
        for name, total in zip(names, sums, strict=True):
            for value in left[name].to_pylist():
                total.update(repr(value).encode())
    return [total.hexdigest() for total in sums]


def _write(file: LandedFile, entry: Entry, choice: Choice, sink: IO[bytes]) -> None:
    source: Any = entry.source
    if file.format == "parquet":
        with open_seekable(file, member_of(source)) as stream:
            _parquet(stream, choice, sink)
    elif file.format == "excel":
        with open_seekable(file, member_of(source), LIMIT) as stream:
            _workbook(stream, choice, sink)
    elif file.format in {"csv", "tsv"}:
        with open_text(file, source) as stream:
            width = len(open_table(stream, source, file_name(file.origin)).names)
        with open_text(file, source) as stream:
            _delimited(stream, source, width, choice, sink)
    else:
        with open_text(file, source) as stream:
            (_lines if file.format == "jsonl" else _document)(stream, entry, choice, sink)


# ── by format ─────────────────────────────────────────────────────────────────────────────────────────────


class _Lines:
    """The lines of a text, with what was handed out since it was last asked for."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._lines = io.TextIOWrapper(stream, "utf-8", "surrogatepass", newline="")
        self._held: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self._held.append(line)
            yield line

    def taken(self) -> str:
        text, self._held = "".join(self._held), []
        return text


@contextmanager
def _long_cells() -> Iterator[None]:
    before = csv.field_size_limit(CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _delimited(stream: IO[bytes], source: FileSource, width: int, choice: Choice, sink: IO[bytes]) -> None:
    """Record by record, as the csv module cuts them: a quotation mark counts at a cell's beginning alone."""
    empty = delimiter(source) * (width - 1) + "\n"
    lines = _Lines(stream)
    with _long_cells():
        for number, _ in enumerate(csv.reader(iter(lines), **dialect(source), strict=False), 1):
            text = lines.taken()
            sink.write((empty if choice.one(number, text) else text).encode("utf-8", "surrogatepass"))


def _lines(stream: IO[bytes], _: Entry, choice: Choice, sink: IO[bytes]) -> None:
    for number, line in enumerate(stream, 1):
        sink.write(b"\n" if choice.one(number, line.decode("utf-8", "replace")) else line)


def _document(stream: IO[bytes], entry: Entry, choice: Choice, sink: IO[bytes]) -> None:
    """Records of the list become `{}`; all between them stays."""
    text = stream.read(DOCUMENT + 1).decode()
    records = entry.source.records if isinstance(entry.source, FileSource | HttpSource) else None
    done = 0
    for number, (start, end) in enumerate(_items(text, _list_at(text, (records or "").split("."))), 1):
        if choice.one(number, text[start:end]):
            sink.write(text[done:start].encode() + b"{}")
            done = end
    sink.write(text[done:].encode())


def _blank(text: str, at: int) -> int:
    while text[at] in " \t\r\n,:":
        at += 1
    return at


def _list_at(text: str, keys: Iterable[str]) -> int:
    """Where the list at a path of keys begins in a valid document."""
    at = _blank(text, 0)
    for key in filter(None, keys):
        at = _blank(text, at + 1)
        while True:
            name, at = _SCAN(text, at)
            at = _blank(text, at)
            if name == key:
                break
            at = _blank(text, _SCAN(text, at)[1])
    return at


def _items(text: str, at: int) -> Iterator[tuple[int, int]]:
    at = _blank(text, at + 1)
    while text[at] != "]":
        end = _SCAN(text, at)[1]
        yield at, end
        at = _blank(text, end)


def _parquet(stream: IO[bytes], choice: Choice, sink: IO[bytes]) -> None:
    with pq.ParquetFile(stream, pre_buffer=False) as file:
        schema = pa.schema(
            [field.with_nullable(True) for field in file.schema_arrow], file.schema_arrow.metadata
        )
        with parquet.Writer(sink, schema, statistics=False) as writer:
            rows = store.row_groups(_emptied(file, schema, choice), schema)
            for table in rows:
                writer.write_table(table)


def _emptied(file: pq.ParquetFile, schema: pa.Schema, choice: Choice) -> Iterator[pa.RecordBatch]:
    first = 1
    for batch in file.iter_batches(BATCH_ROWS):
        hit = choice.of(batch, first)
        places = pc.if_else(hit, pa.scalar(None, pa.int64()), pa.array(np.arange(batch.num_rows)))
        first += batch.num_rows
        columns = [column.take(places) for column in batch.columns]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _workbook(stream: IO[bytes], choice: Choice, sink: IO[bytes]) -> None:
    """Every sheet by its values, in every row but those that go. Cells with an error keep being one."""
    held, made = io.BytesIO(stream.read()), io.BytesIO()
    book = CalamineWorkbook.from_filelike(held)
    with xlsxwriter.Workbook(made, {"in_memory": True}) as out:
        formats = {kind: out.add_format({"num_format": form}) for kind, form in _FORMATS.items()}
        for name in book.sheet_names:
            read, sheet, faulty = (
                book.get_sheet_by_name(name),
                out.add_worksheet(name),
                error_cells(held, name),
            )
            for (top, left), (bottom, right) in read.merged_cell_ranges or []:
                sheet.merge_range(top, left, bottom, right, "")
            for number, row in enumerate(read.iter_rows(), 1):
                if choice.one(number, "\t".join(cell_text(cell) or "" for cell in row)):
                    continue
                for column, cell in enumerate(row):
                    if (number, column) in faulty:
                        sheet.write_formula(number - 1, column, "=NA()", None, "#N/A")
                    else:
                        _cell(sheet, number - 1, column, cell, formats)
    sink.write(made.getvalue())


def _cell(sheet: Any, row: int, column: int, cell: Any, formats: dict[type, Any]) -> None:
    if isinstance(cell, bool):
        sheet.write_boolean(row, column, cell)
    elif isinstance(cell, int | float):
        sheet.write_number(row, column, cell)
    elif type(cell) in formats:
        sheet.write_datetime(row, column, cell, formats[type(cell)])
    elif cell not in ("", None):
        sheet.write_string(row, column, str(cell))
