"""The engine's errors, said without their text: drivers quote the values that they choked on."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import sqlalchemy as sa

from expectations import great
from expectations.suite import Prepared
from schemas.errors import EngineError
from schemas.model import Entry

ENGINE_ERRORS = (
    great.GreatExpectationsError,
    sa.exc.SQLAlchemyError,
    duckdb.Error,
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)
"""What comes out of the library when a metric cannot be computed: its own, the database's, and plain
Python's."""
NEXT_STEP = {
    "OutOfMemoryException": "raise XUANWU_MEMORY, or free disk space under XUANWU_HOME/scratch",
    "InvalidColumnTypeError": "compare a field with values of its own type in the check's arguments",
    "ConversionException": "compare a field with values of its own type in the check's arguments",
    "BinderException": "look at the field's type and at the check's arguments: they do not go together",
    "InvalidInputException": "look at the check's arguments; regular expressions are RE2's: no look-around",
    "IOException": "look whether the batch's files are there and whole, then run the batch again",
}


def engine_error(entry: Entry, checks: list[Prepared], error: BaseException) -> EngineError:
    """Which checks could not be computed, the kind of error, and what to do; nothing of the error's own
    message."""
    culprits = [
        check
        for check in checks
        if any(_uses(check, metric) for metric in getattr(error, "failed_metrics", ()))
    ]
    causes = list(_causes(error))
    kind = type(next((cause for cause in causes if isinstance(cause, duckdb.Error)), causes[-1])).__name__
    return EngineError(
        f"the engine failed ({kind}); the data are not judged",
        dataset=entry.id,
        field="; ".join(dict.fromkeys(check.column for check in culprits if check.column)) or None,
        rule=", ".join(dict.fromkeys(check.check.expect for check in culprits)) or None,
        next_step=NEXT_STEP.get(kind, "look at the check's arguments, then run the batch again"),
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = getattr(seen, "orig", None) or seen.__cause__ or seen.__context__


def _uses(check: Prepared, metric: great.MetricConfiguration) -> bool:
    """Whether a failed metric is one of the check's: by name, and by the field that it is computed on."""
    name = getattr(check.expectation, "map_metric", None)
    names = [name] if name else list(getattr(check.expectation, "metric_dependencies", ()))
    column = metric.metric_domain_kwargs.get("column")
    ours = any(f"{metric.metric_name}.".startswith(f"{name}.") for name in names)
    return ours and column == check.check.arguments.get("column")
