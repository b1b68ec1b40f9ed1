"""A day of the usage beside the days before it: counts that are over a floor, and what was usual of them. Counting is
the database's work; what it gives are those counts alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from exchange.schema import USAGE
from schemas.workdays import is_working_day

Table = tuple[str, str]
"""Dataset and policy, as the usage has them."""


@dataclass(frozen=True)
class Hit:
    """A count of the day, by columns and their values, that is not below its floor, and its days before: how many had
    any, how many of those were without work, and the first."""

    names: Mapping[str, str]
    counted: int
    usual: int = 0
    days: int = 0
    offdays: int = 0
    first: date | None = None


@dataclass(frozen=True)
class Day:
    """A day, and the `history` days before it."""

    connection: sa.Connection
    day: date
    history: int

    def hits(
        self, by: Sequence[sa.Column[Any]], value: sa.ColumnElement[Any], floor: int, *where: Any
    ) -> Iterator[Hit]:
        """The day's counts by these columns, from the floor on, each with what was before."""
        today = self._sums(by, value, USAGE.c.day == self.day.isoformat(), *where).having(value >= floor)
        rows = self.connection.execute(today).all()
        if not rows:
            return
        before = self._before(by, value, today.subquery(), *where)
        for *values, counted in rows:
            most, days, offdays, first = before.get(tuple(values), (0, 0, 0, None))
            names = {each.name: value for each, value in zip(by, values, strict=True)}
            yield Hit(names, int(counted), int(most), days, int(offdays), first)

    def _sums(self, by: Sequence[sa.Column[Any]], value: sa.ColumnElement[Any], *where: Any) -> Any:
        return sa.select(*by, value.label("value")).where(*where).group_by(*by)

    def _before(
        self, by: Sequence[sa.Column[Any]], value: sa.ColumnElement[Any], today: sa.Subquery, *where: Any
    ) -> dict[tuple[str, ...], Any]:
        """Of each of today's hits the greatest of a day, how many days, and how many without work. What was before is
        summed first and then joined: SQLite would else go by the dataset's index to all of its days, for each hit."""
        days = self._sums([USAGE.c.day, *by], value, USAGE.c.day.in_(self._before_it), *where).subquery()
        off = sa.func.sum(sa.case((days.c.day.in_(self.offdays), 1), else_=0)).label("off")
        names = [days.c[each.name] for each in by]
        usual = sa.func.max(days.c.value).label("usual"), sa.func.count().label("days"), off
        first = sa.func.min(days.c.day).label("first")
        past = sa.select(*names, *usual, first).where(days.c.value > 0).group_by(*names).subquery()
        same = sa.and_(*(past.c[each.name] == today.c[each.name] for each in by))
        return {
            tuple(row[: len(by)]): (*row[len(by) : -1], date.fromisoformat(row[-1]))
            for row in self.connection.execute(sa.select(past).join(today, same))
        }

    @property
    def _before_it(self) -> list[str]:
        """Each day before, named: the primary key begins with it."""
        days = (self.day - timedelta(days=back) for back in range(self.history, 0, -1))
        return [each.isoformat() for each in days]

    @property
    def offdays(self) -> list[str]:
        """The days without work among those before, the oldest first."""
        return [each for each in self._before_it if not is_working_day(date.fromisoformat(each))]

    def tables(self, hit: Hit, *where: Any) -> list[Table]:
        """The tables that are in a hit, those with the most first."""
        own = (USAGE.c[name] == value for name, value in hit.names.items())
        most = sa.func.sum(USAGE.c.reads + USAGE.c.refused).desc()
        query = sa.select(USAGE.c.dataset, USAGE.c.policy).where(USAGE.c.day == self.day.isoformat(), *own)
        rows = self.connection.execute(
            query.where(*where).group_by(USAGE.c.dataset, USAGE.c.policy).order_by(most, USAGE.c.dataset)
        )
        return [(row.dataset, row.policy) for row in rows]
