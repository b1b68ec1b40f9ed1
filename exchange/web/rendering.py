"""Pages for people, of templates: they hold no script, load nothing, and are framed by nobody."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from exchange.errors import ExchangeError, Forbidden, NotThere, Unfit
from exchange.web.problems import TITLES


@cache
def _templates() -> Environment:
    folder = Path(__file__).with_name("templates")
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(name: str, status: int = 200, sends: str = "", **facts: Any) -> HTMLResponse:
    """A page. `sends` is another origin that its forms may lead to."""
    nonce = secrets.token_urlsafe(16)
    text = _templates().get_template(f"{name}.html.j2").render(nonce=nonce, **facts)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self' {sends}".rstrip()
        + "; frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(text, status, headers)


class Page(APIRoute):
    """A route for people: what is refused there is told on a page, and not in the form for programs."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await inner(request)
            except (NotThere, Forbidden, Unfit) as error:
                return page("refused", status_of(error), said=told(error))
            except RequestValidationError:
                return page("refused", 422, said="请求不合规 the form or the address is malformed")

        return handled


def status_of(error: ExchangeError) -> int:
    """The HTTP status of a refusal."""
    return next(TITLES[kind][0] for kind in type(error).__mro__ if kind in TITLES)


def told(error: ExchangeError) -> str:
    """A refusal in words: its kind in Chinese, and the whole of it in English."""
    zh = next(TITLES[kind][1] for kind in type(error).__mro__ if kind in TITLES)
    more = (f"expected {error.expected}" if error.expected else "", str(error.next_step or ""))
    return "; ".join(filter(None, (f"{zh} {error.message}", *more)))


def to(place: str) -> RedirectResponse:
    """To another page, by GET."""
    return RedirectResponse(place, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
