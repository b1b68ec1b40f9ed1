"""CSV as Excel in China opens it and RFC 4180 wants it: UTF-8 with a byte order mark, CRLF, quotes
doubled."""

from __future__ import annotations

import codecs

import pyarrow as pa
import pyarrow.csv as pacsv

from lake import store
from pipelines.downloads.cells import as_text, no_formula

OPTIONS = pacsv.WriteOptions(eol="\r\n")


def write_csv(uri: str, rows: pa.RecordBatchReader) -> None:
    """Null is an empty cell, an empty text `""`. Text that would be a formula gets an apostrophe; numbers,
    negative ones too, stay numbers."""
    schema = pa.schema([pa.field(field.name, _written_as(field.type)) for field in rows.schema])
    with store.output(uri) as out:
        out.write(codecs.BOM_UTF8)
        with pacsv.CSVWriter(out, schema, write_options=OPTIONS) as writer:
            for batch in rows:
                columns = [_cells(column, field.type) for column, field in zip(batch, schema, strict=True)]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _written_as(kind: pa.DataType) -> pa.DataType:
    """The writer's own form is right for whole numbers, floats, booleans, dates and decimals of few
    places."""
    if pa.types.is_decimal(kind):
        return kind if kind.scale <= 6 else pa.string()
    own = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return kind if own or pa.types.is_boolean(kind) or pa.types.is_date(kind) else pa.string()


def _cells(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(column.type):
        return no_formula(column)
    return as_text(column) if pa.types.is_string(kind) else column
