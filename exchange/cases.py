"""Cases as they are kept: begun, moved on by a step, read. Each step stands in the audit log before it counts.

The log gets ids and a digest of what was said, never the texts: they may name people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from exchange.desk import Desk
from exchange.errors import Unfit
from exchange.people import Principal
from exchange.schema import APPLICATION_EVENTS, APPLICATIONS, EVENTS, OBJECTION_EVENTS, OBJECTIONS, REQUESTS
from exchange.state import State, keeps, moment_text
from exchange.steps import OVER, Case, Event, Rule, require
from exchange.texts import reads_as_written
from exchange.undone import log_beside
from schemas.workdays import day_of

MOST: Final = 500
"""Cases that are told at one time."""
LONGEST: Final = 4_000
"""Characters of one text."""
PLAIN: Final = "without signs that command a terminal or turn the reading direction"


C = TypeVar("C", bound=Case[Any])
TABLES: Final = {
    "request": (REQUESTS, EVENTS),
    "objection": (OBJECTIONS, OBJECTION_EVENTS),
    "application": (APPLICATIONS, APPLICATION_EVENTS),
}
"""The tables of each kind of case: what it is about, and its events, which have the case's number in a column that is
called after the kind."""


def open_case(connection: sa.Connection, kind: str, row: Mapping[str, Any]) -> int:
    """Keep what a new case is about, and give its number. Its first event is added by `add`."""
    table, _ = TABLES[kind]
    made = sa.insert(table).values(row).returning(table.c.number)
    return int(connection.execute(made).scalar_one())


def add(desk: Desk, connection: sa.Connection, case: Case[Any], principal: Principal, **told: Any) -> None:
    """The newest event, in the database and in the audit log: both or neither. A log that cannot be written ends the
    transaction; one that fails after it is told to the log as undone."""
    event = case.events[-1]
    row = {
        case.kind: case.number,
        "number": len(case.events),
        "step": event.step,
        "by": event.by,
        "side": event.side,
        "at": moment_text(event.at),
        "said": dict(event.said),
    }
    connection.execute(sa.insert(TABLES[case.kind][1]).values(row))
    log_beside(
        desk,
        connection,
        {
            "action": case.kind,
            case.kind: case.number,
            "step": event.step,
            "state": case.state,
            "by": principal.name,
            "department": principal.department,
            "dataset": case.terms.dataset,
            "policy": case.terms.policy,
            "said": desk.log.digest(dict(event.said)),
            **told,
        },
    )


def take(desk: Desk, case: C, principal: Principal, step: str, said: Mapping[str, Any]) -> C:
    """Take a step of a case and give it as it is then. Forbidden and Unfit as `exchange.steps.require` says, Unfit too
    where somebody else took a step at the same moment."""
    rule = require(case, step, principal, said)
    words = _heard(rule, said, desk.catalogue.numbers.exchange.extend_at_most)
    event = Event(step, principal.name, rule.side, desk.clock(), words)
    moved = replace(case, events=(*case.events, event))
    try:
        with desk.state.begin() as connection:
            add(desk, connection, moved, principal)
    except IntegrityError:
        raise overtaken(case) from None
    return moved


def overtaken(case: Case[Any]) -> Unfit:
    """What is said to whom somebody else was quicker than."""
    return Unfit(
        f"somebody took a step of {case.kind} {case.number} at the same moment",
        next_step="look at it again",
        zh="他人刚刚办理了一步，请再看一遍",
    )


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
            fits = fits and reads_as_written(value)
        if not fits:
            raise Unfit(
                f"`{name}` is malformed",
                expected=expected.get(name, f"a text of {LONGEST} characters at most, {PLAIN}"),
                zh="填写的内容不合要求",
            )
    return heard


def require_texts(*texts: str) -> None:
    """Unfit for what `require_kept` does not take, and for a text that does not read as it was written."""
    require_kept(*texts)
    if not all(reads_as_written(each) for each in texts):
        raise Unfit(
            "a text has signs that are not seen",
            expected=PLAIN,
            zh="文字中有看不见的控制字符或改变阅读方向的字符",
        )


def require_kept(*texts: str) -> None:
    """Unfit for a text that is too long, or that nothing can keep."""
    if any(len(each) > LONGEST for each in texts):
        raise Unfit(
            "a text is too long", expected=f"{LONGEST} characters at most", zh=f"文字过长，最多{LONGEST}字"
        )
    if not all(keeps(each) for each in texts):
        raise Unfit(
            "a text has signs that cannot be kept",
            expected="no U+0000 and no half of a character",
            zh="文字中有无法保存的字符",
        )


def moment_of(value: Any) -> datetime:
    """An aware moment of ISO 8601. Unfit for anything else."""
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise Unfit(
            "a moment is malformed", expected="ISO 8601, such as 2026-12-31T23:59:59+08:00", zh="日期不正确"
        ) from None
    if found.tzinfo is None:
        raise Unfit("a moment has no time zone", expected="such as 2026-12-31T23:59:59+08:00")
    return found


def to_come(value: Any, now: datetime) -> datetime:
    """A time limit that somebody asks for. Unfit where it has passed, or is a day that cannot be told here."""
    until = moment_of(value)
    if until <= now:
        raise Unfit("the time limit has passed", expected="a moment to come", zh="使用期限已过")
    try:
        day_of(until), moment_text(until)
    except OverflowError:
        raise Unfit(
            "the time limit is beyond the calendar", expected="a year before 9999", zh="使用期限过远"
        ) from None
    return until


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────


def behind(kind: str, where: sa.ColumnElement[bool], after: int | None) -> sa.ColumnElement[bool]:
    """Of the cases of a kind that fit, the first `MOST` behind a number; all without one."""
    number = TABLES[kind][0].c.number
    if after is None:
        return where
    return number.in_(sa.select(number).where(where, number > after).order_by(number).limit(MOST))


def paged(
    load: Callable[[sa.ColumnElement[bool]], list[C]],
    kind: str,
    where: sa.ColumnElement[bool],
    after: int = 0,
) -> Iterator[C]:
    """Every case of a kind that fits, by number, from behind a number on; `MOST` are read at a time, so that what it
    takes does not grow with how many there are."""
    while page := load(behind(kind, where, after)):
        yield from page
        after = page[-1].number


def at_hand(
    kind: str, where: sa.ColumnElement[bool], rules: Mapping[str, Rule], over: int
) -> sa.ColumnElement[bool]:
    """Of the cases of a kind that fit, `MOST` that no step ended, the newest of those first in which somebody is to do
    something, and the newest that are over, so many of them."""
    table, events = TABLES[kind][0], TABLES[kind][1].alias()
    ended = ended_by_a_step(kind, rules)
    newest = (
        sa.select(events.c.step)
        .where(events.c[kind] == table.c.number)
        .order_by(events.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    chosen = sa.select(table.c.number).where(where)
    rests = sa.case((newest.in_(_RESTING), 1), else_=0)
    under_way = chosen.where(~ended).order_by(rests, table.c.number.desc()).limit(MOST)
    others = chosen.where(ended).order_by(table.c.number.desc()).limit(over)
    return sa.or_(table.c.number.in_(under_way), table.c.number.in_(others))


def ended_by_a_step(kind: str, rules: Mapping[str, Rule]) -> sa.ColumnElement[bool]:
    """Cases with a step that leads to an end and nowhere else, which the database finds: of who begins and withdraws
    again and again no case is read to say how many are under way."""
    table, events = TABLES[kind][0], TABLES[kind][1].alias()
    ending = [step for step, rule in rules.items() if rule.to in OVER]
    return sa.exists().where(events.c[kind] == table.c.number, events.c.step.in_(ending))


_RESTING: Final = ("confirm", "decide", "rule", "deliver", "suspend", "resume")
"""Steps after which nobody has to do anything, as a rule."""


def count(state: State, kind: str, where: sa.ColumnElement[bool]) -> int:
    """How many cases of a kind fit."""
    table, _ = TABLES[kind]
    with state.begin() as connection:
        return int(
            connection.execute(sa.select(sa.func.count()).select_from(table).where(where)).scalar_one()
        )


def load(
    state: State, kind: str, where: sa.ColumnElement[bool]
) -> list[tuple[Mapping[Any, Any], tuple[Event, ...]]]:
    """What each case is about, as its row has it, and its events; by number."""
    with state.begin() as connection:
        return read(connection, kind, where)


def read(
    connection: sa.Connection, kind: str, where: sa.ColumnElement[bool]
) -> list[tuple[Mapping[Any, Any], tuple[Event, ...]]]:
    """`load`, in a transaction that is under way."""
    table, of_it = TABLES[kind]
    told = (of_it.c[name] for name in ("step", "by", "side", "at", "said"))
    query = sa.select(table, *told).join(of_it).where(where).order_by(table.c.number, of_it.c.number)
    rows: dict[int, Mapping[Any, Any]] = {}
    events: dict[int, list[Event]] = {}
    for row in connection.execute(query):
        *_, step, by, side, at, said = row
        number = row.number
        rows.setdefault(number, row._mapping)
        events.setdefault(number, []).append(Event(step, by, side, datetime.fromisoformat(at), said))
    return [(row, tuple(events[number])) for number, row in rows.items()]
