"""Errors as problem+json (RFC 9457), in Chinese and English, and never with a value or a traceback."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from exchange.errors import Busy, ExchangeError, Forbidden, NotThere, Unauthenticated, Unfit, Unplaced
from exchange.web.rendering import page
from exchange.web.shapes import door_of, is_page, shape_of
from lake import store
from schemas.errors import LakeError, XuanwuError, unforeseen

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
    return JSONResponse(body, status, media_type="application/problem+json")


def answer(request: Request, titles: Titles, detail: str = "", **more: str) -> Response:
    """The problem in the form of the door that was knocked at; to people a page."""
    shape, status = shape_of(request.url.path), titles[0]
    told = ". ".join(each for each in (detail or titles[2], more.get("next_step", "")) if each)
    if is_page(request.url.path):
        return page("refused", status, said=_in_words(titles, detail, more))
    found = shape(status, told) if shape else problem(titles, detail, **more)
    if status == 401:
        found.headers["WWW-Authenticate"] = 'Bearer realm="xuanwu"'
    return found


def of_error(request: Request, error: XuanwuError) -> Response:
    """A refusal of ours. An error that is no refusal is told to the log, and to the caller only that there was one; of
    the store's, that it may pass."""
    if isinstance(error, LakeError) and isinstance(error.__context__, OSError):
        return of_store(request, error.__context__)
    titles = _titles_of(error)
    if titles is None:
        return _failed(request, str(error))
    found = answer(request, titles, error.message if isinstance(error, ExchangeError) else "", **_more(error))
    if titles[0] == 503:
        found.headers["Retry-After"] = "1"
    return found


def _titles_of(error: XuanwuError) -> Titles | None:
    """None for an error that is no refusal."""
    return next((TITLES[kind] for kind in type(error).__mro__ if kind in TITLES), None)


def _more(error: XuanwuError) -> dict[str, str]:
    zh = error.zh if isinstance(error, ExchangeError) else ""
    more = {"detail_zh": zh, "expected": error.expected, "next_step": error.next_step}
    return {name: str(text) for name, text in (more | {"rule": error.place.get("rule")}).items() if text}


def status_of(error: ExchangeError) -> int:
    """The HTTP status of a refusal."""
    return (_titles_of(error) or _OTHER)[0]


def told(error: ExchangeError) -> str:
    """A refusal in words, Chinese first, for a page."""
    return _in_words(_titles_of(error) or _OTHER, error.message, _more(error))


def _in_words(titles: Titles, detail: str, more: Mapping[str, str]) -> str:
    zh = "：".join(filter(None, (titles[1], more.get("detail_zh"))))
    expected = f"expected {more['expected']}" if "expected" in more else ""
    return "; ".join(filter(None, (f"{zh}。 {detail or titles[2]}", expected, more.get("next_step"))))


def of_failure(request: Request, error: Exception) -> Response:
    """What nobody foresaw: the operator's log tells its kind and place, and no word of its own."""
    return _failed(request, unforeseen(error))


def _failed(request: Request, told: str) -> Response:
    log.error("the exchange failed: %s", told)
    return answer(request, _OTHER, "the exchange failed; the operator's log says more")


def of_store(request: Request, error: OSError) -> Response:
    """The disk or the object store does not do what was asked, which the operator's log tells, in our words."""
    log.error("the store fails: %s", store.refused(error).message)
    return of_error(
        request, Busy("存储暂无响应 the store does not answer", next_step="try again in a minute")
    )


def said_of_lake(error: LakeError | OSError) -> str:
    """That a part of a page cannot be shown, in words; the operator's log says why."""
    log.error("the lake fails: %s", error if isinstance(error, LakeError) else store.refused(error).message)
    return "数据暂时无法读取，请稍后再试 The data cannot be read now: try again in a while"


def install(app: FastAPI) -> None:
    """Every error that leaves the app is a problem."""

    @app.exception_handler(XuanwuError)
    def ours(request: Request, error: XuanwuError) -> Response:
        if isinstance(error, Unauthenticated | Unplaced):
            host = request.client.host if request.client else ""
            door = door_of(request.url.path)
            request.app.state.house.refusals.note(error.reason, door, who=error.who, address=host)
        return of_error(request, error)

    @app.exception_handler(OSError)
    def away(request: Request, error: OSError) -> Response:
        return of_store(request, error)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> Response:
        places = sorted({".".join(map(str, each["loc"])) for each in error.errors()})
        return answer(request, TITLES[Unfit], f"malformed: {', '.join(places)[:500]}")

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        titles = {404: ("没有这个资源", "Not found"), 405: ("不支持的方法", "Method not allowed")}
        zh, en = titles.get(error.status_code, ("请求被拒绝", "Refused"))
        return answer(request, (error.status_code, zh, en))
