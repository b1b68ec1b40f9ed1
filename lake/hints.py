"""What a reader tells of the rows that it wants, by which files are left out that hold none of them.

A hint prunes by the published values' own bounds and by nothing else; a reader tests the rows it gets again. So what
cannot be understood is no error: the files are all given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pyiceberg import expressions as iceberg
from pyiceberg.expressions.literals import literal
from pyiceberg.schema import Schema

Compare = Literal["eq", "ne", "lt", "le", "gt", "ge", "null", "not_null"]
Join = Literal["and", "or"]


@dataclass(frozen=True)
class Term:
    """A column against a value in its text form; None where the comparison needs none."""

    column: str
    compare: Compare
    value: str | None = None


@dataclass(frozen=True)
class Joined:
    """Terms of which all or any must hold."""

    how: Join
    of: tuple[Hint, ...]


@dataclass(frozen=True)
class Not:
    of: Hint


Hint = Term | Joined | Not

_COMPARE: Final[dict[str, Any]] = {
    "eq": iceberg.EqualTo,
    "ne": iceberg.NotEqualTo,
    "lt": iceberg.LessThan,
    "le": iceberg.LessThanOrEqual,
    "gt": iceberg.GreaterThan,
    "ge": iceberg.GreaterThanOrEqual,
}


def expression(schema: Schema, hint: Hint | None) -> iceberg.BooleanExpression:
    """The hint in Iceberg's form; AlwaysTrue where a column is unknown or a value not of its type."""
    if hint is None:
        return iceberg.AlwaysTrue()
    try:
        return _expression(schema, hint)
    except (ValueError, TypeError, ArithmeticError):
        return iceberg.AlwaysTrue()


def _expression(schema: Schema, hint: Hint) -> iceberg.BooleanExpression:
    if isinstance(hint, Not):
        return iceberg.Not(_expression(schema, hint.of))
    if isinstance(hint, Joined):
        join = iceberg.And if hint.how == "and" else iceberg.Or
        first, *rest = (_expression(schema, each) for each in hint.of)
        return join(first, *rest) if rest else first
    field = schema.find_field(hint.column, case_sensitive=False)
    if hint.compare == "null":
        return iceberg.IsNull(term=field.name)
    if hint.compare == "not_null":
        return iceberg.NotNull(term=field.name)
    if hint.value is None:
        raise ValueError("a comparison without a value")
    return _COMPARE[hint.compare](term=field.name, value=literal(hint.value).to(field.field_type))
