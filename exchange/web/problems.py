"""Errors as problem+json (RFC 9457), in Chinese and English, and never with a value or a traceback."""

from __future__ import annotations

import logging
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from exchange.errors import Busy, ExchangeError, Forbidden, NotThere, Unauthenticated, Unfit
from schemas.errors import XuanwuError

log = logging.getLogger(__name__)

Titles = tuple[int, str, str]
TITLES: Final[dict[type[XuanwuError], Titles]] = {
    Unauthenticated: (401, "未通过身份认证", "Unauthenticated"),
    Forbidden: (403, "没有权限", "Forbidden"),
    NotThere: (404, "没有这个资源", "Not found"),
    Unfit: (422, "请求不合规", "Unprocessable request"),
    Busy: (503, "暂时无法处理", "Busy"),
}
_OTHER: Final[Titles] = (500, "内部错误", "Internal error")


def problem(titles: Titles, detail: str = "", **more: str) -> JSONResponse:
    """One problem. `detail` is a message of ours."""
    status, zh, en = titles
    body = {"type": "about:blank", "title": en, "title_zh": zh, "status": status, "detail": detail, **more}
    headers = {"WWW-Authenticate": 'Bearer realm="xuanwu"'} if status == 401 else {}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def of_error(error: XuanwuError) -> JSONResponse:
    """A refusal of ours. An error that is no refusal is told to the log, and to the caller only that there was one."""
    titles = next((TITLES[kind] for kind in type(error).__mro__ if kind in TITLES), None)
    if titles is None:
        log.error("the exchange failed: %s", type(error).__name__)
        return problem(_OTHER, "the exchange failed; the operator's log says more")
    detail = error.message if isinstance(error, ExchangeError) else ""
    more = {"expected": error.expected, "next_step": error.next_step, "rule": error.place.get("rule")}
    return problem(titles, detail, **{name: str(text) for name, text in more.items() if text})


def install(app: FastAPI) -> None:
    """Every error that leaves the app is a problem."""

    @app.exception_handler(XuanwuError)
    def ours(_: Request, error: XuanwuError) -> JSONResponse:
        return of_error(error)

    @app.exception_handler(RequestValidationError)
    def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        places = sorted({".".join(map(str, each["loc"])) for each in error.errors()})
        return problem(TITLES[Unfit], f"malformed: {', '.join(places)[:500]}")

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        titles = {404: ("没有这个资源", "Not found"), 405: ("不支持的方法", "Method not allowed")}
        zh, en = titles.get(error.status_code, ("请求被拒绝", "Refused"))
        return problem((error.status_code, zh, en))

    @app.exception_handler(Exception)
    def unforeseen(_: Request, error: Exception) -> JSONResponse:
        log.error("the exchange failed: %s", type(error).__name__)
        return problem(_OTHER, "the exchange failed; the operator's log says more")
