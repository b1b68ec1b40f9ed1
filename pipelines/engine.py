"""DuckDB as the local engine: joins, merges and derived tables, within a memory limit, spilling to scratch space."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import duckdb
import pyarrow as pa

from lake import progress, scratch
from schemas.errors import EngineError
from schemas.settings import Settings
from schemas.sql import literal

ENGINE_ERRORS: Final = (duckdb.Error, pa.ArrowException, OSError)
"""What a query fails with. As Arrow hands DuckDB's failures on while a result is streamed they are OSErrors without a
number, whose text begins with their kind."""
_STREAMED: Final = re.compile(r"((?:\w+ )+Error): ")


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
        connection.execute("SET enable_progress_bar = true")
        connection.execute("SET enable_progress_bar_print = false")
        if settings.lake_root.startswith("s3://"):
            from lake.duckdbfiles import s3_for_duckdb

            connection.register_filesystem(s3_for_duckdb())
        with progress.gauged(partial(_share, connection)):
            yield connection


def _share(connection: duckdb.DuckDBPyConnection) -> float:
    """How much of its query the engine has done, as it says itself; less than 0 where it cannot say."""
    try:
        return float(connection.query_progress()) / 100
    except duckdb.Error:
        return -1.0


@contextmanager
def engine_errors(
    doing: str, stage: str, so: str = "", *, dataset: str | None = None, batch: str | None = None
) -> Iterator[None]:
    """DuckDB's messages, and Arrow's, may quote values: ours names the kind of failure, and what follows from it. What
    the store or the system refused passes."""
    try:
        yield
    except ENGINE_ERRORS as error:
        if (kind := kind_of(error)) is None:
            raise
        raise EngineError(
            f"the local engine could not {doing} ({kind}){so}",
            next_step=f"see XUANWU_MEMORY and the free space of XUANWU_HOME, then run {stage} again",
            dataset=dataset,
            batch=batch,
        ) from None


def kind_of(error: Exception) -> str | None:
    """The kind of an engine's failure; None where it is none of its."""
    if not isinstance(error, OSError):
        return type(error).__name__
    found = _STREAMED.match(str(error))
    return found and found[1]


def confine(connection: duckdb.DuckDBPyConnection, files: Iterable[str]) -> None:
    """From here on the connection reads these files and nothing else, no other file, host, extension or database, and
    cannot be talked out of it (DuckDB's documentation, "Securing DuckDB"): for SQL that an entry brings along."""
    connection.execute(f"SET allowed_paths = [{', '.join(map(literal, files))}]")
    connection.execute("SET python_enable_replacements = FALSE")
    connection.execute("SET enable_external_access = FALSE")
    connection.execute("SET lock_configuration = TRUE")
