"""Notices (通知): what a department is told of its cases (requests, objections, applications), once; kept in its inbox,
and put into the outbox.

A clock that ends soon is told to its side, one that has ended to its side and to the authority; whose turn it became
by a step is told so, and a requester what became of its request, its grant or its objection; both sides that a delivery
failed; providers and the authority that reads were unusual, and the sides of a grant that nobody uses it; providers and
the authority that an incident was opened or closed, and the latter that a report of it is due. A notice holds numbers,
names of the catalogue and days: never what people wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from exchange import applications, incidents, objections, requests, risks
from exchange.cases import TABLES
from exchange.deadlines import notices as of_clocks
from exchange.desk import Desk
from exchange.errors import Forbidden, NotThere
from exchange.people import Principal
from exchange.process import LASTING, READABLE, Request
from exchange.receipts import newest
from exchange.schema import CONTACTS, DELIVERIES, NOTICES
from exchange.state import State, moment_text
from exchange.steps import Case, Side, possible
from exchange.subscriptions import lasts, live
from lake.incidents import Incident, readable
from lake.reporting import reports
from schemas.workdays import day_of

Kind = Literal["remind", "escalate", "turn", "outcome", "ends", "delivery", "risk", "incident"]
AUTHORITY: Final = ""
"""The authority's own people have no department."""
ENDS_BEFORE: Final = timedelta(days=14)
"""So long before a grant's time limit its holder is told."""
BACK: Final = timedelta(days=14)
"""Steps older than this are not told any more: whoever begins to send notices does not send a year of them."""
MOST: Final = 500
"""Notices of an inbox that are shown, the newest."""
_TURN: Final[dict[str, dict[str, Side]]] = {
    "request": {
        "draft": "requester",
        "approve": "provider",
        "supplement": "provider",
        "propose": "provider",
        "send_back": "provider",
        "settle": "provider",
        "dispute": "provider",
        "return": "requester",
        "extend": "authority",
        "refer": "authority",
        "appeal": "authority",
    },
    "objection": {
        "raise": "provider",
        "explain": "provider",
        "decide": "provider",
        "ask": "requester",
        "refer": "authority",
    },
    "application": {
        "apply": "provider",
        "supplement": "provider",
        "propose": "provider",
        "send_back": "provider",
        "refer": "authority",
    },
}
"""Whose turn it is after a step, while no other one has followed and there is anything that the side may do."""
_OUTCOME: Final[dict[str, tuple[str, ...]]] = {
    "request": (
        "confirm",
        "decide",
        "rule",
        "consent_extension",
        "deliver",
        "suspend",
        "resume",
        "revoke",
    ),
    "objection": ("correct", "uphold", "decide"),
    "application": (),
}
"""Steps of which the requester is told what came of them. Who applies for what is opened is of no department, and sees
it in the workspace."""


@dataclass(frozen=True)
class Notice:
    """`case` is the kind of case that it is about, and `number` the case's. `about` is a clock or a step, `state` the
    case's after it; `due` the day that it is about, if any. Of a delivery that failed `about` holds its number; it may
    be of no request, where what is shared has no conditions. Of a risk it holds the rule and its number; it is of a
    request where nobody uses that, and of no dataset where it is about none or several. Of an incident it holds the
    incident's number, and what became of it, or which report is due or late."""

    department: str
    kind: Kind
    case: str
    number: int | None
    dataset: str
    policy: str
    about: str
    state: str
    due: date | None = None

    @property
    def numbers(self) -> dict[str, int | None]:
        """The number of the case under its kind, and none under the others."""
        return {kind: self.number if kind == self.case else None for kind in TABLES}

    @property
    def delivery(self) -> int | None:
        """The number of the delivery that it is about, if it is about one."""
        return int(self.about.split()[1]) if self.kind == "delivery" else None

    @property
    def risk(self) -> tuple[str, int] | None:
        """The rule and the number of the risk that it is about, if it is about one."""
        rule, _, number = self.about.partition(" ")
        return (rule, int(number)) if self.kind == "risk" else None

    @property
    def incident(self) -> tuple[int, str, str] | None:
        """Of an incident its number, what is told of it, and of which report, if it is about one."""
        if self.kind != "incident":
            return None
        number, what, of = self.about.split()
        return int(number), what, of

    @property
    def key(self) -> str:
        """The same for what is the same: it is told once."""
        case = self.number if self.case == "request" else f"{self.case} {self.number}"
        return "/".join(map(str, (case, self.kind, self.about, self.due or "", self.department)))


@dataclass(frozen=True)
class Kept:
    """A notice in an inbox."""

    id: int
    notice: Notice
    made: datetime
    read: datetime | None


