"""What the routers share: the desk, the tables, who calls, and how much they may."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time
from typing import Annotated, Final

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from exchange.accounts import Session, not_good, session_of
from exchange.desk import Desk
from exchange.errors import ExchangeError, Forbidden, Unauthenticated
from exchange.oidc.issuer import Issuer
from exchange.oidc.tokens import looks_like_one
from exchange.refusals import Refusals
from exchange.web import cookies
from exchange.web.bounds import Crowd, TooMany, tell
from lake import certificates, store
from lake.tables import Tables
from lake.zones import Identifier


@dataclass
class House:
    """One exchange. `per_minute` is how many requests one caller may make in a minute; of a file's pieces
    `PIECES` times as many. `at_once` is how many calls may be under way. `url` is the address by which readers reach
    it; what they called it by where it is empty. `issuer` is the city's identity provider, where it has one."""

    desk: Desk
    tables: Tables
    per_minute: int = 600
    url: str = ""
    issuer: Issuer | None = None
    at_once: int = 256
    limiter: MovingWindowRateLimiter = field(default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()))
    refusals: Refusals = field(init=False)
    crowd: Crowd = field(init=False)

    def published(self, table: Identifier, snapshot: int | None = None) -> int | None:
        """The table's snapshot of this number, or its newest; None where none was published. One that upkeep has
        removed since has its certificate still."""
        if snapshot is None:
            return self.tables.current_snapshot(table)
        uri = store.join(self.tables.root, certificates.path_of(*table, snapshot))
        return snapshot if store.exists(uri) else None

    def __post_init__(self) -> None:
        self.refusals = Refusals(self.desk.log, self.desk.clock)
        self.crowd = Crowd(self.at_once)


PIECES: Final = 20


async def house_of(request: Request) -> House:
    return request.app.state.house


bearer = HTTPBearer(
    auto_error=False, description="a token of ours, or an access token of the city's identity provider"
)
TheHouse = Annotated[House, Depends(house_of)]


def session(
    request: Request,
    house: TheHouse,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Session:
    """Who calls, counted against their rate; where nobody is known, against that of their address."""
    try:
        found = _known(request, house, credentials)
    except ExchangeError:
        count_call(house, request, f"address {host_of(request)}")
        raise
    count_call(house, request, f"account {found.principal.name}", found.principal.name)
    request.state.session = found
    return found


def _known(request: Request, house: House, credentials: HTTPAuthorizationCredentials | None) -> Session:
    """By a token, or else by a browser's login (`exchange.web.cookies`)."""
    if credentials is None:
        found = cookies.session(request, house.desk.state, house.desk.clock())
        if found is None:
            raise Unauthenticated(
                "a token is needed", reason="missing", next_step="send `Authorization: Bearer xw_…`"
            )
        return found
    text = credentials.credentials
    if house.issuer is not None and looks_like_one(text):
        return house.issuer.session(house.desk.state, text)
    found = session_of(house.desk.state, text, house.desk.clock())
    if found.kind == "login":
        raise not_good("kind", found.principal.name)
    return found


def host_of(request: Request) -> str:
    return request.client.host if request.client else ""


Caller = Annotated[Session, Depends(session)]


def _for_requests(caller: Caller) -> Session:
    """Forbidden for a token that is for reading alone."""
    if "request" not in caller.scopes:
        raise Forbidden("this token is not for requests", expected="a token of the scope `request`")
    return caller


Applicant = Annotated[Session, Depends(_for_requests)]
"""Who calls with the scope `request`: all that cases, notices and deliveries are for."""


def address_of(request: Request, house: House) -> str:
    """Where readers reach this exchange, without a slash at the end."""
    return (house.url or str(request.base_url)).rstrip("/")


async def address(request: Request, house: TheHouse) -> str:
    return address_of(request, house)


Address = Annotated[str, Depends(address)]
COUNTED: Final = 2**31 - 1
"""As far as every database counts the rows of a table of ours."""
Number = Annotated[int, Path(ge=1, le=COUNTED)]
"""Of a request, a delivery or a notice."""
After = Annotated[int, Query(ge=0, le=COUNTED, description="the last number of the list before")]
Before = Annotated[int | None, Query(ge=1, le=COUNTED, description="the last number of the list before")]
"""Of a list whose newest stand first."""


def count_file(house: House, request: Request, who: str) -> None:
    """Count a piece of a file against its reader's rate: readers fetch a file in many pieces. TooMany beyond it."""
    house.crowd.known(request.scope, f"account {who}", who)
    limit = RateLimitItemPerMinute(house.per_minute * PIECES)
    if not house.limiter.hit(limit, f"files {who}"):
        raise TooMany(1, who)


def count_call(house: House, request: Request, who: str, account: str = "") -> None:
    """RateLimit headers as the IETF draft has them; TooMany beyond the limit, and for too many calls at one time."""
    house.crowd.known(request.scope, who, account)
    limit = RateLimitItemPerMinute(house.per_minute)
    allowed = house.limiter.hit(limit, who)
    reset, left = house.limiter.get_window_stats(limit, who)
    seconds = max(1, round(reset - time()))
    tell(
        request.scope,
        RateLimit=f'"minute";r={max(0, left)};t={seconds}',
        RateLimit_Policy=f'"minute";q={house.per_minute};w=60',
    )
    if not allowed:
        raise TooMany(seconds, account)
