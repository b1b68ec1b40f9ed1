"""The application: routers, problems, bounds, health and metrics. Nothing in it loads anything from another host."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint

from exchange.errors import Unfit
from exchange.web import problems, requests, tables
from exchange.web.house import Caller, House, TooMany
from lake.version import code_version
from schemas.errors import XuanwuError

LARGEST_BODY: Final = 64 * 1024
"""Bytes of a request's body: all that is sent to us are a few texts."""
DESCRIPTION: Final = """数据共享交换平台 The exchange of the city's government data: what is shared and with whom,
share requests (Decree 809), and the tables' rows. Send `Authorization: Bearer xw_…`; `xuanwu token create`
gives a token."""


def make_app(house: House) -> FastAPI:
    """The application of one exchange."""
    app = FastAPI(
        title="玄武数据共享交换 Xuanwu exchange",
        version=code_version(),
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's pages load scripts from other hosts (law 8)
        redoc_url=None,
    )
    app.state.house = house
    problems.install(app)
    app.include_router(tables.router)
    app.include_router(requests.router)
    _own_routes(app, house)
    app.add_middleware(BaseHTTPMiddleware, dispatch=_bounded)
    return app


def _own_routes(app: FastAPI, house: House) -> None:
    registry = CollectorRegistry()
    answered = Counter(
        "xuanwu_exchange_answers", "Answers by door and status", ["door", "status"], registry=registry
    )

    @app.middleware("http")
    async def counted(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        route = request.scope.get("route")
        answered.labels(getattr(route, "path", "none"), response.status_code).inc()
        return response

    @app.exception_handler(TooMany)
    def too_many(_: Request, error: TooMany) -> JSONResponse:
        answer = problems.problem((429, "请求过于频繁", "Too many requests"), error.message)
        answer.headers["Retry-After"] = str(error.after)
        return answer

    @app.get("/health", tags=["运行 running"], summary="健康 Whether its database and its lake answer")
    def health() -> JSONResponse:
        try:
            with house.desk.state.begin():
                house.tables.identifiers("share")
        except XuanwuError as error:
            return problems.of_error(error)
        return JSONResponse({"status": "ok", "version": code_version()})

    @app.get("/metrics", tags=["运行 running"], summary="指标 Prometheus", response_class=PlainTextResponse)
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/api/v1/me", tags=["身份 identity"], summary="我是谁 Who the token stands for")
    def me(caller: Caller) -> dict[str, Any]:
        person = caller.principal
        return {
            "name": person.name,
            "department": person.department,
            "roles": sorted(person.roles),
            "scopes": sorted(caller.scopes),
        }


async def _bounded(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """A body beyond the bound is refused before it is read, whether it tells its length or not."""
    told = request.headers.get("content-length")
    if told is not None and (not told.isdigit() or int(told) > LARGEST_BODY):
        return problems.of_error(Unfit("the body is too large", expected=f"{LARGEST_BODY} bytes at most"))
    if told is None and request.headers.get("transfer-encoding"):
        return problems.problem((411, "需要长度", "Length required"), "send Content-Length")
    response = await call_next(request)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cache-Control", "no-store")
    return response
