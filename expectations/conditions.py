"""A row-level metric of Great Expectations from one SQL expression over a column.

The library's way is a class per metric; ours differ in nothing but their name, arguments and expression. A
metric that the library has for other databases but not for DuckDB is registered over its own under the same
name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from expectations import great

SqlExpression = Callable[..., Any]
Looks = Literal["row", "table", "elsewhere"]
"""What a condition looks at: one row alone, the whole batch, or another dataset."""


@dataclass(frozen=True)
class Condition:
    """What a good value meets: `expression(column, *arguments)`, for which DuckDB has all that it takes."""

    arguments: tuple[str, ...]
    expression: SqlExpression


BY_ROW: dict[str, Condition] = {}
"""Conditions that look at one row alone, by metric: a cluster's workers ask DuckDB for them, each of its own rows."""


def condition(
    metric: str, arguments: tuple[str, ...], expression: SqlExpression, looks: Looks = "row"
) -> None:
    """Register `metric` for DuckDB: `expression(column, *arguments)` gives the SQL that a good value meets.
    NULLs are left out before. A condition that looks at the `table` also gets `_table`, what the check reads after its
    row condition; on Spark the library's own metric of that name stands. The others are on Spark a column of the batch
    that was made before (`flag`), so that no rule is written twice."""

    def _sql(cls: type, column: Any, **values: Any) -> Any:
        given = {name: values.get(name) for name in arguments}
        more = {"_table": values["_table"]} if looks == "table" else {}
        return expression(column, **given, **more)

    def _flag(cls: type, column: Any, **values: Any) -> Any:
        from pyspark.sql import functions as F

        name = values["_accessor_domain_kwargs"]["column"]
        return F.col(flag(metric, name, {each: values.get(each) for each in arguments}))

    methods = {"_sqlalchemy": great.column_condition_partial(engine=great.SqlAlchemyExecutionEngine)(_sql)}
    if looks != "table":
        methods["_spark"] = great.column_condition_partial(engine=great.SparkDFExecutionEngine)(_flag)
    if looks == "row":
        BY_ROW[metric] = Condition(arguments, expression)
    type(
        "".join(part.title() for part in metric.replace(".", "_").split("_")),
        (great.ColumnMapMetricProvider,),
        {"condition_metric_name": metric, "condition_value_keys": arguments, **methods},
    )


def flag(metric: str, column: str, arguments: Mapping[str, Any]) -> str:
    """The name of the boolean column that tells whether a value is good."""
    said = json.dumps([metric, column, arguments], sort_keys=True, default=str)
    return f"_holds_{hashlib.sha256(said.encode()).hexdigest()[:16]}"
