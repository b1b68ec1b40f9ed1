"""Run an entry's checks on Spark: Great Expectations' own Spark engine, over frames, nothing loaded here.

Where its engine has a metric of its own (a range, a set, a null, a pair, what is unique) that is used. Our rules, and
patterns, which are RE2's here and Java's there, are booleans that the workers have found before with the very SQL of
the local engine: `flags` says which, `expectations.flags` finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import duckdb
import sqlalchemy as sa
from duckdb_engine import Dialect

from expectations import great, rows
from expectations.conditions import flag
from expectations.failures import ENGINE_ERRORS, engine_error
from expectations.flags import Flags
from expectations.judging import compute, result
from expectations.known import EXISTS, Known
from expectations.sqltables import BATCH, FIELDS, SEQ
from expectations.suite import Prepared, prepare
from schemas.engines import SPARK_CHECKS
from schemas.errors import EngineError
from schemas.model import Entry
from schemas.verdict import CheckResult

Frame = Any
Lay = Callable[[Flags, Sequence[tuple[str, str, str, str]]], tuple[Frame, Frame]]
"""From the flags that workers find, and those that another dataset tells (its name, its field, our column, the flag),
to the batch with all of them, and the entry's fields alone."""


def run(entry: Entry, known: Known, lay: Lay) -> tuple[tuple[CheckResult, ...], Frame | None]:
    """One result per check, in the entry's order; and (number, seq) of the rows that failed each row-level check whose
    `on_fail` is stop or quarantine, None where there are none. See `expectations.run.run`, and its errors; EngineError
    too for a check that is not done on Spark."""
    checks = prepare(entry, known)
    refuse(entry)
    batch, fields = lay(flags(checks, known), elsewhere(checks))
    try:
        engine = great.SparkDFExecutionEngine(spark=batch.sparkSession, persist=False)
        engine.load_batch_data(FIELDS, fields)
        engine.load_batch_data(BATCH, batch)
        metrics = compute(engine, checks)
        results = tuple(result(entry, engine, check, metrics) for check in checks)
        wanted = [
            _failing(engine, check, metrics)
            for check, found in zip(checks, results, strict=True)
            if check.row_level and found.failed and check.check.on_fail != "warn"
        ]
    except ENGINE_ERRORS as error:
        raise engine_error(entry, checks, error) from None
    failures = None
    for frame in wanted:
        failures = frame if failures is None else failures.unionByName(frame)
    return results, failures


def refuse(entry: Entry) -> None:
    """EngineError for checks of which nobody has seen that Spark judges them as the local engine does."""
    unable = sorted({check.expect for check in entry.checks} - SPARK_CHECKS)
    if unable:
        raise EngineError(
            f"engine: spark does not do {', '.join(unable)}",
            dataset=entry.id,
            expected="a check of schemas.engines.SPARK_CHECKS",
            next_step=f"write `engine: local` in {entry.file}",
        )


def flags(checks: Sequence[Prepared], known: Known) -> Flags:
    """The conditions of single rows, as one query."""
    columns = {
        flag(name, column, given): condition for name, column, given, condition in rows.of_single_rows(checks)
    }
    if not columns:
        return Flags()
    query, parameters = _compiled(columns)
    used = {name: tuple(codes) for name, codes in known.codes.items()}
    return Flags(tuple(columns), query, parameters, used)


def _compiled(columns: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    dialect = Dialect(paramstyle="qmark")
    with duckdb.connect() as connection:
        keywords = connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()
    preparer = dialect.identifier_preparer
    preparer.reserved_words = preparer.reserved_words | {word for (word,) in keywords}
    chosen = [sa.column(SEQ), *(each.label(name) for name, each in columns.items())]
    query = sa.select(*chosen).select_from(sa.table(BATCH))
    made: Any = query.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    return str(made), tuple(made.params[name] for name in made.positiontup or ())


def elsewhere(checks: Sequence[Prepared]) -> list[tuple[str, str, str, str]]:
    """Dataset, its field, our column and the flag of each check that looks into another dataset."""
    found = []
    for check in checks:
        if check.check.expect == EXISTS:
            dataset, field = (str(check.check.arguments[name]) for name in ("dataset", "field"))
            column = str(check.check.arguments["column"])
            given = {"dataset": dataset, "field": field}
            found.append((dataset, field, column, flag("column_values.exist_in_dataset", column, given)))
    return found


def _failing(engine: Any, check: Prepared, metrics: Mapping[Any, Any]) -> Frame:
    """Number and `_seq` of the failing rows, by the library's own condition."""
    from pyspark.sql import functions as F

    metric = rows.condition_metric(check)
    if metric is None:
        raise NotImplementedError(check.check.expect)
    condition, compute_kwargs, accessor = metrics[metric.id]
    domain = engine.get_domain_records({**compute_kwargs, **accessor})
    # a window's condition cannot be filtered by, only its column
    failing = domain.withColumn("_unexpected", condition).filter("_unexpected")
    return failing.select(F.lit(check.number).alias("number"), F.col(SEQ).alias("seq"))
