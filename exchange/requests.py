"""Requests as they are kept: made, moved on by a step, listed. Each step stands in the audit log before it counts.

The log gets ids and a digest of what was said, never the texts: they may name people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from exchange.errors import Forbidden, NotThere, Unfit
from exchange.narrowing import scope
from exchange.people import Principal
from exchange.process import LASTING, READABLE, Event, Request, Rule, Step, Terms, require, sides, was_granted
from exchange.state import EVENTS, REQUESTS, State, keeps, moment_text
from lake.auditlog import AuditLog
from schemas.load import Catalogue
from schemas.policy import policies
from schemas.workdays import day_of

METHODS: Final = ("api", "batch", "file")
LONGEST: Final = 4_000
"""Characters of one text."""


@dataclass(frozen=True)
class Desk:
    """Where requests are handled. `clock` gives aware UTC. `ended` is told of a grant that has ended and had a table of
    its own, for it to be taken away; nobody may read it by then."""

    state: State
    catalogue: Catalogue
    log: AuditLog
    clock: Callable[[], datetime]
    ended: Callable[[Request], object] = field(default=lambda _: None)


# ── asking ────────────────────────────────────────────────────────────────────────────────────────────────


def draft(
    desk: Desk,
    principal: Principal,
    asked: Mapping[str, Any],
    beside: Callable[[sa.Connection, Request], object] = lambda connection, request: None,
) -> Request:
    """A new request: `dataset`, `policy`, `basis`, `scenario`, `method`, `until` (Decree 809, Art. 20), and the scope:
    `columns` (default all of the policy), `rows` (`all`, or `own` for those of the department's own territory).

    NotThere for a dataset that is not shared under the policy; Unfit where a text is missing, the time limit has
    passed or the scope is none that the policy gives, and where nothing need be asked, since the dataset is shared
    without conditions. `beside` writes in the same transaction what is declared with it.
    """
    if not principal.department or not principal.has("requester"):
        raise Forbidden("a request is made by a requester of a department")
    terms = _terms(desk, principal, asked)
    first = Event("draft", principal.name, "requester", desk.clock())
    row = {name: getattr(terms, name) for name in Terms.__dataclass_fields__}
    row |= {"until": moment_text(terms.until), "columns": list(terms.columns)}
    with desk.state.begin() as connection:
        number = int(
            connection.execute(sa.insert(REQUESTS).values(row).returning(REQUESTS.c.number)).scalar_one()
        )
        request = Request(number, terms, (first,))
        beside(connection, request)
        _add(desk, connection, request, principal)
    return request


def _terms(desk: Desk, principal: Principal, asked: Mapping[str, Any]) -> Terms:
    needed = ("dataset", "policy", "basis", "scenario", "method", "until")
    if missing := [name for name in needed if not asked.get(name)]:
        raise Unfit(
            f"the request lacks {', '.join(missing)}", expected=", ".join(needed), rule="Decree 809, Art. 20"
        )
    if any(len(str(asked[name])) > LONGEST for name in needed):
        raise Unfit("a text is too long", expected=f"{LONGEST} characters at most")
    if not all(keeps(str(asked[name])) for name in needed):
        raise Unfit("a text has signs that cannot be kept", expected="no U+0000 and no half of a character")
    if asked["method"] not in METHODS:
        raise Unfit("the method is unknown", expected=", ".join(METHODS))
    entry = desk.catalogue.entries.get(str(asked["dataset"]))
    if entry is None or str(asked["policy"]) not in policies(entry, "share"):
        raise NotThere("no such table is shared", next_step="the catalogue lists what is")
    if entry.share.type == "unconditional":
        raise Unfit(f"{entry.id} is shared without conditions: read it", rule="Decree 809, Art. 14")
    until = _to_come(asked["until"], desk.clock())
    policy = policies(entry, "share")[str(asked["policy"])]
    return Terms(
        dataset=entry.id,
        policy=str(asked["policy"]),
        department=principal.department,
        provider=entry.owner,
        basis=str(asked["basis"]),
        scenario=str(asked["scenario"]),
        method=asked["method"],
        until=until,
        **scope(entry, policy, desk.catalogue.departments.get(principal.department), asked),
    )


def take(desk: Desk, principal: Principal, number: int, step: Step, said: Mapping[str, Any]) -> Request:
    """Take a step of a request and give the request as it is then.

    NotThere where the principal has no part in it, Forbidden and Unfit as `exchange.process.require` says,
    Unfit too where somebody else took a step at the same moment.
    """
    request = find(desk, principal, number)
    rule = require(request, step, principal, said)
    event = Event(
        step,
        principal.name,
        rule.side,
        desk.clock(),
        _heard(rule, said, desk.catalogue.numbers.exchange.extend_at_most),
    )
    moved = Request(number, request.terms, (*request.events, event))
    try:
        with desk.state.begin() as connection:
            _add(desk, connection, moved, principal)
    except IntegrityError:
        raise Unfit(
            f"somebody took a step of request {number} at the same moment", next_step="look at it again"
        ) from None
    if moved.terms.narrow and request.state in LASTING and moved.state not in LASTING:
        desk.ended(moved)
    return moved


def _heard(rule: Rule, said: Mapping[str, Any], longest: int) -> dict[str, Any]:
    """What the step needs, and no more: texts of a bounded length, `consent` a truth, `working_days` a number of days
    that the authority may consent to (Art. 21)."""
    heard = {name: said[name] for name in rule.needs}
    expected = {"consent": "true or false", "working_days": f"a number from 1 to {longest}"}
    for name, value in heard.items():
        if name == "consent":
            fits = isinstance(value, bool)
        elif name == "working_days":
            fits = type(value) is int and 1 <= value <= longest
        else:
            fits = isinstance(value, str) and len(value) <= LONGEST and keeps(value)
        if not fits:
            raise Unfit(f"`{name}` is malformed", expected=expected.get(name, "a text"))
    return heard


def _add(desk: Desk, connection: sa.Connection, request: Request, principal: Principal) -> None:
    """The newest event, in the database and in the audit log: both or neither. A log that cannot be written ends the
    transaction; a transaction that fails after it leaves an attempt in the log."""
    event = request.events[-1]
    row = {
        "request": request.number,
        "number": len(request.events),
        "step": event.step,
        "by": event.by,
        "side": event.side,
        "at": moment_text(event.at),
        "said": dict(event.said),
    }
    connection.execute(sa.insert(EVENTS).values(row))
    desk.log.append(
        {
            "action": "request",
            "request": request.number,
            "step": event.step,
            "state": request.state,
            "by": principal.name,
            "department": principal.department,
            "dataset": request.terms.dataset,
            "policy": request.terms.policy,
            "said": desk.log.digest(dict(event.said)),
            **(scope_told(request.terms) if event.step == "draft" else {}),
        }
    )


def scope_told(terms: Terms) -> dict[str, Any]:
    """The time limit and the scope of a request, as the audit log tells them."""
    return {
        "until": moment_text(terms.until),
        "columns": list(terms.columns),
        "division": terms.division,
        "territory": terms.territory,
    }


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────


def find(desk: Desk, principal: Principal, number: int) -> Request:
    """One request, for who has a part in it and for auditors; NotThere for all others and where there is none."""
    found = [
        each for each in _load(desk.state, REQUESTS.c.number == number) if _may_see(principal, each.terms)
    ]
    if not found:
        raise NotThere(f"no request {number}")
    return found[0]


def listed(desk: Desk, principal: Principal) -> list[Request]:
    """The requests that the principal has a part in; all of them for the authority, the data centre and auditors."""
    if principal.has("authority", "auditor", "data_centre"):
        return _load(desk.state, sa.true())
    own = sa.or_(REQUESTS.c.department == principal.department, REQUESTS.c.provider == principal.department)
    return _load(desk.state, own) if principal.department else []


def granted(desk: Desk, department: str, dataset: str, policy: str) -> Request | None:
    """The request by which a department may read a table now, if any: granted, its time limit not passed."""
    same = sa.and_(
        REQUESTS.c.department == department, REQUESTS.c.dataset == dataset, REQUESTS.c.policy == policy
    )
    return next(iter(sorted(_live(desk, same), key=_widest)), None)


def grants(desk: Desk, department: str) -> list[Request]:
    """All that a department may read now, the widest grant of a table first."""
    return sorted(_live(desk, REQUESTS.c.department == department), key=_widest)


def _live(desk: Desk, where: sa.ColumnElement[bool]) -> list[Request]:
    now = desk.clock()
    return [each for each in _load(desk.state, where) if each.state in READABLE and each.terms.until > now]


def _widest(request: Request) -> tuple[bool, int]:
    """Grants of whole tables first, and of those of a part the newest."""
    return request.terms.narrow, -request.number


def lasting(state: State, now: datetime, dataset: str | None = None) -> list[Request]:
    """Every grant that has a table of its own now, read or suspended: of a dataset, or of all."""
    parts = sa.or_(REQUESTS.c.division != "", sa.cast(REQUESTS.c.columns, sa.Text) != "[]")
    where = parts if dataset is None else sa.and_(parts, REQUESTS.c.dataset == dataset)
    found = [each for each in _load(state, where) if each.terms.narrow]
    return [each for each in found if each.state in LASTING and each.terms.until > now]


def ever_granted(state: State) -> list[Request]:
    """Every request that was granted, ended ones too, by number."""
    return [each for each in every(state) if was_granted(each)]


def numbered(state: State, number: int) -> Request | None:
    """The request of this number, whoever asks: for what is done by it."""
    return next(iter(_load(state, REQUESTS.c.number == number)), None)


def every(state: State) -> list[Request]:
    """Every request, by number."""
    return _load(state, sa.true())


def _may_see(principal: Principal, terms: Terms) -> bool:
    return bool(sides(principal, terms)) or principal.has("auditor", "data_centre")


def _load(state: State, where: sa.ColumnElement[bool]) -> list[Request]:
    query = sa.select(REQUESTS, EVENTS).join(EVENTS).where(where)
    query = query.order_by(REQUESTS.c.number, EVENTS.c.number)
    requests: dict[int, Request] = {}
    with state.begin() as connection:
        for row in connection.execute(query):
            said = row._mapping
            number = said[REQUESTS.c.number]
            event = Event(said["step"], said["by"], said["side"], _moment(said["at"]), said["said"])
            before = requests.get(number)
            terms = before.terms if before else _terms_of(said)
            requests[number] = Request(number, terms, (*(before.events if before else ()), event))
    return list(requests.values())


def _terms_of(row: Any) -> Terms:
    kept = {name: row[REQUESTS.c[name]] for name in Terms.__dataclass_fields__}
    return Terms(**kept | {"until": _moment(kept["until"]), "columns": tuple(kept["columns"])})


def _moment(value: Any) -> datetime:
    """An aware moment of ISO 8601. Unfit for anything else."""
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise Unfit("a moment is malformed", expected="ISO 8601, such as 2026-12-31T23:59:59+08:00") from None
    if found.tzinfo is None:
        raise Unfit("a moment has no time zone", expected="such as 2026-12-31T23:59:59+08:00")
    return found


def _to_come(value: Any, now: datetime) -> datetime:
    """A time limit that somebody asks for. Unfit where it has passed, or is a day that cannot be told here."""
    until = _moment(value)
    if until <= now:
        raise Unfit("the time limit has passed", expected="a moment to come")
    try:
        day_of(until), moment_text(until)
    except OverflowError:
        raise Unfit("the time limit is beyond the calendar", expected="a year before 9999") from None
    return until
