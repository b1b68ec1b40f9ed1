"""What the pages behind the login share: who looks at them, and what each of them shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from exchange import words
from exchange.accounts import Session
from exchange.desk import Desk
from exchange.people import Principal
from exchange.web import cookies
from exchange.web.house import House, TheHouse, address_of, count_call
from exchange.web.rendering import page
from schemas.workdays import day_of


class LoggedOut(Exception):
    """Nobody is logged in in this browser, or no more."""


def who_is(request: Request, house: House) -> Session | None:
    """Who is logged in, counted against their rate. A form's CSRF token is in the form, and is asked for where it is
    read."""
    found = cookies.session_of_browser(request, house.desk.state, house.desk.clock())
    if found is not None:
        count_call(house, request, f"account {found.principal.name}", found.principal.name)
    return found


@dataclass(frozen=True)
class Visit:
    """Somebody who is logged in and looks at a page, or sends a form."""

    request: Request
    house: House
    who: Session

    @property
    def person(self) -> Principal:
        return self.who.principal

    @property
    def desk(self) -> Desk:
        return self.house.desk

    def require_csrf(self, given: str) -> None:
        """Forbidden where a form is not this login's own."""
        cookies.require_csrf(self.request, given)

    def page(self, name: str, status: int = 200, **facts: Any) -> Response:
        catalogue = self.desk.catalogue
        return page(
            name,
            status,
            person=self.person,
            csrf=cookies.csrf_of(cookies.held(self.request)),
            departments=catalogue.departments,
            entries=catalogue.entries,
            address=address_of(self.request, self.house),
            now=self.desk.clock(),
            words=words,
            day_of=day_of,
            **facts,
        )


def _visit(request: Request, house: TheHouse) -> Visit:
    who = who_is(request, house)
    if who is None:
        raise LoggedOut
    return Visit(request, house, who)


Visiting = Annotated[Visit, Depends(_visit)]
"""LoggedOut, which `exchange.web.pages` answers, where nobody is logged in."""
