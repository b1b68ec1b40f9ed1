"""Rows that are set aside as people will see them, made on the workers by DuckDB, as the local engine makes them."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from pipelines.spark.frames import Batches
from pipelines.sqlrows import as_json
from schemas.model import Entry
from schemas.sql import quote


def schema(more: Sequence[str] = ()) -> pa.Schema:
    """`file`, `row`, `data` (the entry's fields as a JSON object), and integer columns that pass through."""
    fields = [("file", pa.string()), ("row", pa.int64()), ("data", pa.string())]
    return pa.schema([*fields, *((name, pa.int64()) for name in more)])


def rows(entry: Entry, more: Sequence[str], batches: Batches) -> Batches:
    through = "".join(f", b.{quote(name)}" for name in more)
    query = f"SELECT b._file AS file, b._row AS row, {as_json(entry, 'b')} AS data{through} FROM b"
    with duckdb.connect(config={"threads": 1, "autoload_known_extensions": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for batch in batches:
            connection.register("b", pa.Table.from_batches([batch]))
            yield from connection.execute(query).to_arrow_table().to_batches()
