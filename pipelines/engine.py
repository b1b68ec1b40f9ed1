"""DuckDB as the local engine: joins, merges and derived tables, within a memory limit, spilling to scratch space."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from lake import scratch
from schemas.settings import Settings


@contextmanager
def engine(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB that loads nothing from other hosts (law 8) and leaves no file behind."""
    with (
        scratch.folder(settings, "duckdb") as spill,
        duckdb.connect(
            config={
                "memory_limit": settings.memory,
                "threads": settings.threads,
                "temp_directory": str(spill),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        ) as connection,
    ):
        connection.execute("SET TimeZone = 'UTC'")
        if settings.lake_root.startswith("s3://"):
            from lake.duckdbfiles import s3_for_duckdb

            connection.register_filesystem(s3_for_duckdb())
        yield connection
