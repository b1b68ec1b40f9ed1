"""What holds for every call, whatever it asks: bounds of body, number and time, and headers of every answer.

Plain ASGI: a middleware that wraps each answer in a response of its own costs a stream more a call. Whatever is refused
here is refused before it is read, and told as `exchange.web.problems` tells it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import Final

from fastapi import Request, Response
from prometheus_client import Counter as Metric
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.errors import Busy
from exchange.web import problems

LARGEST_BODY: Final = 64 * 1024
"""Bytes of a request's body: all that is sent to us are a few texts."""
BODY_SECONDS: Final = 30
"""How long the next piece of a body may take to come."""
STALLED_SECONDS: Final = 120
"""How long a reader may take nothing of what it asked for."""
SHARE: Final = 4
"""Of the calls at one time a caller may have one in so many, so that nobody keeps the others out."""
ALWAYS: Final = frozenset({"/health", "/metrics"})
"""Answered however many calls there are: who watches must see that there are."""
_CALLERS: Final = "xuanwu.callers"
_HEADERS: Final = "xuanwu.headers"
_DEFAULTS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class TooMany(Busy):
    """A caller's rate, or its number of calls at one time, is above the limit; `after` is when it may come again, in
    seconds, and `who` is an account."""

    def __init__(self, after: int, who: str = "") -> None:
        super().__init__("too many requests", next_step=f"come again in {after} s")
        self.after, self.who = after, who


class Crowd:
    """The calls that are under way in this process: `most` of all callers, a quarter of them of one. `changed` is told
    how many there are, and the most there were, whenever that changes."""

    def __init__(self, most: int) -> None:
        self.most, self.of_one = most, max(1, most // SHARE)
        self.under_way = self.most_seen = 0
        self.changed: Callable[[int, int], object] = lambda now, most: None
        self._of: Counter[str] = Counter()
        self._lock = Lock()

    def come(self) -> bool:
        """Whether there is room for one more."""
        with self._lock:
            if self.under_way >= self.most:
                return False
            self.under_way += 1
            self.most_seen = max(self.most_seen, self.under_way)
            self.changed(self.under_way, self.most_seen)
            return True

    def known(self, scope: Scope, who: str, account: str = "") -> None:
        """It is now known whose call this is. TooMany where they have as many under way as one may."""
        with self._lock:
            if self._of[who] >= self.of_one:
                raise TooMany(1, account)
            self._of[who] += 1
        scope.setdefault(_CALLERS, []).append(who)

    def leave(self, scope: Scope) -> None:
        with self._lock:
            self.under_way -= 1
            self._of.subtract(scope.get(_CALLERS, ()))
            self._of += Counter()  # those at zero are forgotten
            self.changed(self.under_way, self.most_seen)


def tell(scope: Scope, **headers: str) -> None:
    """Headers of the answer to this call, whatever it will be; `_` stands for `-`."""
    scope.setdefault(_HEADERS, {}).update({name.replace("_", "-"): text for name, text in headers.items()})


class Stalled(Exception):
    """A reader took nothing for too long."""


class Bounded:
    """Bodies, calls at one time, and how long either side may keep the other waiting."""

    def __init__(self, app: ASGIApp, crowd: Crowd) -> None:
        self.app, self.crowd = app, crowd

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        telling = _telling(scope, send)
        if refused := _unfit(Request(scope)):
            await refused(scope, receive, telling)
            return
        if scope["path"] in ALWAYS:
            await self.app(scope, _heard(receive), telling)
            return
        if not self.crowd.come():
            await _full(Request(scope))(scope, receive, telling)
            return
        try:
            await self.app(scope, _heard(receive), telling)
        except Stalled:
            return  # the server closes what was not finished
        finally:
            self.crowd.leave(scope)


def _unfit(request: Request) -> Response | None:
    """A body beyond the bound is refused before it is read, whether it tells its length or not."""
    told = request.headers.get("content-length")
    if told is not None and (not told.isdigit() or int(told) > LARGEST_BODY):
        return problems.answer(request, (413, "内容过大", "Too large"), f"{LARGEST_BODY} bytes at most")
    if told is None and request.headers.get("transfer-encoding"):
        return problems.answer(request, (411, "需要长度", "Length required"), "send Content-Length")
    return None


def _full(request: Request) -> Response:
    return problems.of_error(request, Busy("too many calls at once", next_step="come again in a second"))


def _telling(scope: Scope, send: Send) -> Send:
    """The headers that every answer has; Stalled where nobody takes it."""

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, text in (scope.get(_HEADERS, {}) | _DEFAULTS).items():
                headers.setdefault(name, text)
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await send(message)
        except TimeoutError:
            raise Stalled from None

    return told


def _heard(receive: Receive) -> Receive:
    """Whoever begins a body and does not go on is taken for gone."""
    whole = False

    async def heard() -> Message:
        nonlocal whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        whole = not message.get("more_body", False)
        return message

    return heard


class Counted:
    """Counts answers by door and status, as they begin. A failure that nobody foresaw is 500, and goes no further: the
    server would log its own words, which may quote a value. An answer that had begun is left unfinished, and the server
    closes the connection."""

    def __init__(self, app: ASGIApp, answered: Metric) -> None:
        self.app, self.answered = app, answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def counting(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                self._count(scope, message["status"])
            await send(message)

        try:
            await self.app(scope, receive, counting)
        except Exception as error:
            failed = problems.of_failure(Request(scope), error)
            if not begun:
                await failed(scope, receive, counting)

    def _count(self, scope: Scope, status: int) -> None:
        self.answered.labels(getattr(scope.get("route"), "path", "none"), status).inc()
