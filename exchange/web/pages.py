"""Pages for people: log in (by the identity provider, or by password), one's account and personal tokens, log out.

They hold no script and load nothing. A form is one that the same browser was given (`exchange.web.cookies`).
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Path, Request, Response
from limits import RateLimitItemPerMinute
from pydantic import BaseModel, Field, ValidationError

from exchange.accounts import BORROWED, LONGEST, OF_ISSUER, Session, is_closed, not_good
from exchange.accounts import log_in as by_password
from exchange.borrowed import provide
from exchange.errors import Busy, ExchangeError, Forbidden, NotThere, Unauthenticated, Unplaced
from exchange.oidc.login import Attempt, finish, leave, start
from exchange.people import Principal
from exchange.web import attempts, cookies, tokens
from exchange.web.bounds import TooMany
from exchange.web.house import Address, House, TheHouse, host_of
from exchange.web.logged_in import who_is
from exchange.web.rendering import page, to
from exchange.words import ROLES

router = APIRouter(include_in_schema=False)
TRIES: Final = 10
"""Passwords that may be tried in a minute for one account."""
TRIES_FROM: Final = 60
"""Logins that may be tried in a minute from one address, behind which a whole office may be."""
CALLBACK: Final = "/login/callback"
STALE: Final = "表单已过期，请在本页重新填写 The form has expired: fill it in again on this page"
ENDED: Final = (
    "登录已结束，未作任何更改，请重新登录 Your login has ended and nothing was changed: log in again"
)
Text = Annotated[str, Form(max_length=500)]


# ── logging in ────────────────────────────────────────────────────────────────────────────────────────────


@router.get("/login")
def login(request: Request, house: TheHouse) -> Response:
    return _login(request, house)


def _login(request: Request, house: House, status: int = 200, said: str = "") -> Response:
    """The page, with a form for this browser. Its cookie is an attempt's, of which the form's CSRF token is made."""
    attempt = attempts.begin(attempts.place_of(request))
    csrf = cookies.csrf_of(attempt.seed)
    issuer = house.issuer is not None and bool(house.issuer.client_id)
    shown = page("login", status, issuer=issuer, csrf=csrf, said=said)
    attempts.put(request, shown, attempt)
    return shown


def logged_out(request: Request, house: House) -> Response:
    """To the login, where nobody is logged in, and from there to the page that was asked for; who sent a form is told
    that nothing came of it, and nothing is done later."""
    if request.method != "GET":
        return _login(request, house, 401, ENDED)
    answer = to("/login")
    attempts.put(request, answer, attempts.begin(attempts.asked_for(request)))
    return answer


@router.post("/login")
def password(request: Request, house: TheHouse, name: Text, password: Text, csrf: Text = "") -> Response:
    try:
        cookies.require_csrf(request, csrf, cookies.ATTEMPT)
    except Forbidden:
        return _login(request, house, 403, STALE)
    _count(house, f"address {host_of(request)}", TRIES_FROM)
    _count(house, f"account {name}", TRIES)
    try:
        found = by_password(house.desk.state, name, password)
    except Unauthenticated as error:
        house.refusals.note(error.reason, "pages", address=host_of(request))
        return _login(request, house, 401, "账户或密码不正确 The account or the password is wrong")
    return _in(request, house, found, "password")


def _count(house: House, who: str, most: int) -> None:
    if not house.limiter.hit(RateLimitItemPerMinute(most), f"login {who}"):
        raise TooMany(60)


@router.get("/login/start")
def begin(request: Request, house: TheHouse, address: Address) -> Response:
    """To the identity provider."""
    if house.issuer is None:
        return to("/login")
    attempt = attempts.begin(attempts.place_of(request))
    try:
        answer = to(start(house.issuer, attempt, address + CALLBACK))
    except Busy as error:
        return _login(request, house, 503, _told(error))
    attempts.put(request, answer, attempt)
    return answer


@router.get(CALLBACK)
def callback(request: Request, house: TheHouse, address: Address) -> Response:
    """Back from the identity provider. The attempt is over, whatever comes of it."""
    _count(house, f"address {host_of(request)}", TRIES_FROM)
    seed = cookies.held(request, cookies.ATTEMPT)
    try:
        if house.issuer is None or not seed:
            raise Unauthenticated("no login was begun", reason="login")
        answer = {name: text[:4000] for name, text in request.query_params.items()}
        vouched = finish(house.issuer, Attempt(seed), address + CALLBACK, answer)
        provide(house.desk.state, vouched)
        if is_closed(house.desk.state, vouched.principal.name):
            raise not_good("closed", vouched.principal.name)
        return _in(request, house, vouched.principal, "issuer")
    except (Unauthenticated, Unplaced) as error:
        house.refusals.note(error.reason, "pages", who=error.who, address=host_of(request))
        said = "登录未完成，请重试 The login was not completed: try again"
        status = 403 if isinstance(error, Unplaced) else 401
        return _login(request, house, status, _told(error) if status == 403 else said)
    except Busy as error:
        return _login(request, house, 503, _told(error))


def _told(error: ExchangeError) -> str:
    return f"{error.message}; {error.next_step}" if error.next_step else error.message


def _in(request: Request, house: House, found: Principal, how: str) -> Response:
    """Logged in, and at the page that was asked for: it stands in the audit log first."""
    desk = house.desk
    told = {"by": found.name, "department": found.department, "how": how}
    answer = to(attempts.place_of(request))
    cookies.log_in(request, answer, desk.state, found.name, desk.clock())
    desk.log.append({"action": "login", "phase": "outcome", **told})
    cookies.remove(request, answer, cookies.ATTEMPT)
    return answer


@router.post("/logout")
def logout(request: Request, house: TheHouse, address: Address, csrf: Text = "") -> Response:
    """Here, and at the identity provider for who came by it."""
    who = who_is(request, house)
    if who is None:
        return to("/login")
    if stale := _stale(request, house, who, address, csrf):
        return stale
    there = _leaving(house, who, address)
    answer = to(there or "/login")
    cookies.log_out(request, answer, house.desk.state, house.desk.clock())
    return answer


def _leaving(house: House, who: Session, address: str) -> str | None:
    """Where the provider logs out; None for an account of our own, and while the provider does not answer."""
    if house.issuer is None or not who.principal.name.startswith(OF_ISSUER):
        return None
    try:
        return leave(house.issuer, f"{address}/login")
    except Busy:
        return None


# ── one's account ─────────────────────────────────────────────────────────────────────────────────────────


@router.get("/account")
def account(request: Request, house: TheHouse, address: Address) -> Response:
    who = who_is(request, house)
    return _account(request, house, who, address) if who else logged_out(request, house)


def _stale(request: Request, house: House, who: Session, address: str, csrf: str) -> Response | None:
    """The page again, where a form is not this login's own: a person may have logged in anew beside it."""
    try:
        cookies.require_csrf(request, csrf)
    except Forbidden:
        return _account(request, house, who, address, status=403, said=STALE)
    return None


