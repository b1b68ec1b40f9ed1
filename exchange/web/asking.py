"""The forms for a new request, objection, application and delivery. What they send is what the API takes."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, Response
from pydantic import BaseModel, Field

from exchange import applications, objections, subscriptions
from exchange.errors import ExchangeError
from exchange.narrowing import MOST_COLUMNS, territories
from exchange.objecting import Zone
from exchange.web.logged_in import Visit, Visiting
from exchange.web.problems import status_of, told
from exchange.web.rendering import Written, to
from schemas.model import Entry
from schemas.policy import mask_plan, policies

router = APIRouter(include_in_schema=False)
Table = Annotated[str, Query(max_length=200)]


class Declaring(BaseModel):
    """The form of a new delivery, as it came."""

    csrf: str = ""
    table: str = Field(default="", max_length=200)
    method: str = Field(default="", max_length=10)
    connection: str = Field(default="", max_length=64)
    place: str = Field(default="", max_length=200)
    mode: str = Field(default="swap", max_length=10)
    format: str = Field(default="parquet", max_length=10)
    keep: str = Field(default="3", max_length=10)

    def delivery(self) -> dict[str, Any]:
        """Where and how, as the API is told it."""
        keep = int(self.keep) if self.keep.isdecimal() and int(self.keep) else self.keep
        form = {"mode": self.mode, "format": self.format, "keep": keep}
        return {"connection": self.connection.strip(), "place": self.place.strip(), **form}


class Asking(Declaring):
    """The form of a new request, as it came. `until` is the last day, in the city; without a place nothing is to be
    delivered."""

    basis: Written = ""
    scenario: Written = ""
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


class Applying(BaseModel):
    """The form of a new application, as it came. `until` is the last day, in the city."""

    csrf: str = ""
    dataset: str = Field(default="", max_length=100)
    applicant: str = ""
    use: str = Field(default="", max_length=16)
    purpose: Written = ""
    safeguards: Written = ""
    until: str = Field(default="", max_length=10)
    accepts: str = Field(default="", max_length=5)


@router.get("/requests/new")
def new_request(visit: Visiting, table: Table = "") -> Response:
    return _form(visit, Asking(table=table))


@router.get("/objections/new")
def new_objection(visit: Visiting, table: Table = "") -> Response:
    return _form(visit, Objecting(table=table))


@router.get("/deliveries/new")
def new_delivery(visit: Visiting, table: Table = "") -> Response:
    return _form(visit, Declaring(table=table))


@router.get("/applications/new")
def new_application(visit: Visiting, dataset: Annotated[str, Query(max_length=100)] = "") -> Response:
    return _application_form(visit, Applying(dataset=dataset))


@router.post("/requests")
def ask(visit: Visiting, asked: Annotated[Asking, Form()]) -> Response:
    _, dataset, policy = _named(asked.table)
    said = asked.model_dump(exclude={"csrf", "table"}) | {"dataset": dataset, "policy": policy}
    said["until"] = _end_of(asked.until)
    said["delivery"] = asked.delivery() if asked.place.strip() else None
    try:
        visit.require_csrf(asked.csrf)
        made = subscriptions.apply(visit.desk, visit.person, said)
    except ExchangeError as error:
        return _form(visit, asked, refused=error)
    return to(f"/requests/{made.number}")


@router.post("/deliveries")
def declare(visit: Visiting, declared: Annotated[Declaring, Form()]) -> Response:
    _, dataset, policy = _named(declared.table)
    said = declared.delivery() | {"dataset": dataset, "policy": policy, "method": declared.method}
    try:
        visit.require_csrf(declared.csrf)
        made = subscriptions.declare(visit.desk, visit.person, said)
    except ExchangeError as error:
        return _form(visit, declared, refused=error)
    return to(f"/deliveries/{made.number}")


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


@router.post("/applications")
def apply(visit: Visiting, applied: Annotated[Applying, Form()]) -> Response:
    said = applied.model_dump(exclude={"csrf"}) | {"accepts": applied.accepts == "yes"}
    said["until"] = _end_of(applied.until)
    try:
        visit.require_csrf(applied.csrf)
        made = applications.apply_for(visit.desk, visit.person, said)
    except ExchangeError as error:
        return _application_form(visit, applied, refused=error)
    return to(f"/applications/{made.number}")


def _application_form(visit: Visit, filled: Applying, *, refused: ExchangeError | None = None) -> Response:
    """The form for a dataset, with what was written; without one the datasets to choose from."""
    choices = {entry.id: entry for entry in applications.opened_on_conditions(visit.desk)}
    entry = choices.get(filled.dataset)
    return visit.page(
        "new_applications",
        status_of(refused) if refused else 200,
        choices=choices,
        entry=entry,
        conditions=applications.conditions_of(entry) if entry else "",
        filled=filled,
        said=told(refused) if refused else "",
    )


def _end_of(day: str) -> str:
    """The end of a day in the city; empty where none was given."""
    return f"{day}T23:59:59+08:00" if day else ""


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _form(visit: Visit, filled: Declaring | Objecting, *, refused: ExchangeError | None = None) -> Response:
    """The form for a table, with what was written; without one, or for one that is not theirs to choose, the tables to
    choose from."""
    kind = next(kind for form, kind in _FORMS.items() if isinstance(filled, form))
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
        most_kept=subscriptions.MOST_KEPT,
        filled=filled,
        said=told(refused) if refused else "",
    )


_FORMS: Final = {Asking: "requests", Declaring: "deliveries", Objecting: "objections"}
"""Which form is of what: a request's has what a delivery's has, and more."""


def _choices(visit: Visit, kind: str) -> dict[str, Entry]:
    """The tables that a request, a delivery or an objection may be about, by `zone/dataset/policy`."""
    if kind == "objections":
        found = objections.objectionable(visit.desk, visit.person)
        return {"/".join(name): entry for name, entry in found.items()}
    if not visit.person.may_ask:
        return {}
    shared = [each for each in visit.desk.catalogue.entries.values() if _is_choice(visit, kind, each)]
    return {f"share/{entry.id}/{policy}": entry for entry in shared for policy in policies(entry, "share")}


def _is_choice(visit: Visit, kind: str, entry: Entry) -> bool:
    if kind == "deliveries":
        return entry.share.type == "unconditional"
    return entry.share.type == "conditional" and entry.owner != visit.person.department


def _named(table: str) -> tuple[Zone, str, str]:
    """Zone, dataset and policy of a table's name in a form."""
    zone, _, rest = table.partition("/")
    dataset, _, policy = rest.partition("/")
    return "open" if zone == "open" else "share", dataset, policy
