"""The clocks of a request, in working days of Decree 809 (Arts. 21, 22): what is due by whom, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from exchange.process import Event, Request, Side
from schemas.model import Exchange
from schemas.workdays import calendar, day_of, deadline


@dataclass(frozen=True)
class Clock:
    """`due` is the last day in time. `done` is when it was met, None while it runs."""

    name: Literal["reply", "supplement", "deliver"]
    of: Side
    since: datetime
    due: date
    done: datetime | None

    def late(self, now: datetime) -> bool:
        return day_of(self.done or now) > self.due


def clocks(request: Request, numbers: Exchange) -> list[Clock]:
    """Every clock that the request has started, in their order.

    The reply's clock starts anew with a supplement (the time in which the request was incomplete is nobody's), and
    with a settled dispute; an extension counts once the authority has consented to it.
    """
    found: list[Clock] = []
    for number, event in enumerate(request.events):
        rest = request.events[number + 1 :]
        if event.step in ("approve", "supplement", "settle"):
            days = numbers.reply_within + _extension(rest, numbers)
            found.append(
                _clock("reply", "provider", event, days, _first(rest, "confirm", "return", "withdraw"))
            )
        elif event.step == "return":
            found.append(
                _clock(
                    "supplement",
                    "requester",
                    event,
                    numbers.supplement_within,
                    _first(rest, "supplement", "withdraw"),
                )
            )
        elif _grants(event, request.events[:number]):
            ends = ("deliver", "revoke", "dispose")
            found.append(_clock("deliver", "provider", event, numbers.deliver_within, _first(rest, *ends)))
    return found


def _clock(
    name: Literal["reply", "supplement", "deliver"], of: Side, since: Event, days: int, done: Event | None
) -> Clock:
    return Clock(name, of, since.at, deadline(since.at, days), None if done is None else done.at)


def _first(events: tuple[Event, ...], *steps: str) -> Event | None:
    return next((event for event in events if event.step in steps), None)


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


def _grants(event: Event, before: tuple[Event, ...]) -> bool:
    if event.step == "confirm":
        return bool(next(each for each in reversed(before) if each.step == "propose").said["consent"])
    return event.step in ("decide", "rule") and bool(event.said["consent"])


@dataclass(frozen=True)
class Notice:
    """What somebody is told of a clock: its side a reminder before it ends, and once it has, its side and the authority
    that it is late."""

    request: int
    clock: Clock
    kind: Literal["remind", "escalate"]
    to: Side


def notices(request: Request, numbers: Exchange, now: datetime) -> list[Notice]:
    """What is to be told today."""
    found: list[Notice] = []
    for clock in clocks(request, numbers):
        if clock.done is not None:
            continue
        if clock.late(now):
            found += [Notice(request.number, clock, "escalate", to) for to in (clock.of, "authority")]
        elif _days_left(now, clock.due) <= numbers.remind_before:
            found.append(Notice(request.number, clock, "remind", clock.of))
    return found


def _days_left(now: datetime, due: date) -> int:
    """Working days from today to the last day in time; 0 on that day and after it."""
    today = day_of(now)
    if today >= due:
        return 0
    return int(calendar().get_working_days_count(today + timedelta(days=1), due))
