"""The workspace (工作台): what waits for somebody's department, its requests and objections, and what can be done, as
pages. What they show and do is what the API shows and does (`exchange.web.requests`, `exchange.web.objections`)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import BaseModel, Field

from exchange import objections, requests, words
from exchange.access import readable
from exchange.accounts import Session
from exchange.cases import LONGEST
from exchange.deadlines import clocks
from exchange.errors import ExchangeError, Forbidden, NotThere
from exchange.narrowing import name_of
from exchange.notices import inbox, mark_read
from exchange.objecting import Objection, Zone
from exchange.objecting import Step as ObjectionStep
from exchange.people import Principal
from exchange.process import Step as RequestStep
from exchange.steps import Case, allowed
from exchange.web import cookies
from exchange.web.house import House, Number, TheHouse
from exchange.web.pages import who_is
from exchange.web.rendering import Page, page, status_of, to, told
from lake.zones import identifier
from schemas.model import Entry, Policy
from schemas.policy import mask_plan, policies
from schemas.workdays import day_of

router = APIRouter(include_in_schema=False, route_class=Page)
Text = Annotated[str, Field(max_length=LONGEST)]
Kind = Literal["requests", "objections"]
_OVER: Final = {"ended", "closed"}


# ── what there is ─────────────────────────────────────────────────────────────────────────────────────────


@router.get("/workspace")
def workspace(request: Request, house: TheHouse) -> Response:
    """What waits, and what is under way; what is over stands below."""
    who = who_is(request, house)
    if who is None:
        return to("/login")
    person, desk = who.principal, house.desk
    found: dict[Kind, list[Case[Any]]] = {
        "requests": [*requests.listed(desk, person)],
        "objections": [*objections.listed(desk, person)],
    }
    return _page(
        request,
        house,
        "workspace",
        who,
        notices=_notices(house, person),
        lists={
            kind: sorted(cases, key=lambda each: (each.state in _OVER, -each.number))
            for kind, cases in found.items()
        },
        mine=lambda case: allowed(case, person),
        due=lambda case: _due(house, case),
    )


def _notices(house: House, person: Principal) -> list[tuple[int, str]]:
    """Number and subject of what nobody of the department has read yet."""
    try:
        return [
            (each.id, words.subject(each.notice)) for each in inbox(house.desk.state, person, unread=True)
        ]
    except Forbidden:
        return []


def _due(house: House, case: Case[Any]) -> tuple[str, bool]:
    """The last day of the clock that runs, and whether it is over."""
    now = house.desk.clock()
    found = [each for each in clocks(case, house.desk.catalogue.numbers.exchange) if each.done is None]
    return (found[0].due.isoformat(), found[0].late(now)) if found else ("", False)


@router.post("/notices/{number}/read")
def read(
    request: Request, house: TheHouse, number: Number, csrf: Annotated[str, Form(max_length=500)] = ""
) -> Response:
    who = who_is(request, house)
    if who is None:
        return to("/login")
    cookies.require_csrf(request, csrf)
    mark_read(house.desk.state, who.principal, number, house.desk.clock())
    return to("/workspace")


# ── one case ──────────────────────────────────────────────────────────────────────────────────────────────


@router.get("/requests/{number:int}")
def a_request(request: Request, house: TheHouse, number: Number) -> Response:
    return _shown(request, house, "requests", number)


@router.get("/objections/{number:int}")
def an_objection(request: Request, house: TheHouse, number: Number) -> Response:
    return _shown(request, house, "objections", number)


class Said(BaseModel):
    """The form of a step, as it came."""

    csrf: str = Field(default="", max_length=500)
    reason: Text = ""
    missing: Text = ""
    supplement: Text = ""
    document: Text = ""
    disposal: Text = ""
    consent: str = Field(default="", max_length=5)
    working_days: str = Field(default="", max_length=5)

    def words(self) -> dict[str, Any]:
        """As the API is told it."""
        truth = {"yes": True, "no": False}.get(self.consent)
        days = int(self.working_days) if self.working_days.isdecimal() else self.working_days
        return self.model_dump(exclude={"csrf"}) | {"consent": truth, "working_days": days}


@router.post("/requests/{number:int}/{step}")
def take_of_request(
    request: Request, house: TheHouse, number: Number, step: RequestStep, said: Annotated[Said, Form()]
) -> Response:
    return _taken(request, house, ("requests", number, step), said)


@router.post("/objections/{number:int}/{step}")
def take_of_objection(
    request: Request, house: TheHouse, number: Number, step: ObjectionStep, said: Annotated[Said, Form()]
) -> Response:
    return _taken(request, house, ("objections", number, step), said)


def _taken(request: Request, house: House, what: tuple[Kind, int, str], said: Said) -> Response:
    kind, number, step = what
    who = who_is(request, house)
    if who is None:
        return to("/login")
    cookies.require_csrf(request, said.csrf)
    done: Any = {"requests": requests.take, "objections": objections.take}[kind]
    try:
        done(house.desk, who.principal, number, step, said.words())
    except NotThere:
        raise
    except ExchangeError as error:
        return _shown(request, house, kind, number, refused=error)
    return to(f"/{kind}/{number}")


def _shown(
    request: Request, house: House, kind: Kind, number: int, *, refused: ExchangeError | None = None
) -> Response:
    who = who_is(request, house)
    if who is None:
        return to("/login")
    find: Any = {"requests": requests.find, "objections": objections.find}[kind]
    case: Case[Any] = find(house.desk, who.principal, number)
    party = kind == "requests" or bool(case.sides(who.principal))
    return _page(
        request,
        house,
        "case",
        who,
        status=status_of(refused) if refused else 200,
        kind=kind,
        case=case,
        entry=house.desk.catalogue.entries.get(case.terms.dataset),
        newest=_newest(house, case),
        table=name_of(case) if isinstance(case, requests.Request) else case.terms.policy,
        party=party,
        clocks=clocks(case, house.desk.catalogue.numbers.exchange),
        steps={step: case.rules[step].needs for step in allowed(case, who.principal)},
        most_days=house.desk.catalogue.numbers.exchange.extend_at_most,
        said=told(refused) if refused else "",
    )


def _newest(house: House, case: Case[Any]) -> str:
    """The newest snapshot of the table that an objection is about; empty where there is none."""
    if not isinstance(case, Objection):
        return ""
    claim = case.terms
    found = house.tables.current_snapshot(identifier(claim.zone, claim.dataset, claim.policy))
    return "" if found is None else str(found)


# ── a new case ────────────────────────────────────────────────────────────────────────────────────────────


class Asking(BaseModel):
    """The form of a new request, as it came. `until` is the last day, in the city."""

    csrf: str = Field(default="", max_length=500)
    table: str = Field(default="", max_length=200)
    basis: Text = ""
    scenario: Text = ""
    method: str = Field(default="", max_length=10)
    until: str = Field(default="", max_length=10)
    rows: str = Field(default="all", max_length=3)
    columns: list[str] = Field(default=[], max_length=500)


class Objecting(BaseModel):
    """The form of a new objection, as it came. `rows` has a key on each line."""

    csrf: str = Field(default="", max_length=500)
    table: str = Field(default="", max_length=200)
    snapshot: str = Field(default="", max_length=20)
    rows: str = Field(default="", max_length=30_000)
    wrong: Text = ""
    proposed: Text = ""
    columns: list[str] = Field(default=[], max_length=500)


Table = Annotated[str, Query(max_length=200)]


@router.get("/requests/new")
def new_request(request: Request, house: TheHouse, table: Table = "") -> Response:
    return _form(request, house, "requests", table)


@router.get("/objections/new")
def new_objection(request: Request, house: TheHouse, table: Table = "") -> Response:
    return _form(request, house, "objections", table)


@router.post("/requests")
def ask(request: Request, house: TheHouse, asked: Annotated[Asking, Form()]) -> Response:
    who = who_is(request, house)
    if who is None:
        return to("/login")
    cookies.require_csrf(request, asked.csrf)
    _, dataset, policy = _named(asked.table)
    said = asked.model_dump(exclude={"csrf", "table"}) | {"dataset": dataset, "policy": policy}
    until = f"{asked.until}T23:59:59+08:00" if asked.until else ""
    try:
        made = requests.draft(house.desk, who.principal, said | {"until": until})
    except ExchangeError as error:
        return _form(request, house, "requests", asked.table, refused=error, filled=asked)
    return to(f"/requests/{made.number}")


@router.post("/objections")
def object_to(request: Request, house: TheHouse, raised: Annotated[Objecting, Form()]) -> Response:
    who = who_is(request, house)
    if who is None:
        return to("/login")
    cookies.require_csrf(request, raised.csrf)
    zone, dataset, policy = _named(raised.table)
    rows = [line.strip() for line in raised.rows.splitlines() if line.strip()]
    said = raised.model_dump(exclude={"csrf", "table"})
    said |= {"zone": zone, "dataset": dataset, "policy": policy, "rows": rows}
    try:
        made = objections.raise_objection(house.desk, who.principal, said, house.tables.current_snapshot)
    except ExchangeError as error:
        return _form(request, house, "objections", raised.table, refused=error, filled=raised)
    return to(f"/objections/{made.number}")


def _form(
    request: Request,
    house: House,
    kind: Kind,
    table: str,
    *,
    refused: ExchangeError | None = None,
    filled: Asking | Objecting | None = None,
) -> Response:
    """The form for a table; without one, or for one that is not theirs to choose, the tables to choose from."""
    who = who_is(request, house)
    if who is None:
        return to("/login")
    choices = _choices(house, who, kind)
    entry, policy = choices.get(table, (None, None))
    zone = _named(table)[0]
    return _page(
        request,
        house,
        f"new_{kind}",
        who,
        status=status_of(refused) if refused else 200,
        choices=choices,
        table=table if entry else "",
        entry=entry,
        fields={name: entry.fields[name].title for name in mask_plan(entry, zone, policy)}
        if entry and policy
        else {},
        filled=filled or (Asking() if kind == "requests" else Objecting()),
        said=told(refused) if refused else "",
    )


def _choices(house: House, who: Session, kind: Kind) -> dict[str, tuple[Entry, Policy]]:
    """The tables that a request or an objection may be about, by `zone/dataset/policy`."""
    entries = house.desk.catalogue.entries.values()
    if kind == "requests":
        return {
            f"share/{entry.id}/{name}": (entry, policy)
            for entry in entries
            if entry.share.type == "conditional" and entry.owner != who.principal.department
            for name, policy in policies(entry, "share").items()
        }
    shared = {
        f"share/{each.entry.id}/{each.policy}": (each.entry, policies(each.entry, "share")[each.policy])
        for each in readable(house.desk, who)
        if each.entry.owner != who.principal.department
    }
    opened = {
        f"open/{entry.id}/{name}": (entry, policy)
        for entry in entries
        if entry.owner != who.principal.department or not who.principal.department
        for name, policy in policies(entry, "open").items()
    }
    return shared | opened


def _named(table: str) -> tuple[Zone, str, str]:
    """Zone, dataset and policy of a table's name in a form."""
    zone, _, rest = table.partition("/")
    dataset, _, policy = rest.partition("/")
    return "open" if zone == "open" else "share", dataset, policy


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────────────


def _page(
    request: Request, house: House, name: str, who: Session, *, status: int = 200, **facts: Any
) -> Response:
    return page(
        name,
        status,
        person=who.principal,
        csrf=cookies.csrf_of(cookies.held(request)),
        departments=house.desk.catalogue.departments,
        entries=house.desk.catalogue.entries,
        now=house.desk.clock(),
        words=words,
        day_of=day_of,
        **facts,
    )
