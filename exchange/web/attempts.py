"""An attempt at a login, in the browser's cookie: a secret, and the page that was asked for, to which the login leads.

CSRF token, state, nonce and verifier are made of the cookie's whole text, the page with it: who puts another page there
has another attempt, to which neither the form nor the provider's answer belongs. It is one of ours, whoever wrote it.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request, Response

from exchange.oidc.login import Attempt
from exchange.web import cookies
from exchange.web.shapes import is_page

HOME: Final = "/workspace"
LONGEST: Final = 500
"""Characters of a page's address that is come back to."""
_PLACE: Final = re.compile(r"(?P<path>(?:/[a-z0-9]+)+)(?:\?[A-Za-z0-9._~%=&+/-]*)?")
_NOT_BEFORE: Final = ("/login", "/logout")


def asked_for(request: Request) -> str:
    """The page that somebody asked for who is not logged in."""
    query = request.url.query
    place = f"{request.url.path}?{query}" if query else request.url.path
    return place if _is_own(place) else HOME


def place_of(request: Request) -> str:
    """Where the login leads that this browser is at."""
    _, _, kept = cookies.held(request, cookies.ATTEMPT).partition(".")
    try:
        place = bytes.fromhex(kept).decode("ascii")
    except ValueError:
        return HOME
    return place if _is_own(place) else HOME


def begin(place: str) -> Attempt:
    """A new attempt, which leads there."""
    return Attempt(f"{Attempt().seed}.{place.encode('ascii').hex()}")


def put(request: Request, response: Response, attempt: Attempt) -> None:
    cookies.put(request, response, cookies.ATTEMPT, attempt.seed, cookies.ATTEMPT_LASTS)


def _is_own(place: str) -> bool:
    """Whether it is a path of our pages: plain names after single slashes, so that no browser takes it for a host."""
    found = _PLACE.fullmatch(place) if len(place) <= LONGEST else None
    return found is not None and is_page(place) and not found["path"].startswith(_NOT_BEFORE)
