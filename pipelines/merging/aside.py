"""The keys of rows that the source holds and that could not be standardised: a snapshot deletes what is missing, and
they are not missing.

They are read from the quarantine, where the rows lie as the source gave them. A row whose key is among what failed, or
which could not be read at all, has none: nobody can say which stored row it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lake import quarantine
from lake.batch import Batch
from pipelines.casting.casts import cast
from pipelines.casting.converting import Column, plan
from pipelines.context import Context
from schemas.arrow import field_type
from schemas.model import Entry, FileSource


def keys_aside(ctx: Context, entry: Entry, batch: Batch) -> pa.Table:
    """The key's fields of these rows in the entry's types, each key once. Of a merge that deletes nothing there are
    none to be told."""
    fields = [entry.fields[name] for name in entry.key]
    schema = pa.schema([(field.name, field_type(field)) for field in fields])
    columns = {column.field.name: column for column in plan(entry, ctx.catalogue)}
    if entry.merge.kind != "snapshot" or not set(entry.key) <= columns.keys():
        return schema.empty_table()
    key = [columns[name] for name in entry.key]
    excel = isinstance(entry.source, FileSource) and entry.source.format == "excel"
    keys = (_keys(rows, key, excel=excel) for rows in _rows(ctx, entry, batch))
    return pa.Table.from_batches(keys, schema).group_by(entry.key).aggregate([])


def digest(keys: pa.Table) -> str:
    """Of the keys, in whatever order they come."""
    rows = sorted(map(repr, zip(*(column.to_pylist() for column in keys.columns), strict=True)))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _rows(ctx: Context, entry: Entry, batch: Batch) -> Iterator[pa.RecordBatch]:
    """The batch's rows in quarantine that were set aside by standardise, of the files that can hold any."""
    table = quarantine.table_of(entry.id)
    if not ctx.tables.exists(table):
        return
    for part in ctx.tables.parts(table, batch=batch.id, stage="standardise"):
        for rows in ctx.tables.read_part(table, part):
            own = pc.and_(pc.equal(rows["batch"], batch.id), pc.equal(rows["stage"], "standardise"))
            yield rows.filter(own)


def _keys(rows: pa.RecordBatch, key: Sequence[Column], *, excel: bool) -> pa.RecordBatch:
    data = [json.loads(text) for text in rows["data"].to_pylist()]
    read = [_read([row.get(each.source) for row in data], each, excel=excel) for each in key]
    found = pa.RecordBatch.from_arrays(read, [each.field.name for each in key])
    return found.drop_null()


def _read(values: Sequence[Any], column: Column, *, excel: bool) -> pa.Array:
    """The values as the field: as its source types them, where these are numbers or truth values; else as text. A day
    or a moment that was one at the source is in quarantine in ISO 8601, whatever the field's own forms."""
    kinds = {type(value) for value in values if value is not None}
    one = len(kinds) == 1
    given = pa.array(values if one else [_text(value) for value in values], None if one else pa.string())
    found = cast(given, column.field, column.codes, excel=excel)
    if not column.field.formats:
        return _plain(found.values)
    usual = column.field.model_copy(update={"formats": ()})
    return pc.coalesce(_plain(found.values), _plain(cast(given, usual, column.codes, excel=excel).values))


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _plain(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