# ── what there is to tell ─────────────────────────────────────────────────────────────────────────────────


def due(desk: Desk) -> Iterator[Notice]:
    """Everything to be told now, what was told before too."""
    now = desk.clock()
    for request in requests.every(desk.state):
        if request.state != "ended":
            yield from _of_clocks(desk, request, now)
            yield from _of_end(request, now)
        yield from _of_steps(request, now)
    others: list[Case[Any]] = [*objections.every(desk.state), *applications.every(desk.state)]
    for case in others:
        yield from _of_clocks(desk, case, now)
        yield from _of_steps(case, now)
    yield from _of_deliveries(desk, now)
    yield from _of_risks(desk, now)
    yield from _of_incidents(desk, now)


def _of_incidents(desk: Desk, now: datetime) -> Iterator[Notice]:
    """That one was opened or closed: to the providers and the authority; that a report is due or late: to the latter.
    Of the place of a step, so that an incident that is opened again is told again. One that cannot be read keeps nobody
    from being told the rest."""
    found, damaged = readable(desk.log.settings.lake_root)
    for number in damaged:
        yield Notice(AUTHORITY, "incident", "request", None, "", "", f"{number} damaged 0", "")
    for incident in found:
        sides = sorted({*incidents.owners(desk.catalogue, incident), AUTHORITY})
        for step in incident.steps:
            what = "reopened" if step.reopens else {"open": "opened", "close": "closed"}.get(step.kind)
            if what and step.at >= now - BACK:
                for department in sides:
                    yield _of_incident(incident, department, what, str(step.place), day_of(step.when))
        yield from _of_reports(desk, incident, now)


def _of_reports(desk: Desk, incident: Incident, now: datetime) -> Iterator[Notice]:
    """A report that has less time than the reminder is told of by the incident itself."""
    numbers = desk.catalogue.numbers.incidents
    for each in reports(incident, numbers):
        if each.done is None and each.due + BACK > now >= each.due - numbers.remind_before:
            what = "late" if each.late(now) else "due"
            if what == "late" or each.due - each.since > numbers.remind_before:
                yield _of_incident(incident, AUTHORITY, what, each.name, day_of(each.due))


def _of_incident(incident: Incident, department: str, what: str, of: str, day: date) -> Notice:
    names = incident.about.datasets
    dataset, about = (names[0] if len(names) == 1 else ""), f"{incident.number} {what} {of}"
    return Notice(department, "incident", "request", None, dataset, "", about, "", day)


def _of_risks(desk: Desk, now: datetime) -> Iterator[Notice]:
    """What was found by watching: to providers and the authority; that a grant is not used to its two sides."""
    for risk in risks.recent(desk.state, now - BACK):
        found = risk.finding
        named = [each for each in found.datasets if each in desk.catalogue.entries]
        dataset = named[0] if len(named) == len(found.datasets) == 1 else ""
        about = f"{found.rule} {risk.number}"
        other = found.department if found.rule == "unused" else AUTHORITY
        for department in sorted({*risks.owners(desk.catalogue, found), other}):
            yield Notice(
                department, "risk", "request", found.request, dataset, found.policy, about, "", found.day
            )


def _of_deliveries(desk: Desk, now: datetime) -> Iterator[Notice]:
    """Deliveries that failed, once for a snapshot."""
    last = newest(desk)
    for each in live(desk):
        receipt, entry = last.get(each.number), desk.catalogue.entries.get(each.dataset)
        if receipt is None or receipt.state == "done" or receipt.at < now - BACK or not lasts(desk, each):
            continue
        about = f"failed {each.number} {receipt.snapshot}"
        for department in sorted({each.department, *([entry.owner] if entry else [])}):
            yield Notice(
                department, "delivery", "request", each.request, each.dataset, each.policy, about, ""
            )


def _of_clocks(desk: Desk, case: Case[Any], now: datetime) -> Iterator[Notice]:
    for each in of_clocks(case, desk.catalogue.numbers.exchange, now):
        if case.kind != "application" or each.to != "requester":
            yield _notice(case, each.to, each.kind, each.clock.name, due=each.clock.due)


def _of_end(request: Request, now: datetime) -> Iterator[Notice]:
    until = request.terms.until
    if request.state in READABLE and until - ENDS_BEFORE <= now < until:
        yield _notice(request, "requester", "ends", "until", due=day_of(until))
    if request.state in LASTING and until <= now < until + BACK:
        yield _notice(request, "requester", "outcome", "expired", due=day_of(until))


