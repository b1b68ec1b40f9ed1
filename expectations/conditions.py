"""A row-level metric of Great Expectations from one SQL expression over a column.

The library's way is a class per metric; ours differ in nothing but their name, arguments and expression. A
metric that the library has for other databases but not for DuckDB is registered over its own under the same
name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from expectations import great

SqlExpression = Callable[..., Any]


def condition(
    metric: str, arguments: tuple[str, ...], expression: SqlExpression, table: bool = False
) -> None:
    """Register `metric` for DuckDB: `expression(column, *arguments)` gives the SQL that a good value meets.
    NULLs are left out before. With `table` the expression also gets `_table`, what the check reads after its
    row condition."""

    def _condition(cls: type, column: Any, **values: Any) -> Any:
        given = {name: values.get(name) for name in arguments}
        return expression(column, _table=values["_table"], **given) if table else expression(column, **given)

    type(
        "".join(part.title() for part in metric.replace(".", "_").split("_")),
        (great.ColumnMapMetricProvider,),
        {
            "condition_metric_name": metric,
            "condition_value_keys": arguments,
            "_sqlalchemy": great.column_condition_partial(engine=great.SqlAlchemyExecutionEngine)(_condition),
        },
    )
