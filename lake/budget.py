"""The privacy budget of each dataset: what was spent on noise, and for which column of which data. Never overdrawn.

Kept in the ledger's database. A draw is spent before it is made, in one statement that looks at the sum; what it gave
is named afterwards. So a process killed in between has spent, and nothing is lost: the draw is made when it runs
again, and nobody has seen another one. Epsilon is counted in millionths, so that sums are exact (sequential
composition).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from lake.database import connected_engine, made_tables
from schemas.errors import BudgetSpent, LakeError

METADATA = sa.MetaData()
DRAWS = sa.Table(
    "noise_draws",
    METADATA,
    sa.Column("dataset", sa.String(100), primary_key=True),
    sa.Column("draw", sa.String(64), primary_key=True),
    sa.Column("field", sa.String(64), nullable=False),
    sa.Column("millionths", sa.BigInteger, nullable=False),
    sa.Column("file", sa.String(100), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("drawn", sa.String(32), nullable=False),
)
_SPENT = sa.func.coalesce(sa.func.sum(DRAWS.c.millionths), 0)


@dataclass(frozen=True)
class Draw:
    """One column's noise. `draw` is the digest of what it was drawn for; `file` and `sha256` are empty until it is."""

    field: str
    draw: str
    epsilon: float
    file: str = ""
    sha256: str = ""


def _millionths(epsilon: float) -> int:
    return round(epsilon * 10**6)


class Budget:
    """`url` is the ledger's; `clock` gives aware times."""

    def __init__(self, url: str, dataset: str, clock: Callable[[], datetime]) -> None:
        self._url, self._dataset, self._clock = url, dataset, clock

    @cached_property
    def _engine(self) -> sa.Engine:
        return made_tables(connected_engine(self._url), METADATA)

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise LakeError(
                f"the privacy budget cannot be read or written ({type(error).__name__})",
                dataset=self._dataset,
                next_step="see XUANWU_DATABASE, and whether its disk is full",
            ) from None

    @property
    def spent(self) -> float:
        """Epsilon that all draws of the dataset spent together."""
        with self._begin() as connection:
            return self._sum(connection) / 10**6

    def _sum(self, connection: sa.Connection) -> int:
        found = connection.execute(sa.select(_SPENT).where(DRAWS.c.dataset == self._dataset)).scalar_one()
        return int(found)

    def _wanted(self, draw: str) -> sa.Select[Any]:
        return sa.select(DRAWS).where(DRAWS.c.dataset == self._dataset, DRAWS.c.draw == draw)

    def find(self, draw: str) -> Draw | None:
        """What was drawn for this; None if nothing was spent on it yet."""
        with self._begin() as connection:
            row = connection.execute(self._wanted(draw)).mappings().one_or_none()
        if row is None:
            return None
        return Draw(row["field"], draw, row["millionths"] / 10**6, row["file"], row["sha256"])

    def spend(self, draw: Draw, budget: float) -> bool:
        """Spend epsilon on a draw; whether this did it, and not an earlier run. BudgetSpent where it is more than is
        left."""
        wanted = _millionths(draw.epsilon)
        values = sa.select(
            *(sa.literal(each) for each in (self._dataset, draw.draw, draw.field)),
            sa.literal(wanted, sa.BigInteger),
            *(sa.literal(each) for each in ("", "", self._clock().astimezone(UTC).isoformat())),
        ).where(
            sa.select(_SPENT).where(DRAWS.c.dataset == self._dataset).scalar_subquery() + wanted
            <= _millionths(budget)
        )
        try:
            with self._begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.text("LOCK TABLE noise_draws IN EXCLUSIVE MODE"))
                connection.execute(sa.insert(DRAWS).from_select(list(DRAWS.c), values))
                done = connection.execute(self._wanted(draw.draw)).one_or_none()
                left = _millionths(budget) - self._sum(connection)
        except IntegrityError:
            if self.find(draw.draw) is None:
                raise
            return False
        if done is None:
            raise BudgetSpent(
                f"the privacy budget is spent: epsilon {left / 10**6:g} is left and {draw.epsilon:g} is needed",
                dataset=self._dataset,
                field=draw.field,
                rule="differential privacy, sequential composition",
                expected=f"epsilon of all releases together at most {budget:g} (`open.budget`)",
                next_step="release less often, or raise the budget after a review; what is published stands",
            )
        return True

    def settle(self, draw: str, file: str, sha256: str) -> bool:
        """Name what was drawn; whether this run was the first to."""
        mine = sa.and_(DRAWS.c.dataset == self._dataset, DRAWS.c.draw == draw, DRAWS.c.file == "")
        with self._begin() as connection:
            return bool(
                connection.execute(sa.update(DRAWS).where(mine).values(file=file, sha256=sha256)).rowcount
            )
