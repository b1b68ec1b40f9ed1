"""The clocks of cases, in working days (Decree 809, Arts. 21, 22, 26, 27): what is due, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

from exchange.process import LASTING, Request
from exchange.steps import Case, Event, Side
from schemas.model import Exchange
from schemas.workdays import calendar, day_of, deadline

Name = Literal["reply", "supplement", "deliver", "verify", "explain", "dispose", "answer"]
_Started = tuple[Name, Side, int, tuple[str, ...]]
"""A clock that an event starts: whose it is, its working days, and the steps that meet it."""


@dataclass(frozen=True)
class Clock:
    """`due` is the last day in time. `done` is when it ended, None while it runs; `by` is the side that ended it, which
    may be the other one: what is withdrawn nobody has answered."""

    name: Name
    of: Side
    since: datetime
    due: date
    done: datetime | None
    by: Side | None = None

    def late(self, now: datetime) -> bool:
        return day_of(self.done or now) > self.due


def clocks(case: Case[Any], numbers: Exchange, now: datetime) -> list[Clock]:
    """Every clock that a case has started until now, in their order."""
    found: list[Clock] = []
    for place, event in enumerate(case.events):
        clock, rest = _STARTED[case.kind](case, place, numbers), case.events[place + 1 :]
        if clock is not None:
            found.append(_clock(clock, event.at, rest))
    return [*found, *_of_end(case, numbers, now)] if isinstance(case, Request) else found


def _clock(started: _Started, since: datetime, rest: Sequence[Event]) -> Clock:
    """As it is with the steps that came after it."""
    name, of, days, ends = started
    end = next((each for each in rest if each.step in ends), None)
    due = deadline(since, days)
    return Clock(name, of, since, due, end.at, end.side) if end else Clock(name, of, since, due, None)


def _of_request(case: Case[Any], place: int, numbers: Exchange) -> _Started | None:
    """The reply's clock starts anew with a supplement (the time in which the request was incomplete is nobody's), and
    with a settled dispute; an extension counts once the authority has consented to it."""
    event = case.events[place]
    if event.step in ("approve", "supplement", "settle"):
        days = numbers.reply_within + _extension(case.events[place + 1 :], numbers)
        return "reply", "provider", days, ("confirm", "return", "withdraw")
    if event.step == "return":
        return "supplement", "requester", numbers.supplement_within, ("supplement", "withdraw")
    if event.step in ("confirm", "decide", "rule") and case.until(place + 1).state == "granted":
        return "deliver", "provider", numbers.deliver_within, ("deliver", "revoke", "dispose")
    return None


def _of_end(request: Request, numbers: Exchange, now: datetime) -> Iterator[Clock]:
    """A grant whose time limit has passed: the requester reports what became of the data (Art. 27). Of one that ended
    otherwise nothing is left to be reported."""
    until = request.terms.until
    place = next(
        (number for number, each in enumerate(request.events) if each.at >= until), len(request.events)
    )
    if until <= now and request.until(place).state in LASTING:
        after = request.events[place:]
        started: _Started = ("dispose", "requester", numbers.dispose_within, ("dispose", "revoke"))
        yield _clock(started, until, after)


def _of_objection(case: Case[Any], place: int, numbers: Exchange) -> _Started | None:
    """To verify and to answer takes the provider so many days, anew once it was explained what was unclear, and once
    the authority has decided that the objection is right."""
    state, before = case.until(place + 1).state, case.until(place).state if place else ""
    if state == "raised" and before != state:
        return "verify", "provider", numbers.verify_within, ("correct", "uphold", "ask", "withdraw")
    if state == "unclear":
        return "explain", "requester", numbers.supplement_within, ("explain", "withdraw")
    return None


def _of_application(case: Case[Any], place: int, numbers: Exchange) -> _Started | None:
    """To answer takes the provider so many days, anew once what was missing has come."""
    state, before = case.until(place + 1).state, case.until(place).state if place else ""
    if state == "submitted" and before in ("", "incomplete"):
        return "answer", "provider", numbers.answer_within, ("confirm", "return", "withdraw")
    if state == "incomplete":
        return "supplement", "requester", numbers.supplement_within, ("supplement", "withdraw")
    return None


_STARTED: Final = {"request": _of_request, "objection": _of_objection, "application": _of_application}
"""The clock that an event of each kind of case starts, if any."""


def _extension(events: tuple[Event, ...], numbers: Exchange) -> int:
    """Working days that the authority has consented to before the reply was given (at most those of Art. 21). It
    shortens nothing: a number below none was taken once, and one request must not stop the clocks of all."""
    asked = consented = None
    for event in events:
        if event.step in ("confirm", "return", "supplement", "settle"):
            break
        asked = event if event.step == "extend" else asked
        consented = event if event.step == "consent_extension" else consented
    if asked is None or consented is None:
        return 0
    return max(0, min(int(asked.said["working_days"]), numbers.extend_at_most))


@dataclass(frozen=True)
class Notice:
    """What somebody is told of a clock: its side a reminder before it ends, and once it has, its side and the authority
    that it is late."""

    clock: Clock
    kind: Literal["remind", "escalate"]
    to: Side


def notices(case: Case[Any], numbers: Exchange, now: datetime) -> list[Notice]:
    """What is to be told today."""
    found: list[Notice] = []
    for clock in clocks(case, numbers, now):
        if clock.done is not None:
            continue
        if clock.late(now):
            sides: tuple[Side, ...] = (clock.of, "authority")
            found += [Notice(clock, "escalate", to) for to in sides]
        elif _days_left(now, clock.due) <= numbers.remind_before:
            found.append(Notice(clock, "remind", clock.of))
    return found


def _days_left(now: datetime, due: date) -> int:
    """Working days from today to the last day in time; 0 on that day and after it."""
    today = day_of(now)
    if today >= due:
        return 0
    return int(calendar().get_working_days_count(today + timedelta(days=1), due))
