"""JSON Lines: one object a row, every field in it, null where there is no value."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from lake import store
from pipelines.downloads.cells import as_text

_CONTROL = [chr(code) for code in range(0x20)]


def write_jsonl(uri: str, rows: pa.RecordBatchReader) -> tuple[str, int]:
    """RFC 8259 in UTF-8. Decimals are numbers with all their places; dates and timestamps are ISO 8601; what
    JSON has no number for (NaN, infinity) is null. Gives the file's SHA-256 (hex) and size in bytes."""
    lines = (_lines(batch) for batch in rows)
    # the strings of a column lie one after the other: that is the file
    return store.write_stream(
        uri, (each.buffers()[2].slice(0, pc.sum(pc.binary_length(each)).as_py() or 0) for each in lines)
    )


def _lines(batch: pa.RecordBatch) -> pa.Array:
    parts: list[pa.Array | str] = []
    for number, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
        parts += ["{" if number == 0 else ",", f"{json.dumps(name)}:", pc.fill_null(_value(column), "null")]
    return pc.binary_join_element_wise(*parts, "}\n", "")


def _value(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_floating(kind):
        finite = pc.is_finite(column)
        return pc.if_else(finite, column, None).cast(pa.string())
    text = as_text(column)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return text
    return pc.binary_join_element_wise('"', _escaped(text), '"', "")


def _escaped(text: pa.Array) -> pa.Array:
    for character in ("\\", '"'):
        text = pc.replace_substring(text, character, f"\\{character}")
    if not pc.any(pc.match_substring_regex(text, r"[\x00-\x1f]")).as_py():
        return text
    for character in _CONTROL:
        text = pc.replace_substring(text, character, json.dumps(character)[1:-1])
    return text
