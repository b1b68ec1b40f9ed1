"""Deliveries (交付) as pages: those of somebody's department with what became of them, one its receipts and its end.
What is done there is what the API does (`exchange.web.deliveries`)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response

from exchange.access import require_official
from exchange.desk import Desk
from exchange.errors import ExchangeError, NotThere
from exchange.receipts import MOST, Receipt, newest, receipts
from exchange.subscriptions import Subscription, lasts, listed, may_stop, seen, stop
from exchange.web.house import Before, Number
from exchange.web.logged_in import Visit, Visiting
from exchange.web.problems import status_of, told
from exchange.web.rendering import to

router = APIRouter(include_in_schema=False)


@router.get("/deliveries")
def deliveries(visit: Visiting) -> Response:
    """Those that go on, the newest first, and then those that were stopped."""
    require_official(visit.who)
    last = newest(visit.desk)
    found = sorted(listed(visit.desk, visit.person), key=lambda each: (each.ended is not None, -each.number))
    rows = [(each, last.get(each.number), _state(visit.desk, each, last.get(each.number))) for each in found]
    return visit.page("deliveries", deliveries=rows)


@router.get("/deliveries/{number:int}")
def delivery(visit: Visiting, number: Number, before: Before = None) -> Response:
    return _shown(visit, seen(visit.desk, visit.person, number), before=before)


@router.post("/deliveries/{number:int}/stop")
def stopped(visit: Visiting, number: Number, csrf: Annotated[str, Form(max_length=500)] = "") -> Response:
    """Back to the page of the delivery; where it is refused with what was wrong."""
    try:
        visit.require_csrf(csrf)
        stop(visit.desk, visit.person, number)
    except NotThere:
        raise
    except ExchangeError as error:
        return _shown(visit, seen(visit.desk, visit.person, number), refused=error)
    return to(f"/deliveries/{number}")


def _shown(
    visit: Visit, found: Subscription, *, before: int | None = None, refused: ExchangeError | None = None
) -> Response:
    last = newest(visit.desk).get(found.number)
    return visit.page(
        "delivery",
        status_of(refused) if refused else 200,
        found=found,
        state=_state(visit.desk, found, last),
        receipts=receipts(visit.desk, found.number, before),
        most=MOST,
        entry=visit.desk.catalogue.entries.get(found.dataset),
        own=may_stop(visit.person, found),
        said=told(refused) if refused else "",
    )


def _state(desk: Desk, found: Subscription, last: Receipt | None) -> str:
    """As `exchange.words.DELIVERED` tells it."""
    if found.ended is not None:
        return "stopped"
    if not lasts(desk, found):
        return "waiting"
    return last.state if last else ""
