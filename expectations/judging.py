"""What Great Expectations makes of a batch, whichever of its engines counts: all metrics in one go, then results.

Its engine's errors are raised, not returned as `success: false`, and no list of values is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from expectations import great, rows
from expectations.dimensions import DIMENSIONS
from expectations.observed import observed
from expectations.sqltables import BATCH
from expectations.suite import Prepared
from schemas.model import Entry
from schemas.verdict import CheckResult

Metrics = Mapping[Any, Any]
Engine = Any
"""One of the library's execution engines."""
NULLS_MATTER = {"column_values.nonnull", "column_values.null"}


def _runtime(check: Prepared) -> dict[str, Any]:
    """No lists of unexpected values: `BASIC` gives a row-level check some, and any other its observed
    value."""
    return {"result_format": {"result_format": "BOOLEAN_ONLY" if check.row_level else "BASIC"}}


def _dependencies(engine: Engine, check: Prepared) -> dict[str, great.MetricConfiguration]:
    needed = check.expectation.get_validation_dependencies(engine, _runtime(check)).metric_configurations
    condition = rows.condition_metric(check) if check.row_level else None
    return dict(needed) | ({condition.metric_name: condition} if condition else {})


def compute(engine: Engine, checks: list[Prepared]) -> Metrics:
    """Every metric of every check, by id. The engine's errors are raised, not returned as `success:
    false`."""
    wanted = [metric for check in checks for metric in _dependencies(engine, check).values()]
    calculator = great.MetricsCalculator(engine, show_progress_bars=False)
    metrics, _ = calculator.compute_metrics(wanted, runtime_configuration={"catch_exceptions": False})
    return metrics


def result(entry: Entry, engine: Engine, check: Prepared, metrics: Metrics) -> CheckResult:
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


def _counts(engine: Engine, check: Prepared, metrics: Metrics, success: bool) -> tuple[int, int]:
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
