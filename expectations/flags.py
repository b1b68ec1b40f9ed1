"""Conditions of single rows as columns of a batch, told by DuckDB wherever the rows are. It imports no Great
Expectations: a cluster's workers run it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from expectations import functions
from expectations.sqltables import BATCH, SEQ, codes_table
from schemas.sql import quote


@dataclass(frozen=True)
class Flags:
    """`query` gives `_seq` and a boolean for each of `names` of every row of the relation `batch`."""

    names: tuple[str, ...] = ()
    query: str = ""
    parameters: tuple[Any, ...] = ()
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def schema(self, schema: pa.Schema) -> pa.Schema:
        for name in self.names:
            schema = schema.append(pa.field(name, pa.bool_()))
        return schema


def raised(flags: Flags, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches with their flags."""
    if not flags.names:
        yield from batches
        return
    with duckdb.connect(config={"threads": 1, "autoload_known_extensions": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        functions.register_kernels(connection)
        functions.register_readers(connection)
        for name, codes in flags.codes.items():
            connection.execute(
                f"CREATE TABLE {quote(codes_table(name))} AS SELECT unnest($1::VARCHAR[]) AS code",
                [list(codes)],
            )
        for batch in batches:
            connection.register(BATCH, pa.Table.from_batches([batch]))
            told = connection.execute(flags.query, list(flags.parameters)).to_arrow_table().combine_chunks()
            places = pc.index_in(batch.column(SEQ), told[SEQ].combine_chunks())
            more = [told[name].combine_chunks().take(places) for name in flags.names]
            yield pa.RecordBatch.from_arrays([*batch.columns, *more], [*batch.schema.names, *flags.names])
