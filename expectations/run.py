"""Run an entry's checks on a batch: Great Expectations' metrics on DuckDB, over views, nothing loaded.

The library's own validator is not used. It turns an engine's error into a failed check, collects failing
values, and reads the table once more for each list of them. Here its metric calculator counts what all column
checks need in one scan, its expectations judge those counts, and the failing rows' `_seq` never leave DuckDB:
for each check that needs them they are selected by the library's own condition into the table `failures`,
which spills to disk when it must.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import sqlalchemy as sa
from duckdb_engine import ConnectionWrapper

from expectations import functions, great, kernels, rows
from expectations.failures import ENGINE_ERRORS, engine_error
from expectations.judging import compute, result
from expectations.known import Known
from expectations.sqltables import BATCH, FAILURES, FIELDS, codes_table
from expectations.suite import prepare
from schemas.model import Entry, Field
from schemas.sql import quote
from schemas.verdict import CheckResult


def run(entry: Entry, connection: duckdb.DuckDBPyConnection, known: Known) -> tuple[CheckResult, ...]:
    """One result per check, in the entry's order. `connection` holds the batch as the view `batch`, and each
    of `known.datasets` as a view; afterwards it holds the table `failures` (number int, seq bigint): the rows
    that failed each row-level check whose `on_fail` is stop or quarantine, whether `mostly` was met or not.

    Raises EngineError where the engine failed, CatalogueError where a check cannot be made.
    """
    checks = prepare(entry, known)
    try:
        _lay_out(entry, connection, known)
        kernels.judge(connection, kernels.asked(checks))
        with _engine(connection) as engine:
            metrics = compute(engine, checks)
            results = tuple(result(entry, engine, check, metrics) for check in checks)
            for check, found in zip(checks, results, strict=True):
                if check.row_level and found.failed and check.check.on_fail != "warn":
                    rows.keep(engine, check, metrics)
    except ENGINE_ERRORS as error:
        raise engine_error(entry, checks, error) from None
    return results


# ── the connection ────────────────────────────────────────────────────────────────────────────────────────


def _lay_out(entry: Entry, connection: duckdb.DuckDBPyConnection, known: Known) -> None:
    """Functions, code lists, the view of the fields alone, and the empty table of failures."""
    functions.register_readers(connection)
    connection.execute(f"CREATE TABLE {FAILURES} (number INTEGER, seq BIGINT)")
    fields = ", ".join(_plain(field) for field in entry.fields.values())
    connection.execute(f"CREATE VIEW {quote(FIELDS)} AS SELECT {fields} FROM {BATCH}")
    for name, codes in known.codes.items():
        connection.execute(
            f"CREATE TABLE {quote(codes_table(name))} AS SELECT unnest($1::VARCHAR[]) AS code", [list(codes)]
        )


def _plain(field: Field) -> str:
    """A field for expectations whose values come to Python: DuckDB hands over a time with a zone only by
    pytz."""
    name = quote(field.name)
    return f"{name} AT TIME ZONE 'UTC' AS {name}" if field.type == "timestamp" else name


class _Borrowed(ConnectionWrapper):
    """The caller's connection for SQLAlchemy, which may not close it, nor open a transaction on it: one failed query
    would make every later one fail, and hide which check it was and why."""

    def begin(self) -> None:
        """Each statement stands for itself."""

    commit = rollback = begin

    def close(self) -> None:
        self.closed = True


@contextmanager
def _engine(connection: duckdb.DuckDBPyConnection) -> Iterator[great.SqlAlchemyExecutionEngine]:
    """Great Expectations' engine on the connection, with the two views as its batches."""
    borrowed = _Borrowed(connection)
    database = sa.create_engine("duckdb://", creator=lambda: borrowed, poolclass=sa.StaticPool)
    _quote_keywords(connection, database)
    engine = great.SqlAlchemyExecutionEngine(engine=database, create_temp_table=False)
    try:
        for view in (FIELDS, BATCH):
            engine.load_batch_data(view, great.SqlAlchemyBatchData(engine, table_name=view))
        yield engine
    finally:
        engine.close()
        database.dispose()


def _quote_keywords(connection: duckdb.DuckDBPyConnection, database: sa.Engine) -> None:
    """Have a field named `at` or `desc` quoted: the dialect quotes reserved words only, and DuckDB trips over
    more."""
    keywords = connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()
    preparer = database.dialect.identifier_preparer
    preparer.reserved_words = preparer.reserved_words | {word for (word,) in keywords}
