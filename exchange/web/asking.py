"""The forms for a new request and a new objection. What they send is what the API takes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Response
from pydantic import BaseModel, Field

from exchange import objections, requests
from exchange.errors import ExchangeError
from exchange.narrowing import MOST_COLUMNS, territories
from exchange.objecting import Zone
from exchange.web.logged_in import Visit, Visiting
from exchange.web.problems import status_of, told
from exchange.web.rendering import Written, to
from exchange.web.workspace import Kind
from schemas.model import Entry
from schemas.policy import mask_plan, policies

router = APIRouter(include_in_schema=False)
Table = Annotated[str, Query(max_length=200)]


class Asking(BaseModel):
    """The form of a new request, as it came. `until` is the last day, in the city."""

    csrf: str = ""
    table: str = Field(default="", max_length=200)
    basis: Written = ""
    scenario: Written = ""
    method: str = Field(default="", max_length=10)
    until: str = Field(default="", max_length=10)
    rows: str = Field(default="all", max_length=3)
    territory: str = Field(default="", max_length=100)
    columns: list[str] = Field(default=[], max_length=MOST_COLUMNS)


class Objecting(BaseModel):
    """The form of a new objection, as it came. `rows` has a key on each line."""

    csrf: str = ""
    table: str = Field(default="", max_length=200)
    snapshot: str = Field(default="", max_length=100)
    rows: Written = ""
    wrong: Written = ""
    proposed: Written = ""
    columns: list[str] = Field(default=[], max_length=MOST_COLUMNS)


@router.get("/requests/new")
def new_request(visit: Visiting, table: Table = "") -> Response:
    return _form(visit, Asking(table=table))


@router.get("/objections/new")
def new_objection(visit: Visiting, table: Table = "") -> Response:
    return _form(visit, Objecting(table=table))


@router.post("/requests")
def ask(visit: Visiting, asked: Annotated[Asking, Form()]) -> Response:
    _, dataset, policy = _named(asked.table)
    said = asked.model_dump(exclude={"csrf", "table"}) | {"dataset": dataset, "policy": policy}
    said["until"] = f"{asked.until}T23:59:59+08:00" if asked.until else ""
    try:
        visit.require_csrf(asked.csrf)
        made = requests.draft(visit.desk, visit.person, said)
    except ExchangeError as error:
        return _form(visit, asked, refused=error)
    return to(f"/requests/{made.number}")


@router.post("/objections")
def object_to(visit: Visiting, raised: Annotated[Objecting, Form()]) -> Response:
    zone, dataset, policy = _named(raised.table)
    said = raised.model_dump(exclude={"csrf", "table"})
    said |= {"zone": zone, "dataset": dataset, "policy": policy, "rows": _lines(raised.rows)}
    try:
        visit.require_csrf(raised.csrf)
        made = objections.raise_objection(visit.desk, visit.person, said, visit.house.published)
    except ExchangeError as error:
        return _form(visit, raised, refused=error)
    return to(f"/objections/{made.number}")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _form(visit: Visit, filled: Asking | Objecting, *, refused: ExchangeError | None = None) -> Response:
    """The form for a table, with what was written; without one, or for one that is not theirs to choose, the tables to
    choose from."""
    kind: Kind = "requests" if isinstance(filled, Asking) else "objections"
    choices = _choices(visit, kind)
    entry, (zone, _, policy) = choices.get(filled.table), _named(filled.table)
    department = visit.desk.catalogue.departments.get(visit.person.department)
    return visit.page(
        f"new_{kind}",
        status_of(refused) if refused else 200,
        choices=choices,
        table=filled.table if entry else "",
        entry=entry,
        fields=mask_plan(entry, zone, policies(entry, zone)[policy]) if entry else {},
        territories=territories(entry) if entry else [],
        division=department.division if department else None,
        filled=filled,
        said=told(refused) if refused else "",
    )


def _choices(visit: Visit, kind: Kind) -> dict[str, Entry]:
    """The tables that a request or an objection may be about, by `zone/dataset/policy`."""
    if kind == "objections":
        found = objections.objectionable(visit.desk, visit.person)
        return {"/".join(name): entry for name, entry in found.items()}
    if not visit.person.may_ask:
        return {}
    return {
        f"share/{entry.id}/{policy}": entry
        for entry in visit.desk.catalogue.entries.values()
        if entry.share.type == "conditional" and entry.owner != visit.person.department
        for policy in policies(entry, "share")
    }


def _named(table: str) -> tuple[Zone, str, str]:
    """Zone, dataset and policy of a table's name in a form."""
    zone, _, rest = table.partition("/")
    dataset, _, policy = rest.partition("/")
    return "open" if zone == "open" else "share", dataset, policy
