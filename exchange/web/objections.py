"""Objections (校核、异议) over HTTP: raise, answer, decide, look."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from exchange.accounts import Session
from exchange.cases import LONGEST
from exchange.narrowing import MOST_COLUMNS
from exchange.objecting import Objection, Step, Zone
from exchange.objections import LONGEST_KEY, MOST_ROWS, find, listed, raise_objection, take
from exchange.web.house import After, Applicant, House, Number, TheHouse
from exchange.web.requests import moved
from lake.zones import published_table

router = APIRouter(prefix="/api/v1/objections", tags=["校核异议 objections"])
Text = Annotated[str, Field(max_length=LONGEST)]


class Raised(BaseModel):
    """What is objected to (Decree 809, Arts. 26 and 37)."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "dataset": "civil_affairs.marriage",
                "policy": "default",
                "columns": ["reg_date"],
                "rows": ["4f1c0a…"],
                "wrong": "登记日期晚于离婚日期",
                "proposed": "应为2019年3月2日，见婚姻登记档案",
            }
        },
    )

    dataset: Text
    zone: Zone = Field(default="share", description="share 共享区, open 开放区")
    policy: Text = Field(default="", description="`default` of what is shared, `open` of what is open")
    columns: list[Text] = Field(default=[], max_length=MOST_COLUMNS, description="信息项: all without")
    rows: list[Annotated[str, Field(min_length=1, max_length=LONGEST_KEY)]] = Field(
        default=[], max_length=MOST_ROWS, description="the rows' keys, as they were published"
    )
    snapshot: Text = Field(default="", description="`X-Snapshot` of what was read; the newest without")
    wrong: Text = Field(min_length=1, description="问题: what is wrong, and how it shows")
    proposed: Text = Field(default="", description="what would be right, and by what evidence")


@router.post("", status_code=201, summary="提出 Object to what is shared with you, or open")
def raised(house: TheHouse, caller: Applicant, raised: Raised) -> dict[str, Any]:
    """The provider has ten working days to verify it, and to answer."""
    said = raised.model_dump()
    said["policy"] = said["policy"] or {"share": "default", "open": "open"}[raised.zone]
    made = raise_objection(house.desk, caller.principal, said, house.published)
    return _told(house, caller, made)


@router.get("", summary="清单 Those that you have a part in")
def objections(house: TheHouse, caller: Applicant, after: After = 0) -> list[dict[str, Any]]:
    """By number, 500 at a time: those that follow come with the last number as `after`."""
    return [_told(house, caller, each) for each in listed(house.desk, caller.principal, after)]


@router.get("/{number}", summary="一件异议 One objection, its events, its clocks and what can be done now")
def objection(house: TheHouse, caller: Applicant, number: Number) -> dict[str, Any]:
    return _told(house, caller, find(house.desk, caller.principal, number))


@router.post("/{number}/{step}", summary="办理 Take a step")
def step(
    house: TheHouse,
    caller: Applicant,
    number: Number,
    step: Step,
    said: Annotated[dict[str, Any], Body(examples=[{"reason": "经核实，已在源头更正"}], max_length=10)],
) -> dict[str, Any]:
    return _told(house, caller, take(house.desk, caller.principal, number, step, said))


def _told(house: House, caller: Session, objection: Objection) -> dict[str, Any]:
    """What people wrote, and whose rows they mean, its sides alone are told."""
    claim, party = objection.terms, bool(objection.sides(caller.principal))
    newest = house.published(published_table(claim.dataset, claim.zone, claim.policy))
    return {
        "number": objection.number,
        "state": objection.state,
        "dataset": claim.dataset,
        "zone": claim.zone,
        "policy": claim.policy,
        "department": claim.department,
        "provider": claim.provider,
        "snapshot": claim.snapshot or None,
        "newest": None if newest is None else str(newest),
        "columns": list(claim.columns),
        "rows": list(claim.rows) if party else None,
        "wrong": claim.wrong if party else None,
        "proposed": claim.proposed if party else None,
        **moved(house, caller, objection, texts=party),
    }
