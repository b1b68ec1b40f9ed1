"""The rows that fail a check, as a query of their `_seq` by Great Expectations' own condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from expectations import great
from expectations.conditions import BY_ROW
from expectations.signatures import COLUMN_TYPE
from expectations.sqltables import BATCH, FAILURES, SEQ
from expectations.suite import Prepared

WHOLE_QUERIES = {"compound_columns.unique"}
"""Metrics whose condition brings its own FROM, with every column of the batch."""


def condition_metric(check: Prepared) -> great.MetricConfiguration | None:
    """The metric whose value is the SQL condition that a failing row meets; None for a check of a column's
    type."""
    if isinstance(check.expectation, COLUMN_TYPE):
        return None
    name = f"{check.expectation.map_metric}.condition"
    keywords = great.get_metric_kwargs(metric_name=name, configuration=check.expectation.configuration)
    return great.MetricConfiguration(
        metric_name=name,
        metric_domain_kwargs=keywords["metric_domain_kwargs"],
        metric_value_kwargs=keywords["metric_value_kwargs"],
    )


def of_single_rows(checks: Sequence[Prepared]) -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    """Metric, column, arguments and SQL of each check whose condition looks at one row alone."""
    for check in checks:
        metric = condition_metric(check) if check.row_level else None
        name = metric.metric_name.removesuffix(".condition") if metric else ""
        if metric is not None and name in BY_ROW:
            by, column = BY_ROW[name], metric.metric_domain_kwargs["column"]
            given = {each: metric.metric_value_kwargs.get(each) for each in by.arguments}
            yield name, column, given, by.expression(sa.column(column), **given)


def failing_rows(
    engine: great.SqlAlchemyExecutionEngine, check: Prepared, metrics: Mapping[Any, Any]
) -> sa.Select:
    """`SELECT _seq` of the failing rows, with the check's row condition and the rows it ignores left out."""
    seq: Any = sa.column(SEQ)
    metric = condition_metric(check)
    if metric is None:
        return (
            sa.select(seq)
            .select_from(sa.table(BATCH))
            .where(sa.column(check.expectation.column).is_not(None))
        )
    condition, compute, accessor = metrics[metric.id]
    if check.expectation.map_metric in WHOLE_QUERIES:
        return sa.select(seq).where(condition)
    source: Any = engine.get_domain_records({**compute, **accessor})
    return (
        sa.select(seq)
        .select_from(source.subquery() if isinstance(source, sa.Select) else source)
        .where(condition)
    )


def keep(engine: great.SqlAlchemyExecutionEngine, check: Prepared, metrics: Mapping[Any, Any]) -> None:
    """Write the failing rows into the table `failures`, within DuckDB."""
    failures = sa.table(FAILURES, sa.column("number"), sa.column("seq"))
    rows = failing_rows(engine, check, metrics).subquery()
    chosen = sa.select(sa.literal(check.number, literal_execute=True), rows.c[SEQ])
    insert: Any = failures.insert().from_select(["number", "seq"], chosen)
    engine.execute_query_in_transaction(insert)
