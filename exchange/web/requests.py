"""Requests (共享申请) over HTTP: apply, answer, decide, look."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from exchange.accounts import Session
from exchange.cases import LONGEST
from exchange.deadlines import clocks
from exchange.narrowing import MOST_COLUMNS, name_of
from exchange.process import Request, Step
from exchange.requests import METHODS, find, listed, take
from exchange.steps import Case, possible
from exchange.subscriptions import MOST_KEPT, of_request
from exchange.subscriptions import apply as apply_for
from exchange.web.house import After, Applicant, House, Number, TheHouse

router = APIRouter(prefix="/api/v1/requests", tags=["申请 requests"])
Text = Annotated[str, Field(max_length=LONGEST)]


class Delivery(BaseModel):
    """Where what is granted is delivered with every new snapshot, and how. `connection` is one of your department's
    own, as the operator calls it behind `to_<department>__`; empty for the one without a name of its own."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"place": "inbox.visits", "mode": "upsert"}}
    )

    place: Annotated[str, Field(max_length=200)] = Field(description="[schema.]table, or a folder")
    connection: Annotated[str, Field(max_length=64)] = ""
    mode: Literal["swap", "upsert"] = Field(
        default="swap", description="of a table: the whole at once, or what changed"
    )
    format: Literal["parquet", "csv"] = Field(default="parquet", description="of files")
    keep: int = Field(default=3, ge=1, le=MOST_KEPT, description="of files: deliveries that stay")


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
    columns: list[Text] = Field(
        default=[], max_length=MOST_COLUMNS, description="范围: all of the policy without"
    )
    rows: Literal["all", "own"] = Field(
        default="all", description="范围: own 仅本区域 those of your territory"
    )
    territory: Text | None = Field(
        default=None, description="the field that tells a row's territory, where it has several"
    )
    delivery: Delivery | None = Field(
        default=None, description="交付: into your own table (method batch), or as files (method file)"
    )


@router.post("", status_code=201, summary="申请 Apply")
def apply(house: TheHouse, caller: Applicant, application: Application) -> dict[str, Any]:
    return _told(house, caller, apply_for(house.desk, caller.principal, application.model_dump()))


@router.get("", summary="清单 Those that you have a part in")
def requests(house: TheHouse, caller: Applicant, after: After = 0) -> list[dict[str, Any]]:
    """By number, 500 at a time: those that follow come with the last number as `after`."""
    return [_told(house, caller, each) for each in listed(house.desk, caller.principal, after)]


@router.get("/{number}", summary="一件申请 One request, its events, its clocks and what can be done now")
def request(house: TheHouse, caller: Applicant, number: Number) -> dict[str, Any]:
    return _told(house, caller, find(house.desk, caller.principal, number))


@router.post("/{number}/{step}", summary="办理 Take a step")
def step(
    house: TheHouse,
    caller: Applicant,
    number: Number,
    step: Step,
    said: Annotated[
        dict[str, Any], Body(examples=[{"consent": True, "reason": "符合职责范围"}], max_length=10)
    ],
) -> dict[str, Any]:
    return _told(house, caller, take(house.desk, caller.principal, number, step, said))


def _told(house: House, caller: Session, request: Request) -> dict[str, Any]:
    terms = request.terms
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
        "columns": list(terms.columns),
        "division": terms.division,
        "table": name_of(request),
        "delivery": _delivery(house, request),
        **moved(house, caller, request),
    }


def moved(house: House, caller: Session, case: Case[Any], *, texts: bool = True) -> dict[str, Any]:
    """The events of a case, with what was said or without, its clocks, and what can be done now by somebody of its
    sides."""
    now, numbers = house.desk.clock(), house.desk.catalogue.numbers.exchange
    return {
        "events": [
            {
                "step": each.step,
                "by": each.by,
                "side": each.side,
                "at": each.at.isoformat(),
                "said": dict(each.said) if texts else {},
            }
            for each in case.events
        ],
        "clocks": [
            {
                "name": each.name,
                "of": each.of,
                "due": each.due.isoformat(),
                "done": each.done.isoformat() if each.done else None,
                "late": each.late(now),
            }
            for each in clocks(case, numbers, now)
        ],
        "possible": possible(case) if case.sides(caller.principal) else [],
    }


def _delivery(house: House, request: Request) -> dict[str, Any] | None:
    found = of_request(house.desk, request.number)
    names = ("number", "connection", "place", "mode", "format", "keep")
    return {name: getattr(found, name) for name in names} if found else None
