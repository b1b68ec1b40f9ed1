"""One request, objection or application as a page, with a form for every step that one may take now (办理). What is
done there is what the API does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Response
from pydantic import BaseModel, Field

from exchange import applications, objections, requests
from exchange.access import Access, by_grant
from exchange.cases import overtaken
from exchange.deadlines import clocks
from exchange.errors import ExchangeError, NotThere
from exchange.narrowing import name_of
from exchange.objecting import Objection
from exchange.objecting import Step as ObjectionStep
from exchange.opening import Application
from exchange.opening import Step as ApplicationStep
from exchange.process import READABLE, Request
from exchange.process import Step as RequestStep
from exchange.reading import MOST_ROWS
from exchange.steps import Case, allowed, possible
from exchange.subscriptions import of_request
from exchange.web.applications import place_of
from exchange.web.house import House, Number
from exchange.web.logged_in import Visit, Visiting
from exchange.web.problems import said_of_lake, status_of, told
from exchange.web.rendering import Written, to
from exchange.web.workspace import Kind
from lake.releases import Standing, shown
from lake.zones import published_table
from schemas.errors import LakeError

_Offered = tuple[Standing, list[tuple[dict[str, Any], str]]]
"""A release, its files, and where each is downloaded."""
router = APIRouter(include_in_schema=False)


class Said(BaseModel):
    """The form of a step, as it came. `seen` is how many steps the page showed."""

    csrf: str = ""
    seen: str = Field(default="", max_length=10)
    reason: Written = ""
    missing: Written = ""
    supplement: Written = ""
    document: Written = ""
    disposal: Written = ""
    consent: str = Field(default="", max_length=5)
    working_days: str = Field(default="", max_length=5)

    def words(self) -> dict[str, Any]:
        """As the API is told it."""
        truth = {"yes": True, "no": False}.get(self.consent)
        days = int(self.working_days) if self.working_days.isdecimal() else self.working_days
        return self.model_dump(exclude={"csrf", "seen"}) | {"consent": truth, "working_days": days}


@router.get("/requests/{number:int}")
def a_request(visit: Visiting, number: Number) -> Response:
    return _shown(visit, _found(visit, "requests", number))


@router.get("/objections/{number:int}")
def an_objection(visit: Visiting, number: Number) -> Response:
    return _shown(visit, _found(visit, "objections", number))


@router.get("/applications/{number:int}")
def an_application(visit: Visiting, number: Number) -> Response:
    return _shown(visit, _found(visit, "applications", number))


@router.post("/requests/{number:int}/{step}")
def take_of_request(
    visit: Visiting, number: Number, step: RequestStep, said: Annotated[Said, Form()]
) -> Response:
    return _taken(visit, ("requests", number, step), said)


@router.post("/objections/{number:int}/{step}")
def take_of_objection(
    visit: Visiting, number: Number, step: ObjectionStep, said: Annotated[Said, Form()]
) -> Response:
    return _taken(visit, ("objections", number, step), said)


@router.post("/applications/{number:int}/{step}")
def take_of_application(
    visit: Visiting, number: Number, step: ApplicationStep, said: Annotated[Said, Form()]
) -> Response:
    return _taken(visit, ("applications", number, step), said)


_TAKE: Final[dict[Kind, Callable[..., Case[Any]]]] = {
    "requests": requests.take,
    "objections": objections.take,
    "applications": applications.take,
}
_FIND: Final[dict[Kind, Callable[..., Case[Any]]]] = {
    "requests": requests.find,
    "objections": objections.find,
    "applications": applications.find,
}


def _taken(visit: Visit, what: tuple[Kind, int, str], said: Said) -> Response:
    """Back to the page of the case; where the step is refused the page again, with what was written. Nobody confirms
    another answer than the one that they were shown."""
    kind, number, step = what
    visit.require_csrf(said.csrf)
    found = _found(visit, kind, number)
    try:
        if said.seen not in ("", str(len(found.events))):
            raise overtaken(found)
        _TAKE[kind](visit.desk, visit.person, number, step, said.words())
    except NotThere:
        raise
    except ExchangeError as error:
        return _shown(visit, _found(visit, kind, number), refused=error, filled=said)
    return to(f"/{kind}/{number}")


def _found(visit: Visit, kind: Kind, number: int) -> Case[Any]:
    return _FIND[kind](visit.desk, visit.person, number)


def _shown(
    visit: Visit, case: Case[Any], *, refused: ExchangeError | None = None, filled: Said | None = None
) -> Response:
    numbers, own = visit.desk.catalogue.numbers.exchange, allowed(case, visit.person)
    return visit.page(
        "case",
        status_of(refused) if refused else 200,
        kind=f"{case.kind}s",
        case=case,
        entry=visit.desk.catalogue.entries.get(case.terms.dataset),
        table=name_of(case) if isinstance(case, Request) else case.terms.policy,
        newest=_newest(visit.house, case),
        party=isinstance(case, Request) or bool(case.sides(visit.person)),
        clocks=clocks(case, numbers, visit.desk.clock()),
        steps={step: case.rules[step] for step in own},
        others={step: case.rules[step] for step in possible(case) if step not in own},
        most_days=numbers.extend_at_most,
        filled=filled or Said(),
        reads=_reads(visit, case),
        downloads=_downloads(visit, case),
        delivery=of_request(visit.desk, case.number) if isinstance(case, Request) else None,
        most=MOST_ROWS,
        said=told(refused) if refused else "",
    )


def _newest(house: House, case: Case[Any]) -> str:
    """The newest snapshot of the table that an objection is about; empty where there is none."""
    if not isinstance(case, Objection):
        return ""
    claim = case.terms
    found = house.published(published_table(claim.dataset, claim.zone, claim.policy))
    return "" if found is None else str(found)


def _reads(visit: Visit, case: Case[Any]) -> tuple[Access, bool] | None:
    """What a granted request gives the visitor's department to read now, and whether it was published yet."""
    if not isinstance(case, Request) or case.terms.department != visit.person.department:
        return None
    entry = visit.desk.catalogue.entries.get(case.terms.dataset)
    if entry is None or case.state not in READABLE or case.terms.until <= visit.desk.clock():
        return None
    right = by_grant(entry, case)
    return (right, visit.house.published(right.table) is not None) if right else None


def _downloads(visit: Visit, case: Case[Any]) -> list[_Offered] | str | None:
    """What a granted application gives the visitor to download now; None where it gives nothing. Where the lake does
    not tell, in words: what else can be done with the case is shown all the same."""
    if not isinstance(case, Application):
        return None
    try:
        right = applications.given(visit.desk, visit.who, case.number)
    except ExchangeError:
        return None
    try:
        releases = shown(visit.house.tables, right.entry)
    except (LakeError, OSError) as error:
        return said_of_lake(error)
    return [
        (release, [(file, place_of(case.number, release, file["name"])) for file in release[1]["files"]])
        for release in releases
    ]
