"""Who read what (使用情况): a department's own data and its own reads; everything for auditors."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query

from exchange.usage import usage
from exchange.web.house import Caller, TheHouse

router = APIRouter(prefix="/api/v1/usage", tags=["使用 usage"])
Day = Annotated[date | None, Query(description="a day of the city's calendar, included")]


@router.get("", summary="使用情况 Who read what, how often and for what")
def used(house: TheHouse, caller: Caller, since: Day = None, until: Day = None) -> list[dict[str, Any]]:
    """`reads` that were begun, `rows` that left (or were in the files handed out), and what was `refused`."""
    return [asdict(each) for each in usage(house.desk, caller.principal, since=since, until=until)]
