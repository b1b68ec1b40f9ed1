"""Risks (风险提示) as they are kept: what the watching found, once each, in the database and in the audit log."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from exchange.desk import Desk
from exchange.errors import Busy, NotThere
from exchange.people import Principal
from exchange.schema import COUNTED, RISKS
from exchange.state import State, moment_text
from exchange.undone import log_beside
from exchange.usage import count
from exchange.watching import Finding, found, unused
from schemas.load import Catalogue
from schemas.workdays import day_of

WATCH: Final = "watch"
MOST: Final = 500
"""Risks that are told at one time, the newest."""
AT_ONCE: Final = 31
"""Days that are caught up with, where nobody watched."""


@dataclass(frozen=True)
class Risk:
    """A finding that is kept."""

    number: int
    finding: Finding
    at: datetime


# ── watching ──────────────────────────────────────────────────────────────────────────────────────────────


def watch(desk: Desk) -> int:
    """Look at the days since the last look, that day too, and keep what is new; how many are. Two who watch at once
    keep each once. Where somebody else is still counting these days are looked at the next time too."""
    counted = _counted(desk)
    today, last = day_of(desk.clock()), _watched(desk.state)
    first = max(last or today, today - timedelta(days=AT_ONCE))
    days = [first + timedelta(days=more) for more in range((today - first).days + 1)]
    new = [finding for day in days for finding in found(desk, day)]
    if last != today:
        new += unused(desk)
    known = _known(desk.state, first)
    kept = sum(_keep(desk, each) for each in new if each.key not in known)
    if counted:
        _move(desk.state, today)
    return kept


def _counted(desk: Desk) -> bool:
    """Whether all that the log has is counted."""
    try:
        count(desk)
    except Busy:
        return False
    return True


def _watched(state: State) -> date | None:
    with state.begin() as connection:
        until = connection.execute(sa.select(COUNTED.c.until).where(COUNTED.c.log == WATCH)).scalar()
    return date.fromordinal(until) if until else None


def _move(state: State, today: date) -> None:
    """The days before need not be looked at again."""
    same, until = COUNTED.c.log == WATCH, today.toordinal()
    with suppress(IntegrityError), state.begin() as connection:
        if not connection.execute(sa.update(COUNTED).where(same).values(until=until)).rowcount:
            connection.execute(sa.insert(COUNTED).values(log=WATCH, until=until))


def _known(state: State, first: date) -> set[str]:
    with state.begin() as connection:
        return set(
            connection.execute(sa.select(RISKS.c.key).where(RISKS.c.day >= first.isoformat())).scalars()
        )


def _keep(desk: Desk, finding: Finding) -> bool:
    """In the database and in the audit log: both or neither. False where it is there already."""
    said = told(finding)
    try:
        with desk.state.begin() as connection:
            row = said | {"key": finding.key, "at": moment_text(desk.clock())}
            number = connection.execute(sa.insert(RISKS).values(row).returning(RISKS.c.number)).scalar_one()
            log_beside(desk, connection, {"action": "risk", "risk": number, **said})
    except IntegrityError:
        return False
    return True


def told(finding: Finding) -> dict[str, Any]:
    """A finding as the database and the audit log have it."""
    return asdict(finding) | {"day": finding.day.isoformat(), "datasets": list(finding.datasets)}


def as_json(risk: Risk) -> dict[str, Any]:
    """As JSON tells it, to people and programs."""
    return {"number": risk.number, **told(risk.finding), "found": risk.at.isoformat()}


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────


def risks(
    desk: Desk,
    principal: Principal | None,
    *,
    since: date | None = None,
    until: date | None = None,
    before: int | None = None,
) -> list[Risk]:
    """What the principal may see of these days, the newest first, `MOST` of them, or those that come in this order
    after the risk `before`; without a principal, for the operator, whatever it is about. Authority, auditors and data
    centre see all, a provider what is about its datasets, and a department its own grants that it does not use.
    NotThere for a `before` that it does not see."""
    first = RISKS.c.day >= since.isoformat() if since else sa.true()
    last = RISKS.c.day <= until.isoformat() if until else sa.true()
    seen = _seen(desk.catalogue, principal)
    return _rows(desk.state, sa.and_(first, last, seen, _older(desk.state, seen, before)), MOST)


def _older(state: State, seen: sa.ColumnElement[bool], before: int | None) -> sa.ColumnElement[bool]:
    """What comes after a risk: those of earlier days, and of its day those that were found before it."""
    if before is None:
        return sa.true()
    with state.begin() as connection:
        of_it = sa.select(RISKS.c.day).where(RISKS.c.number == before, seen)
        day = connection.execute(of_it).scalar()
    if day is None:
        raise NotThere(
            f"no risk {before}", next_step="list them without `before`", zh="没有这一编号的风险提示"
        )
    return sa.or_(RISKS.c.day < day, sa.and_(RISKS.c.day == day, RISKS.c.number < before))


def recent(state: State, since: datetime) -> list[Risk]:
    """Those that were found since then."""
    return _rows(state, RISKS.c.at >= moment_text(since))


def _rows(state: State, where: sa.ColumnElement[bool], most: int | None = None) -> list[Risk]:
    query = sa.select(RISKS).where(where).order_by(RISKS.c.day.desc(), RISKS.c.number.desc()).limit(most)
    with state.begin() as connection:
        return [_risk(row) for row in connection.execute(query).mappings()]


def _risk(row: Any) -> Risk:
    said = {name: row[name] for name in Finding.__dataclass_fields__}
    said |= {"day": date.fromisoformat(row["day"]), "datasets": tuple(row["datasets"])}
    return Risk(row["number"], Finding(**said), datetime.fromisoformat(row["at"]))


def _seen(catalogue: Catalogue, principal: Principal | None) -> sa.ColumnElement[bool]:
    """Ids of datasets stand in the list between quotes, and hold none."""
    if principal is None or principal.has("auditor", "authority", "data_centre"):
        return sa.true()
    if not (own := principal.department):
        return sa.false()
    datasets = sa.cast(RISKS.c.datasets, sa.Text)
    provided = [name for name, entry in catalogue.entries.items() if entry.owner == own]
    of_them = (datasets.contains(f'"{name}"', autoescape=True) for name in provided)
    return sa.or_(sa.and_(RISKS.c.rule == "unused", RISKS.c.department == own), *of_them)


def owners(catalogue: Catalogue, finding: Finding) -> set[str]:
    """The providers of what it is about."""
    entries = (catalogue.entries.get(each) for each in finding.datasets)
    return {entry.owner for entry in entries if entry is not None}
