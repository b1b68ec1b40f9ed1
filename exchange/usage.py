"""Who read what, how often and for what, by day: counted from the audit log, which stays what holds.

Callers whom nobody knows are counted beside them, by door and reason, as of no account and no dataset: they are not
told as usage, and are watched (`exchange.watching`).

A count is taken up where the last one ended, by whoever asks next. A department sees who read its data and what it read
itself; auditors, the authority and the data centre see all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from exchange.desk import Desk
from exchange.errors import Busy
from exchange.people import Principal
from exchange.schema import COUNTED, USAGE
from schemas.workdays import day_of

LOG: Final = "audit"
AT_ONCE: Final = 50_000
"""Entries that one transaction counts."""
_NAMES: Final = ("day", "department", "account", "dataset", "policy", "door", "purpose")
_COUNTS: Final = ("reads", "rows", "refused")


@dataclass(frozen=True)
class Usage:
    """Reads of one table by one account, for one purpose, through one door. `rows` left through the data API, or
    were in the files that were handed out."""

    department: str
    account: str
    dataset: str
    policy: str
    door: str
    purpose: str
    reads: int
    rows: int
    refused: int


def usage(
    desk: Desk, principal: Principal | None, *, since: date | None = None, until: date | None = None
) -> list[Usage]:
    """What the principal may see of the days asked for, summed, the most read first; all of it without a principal, for
    the operator."""
    count(desk)
    names = [USAGE.c[name] for name in _NAMES if name != "day"]
    sums = [sa.func.sum(USAGE.c[name]).label(name) for name in _COUNTS]
    query = sa.select(*names, *sums).where(_seen(desk, principal), USAGE.c.dataset != "").group_by(*names)
    if since is not None:
        query = query.where(USAGE.c.day >= since.isoformat())
    if until is not None:
        query = query.where(USAGE.c.day <= until.isoformat())
    query = query.order_by(sa.desc("rows"), sa.desc("reads"), *names)
    with desk.state.begin() as connection:
        return [_usage(row) for row in connection.execute(query).mappings()]


def _usage(row: Any) -> Usage:
    counts: dict[str, Any] = {name: int(row[name]) for name in _COUNTS}
    return Usage(**{name: row[name] for name in _NAMES if name != "day"}, **counts)


def _seen(desk: Desk, principal: Principal | None) -> sa.ColumnElement[bool]:
    if principal is None or principal.has("auditor", "authority", "data_centre"):
        return sa.true()
    if not principal.department:
        return sa.false()
    own = [name for name, entry in desk.catalogue.entries.items() if entry.owner == principal.department]
    return sa.or_(USAGE.c.department == principal.department, USAGE.c.dataset.in_(own))


# ── counting ──────────────────────────────────────────────────────────────────────────────────────────────


def count(desk: Desk) -> None:
    """Count what the log has gained. Of two that count at once one finds it done."""
    try:
        while _counted(desk) == AT_ONCE:
            pass
    except IntegrityError:
        raise Busy("somebody else is counting the usage", next_step="ask again") from None


def _counted(desk: Desk) -> int:
    """How many entries were counted by one transaction."""
    with desk.state.begin() as connection:
        start = connection.execute(sa.select(COUNTED.c.until).where(COUNTED.c.log == LOG)).scalar()
        if start is None:
            connection.execute(sa.insert(COUNTED).values(log=LOG, until=0))
        found: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
        taken = 0
        for _, entry in desk.log.entries(int(start or 0)):
            _take(entry, found)
            taken += 1
            if taken == AT_ONCE:
                break
        for key, counts in found.items():
            _add(connection, dict(zip(_NAMES, key, strict=True)), dict(zip(_COUNTS, counts, strict=True)))
        end = int(start or 0) + taken
        same = sa.and_(COUNTED.c.log == LOG, COUNTED.c.until == int(start or 0))
        moved = sa.update(COUNTED).where(same).values(until=end)
        if not connection.execute(moved).rowcount:
            raise Busy("somebody else is counting the usage", next_step="ask again")
    return taken


def _take(entry: Mapping[str, Any], found: dict[tuple[str, ...], list[int]]) -> None:
    if entry.get("action") not in ("read", "authenticate"):
        return
    day = day_of(datetime.fromisoformat(entry["at"])).isoformat()
    if entry["action"] == "authenticate":
        for door, count in entry.get("doors", {}).items():
            found[(day, "", "", "", "", door, entry["reason"])][2] += count
        return
    names = ("department", "by", "dataset", "policy", "door", "purpose")
    counts = found[(day, *(str(entry.get(name, "")) for name in names))]
    counts[0] += entry["phase"] == "attempt"
    counts[1] += int(entry.get("rows", 0)) if entry["phase"] == "outcome" else 0
    counts[2] += entry["phase"] == "refused"


def _add(connection: sa.Connection, names: Mapping[str, str], counts: Mapping[str, int]) -> None:
    same = sa.and_(*(USAGE.c[name] == value for name, value in names.items()))
    more = {name: USAGE.c[name] + value for name, value in counts.items()}
    if not connection.execute(sa.update(USAGE).where(same).values(more)).rowcount:
        connection.execute(sa.insert(USAGE).values({**names, **counts}))