def _of_steps(case: Case[Any], now: datetime) -> Iterator[Notice]:
    turns, outcomes = _TURN[case.kind], _OUTCOME[case.kind]
    for place, event in enumerate(case.events, 1):
        if event.at < now - BACK:
            continue
        state, about = case.until(place).state, f"{event.step} {place}"
        if event.step in turns and place == len(case.events) and _may_do(case, turns[event.step]):
            yield _notice(case, turns[event.step], "turn", about, state=state)
        if event.step in outcomes:
            yield _notice(case, "requester", "outcome", about, state=state)


def _may_do(case: Case[Any], side: Side) -> bool:
    """Whether there is a step that is the side's now."""
    return any(case.rules[step].side == side for step in possible(case))


def _notice(
    case: Case[Any], to: Side, kind: Kind, about: str, *, state: str = "", due: date | None = None
) -> Notice:
    """To a side of a case. What nobody's department objected to, the authority is told."""
    terms = case.terms
    departments = {"requester": terms.department, "provider": terms.provider, "authority": AUTHORITY}
    return Notice(
        departments[to],
        kind,
        case.kind,
        case.number,
        terms.dataset,
        terms.policy,
        about,
        state or case.state,
        due,
    )


# ── inbox and outbox ──────────────────────────────────────────────────────────────────────────────────────


def gather(desk: Desk) -> int:
    """Put what is not told yet into the inboxes, and into the outbox for every contact of the department: both or
    neither. How many notices are new. Two who gather at once make each notice once."""
    with desk.state.begin() as connection:
        known = set(connection.execute(sa.select(NOTICES.c.key)).scalars())
    return sum(_keep(desk, each) for each in due(desk) if each.key not in known)


def _keep(desk: Desk, notice: Notice) -> bool:
    now = moment_text(desk.clock())
    said = {"dataset": notice.dataset, "policy": notice.policy, "about": notice.about, "state": notice.state}
    row: dict[str, Any] = {
        "key": notice.key,
        "department": notice.department,
        "kind": notice.kind,
        **notice.numbers,
        "said": said | {"due": notice.due.isoformat() if notice.due else None},
        "made": now,
    }
    try:
        with desk.state.begin() as connection:
            ident = connection.execute(sa.insert(NOTICES).values(row).returning(NOTICES.c.id)).scalar_one()
            where = CONTACTS.c.department == notice.department
            for contact in connection.execute(sa.select(CONTACTS).where(where)).mappings().all():
                to = {"notice": ident, "kind": contact["kind"], "address": contact["address"]}
                connection.execute(
                    sa.insert(DELIVERIES).values(
                        to | {"state": "waiting", "tries": 0, "after": now, "why": ""}
                    )
                )
    except IntegrityError:
        return False
    return True


def inbox(
    state: State, principal: Principal, *, unread: bool = False, read: bool = False, before: int | None = None
) -> list[Kept]:
    """The notices to the principal's department, or to the authority for its people; the newest first, `MOST` of them,
    or of those before a number: those that nobody has read alone, or those that somebody has, where it is asked for."""
    query = sa.select(NOTICES).where(NOTICES.c.department == _inbox_of(principal))
    if unread:
        query = query.where(NOTICES.c.read.is_(None))
    if read:
        query = query.where(NOTICES.c.read.is_not(None))
    if before is not None:
        query = query.where(NOTICES.c.id < before)
    with state.begin() as connection:
        newest = query.order_by(NOTICES.c.id.desc()).limit(MOST)
        return [kept(row) for row in connection.execute(newest).mappings()]


def mark_read(state: State, principal: Principal, ident: int, now: datetime) -> None:
    """It was read by somebody of the department. NotThere for a notice to others."""
    own = sa.and_(NOTICES.c.id == ident, NOTICES.c.department == _inbox_of(principal))
    with state.begin() as connection:
        if connection.execute(sa.select(NOTICES.c.id).where(own)).first() is None:
            raise NotThere(f"no notice {ident}")
        connection.execute(
            sa.update(NOTICES).where(own, NOTICES.c.read.is_(None)).values(read=moment_text(now))
        )


def _inbox_of(principal: Principal) -> str:
    if not principal.department and not principal.has("authority"):
        raise Forbidden("notices are for departments and the authority")
    return principal.department


def kept(row: Any) -> Kept:
    """A row of the table of notices."""
    said = row["said"]
    day = date.fromisoformat(said["due"]) if said["due"] else None
    case = next((kind for kind in TABLES if row[kind] is not None), "request")
    notice = Notice(
        row["department"],
        row["kind"],
        case,
        row[case],
        said["dataset"],
        said["policy"],
        said["about"],
        said["state"],
        day,
    )
    read = datetime.fromisoformat(row["read"]) if row["read"] else None
    return Kept(row["id"], notice, datetime.fromisoformat(row["made"]), read)
