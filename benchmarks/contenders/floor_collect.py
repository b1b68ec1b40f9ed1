"""The floor of collection: the source as an Arrow stream into one zstd Parquet file, and nothing else.

PostgreSQL by ADBC, MariaDB by ConnectorX (there is no ADBC driver for it on the package index), files by Arrow's own
readers. No counts, no digest, no manifest, nothing synchronised to the disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contenders.marks import Marks, job

BATCH_ROWS = 65_536


def write(schema: pa.Schema, batches: Iterable[pa.RecordBatch], path: Path) -> int:
    """Rows written, in row groups of at least `BATCH_ROWS`."""
    rows = held = 0
    some: list[pa.RecordBatch] = []
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            some.append(batch)
            rows, held = rows + batch.num_rows, held + batch.num_rows
            if held >= BATCH_ROWS:
                writer.write_table(pa.Table.from_batches(some, schema))
                some, held = [], 0
        if some:
            writer.write_table(pa.Table.from_batches(some, schema))
    return rows


def from_postgresql(url: str, table: str, path: Path) -> int:
    import adbc_driver_postgresql.dbapi as adbc

    with adbc.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        reader = cursor.fetch_record_batch()
        return write(reader.schema, reader, path)


def from_mariadb(url: str, table: str, path: Path) -> int:
    import connectorx

    reader = connectorx.read_sql(
        url, f"SELECT * FROM {table}", return_type="arrow_stream", batch_size=BATCH_ROWS
    )
    return write(reader.schema, reader, path)


def from_csv(file: str, path: Path) -> int:
    import pyarrow.csv as pacsv

    with pacsv.open_csv(file, pacsv.ReadOptions(block_size=8 << 20)) as reader:
        return write(reader.schema, reader, path)


def from_parquet(file: str, path: Path) -> int:
    with pq.ParquetFile(file) as parquet:
        return write(parquet.schema_arrow, parquet.iter_batches(BATCH_ROWS), path)


def collect(kind: str, place: str, table: str, path: Path) -> int:
    if kind == "postgresql":
        return from_postgresql(place, table, path)
    if kind == "mariadb":
        return from_mariadb(place, table, path)
    return from_csv(place, path) if kind == "csv" else from_parquet(place, path)


def main() -> None:
    work, marks = job(), Marks()
    path = Path(work["home"]) / "rows.parquet"
    rows = collect(work["kind"], work["place"], work["table"], path)
    marks.done("collect")
    marks.report(rows=rows, written=path.stat().st_size)


if __name__ == "__main__":
    main()
