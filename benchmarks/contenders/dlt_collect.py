"""dlt as its documentation recommends: `sql_table` with the ConnectorX or the PyArrow backend, or its `filesystem`
source with `read_csv_duckdb` / `read_parquet`; destination `filesystem`, Parquet.

Sources: dlthub.com/docs, "SQL database: configuring the backend" (both backends' examples are followed, chunk size
100,000, `reflection_level="full_with_precision"`), and "filesystem: transformers" (chunk sizes as there by default).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"

import dlt
from dlt.destinations import filesystem
from sqlalchemy.engine import make_url

from benchmarks.contenders.marks import Marks, job


def database(kind: str, place: str, table: str, backend: str) -> Any:
    """SQLAlchemy's URL for reflection and rows, ConnectorX's own for its rows."""
    from dlt.sources.sql_database import sql_table

    driver = {"postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}[kind]
    credentials = make_url(place).set(drivername=driver).render_as_string(hide_password=False)
    options = {"conn": place} if backend == "connectorx" else {"tz": "UTC"}
    return sql_table(
        credentials,
        table=table,
        chunk_size=100_000,
        backend=backend,
        reflection_level="full_with_precision",
        backend_kwargs=options,
    )


def files(kind: str, place: str) -> Any:
    from dlt.sources.filesystem import filesystem as files_at
    from dlt.sources.filesystem import read_csv_duckdb, read_parquet

    path = Path(place)
    found = files_at(bucket_url=path.parent.as_uri(), file_glob=path.name)
    return found | (read_csv_duckdb(use_pyarrow=True) if kind == "csv" else read_parquet(use_pyarrow=True))


def main() -> None:
    work, marks = job(), Marks()
    home, kind, place = Path(work["home"]), work["kind"], work["place"]
    backend = work["backend"]
    source = database(kind, place, work["table"], backend) if backend else files(kind, place)
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=str(home / "state"),
        destination=filesystem(str(home / "out")),
        dataset_name="bench",
    )
    pipeline.run(source, table_name=work["table"], loader_file_format="parquet", write_disposition="replace")
    marks.done("collect")
    import pyarrow.parquet as pq

    written = sorted((home / "out").rglob(f"{work['table']}/*.parquet"))
    marks.report(
        rows=sum(pq.read_metadata(file).num_rows for file in written),
        written=sum(file.stat().st_size for file in written),
    )


if __name__ == "__main__":
    main()
