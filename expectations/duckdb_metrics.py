"""Row-level metrics that Great Expectations cannot compute on DuckDB, each as one SQL condition of ours.

Regular expressions are RE2's and found anywhere in the value, as in the library's other engines: `^` and `$`
anchor them. Values of other types than text are looked at in their text form.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from expectations.conditions import condition
from expectations.sqltables import SEQ


def _text(column: Any) -> Any:
    return sa.cast(column, sa.String)


def _source(table: Any) -> Any:
    """What the check reads, as something to select from: with a row condition it is itself a query."""
    return table.subquery() if isinstance(table, sa.Select) else table


# ── patterns ──────────────────────────────────────────────────────────────────────────────────────────────


def _regex(column: Any, regex: str) -> Any:
    return sa.func.regexp_matches(_text(column), regex)


def _like(column: Any, like_pattern: str, escape: str | None = None) -> Any:
    return _text(column).like(like_pattern, escape=escape)


def _of_list(matches: list[Any], match_on: str | None) -> Any:
    if not matches:
        raise ValueError("at least one pattern")
    return sa.and_(*matches) if match_on == "all" else sa.or_(*matches)


def _regexes(column: Any, regex_list: list[str], match_on: str | None = None) -> Any:
    return _of_list([_regex(column, regex) for regex in regex_list], match_on)


def _likes(column: Any, like_pattern_list: list[str], escape: str | None, match_on: str | None = None) -> Any:
    return _of_list([_like(column, pattern, escape) for pattern in like_pattern_list], match_on)


def _negated(expression: Callable[..., Any]) -> Callable[..., Any]:
    return lambda column, **arguments: sa.not_(expression(column, **arguments))


condition("column_values.match_regex", ("regex",), _regex)
condition("column_values.not_match_regex", ("regex",), _negated(_regex))
condition("column_values.match_regex_list", ("regex_list", "match_on"), _regexes)
condition("column_values.not_match_regex_list", ("regex_list",), _negated(_regexes))
condition("column_values.match_like_pattern", ("like_pattern", "escape"), _like)
condition("column_values.not_match_like_pattern", ("like_pattern", "escape"), _negated(_like))
condition("column_values.match_like_pattern_list", ("like_pattern_list", "match_on", "escape"), _likes)
condition("column_values.not_match_like_pattern_list", ("like_pattern_list", "escape"), _negated(_likes))

# ── what a text can be read as ────────────────────────────────────────────────────────────────────────────


def _strftime(column: Any, strftime_format: str) -> Any:
    return sa.func.try_strptime(_text(column), strftime_format).is_not(None)


def _json_schema(column: Any, json_schema: dict[str, Any]) -> Any:
    return sa.func.matches_json_schema(_text(column), json.dumps(json_schema, sort_keys=True))


condition("column_values.match_strftime_format", ("strftime_format",), _strftime)
condition("column_values.dateutil_parseable", (), lambda column: sa.func.is_dateutil(_text(column)))
condition("column_values.json_parseable", (), lambda column: sa.func.json_valid(_text(column)))
condition("column_values.match_json_schema", ("json_schema",), _json_schema)

# ── values among their neighbours ─────────────────────────────────────────────────────────────────────────


def _monotonic(rising: bool) -> Callable[..., Any]:
    """In the order of `_seq`, NULLs left out: a row fails that falls behind the row before it."""

    def expression(column: Any, strictly: bool | None, _table: Any) -> Any:
        seq: Any = sa.column(SEQ)
        lag = sa.func.lag(column).over(order_by=seq)
        pairs = sa.select(seq, column.label("value"), lag.label("before")).select_from(_source(_table))
        filled = pairs.where(column.is_not(None)).subquery()
        low, high = (filled.c.before, filled.c.value) if rising else (filled.c.value, filled.c.before)
        wrong = high <= low if strictly else high < low
        return seq.not_in(sa.select(filled.c[SEQ]).where(wrong))

    return expression


def _unique(column: Any, _table: Any) -> Any:
    """Every copy of a value fails, not only the later ones."""
    repeated = sa.select(column).select_from(_source(_table)).where(column.is_not(None))
    return column.not_in(repeated.group_by(column).having(sa.func.count() > 1))


def _not_outlier(column: Any, method: str | None, multiplier: float | None, _table: Any) -> Any:
    """Tukey's fences (`iqr`, the default, 1.5) or a distance from the mean in sample standard deviations
    (`std`). Where there are too few values for a spread, none is an outlier."""

    def of_all(statistic: Any) -> Any:
        return sa.select(statistic).select_from(_source(_table)).scalar_subquery()

    number, factor = sa.cast(column, sa.Double), 1.5 if multiplier is None else multiplier
    if method == "std":
        mean, spread = of_all(sa.func.avg(number)), of_all(sa.func.stddev_samp(number))
        distance = sa.func.abs(number - mean)
        return sa.func.coalesce(sa.or_(distance < factor * spread, distance == 0), True)
    low, high = (of_all(sa.func.quantile_cont(number, share)) for share in (0.25, 0.75))
    fence = factor * (high - low)
    return sa.func.coalesce(sa.and_(number >= low - fence, number <= high + fence), True)


condition("column_values.unique", (), _unique, looks="table")
condition("column_values.increasing", ("strictly",), _monotonic(rising=True), looks="table")
condition("column_values.decreasing", ("strictly",), _monotonic(rising=False), looks="table")
condition("column_values.not_outliers", ("method", "multiplier"), _not_outlier, looks="table")
