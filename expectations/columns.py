"""The columns of a batch as DuckDB itself describes them.

Great Expectations reflects them through SQLAlchemy, whose PostgreSQL queries DuckDB does not understand; its
fallback then knows no types and reads a name such as `batch fields` as a table with an alias.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from expectations import great
from schemas.sql import quote

TYPES: dict[str, Any] = {
    "VARCHAR": sa.VARCHAR(),
    "BIGINT": sa.BIGINT(),
    "INTEGER": sa.INTEGER(),
    "DOUBLE": sa.DOUBLE(),
    "BOOLEAN": sa.BOOLEAN(),
    "DATE": sa.DATE(),
    "TIMESTAMP": sa.TIMESTAMP(),
    "TIMESTAMP WITH TIME ZONE": sa.TIMESTAMP(timezone=True),
    "BLOB": sa.BLOB(),
}
"""DuckDB's types of a standardised batch, as the SQLAlchemy types that a check's `type_` may name."""


def _type(name: str) -> Any:
    return sa.DECIMAL() if name.startswith("DECIMAL") else TYPES.get(name, sa.types.NullType())


class TableColumnTypes(great.TableMetricProvider):
    """Name and type of each column, in order; `batch_id` is the view's name."""

    metric_name = "table.column_types"
    value_keys = ("include_nested",)
    default_kwarg_values = {"include_nested": True}  # noqa: RUF012 - the library's own form

    @great.metric_value(engine=great.SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: great.SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        **_: Any,
    ) -> list[dict[str, Any]]:
        described = execution_engine.execute_query(
            sa.text(f"DESCRIBE {quote(metric_domain_kwargs['batch_id'])}")
        )
        return [{"name": name, "type": _type(kind)} for name, kind, *_ in described.fetchall()]
