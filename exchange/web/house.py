"""What the routers share: the desk, the tables, who calls, and how much they may."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from exchange.accounts import Session, session_of
from exchange.errors import Busy, Unauthenticated
from exchange.requests import Desk
from lake.tables import Tables


@dataclass
class House:
    """One exchange. `per_minute` is how many requests one caller may make in a minute."""

    desk: Desk
    tables: Tables
    per_minute: int = 600
    limiter: MovingWindowRateLimiter = field(default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()))


class TooMany(Busy):
    """A caller's rate is above the limit; `after` is when it may come again, in seconds."""

    def __init__(self, after: int) -> None:
        super().__init__("too many requests", next_step=f"come again in {after} s")
        self.after = after


def house_of(request: Request) -> House:
    return request.app.state.house


bearer = HTTPBearer(auto_error=False, description="`xuanwu token create` gives a token")
TheHouse = Annotated[House, Depends(house_of)]


def session(
    request: Request,
    response: Response,
    house: TheHouse,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Session:
    """Who calls, counted against their rate; where nobody is known, against that of their address."""
    if credentials is None:
        _count(house, response, f"address {request.client.host if request.client else ''}")
        raise Unauthenticated("a token is needed", next_step="send `Authorization: Bearer xw_…`")
    try:
        found = session_of(house.desk.state, credentials.credentials, house.desk.clock())
    except Unauthenticated:
        _count(house, response, f"address {request.client.host if request.client else ''}")
        raise
    _count(house, response, f"account {found.principal.name}")
    request.state.session = found
    return found


Caller = Annotated[Session, Depends(session)]


def _count(house: House, response: Response, who: str) -> None:
    """RateLimit headers as the IETF draft has them; TooMany beyond the limit."""
    limit = RateLimitItemPerMinute(house.per_minute)
    allowed = house.limiter.hit(limit, who)
    reset, left = house.limiter.get_window_stats(limit, who)
    seconds = max(1, round(reset - _now()))
    response.headers["RateLimit"] = f'"minute";r={max(0, left)};t={seconds}'
    response.headers["RateLimit-Policy"] = f'"minute";q={house.per_minute};w=60'
    if not allowed:
        raise TooMany(seconds)


def _now() -> float:
    import time

    return time.time()
