"""The same rows as files of every form, and rows spoilt."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable

import msoffcrypto.format.ooxml
import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl import Workbook

from tests.pipelines.badinput.town import (
    CANARY,
    HEADER,
    Rows,
)


def parquet_of(data: Rows) -> bytes:
    sink = io.BytesIO()
    table = pa.table([list(column) for column in zip(*data, strict=True)], names=list(HEADER))
    pq.write_table(table, sink, row_group_size=5)
    return sink.getvalue()


def json_of(data: Rows) -> bytes:
    return json.dumps([dict(zip(HEADER, row, strict=True)) for row in data], ensure_ascii=False).encode()


def workbook_of(data: Rows, header: tuple[str, ...] = HEADER) -> bytes:
    book, sink = Workbook(), io.BytesIO()
    for row in (header, *data):
        book.active.append(row)
    book.save(sink)
    return sink.getvalue()


def zip_of(data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("persons.csv", data)
    return sink.getvalue()


def encrypted(data: bytes) -> bytes:
    sink = io.BytesIO()
    msoffcrypto.format.ooxml.OOXMLFile(io.BytesIO(data)).encrypt("secret", sink)
    return sink.getvalue()


def ragged(data: Rows) -> Rows:
    return [*data[:3], data[3][:4], (*data[4], f"{CANARY}more"), *data[5:]]


def cell(at: int, value: str) -> Callable[[Rows], Rows]:
    """The fifth row with another value in a column."""
    return lambda data: [*data[:4], (*data[4][:at], value, *data[4][at + 1 :]), *data[5:]]