def _account(
    request: Request,
    house: House,
    who: Session,
    address: str,
    *,
    status: int = 200,
    said: str = "",
    text: str = "",
) -> Response:
    there = urlsplit(_leaving(house, who, address) or "")
    longest = BORROWED if who.principal.name.startswith(OF_ISSUER) else LONGEST
    return page(
        "account",
        status,
        f"{there.scheme}://{there.netloc}" if there.netloc else "",
        person=who.principal,
        roles=ROLES,
        department=house.desk.catalogue.departments.get(who.principal.department),
        tokens=tokens.own(house.desk, who),
        now=house.desk.clock(),
        longest=longest.days,
        csrf=cookies.csrf_of(cookies.held(request)),
        said=said,
        text=text,
    )


class Asked(BaseModel):
    """The form for a new token, as it came."""

    csrf: str = Field(default="", max_length=500)
    note: str = Field(default="", max_length=500)
    days: str = Field(default="", max_length=10)
    scopes: list[str] = Field(default=[], max_length=10)


@router.post("/account/tokens")
def new_token(
    request: Request, house: TheHouse, address: Address, asked: Annotated[Asked, Form()]
) -> Response:
    who = who_is(request, house)
    if who is None:
        return _login(request, house, 401, ENDED)
    if stale := _stale(request, house, who, address, asked.csrf):
        return stale
    try:
        text, _ = tokens.made(house.desk, who, tokens.Wish.model_validate(asked.model_dump(exclude={"csrf"})))
    except ValidationError:
        said = "请选择范围和天数 Choose a scope, and from 1 to 366 days"
        return _account(request, house, who, address, status=422, said=said)
    except ExchangeError as error:
        status = 403 if isinstance(error, Forbidden) else 422
        return _account(request, house, who, address, status=status, said=error.message)
    return _account(request, house, who, address, text=text)


@router.post("/account/tokens/{ident}/end")
def end_token(
    request: Request,
    house: TheHouse,
    address: Address,
    ident: Annotated[str, Path(pattern="^[0-9a-f]{16}$")],
    csrf: Text = "",
) -> Response:
    who = who_is(request, house)
    if who is None:
        return _login(request, house, 401, ENDED)
    if stale := _stale(request, house, who, address, csrf):
        return stale
    try:
        tokens.ended(house.desk, who, ident)
    except NotThere:
        said = "没有这个令牌 There is no such token of yours"
        return _account(request, house, who, address, status=404, said=said)
    return to("/account")
