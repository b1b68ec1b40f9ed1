"""A browser's login: a token of the kind `login` in a cookie that no script can read, good for a working day.

Whatever changes something by it has to bring the login's own CSRF token along (OWASP: HMAC-based token pattern), which
pages of the exchange hold and other sites cannot read; `SameSite=Lax` keeps it out of other sites' forms besides.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import Final

from fastapi import Request, Response

from exchange.accounts import SCOPES, Session, make_token, revoke_token, session_of
from exchange.errors import Forbidden, Unauthenticated
from exchange.state import State

LASTS: Final = timedelta(hours=8)
ATTEMPT_LASTS: Final = timedelta(minutes=10)
LOGIN: Final = "xuanwu"
ATTEMPT: Final = "xuanwu_attempt"
HEADER: Final = "X-CSRF-Token"
_READING: Final = {"GET", "HEAD", "OPTIONS"}


def session(request: Request, state: State, now: datetime) -> Session | None:
    """Who is logged in, at a door of the API. Forbidden where something is to be changed and the header `X-CSRF-Token`
    is not the login's own."""
    found = session_of_browser(request, state, now)
    if found is not None and request.method not in _READING:
        require_csrf(request, request.headers.get(HEADER, ""))
    return found


def session_of_browser(request: Request, state: State, now: datetime) -> Session | None:
    """Who is logged in; None for a browser that is not, or no more."""
    text = held(request)
    try:
        found = session_of(state, text, now) if text else None
    except Unauthenticated:
        return None
    return found if found is not None and found.kind == "login" else None


def log_in(request: Request, response: Response, state: State, account: str, now: datetime) -> None:
    """Put a new login into the browser: none that it had before goes on."""
    _end(request, state, now)
    text, _ = make_token(state, account, "", SCOPES, now=now, lasts=LASTS, kind="login")
    put(request, response, LOGIN, text, LASTS)


def log_out(request: Request, response: Response, state: State, now: datetime) -> None:
    """End the browser's login here, not only in the browser."""
    _end(request, state, now)
    remove(request, response, LOGIN)


def _end(request: Request, state: State, now: datetime) -> None:
    found = session_of_browser(request, state, now)
    if found is not None:
        revoke_token(state, found.token, now)


def held(request: Request, cookie: str = LOGIN) -> str:
    """What this browser's cookie holds."""
    return request.cookies.get(name_of(request, cookie), "")


def csrf_of(text: str) -> str:
    """What a form brings along, worked out from what the browser's cookie holds."""
    return hmac.digest(text.encode(), b"xuanwu csrf", "sha256").hex() if text else ""


def require_csrf(request: Request, given: str, cookie: str = LOGIN) -> None:
    """Forbidden where a form is not one that this browser was given."""
    right = csrf_of(held(request, cookie))
    if not right or not hmac.compare_digest(right.encode(), given.encode()):
        raise Forbidden(
            "表单已过期 the form is not this login's own", next_step="open the page again and repeat it"
        )


# ── cookies ───────────────────────────────────────────────────────────────────────────────────────────────


def name_of(request: Request, name: str) -> str:
    """`__Host-` where it is https: such a cookie comes from this host alone, and from no other part of its domain."""
    return f"__Host-{name}" if _https(request) else name


def put(request: Request, response: Response, name: str, text: str, lasts: timedelta) -> None:
    response.set_cookie(
        name_of(request, name),
        text,
        max_age=int(lasts.total_seconds()),
        path="/",
        secure=_https(request),
        httponly=True,
        samesite="lax",
    )


def remove(request: Request, response: Response, name: str) -> None:
    response.delete_cookie(
        name_of(request, name), path="/", secure=_https(request), httponly=True, samesite="lax"
    )


def _https(request: Request) -> bool:
    return (request.app.state.house.url or str(request.base_url)).startswith("https://")
