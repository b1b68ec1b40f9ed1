"""Run an entry's checks on a batch: Great Expectations' metrics on DuckDB, over views, nothing loaded.

The library's own validator is not used. It turns an engine's error into a failed check, collects failing
values, and reads the table once more for each list of them. Here its metric calculator counts what all column
checks need in one scan, its expectations judge those counts, and the failing rows' `_seq` never leave DuckDB:
for each check that needs them they are selected by the library's own condition into the table `failures`,
which spills to disk when it must.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb
import sqlalchemy as sa
from duckdb_engine import ConnectionWrapper

from expectations import functions, great, rows
from expectations.dimensions import DIMENSIONS
from expectations.failures import ENGINE_ERRORS, engine_error
from expectations.known import Known
from expectations.observed import observed
from expectations.sqltables import BATCH, FAILURES, FIELDS, codes_table
from expectations.suite import Prepared, prepare
from schemas.model import Entry, Field
from schemas.sql import quote
from schemas.verdict import CheckResult

Metrics = Mapping[Any, Any]
NULLS_MATTER = {"column_values.nonnull", "column_values.null"}


def run(entry: Entry, connection: duckdb.DuckDBPyConnection, known: Known) -> tuple[CheckResult, ...]:
    """One result per check, in the entry's order. `connection` holds the batch as the view `batch`, and each
    of `known.datasets` as a view; afterwards it holds the table `failures` (number int, seq bigint): the rows
    that failed each row-level check whose `on_fail` is stop or quarantine, whether `mostly` was met or not.

    Raises EngineError where the engine failed, CatalogueError where a check cannot be made.
    """
    checks = prepare(entry, known)
    try:
        _lay_out(entry, connection, known)
        with _engine(connection) as engine:
            metrics = _compute(engine, checks)
            results = tuple(_result(entry, engine, check, metrics) for check in checks)
            for check, result in zip(checks, results, strict=True):
                if check.row_level and result.failed and check.check.on_fail != "warn":
                    rows.keep(engine, check, metrics)
    except ENGINE_ERRORS as error:
        raise engine_error(entry, checks, error) from None
    return results


# ── the connection ────────────────────────────────────────────────────────────────────────────────────────


def _lay_out(entry: Entry, connection: duckdb.DuckDBPyConnection, known: Known) -> None:
    """Functions, code lists, the view of the fields alone, and the empty table of failures."""
    functions.register(connection)
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


# ── the checks ────────────────────────────────────────────────────────────────────────────────────────────


def _runtime(check: Prepared) -> dict[str, Any]:
    """No lists of unexpected values: `BASIC` gives a row-level check some, and any other its observed
    value."""
    return {"result_format": {"result_format": "BOOLEAN_ONLY" if check.row_level else "BASIC"}}


def _dependencies(
    engine: great.SqlAlchemyExecutionEngine, check: Prepared
) -> dict[str, great.MetricConfiguration]:
    needed = check.expectation.get_validation_dependencies(engine, _runtime(check)).metric_configurations
    condition = rows.condition_metric(check) if check.row_level else None
    return dict(needed) | ({condition.metric_name: condition} if condition else {})


def _compute(engine: great.SqlAlchemyExecutionEngine, checks: list[Prepared]) -> Metrics:
    """Every metric of every check, by id. The engine's errors are raised, not returned as `success:
    false`."""
    wanted = [metric for check in checks for metric in _dependencies(engine, check).values()]
    calculator = great.MetricsCalculator(engine, show_progress_bars=False)
    metrics, _ = calculator.compute_metrics(wanted, runtime_configuration={"catch_exceptions": False})
    return metrics


def _result(
    entry: Entry, engine: great.SqlAlchemyExecutionEngine, check: Prepared, metrics: Metrics
) -> CheckResult:
    judged = check.expectation.metrics_validate(
        metrics=dict(metrics), runtime_configuration=_runtime(check), execution_engine=engine
    )
    success = bool(judged.success)
    evaluated, failed = _counts(engine, check, metrics, success) if check.row_level else (1, int(not success))
    return CheckResult(
        number=check.number,
        expect=check.check.expect,
        column=check.column,
        arguments=check.check.arguments,
        dimension=check.check.dimension or DIMENSIONS[check.check.expect],
        on_fail=check.check.on_fail,
        row_level=check.row_level,
        success=success,
        evaluated=evaluated,
        failed=failed,
        observed=None
        if check.row_level
        else observed(entry, check, (judged.result or {}).get("observed_value")),
    )


def _counts(
    engine: great.SqlAlchemyExecutionEngine, check: Prepared, metrics: Metrics, success: bool
) -> tuple[int, int]:
    """Rows that a row-level check looked at, and those of them that failed."""
    if rows.condition_metric(check) is None:
        filled = sa.func.count(sa.column(check.expectation.column))
        evaluated = engine.execute_query(sa.select(filled).select_from(sa.table(BATCH))).scalar() or 0
        return evaluated, 0 if success else evaluated
    value = {name: metrics[metric.id] for name, metric in _dependencies(engine, check).items()}
    metric = check.expectation.map_metric
    failed = int(value[f"{metric}.unexpected_count"] or 0)
    if f"{metric}.filtered_row_count" in value:
        return int(value[f"{metric}.filtered_row_count"] or 0), failed
    nulls = 0 if metric in NULLS_MATTER else int(value["column_values.nonnull.unexpected_count"] or 0)
    return int(value["table.row_count"]) - nulls, failed
