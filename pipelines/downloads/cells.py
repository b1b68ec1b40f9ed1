"""What text formats make of a column."""

from __future__ import annotations

import base64

import pyarrow as pa

from pipelines.masks.arrays import text_of


def as_text(values: pa.Array) -> pa.Array:
    """The column as text (see `masks.arrays.text_of`); binary as base64 (RFC 4648, 4). Null stays null."""
    if not pa.types.is_binary(values.type):
        return text_of(values)
    encoded = [None if value is None else base64.b64encode(value).decode() for value in values.to_pylist()]
    return pa.array(encoded, pa.string())
