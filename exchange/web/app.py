"""The application: routers, problems, bounds, health and metrics. Nothing in it loads anything from another host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Path, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool

from exchange.errors import NotThere
from exchange.refusals import EVERY, Refusals
from exchange.web import (
    applications,
    asking,
    deliveries,
    delivering,
    delta,
    files,
    handling,
    iceberg,
    incidents,
    notices,
    objections,
    pages,
    problems,
    requests,
    risks,
    tables,
    tokens,
    usage,
    workspace,
)
from exchange.web.bounds import Bounded, Counted, TooMany
from exchange.web.house import Caller, House, host_of
from exchange.web.logged_in import LoggedOut
from exchange.web.metered import Metered
from exchange.web.shapes import door_of
from lake import store
from lake.auditlog import HEAD
from lake.signing import KEYS
from lake.version import code_version
from schemas.errors import XuanwuError

DESCRIPTION: Final = """数据共享交换平台 The exchange of the city's government data: what is shared and with whom,
share requests and objections (Decree 809), what is opened on conditions, and the tables' rows. Send
`Authorization: Bearer …`: a personal token (`/account` and `xuanwu token create` give one), or an access token of the
city's identity provider."""


def make_app(house: House) -> FastAPI:
    """The application of one exchange."""
    app = FastAPI(
        title="玄武数据共享交换 Xuanwu exchange",
        version=code_version(),
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's pages load scripts from other hosts (law 8)
        redoc_url=None,
        lifespan=_telling,
    )
    app.state.house = house
    problems.install(app)
    app.include_router(tables.router)
    app.include_router(requests.router)
    app.include_router(objections.router)
    app.include_router(applications.router)
    app.include_router(notices.router)
    app.include_router(deliveries.router)
    app.include_router(delta.router)
    app.include_router(iceberg.router)
    app.include_router(files.router)
    app.include_router(usage.router)
    app.include_router(risks.router)
    app.include_router(incidents.router)
    app.include_router(tokens.router)
    app.include_router(pages.router)
    app.include_router(workspace.router)
    app.include_router(asking.router)
    app.include_router(handling.router)
    app.include_router(delivering.router)
    _own_routes(app, house)
    _watched(app, house)
    return app


@asynccontextmanager
async def _telling(app: FastAPI) -> AsyncIterator[None]:
    """While it runs, and when it ends, refusals that were counted go to the audit log."""
    refusals: Refusals = app.state.house.refusals

    async def every_minute() -> None:
        while True:
            await asyncio.sleep(EVERY.total_seconds())
            await run_in_threadpool(refusals.flush)

    task = asyncio.create_task(every_minute())
    try:
        yield
    finally:
        task.cancel()
        await run_in_threadpool(refusals.flush, all_of_it=True)


def _own_routes(app: FastAPI, house: House) -> None:
    @app.exception_handler(TooMany)
    def too_many(request: Request, error: TooMany) -> Response:
        door = door_of(request.url.path)
        house.refusals.note("rate", door, who=error.who, address=host_of(request))
        found = problems.answer(
            request, (429, "请求过于频繁", "Too many requests"), error.message, next_step=str(error.next_step)
        )
        found.headers["Retry-After"] = str(error.after)
        return found

    @app.exception_handler(LoggedOut)
    def logged_out(request: Request, error: LoggedOut) -> Response:
        return pages.logged_out(request, house)

    @app.get(
        "/api/v1/keys/{key}",
        tags=["数据 data"],
        summary="公钥 A public key that certificates are signed with",
    )
    def key(key: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]) -> Response:
        uri = store.join(house.tables.root, KEYS, f"{key}.pem")
        if not store.exists(uri):
            raise NotThere("there is no such key")
        return Response(store.read_bytes(uri), media_type="application/x-pem-file")

    @app.get("/api/v1/me", tags=["身份 identity"], summary="我是谁 Who the token stands for")
    def me(caller: Caller) -> dict[str, Any]:
        person = caller.principal
        return {
            "name": person.name,
            "department": person.department,
            "roles": sorted(person.roles),
            "scopes": sorted(caller.scopes),
        }


def _watched(app: FastAPI, house: House) -> None:
    """Health and metrics, which answer whatever else there is to do: they wait for no thread that calls are in."""
    metered = Metered()
    house.crowd.changed = metered.crowd
    app.add_middleware(Bounded, crowd=house.crowd)
    app.add_middleware(Counted, answered=metered.answered)
    aside = CapacityLimiter(1)

    def found() -> None:
        with house.desk.state.begin():
            house.tables.identifiers("share")
        store.exists(store.join(house.desk.log.folder, HEAD))

    @app.get("/health", tags=["运行 running"], summary="健康 Whether its database and its lake answer")
    async def health(request: Request) -> Response:
        try:
            await to_thread.run_sync(found, limiter=aside)
        except XuanwuError as error:
            return problems.of_error(request, error)
        except OSError as error:
            return problems.of_store(request, error)
        return JSONResponse({"status": "ok", "version": code_version()})

    @app.get("/metrics", tags=["运行 running"], summary="指标 Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(metered.text(), media_type=CONTENT_TYPE_LATEST)
