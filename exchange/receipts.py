"""Receipts (交付回执): what became of each delivery; what is due; and who is at it, so that of two one delivers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa

from exchange.desk import Desk
from exchange.errors import ExchangeError
from exchange.schema import RECEIPTS, SUBSCRIPTIONS
from exchange.state import moment_text
from exchange.subscriptions import Subscription, live, right
from lake import lease
from lake.tables import Tables
from schemas.errors import StageHeld

WAITS: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 15, 30, 60, 120, 360, 1440))
"""Between one failure and the next try; after the last every day. A new snapshot is tried at once."""
MOST: Final = 100
"""Receipts of one subscription that are told at one time, the newest."""


@dataclass(frozen=True)
class Counts:
    """`rows` of the snapshot, `sent` over the wire, `found` in the target after the commit; what became of those sent;
    `altered` values that the target cannot hold as they are."""

    rows: int = 0
    sent: int = 0
    found: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    altered: int = 0


@dataclass(frozen=True)
class Receipt:
    """One delivery. `digest` is the manifest's of files, and of a table the certificate's of its snapshot (SHA-256)."""

    subscription: int
    number: int
    snapshot: str
    state: Literal["done", "failed"]
    counts: Counts
    digest: str
    why: str
    began: datetime
    at: datetime


def write(
    desk: Desk,
    found: Subscription,
    snapshot: int,
    began: datetime,
    counts: Counts,
    *,
    digest: str = "",
    why: str = "",
) -> Receipt:
    """Keep what became of a delivery; with a `why` it failed, and is tried again later, ever later."""
    now = desk.clock()
    tries = found.tries + 1 if why else 0
    after = now + WAITS[min(tries, len(WAITS)) - 1] if why else now
    with desk.state.begin() as connection:
        own = RECEIPTS.c.subscription == found.number
        last = connection.execute(sa.select(sa.func.max(RECEIPTS.c.number)).where(own)).scalar() or 0
        row = {"subscription": found.number, "number": last + 1, "snapshot": str(snapshot)}
        row |= {"state": "failed" if why else "done", "digest": digest, "why": why} | asdict(counts)
        row |= {"began": moment_text(began), "at": moment_text(now)}
        connection.execute(sa.insert(RECEIPTS).values(row))
        moved = sa.update(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.number == found.number)
        connection.execute(moved.values(tries=tries, after=moment_text(after)))
    return _of(row)


def receipts(desk: Desk, number: int, before: int | None = None) -> list[Receipt]:
    """The receipts of a subscription, the newest first, `MOST` of them; those before a number where one is given."""
    query = sa.select(RECEIPTS).where(RECEIPTS.c.subscription == number)
    if before is not None:
        query = query.where(RECEIPTS.c.number < before)
    with desk.state.begin() as connection:
        newest = query.order_by(RECEIPTS.c.number.desc()).limit(MOST)
        return [_of(row) for row in connection.execute(newest).mappings()]


def newest(desk: Desk) -> dict[int, Receipt]:
    """The newest receipt of each subscription that has one."""
    tops = sa.select(RECEIPTS.c.subscription, sa.func.max(RECEIPTS.c.number).label("top"))
    top = tops.group_by(RECEIPTS.c.subscription).subquery()
    same = sa.and_(RECEIPTS.c.subscription == top.c.subscription, RECEIPTS.c.number == top.c.top)
    with desk.state.begin() as connection:
        found = [_of(row) for row in connection.execute(sa.select(RECEIPTS).join(top, same)).mappings()]
    return {each.subscription: each for each in found}


def due(desk: Desk, tables: Tables, dataset: str | None = None) -> list[Subscription]:
    """What is to be delivered now: a snapshot that its recipient has not, and that has not failed just before."""
    known, now = newest(desk), desk.clock()
    return [each for each in live(desk, dataset) if _is_due(desk, tables, each, known.get(each.number), now)]


def _is_due(desk: Desk, tables: Tables, each: Subscription, last: Receipt | None, now: datetime) -> bool:
    try:
        current = tables.current_snapshot(right(desk, each).table)
    except ExchangeError:
        return False
    if current is None:
        return False
    if last is None or last.snapshot != str(current):
        return True
    return last.state == "failed" and each.after <= now


def soon(desk: Desk, number: int) -> None:
    """A delivery that failed is due at once."""
    with desk.state.begin() as connection:
        now = moment_text(desk.clock())
        connection.execute(
            sa.update(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.number == number).values(after=now, tries=0)
        )


@contextmanager
def claimed(desk: Desk, number: int) -> Iterator[None]:
    """Deliver alone: a lease that is renewed while the block runs, and that a dead process loses. StageHeld where
    somebody else is at it."""
    owner = lease.holder()
    with desk.state.begin() as connection:
        query = sa.select(SUBSCRIPTIONS.c.holder, SUBSCRIPTIONS.c.until).where(
            SUBSCRIPTIONS.c.number == number
        )
        holder, until = connection.execute(query).one()
    if lease.alive(holder, until, desk.clock()) or not _take(desk, number, holder, until, owner):
        raise StageHeld(
            f"delivery {number} is being made by {lease.said(holder) if holder else 'another process'}",
            next_step="wait for it",
        )
    try:
        with lease.renewing(lambda: _renew(desk, number, owner)):
            yield
    finally:
        with desk.state.begin() as connection:
            own = sa.and_(SUBSCRIPTIONS.c.number == number, SUBSCRIPTIONS.c.holder == owner)
            connection.execute(sa.update(SUBSCRIPTIONS).where(own).values(holder=None, until=None))


def _take(desk: Desk, number: int, holder: str | None, until: str | None, owner: str) -> bool:
    """Of two that take it at once one has it."""
    same = sa.and_(
        SUBSCRIPTIONS.c.number == number,
        SUBSCRIPTIONS.c.holder.is_not_distinct_from(holder),
        SUBSCRIPTIONS.c.until.is_not_distinct_from(until),
    )
    with desk.state.begin() as connection:
        values = {"holder": owner, "until": moment_text(desk.clock() + lease.LEASE)}
        return bool(connection.execute(sa.update(SUBSCRIPTIONS).where(same).values(values)).rowcount)


def _renew(desk: Desk, number: int, owner: str) -> bool:
    own = sa.and_(SUBSCRIPTIONS.c.number == number, SUBSCRIPTIONS.c.holder == owner)
    with desk.state.begin() as connection:
        until = moment_text(desk.clock() + lease.LEASE)
        return bool(connection.execute(sa.update(SUBSCRIPTIONS).where(own).values(until=until)).rowcount)


def _of(row: Mapping[Any, Any]) -> Receipt:
    counts = Counts(**{name: int(row[name]) for name in Counts.__dataclass_fields__})
    names = ("subscription", "number", "snapshot", "state", "digest", "why")
    kept: dict[str, Any] = {name: row[name] for name in names}
    kept |= {name: datetime.fromisoformat(row[name]) for name in ("began", "at")}
    return Receipt(counts=counts, **kept)
