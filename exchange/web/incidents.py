"""Security incidents (安全事件): the register, for who answers for the data; over HTTP, and as a page. Its
steps are written at the shell (`xuanwu incident`)."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response

from exchange.access import require_official
from exchange.incidents import as_json, visible
from exchange.web.house import Caller, TheHouse
from exchange.web.logged_in import Visiting
from lake.reporting import overdue, reports
from schemas.workdays import HERE

router = APIRouter(tags=["使用 usage"])
MOST: Final = 100
"""Incidents on the page, the newest; the API has all."""


@router.get(
    "/api/v1/incidents", summary="安全事件 What happened, what was done, who was told; the newest first"
)
def listed(house: TheHouse, caller: Caller) -> list[dict[str, Any]]:
    """All for the authority, auditors and the data centre; for a provider what is about its datasets. `when` is when a
    step happened (of the opening: when the incident was noticed), `at` when it was written down; `reports` are those
    that the policy asks for, with the moment by which each is `due`."""
    require_official(caller)
    desk, numbers = house.desk, house.desk.catalogue.numbers.incidents
    found = visible(desk.log.settings.lake_root, desk.catalogue, caller.principal)
    return [as_json(each, numbers, desk.clock()) for each in found]


@router.get("/incidents", include_in_schema=False)
def page(visit: Visiting) -> Response:
    require_official(visit.who)
    desk = visit.desk
    numbers = desk.catalogue.numbers.incidents
    found = visible(desk.log.settings.lake_root, desk.catalogue, visit.person)
    return visit.page(
        "incidents",
        incidents=[
            (each, reports(each, numbers), overdue(each, numbers, desk.clock())) for each in found[:MOST]
        ],
        numbers=numbers,
        zone=HERE,
        earlier=len(found) - MOST,
    )
