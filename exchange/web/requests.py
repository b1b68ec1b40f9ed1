"""Requests (共享申请) over HTTP: apply, answer, decide, look."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from exchange.accounts import Session
from exchange.deadlines import clocks
from exchange.errors import Forbidden
from exchange.process import Request, Step, possible, sides
from exchange.requests import LONGEST, METHODS, draft, find, listed, take
from exchange.web.house import Caller, House, TheHouse

router = APIRouter(prefix="/api/v1/requests", tags=["申请 requests"])
Text = Annotated[str, Field(max_length=LONGEST)]


class Application(BaseModel):
    """What a request states (Decree 809, Art. 20)."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "dataset": "civil_affairs.marriage",
                "policy": "default",
                "basis": "《…条例》第三条",
                "scenario": "生育登记时核验婚姻状况",
                "method": METHODS[0],
                "until": "2027-12-31T23:59:59+08:00",
            }
        },
    )

    dataset: Text
    policy: Text = "default"
    basis: Text = Field(description="依据: the law or duty that it rests on")
    scenario: Text = Field(description="使用场景")
    method: Text = Field(description=f"方式: {', '.join(METHODS)}")
    until: Text = Field(description="使用期限, ISO 8601 with a time zone")


@router.post("", status_code=201, summary="申请 Apply")
def apply(house: TheHouse, caller: Caller, application: Application) -> dict[str, Any]:
    _for_requests(caller)
    return _told(house, caller, draft(house.desk, caller.principal, application.model_dump()))


@router.get("", summary="清单 Those that you have a part in")
def requests(house: TheHouse, caller: Caller) -> list[dict[str, Any]]:
    _for_requests(caller)
    return [_told(house, caller, each) for each in listed(house.desk, caller.principal)]


@router.get("/{number}", summary="一件申请 One request, its events, its clocks and what can be done now")
def request(house: TheHouse, caller: Caller, number: int) -> dict[str, Any]:
    _for_requests(caller)
    return _told(house, caller, find(house.desk, caller.principal, number))


@router.post("/{number}/{step}", summary="办理 Take a step")
def step(
    house: TheHouse,
    caller: Caller,
    number: int,
    step: Step,
    said: Annotated[
        dict[str, Any], Body(examples=[{"consent": True, "reason": "符合职责范围"}], max_length=10)
    ],
) -> dict[str, Any]:
    _for_requests(caller)
    return _told(house, caller, take(house.desk, caller.principal, number, step, said))


def _for_requests(caller: Session) -> None:
    if "request" not in caller.scopes:
        raise Forbidden("this token is not for requests", expected="a token of the scope `request`")


def _told(house: House, caller: Session, request: Request) -> dict[str, Any]:
    now, terms = house.desk.clock(), request.terms
    return {
        "number": request.number,
        "state": request.state,
        "dataset": terms.dataset,
        "policy": terms.policy,
        "department": terms.department,
        "provider": terms.provider,
        "basis": terms.basis,
        "scenario": terms.scenario,
        "method": terms.method,
        "until": terms.until.isoformat(),
        "events": [
            {
                "step": each.step,
                "by": each.by,
                "side": each.side,
                "at": each.at.isoformat(),
                "said": dict(each.said),
            }
            for each in request.events
        ],
        "clocks": [
            {
                "name": each.name,
                "of": each.of,
                "due": each.due.isoformat(),
                "done": each.done.isoformat() if each.done else None,
                "late": each.late(now),
            }
            for each in clocks(request, house.desk.catalogue.numbers.exchange)
        ],
        "possible": possible(request) if sides(caller.principal, terms) else [],
    }
