"""The Arrow types of fields, of an entry's rows, and of what is published of them."""

from __future__ import annotations

import pyarrow as pa

from schemas.model import Entry, Field, Mask

_TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "binary": pa.binary(),
}
_KEEPS_TYPE = {"keep", "round", "clip", "noise"}

SEQ = pa.field("_seq", pa.int64())
FILE = pa.field("_file", pa.string())
ROW = pa.field("_row", pa.int64())
"""Where a standardised row came from: its number in the batch, its file, its row in the file as a person sees
it."""


def field_type(field: Field) -> pa.DataType:
    """The type of a field in every zone where it is not masked."""
    return pa.decimal128(field.precision, field.scale) if field.type == "decimal" else _TYPES[field.type]


def entry_schema(entry: Entry) -> pa.Schema:
    """The entry's fields in their order, all nullable: that a value is there is a check's matter, not the
    type's."""
    return pa.schema([pa.field(name, field_type(field)) for name, field in entry.fields.items()])


def standard_schema(entry: Entry) -> pa.Schema:
    """`entry_schema` and `_seq` int64, `_file` string, `_row` int64."""
    schema = entry_schema(entry)
    for origin in (SEQ, FILE, ROW):
        schema = schema.append(origin)
    return schema


def masked_type(field: Field, mask: Mask) -> pa.DataType:
    """The type after the mask: keep, round, clip and noise keep it; hmac, partial, generalise, constant and redact
    give text.

    Raises ValueError for drop, which leaves no column.
    """
    if mask.kind == "drop":
        raise ValueError(f"field {field.name} is dropped: it has no published type")
    return field_type(field) if mask.kind in _KEEPS_TYPE else pa.string()


def published_schema(entry: Entry, plan: dict[str, Mask]) -> pa.Schema:
    """The columns of a published table: the plan's fields (see `schemas.policy.mask_plan`) in the entry's
    order."""
    return pa.schema([pa.field(name, masked_type(entry.fields[name], mask)) for name, mask in plan.items()])
