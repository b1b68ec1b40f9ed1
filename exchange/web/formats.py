"""Record batches as the bytes of an answer: JSON, JSON Lines, CSV, Arrow or Parquet, streamed."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from pyarrow import ipc

from exchange.reading import Page
from schemas.spreadsheets import no_formula

Chunks = Iterator[bytes]
AT_ONCE: Final = 1_000
"""Rows that are written as one text."""


def _plain(value: Any) -> Any:
    """A value that JSON has no form for: decimals as text (no digit is lost), days and moments in ISO 8601."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value).__name__)


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, default=_plain)


def as_json(page: Page) -> Chunks:
    """`{"snapshot": …, "rows": […], "next": …}`: `next` is known at the end, and stands there."""
    yield f'{{"snapshot":"{page.snapshot}","rows":['.encode()
    between = b""
    for batch in page.rows:
        for start in range(0, batch.num_rows, AT_ONCE):
            rows = _ENCODER.encode(batch.slice(start, AT_ONCE).to_pylist())
            yield between + rows[1:-1].encode()
            between = b","
    yield f'],"next":{json.dumps(page.next)}}}'.encode()


def as_lines(page: Page) -> Chunks:
    for batch in page.rows:
        for row in batch.to_pylist():
            yield _ENCODER.encode(row).encode() + b"\n"


def as_csv(page: Page) -> Chunks:
    """UTF-8 with a header; texts are quoted, NULL is empty and unquoted. A text that would be a formula in a
    spreadsheet gets an apostrophe, as in downloads; numbers, negative ones too, stay numbers."""
    options = pa_csv.WriteOptions(include_header=False, quoting_style="needed")
    yield (",".join(f'"{name}"' for name in page.schema.names) + "\n").encode()
    for batch in page.rows:
        sink = io.BytesIO()
        cells = pa.RecordBatch.from_arrays([_cells(column) for column in batch], names=batch.schema.names)
        pa_csv.write_csv(cells, sink, options)
        yield sink.getvalue()


def _cells(column: pa.Array) -> pa.Array:
    """Texts without formulas; binary as base64, as in JSON."""
    if pa.types.is_binary(column.type):
        return pa.array([None if each is None else _plain(each) for each in column.to_pylist()], pa.string())
    return no_formula(column) if pa.types.is_string(column.type) else column


def as_arrow(page: Page) -> Chunks:
    """Arrow's IPC stream."""
    yield from _through(lambda sink: ipc.new_stream(sink, page.schema), page)


def as_parquet(page: Page) -> Chunks:
    yield from _through(lambda sink: pq.ParquetWriter(sink, page.schema, compression="zstd"), page)


def _through(make: Callable[[Any], Any], page: Page) -> Chunks:
    """What a writer has written after each batch."""
    sink = _Sink()
    with make(pa.PythonFile(sink, mode="w")) as writer:
        for batch in page.rows:
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """A file whose bytes are taken out as they come."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


FORMATS: Final[dict[str, tuple[str, Callable[[Page], Chunks]]]] = {
    "json": ("application/json", as_json),
    "jsonl": ("application/x-ndjson", as_lines),
    "csv": ("text/csv; charset=utf-8", as_csv),
    "arrow": ("application/vnd.apache.arrow.stream", as_arrow),
    "parquet": ("application/vnd.apache.parquet", as_parquet),
}
