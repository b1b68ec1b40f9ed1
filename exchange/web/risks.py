"""Risks (风险提示): what was found by watching who reads what, for who answers for it; over HTTP, and as a page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Response

from exchange.access import require_official
from exchange.desk import Desk
from exchange.incidents import of_risks, visible
from exchange.people import Principal
from exchange.risks import MOST, as_json, risks
from exchange.web.house import Before, Caller, TheHouse
from exchange.web.logged_in import Visiting
from exchange.web.usage import Day
from schemas.workdays import day_of

router = APIRouter(tags=["使用 usage"])
SHOWN: Final = timedelta(days=90)
"""So far back the page goes; the API goes as far as it is asked to."""


@router.get("/api/v1/risks", summary="风险提示 What is unusual of who read what, the newest first")
def listed(
    house: TheHouse, caller: Caller, since: Day = None, until: Day = None, before: Before = None
) -> list[dict[str, Any]]:
    """500 at a time: those that come after them with the last number as `before`. All for the authority, auditors and
    the data centre; for a provider what is about its datasets. `counted` is what the day had when it was found, `usual`
    the greatest of the days before, and `bound` what it should have stayed below: rows, refusals, calls, datasets, or
    days without a read. `incidents` it became part of."""
    require_official(caller)
    known = _incidents(house.desk, caller.principal)
    found = risks(house.desk, caller.principal, since=since, until=until, before=before)
    return [as_json(each) | {"incidents": known.get(each.number, [])} for each in found]


@router.get("/risks", include_in_schema=False)
def page(visit: Visiting, before: Before = None) -> Response:
    require_official(visit.who)
    since = day_of(visit.desk.clock() - SHOWN)
    found = risks(visit.desk, visit.person, since=since, before=before)
    known = _incidents(visit.desk, visit.person)
    return visit.page("risks", risks=found, incidents=known, days=SHOWN.days, most=MOST)


def _incidents(desk: Desk, principal: Principal) -> dict[int, list[int]]:
    """By risk, of those that the principal may see."""
    return of_risks(visible(desk.log.settings.lake_root, desk.catalogue, principal))
