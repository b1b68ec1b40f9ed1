"""The workspace (工作台): what waits for somebody's department, its cases, and what it may read. What these pages show
is what the API shows (`exchange.web.requests`, `.objections`, `.applications`, `.tables`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Response

from exchange import applications, cases, objections, requests, words
from exchange.access import readable, require_official
from exchange.deadlines import clocks
from exchange.desk import Desk
from exchange.errors import Forbidden
from exchange.notices import MOST, Kept, inbox, mark_read
from exchange.people import Principal
from exchange.reading import MOST_ROWS
from exchange.steps import OVER, Case, allowed
from exchange.web.house import Before, Number
from exchange.web.logged_in import Visit, Visiting
from exchange.web.rendering import to

router = APIRouter(include_in_schema=False)
Kind = Literal["requests", "objections", "applications"]
MOST_OVER: Final = 20
"""Cases that are over and still shown, the newest; the API has all."""


@router.get("/workspace")
def workspace(visit: Visiting) -> Response:
    """What waits, and what is under way; what is over stands below."""
    found: dict[Kind, tuple[Sequence[Case[Any]], int]] = {
        "requests": requests.at_hand(visit.desk, visit.person, MOST_OVER),
        "objections": objections.at_hand(visit.desk, visit.person, MOST_OVER),
        "applications": applications.at_hand(visit.desk, visit.person, MOST_OVER),
    }
    lists = {kind: _in_order(some) for kind, (some, _) in found.items()}
    return visit.page(
        "workspace",
        notices=_notices(visit, unread=True),
        most_notices=MOST,
        shown=[kind for kind, (some, _) in found.items() if some or _hears_of(kind, visit.person)],
        lists=lists,
        most=cases.MOST,
        more={kind: count - len(lists[kind]) for kind, (_, count) in found.items()},
        mine=lambda case: allowed(case, visit.person),
        due=lambda case: _due(visit.desk, case),
    )


def _hears_of(kind: Kind, person: Principal) -> bool:
    """Whether somebody is told that there are no cases of a kind: the public makes no share requests."""
    return person.official or kind != "requests"


def _in_order(some: Sequence[Case[Any]]) -> list[Case[Any]]:
    """What is under way, the newest first, and then what is over, as far as it is shown."""
    newest = sorted(some, key=lambda each: -each.number)
    over = [each for each in newest if each.state in OVER]
    return [each for each in newest if each.state not in OVER] + over[:MOST_OVER]


def _notices(
    visit: Visit, *, unread: bool = False, read: bool = False, before: int | None = None
) -> list[tuple[Kept, str, str]] | None:
    """What the department was told, each with its page and its words; None for whom nobody tells anything."""
    try:
        found = inbox(visit.desk.state, visit.person, unread=unread, read=read, before=before)
    except Forbidden:
        return None
    return [(each, _place(each), words.subject(each.notice)) for each in found]


def _place(kept: Kept) -> str:
    """The page of what a notice is about; empty where it has none."""
    if kept.notice.delivery is not None:
        return f"/deliveries/{kept.notice.delivery}"
    if kept.notice.risk is not None and kept.notice.number is None:
        return f"/risks#risk-{kept.notice.risk[1]}"
    if kept.notice.incident is not None:
        return f"/incidents#incident-{kept.notice.incident[0]}"
    return f"/{kept.notice.case}s/{kept.notice.number}" if kept.notice.number is not None else ""


def _due(desk: Desk, case: Case[Any]) -> tuple[str, bool]:
    """The last day of the clock that runs, and whether it is over."""
    now = desk.clock()
    found = [each for each in clocks(case, desk.catalogue.numbers.exchange, now) if each.done is None]
    return (found[0].due.isoformat(), found[0].late(now)) if found else ("", False)


@router.get("/notices")
def notices(visit: Visiting, unread_before: Before = None, read_before: Before = None) -> Response:
    """What nobody has read yet, and then what somebody of the department has; each list goes on by itself."""
    unread = _notices(visit, unread=True, before=unread_before)
    read = _notices(visit, read=True, before=read_before)
    return visit.page("notices", unread=unread or [], read=read or [], most=MOST)


@router.post("/notices/{number}/read")
def read(
    visit: Visiting,
    number: Number,
    csrf: Annotated[str, Form(max_length=500)] = "",
    back: Annotated[Literal["/workspace", "/notices"], Form()] = "/workspace",
) -> Response:
    visit.require_csrf(csrf)
    mark_read(visit.desk.state, visit.person, number, visit.desk.clock())
    return to(back)


@router.get("/tables")
def tables(visit: Visiting) -> Response:
    """What the department may read now, and how."""
    require_official(visit.who)
    found = readable(visit.desk, visit.who)
    return visit.page(
        "tables",
        tables=[(each, visit.house.published(each.table) is not None) for each in found],
        most=MOST_ROWS,
    )
