"""A derived dataset: SQL over curated tables, each pinned to a snapshot, run by a DuckDB that can reach
nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from lake import landing
from lake.batch import Batch
from lake.records import Landed, LandedFile
from pipelines.context import Context
from pipelines.engine import confine, engine
from pipelines.sources.lake_sql import columns_of, engine_failure, single_select
from pipelines.views import create_view, current
from schemas.errors import SourceError
from schemas.model import Entry, LakeSource
from schemas.sql import quote

BATCH_ROWS = 65536
_LANDABLE = {
    *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    *("FLOAT", "DOUBLE", "VARCHAR", "BLOB", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
}
"""And DECIMAL. Everything else (HUGEINT, intervals, lists …) lands as DuckDB's text of it."""


def pins(ctx: Context, entry: Entry) -> str:
    """The inputs' current snapshots, `department.dataset=id,…` in the entry's order: part of the batch's
    identity.

    Empty for a dataset that is not derived. SourceError names an input into which nothing was merged yet.
    """
    if not isinstance(entry.source, LakeSource):
        return ""
    snapshots = {
        name: current(ctx.tables, ctx.catalogue.entry(name), entry.id) for name in entry.source.inputs
    }
    return ",".join(f"{name}={snapshot}" for name, snapshot in snapshots.items())


def pinned(batch: Batch) -> dict[str, int]:
    """The snapshots that a batch is pinned to, by dataset."""
    pairs = (pin.partition("=") for pin in batch.pins.split(",") if pin)
    return {name: int(snapshot) for name, _, snapshot in pairs}


def collect_lake(ctx: Context, entry: Entry, batch: Batch) -> Landed:
    """Run the entry's SQL over its inputs as the batch pins them, and land the rows as Parquet.

    Raises SourceError where the SQL is wrong, reaches beyond its inputs or gives no column that the entry
    names, where an input has no curated table, and where the engine counts other rows than it sends (law 2).
    """
    if (done := landing.landed(ctx.settings, batch)) is not None:
        return done
    source = entry.source
    assert isinstance(source, LakeSource)  # noqa: S101
    inputs = pinned(batch.model_copy(update={"pins": batch.pins or pins(ctx, entry)}))
    with landing.open_landing(ctx.settings, batch) as writer, engine(ctx.settings) as connection:
        try:
            counted, reader, notes = _query(ctx, connection, entry, source, inputs)
        except duckdb.Error as error:
            raise engine_failure(error, entry.id) from None
        path, sha256, size, rows = writer.add_rows(f"{entry.name}.parquet", reader)
        if rows != counted:
            raise SourceError(
                f"the SQL counted {counted} rows and sent {rows}",
                dataset=entry.id,
                field="source.sql",
                expected="the same rows each time it runs",
                next_step="take out what changes by itself, such as random()",
            )
        origin = ", ".join(inputs)
        file = LandedFile(path=path, origin=origin, sha256=sha256, size=size, rows=rows, format="parquet")
        return writer.commit(
            Landed(
                batch=batch,
                files=(file,),
                rows=rows,
                counted=counted,
                inputs=inputs,
                notes=notes,
                collected_at=ctx.clock(),
            )
        )


def _query(
    ctx: Context,
    connection: duckdb.DuckDBPyConnection,
    entry: Entry,
    source: LakeSource,
    inputs: dict[str, int],
) -> tuple[int, pa.RecordBatchReader, tuple[str, ...]]:
    if loose := [name for name in source.inputs if name not in inputs]:
        raise SourceError(
            f"the batch is not pinned to {', '.join(loose)}",
            dataset=entry.id,
            next_step="`inputs` has changed since: run the dataset anew",
        )
    sql = single_select(connection, source, entry.id)
    files = [
        path
        for name in source.inputs
        for path in create_view(connection, ctx.tables, ctx.catalogue.entry(name), inputs[name])
    ]
    confine(connection, files)
    described = connection.execute(f"DESCRIBE SELECT * FROM (\n{sql}\n)").fetchall()
    wanted = [field.source or name for name, field in entry.collected.items()]
    types, notes = columns_of(
        {name: kind for name, kind, *_ in described}, list(dict.fromkeys(wanted)), entry.id
    )
    count = connection.execute(f"SELECT count(*) FROM (\n{sql}\n)").fetchone()
    select = ", ".join(_landable(name, kind) for name, kind in types.items())
    reader = connection.execute(f"SELECT {select} FROM (\n{sql}\n)").to_arrow_reader(BATCH_ROWS)
    return count[0] if count else 0, _streamed(reader, entry.id), notes


def _landable(name: str, kind: str) -> str:
    column = quote(name)
    exact = kind in _LANDABLE or kind.startswith("DECIMAL")
    return column if exact else f"CAST({column} AS VARCHAR) AS {column}"


def _streamed(reader: pa.RecordBatchReader, dataset: str) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except duckdb.Error as error:
            raise engine_failure(error, dataset) from None
        except (pa.ArrowException, OSError):
            raise engine_failure(duckdb.Error(), dataset) from None

    return pa.RecordBatchReader.from_batches(reader.schema, batches())
