"""Serving the exchange: one process, or several workers on one port.

Workers share the databases, the lake and the audit log, in which processes take turns; each has rates and bounds of its
own. What is done once, the parent does: settings are judged and the database is brought up to date before the first
worker starts, and tables of ended grants are swept.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn import Config

    from exchange.web.house import House
    from pipelines.context import Context

HEALTH_SECONDS: Final = 60
"""A worker that says nothing for so long is put in another's place: loading the libraries keeps it silent at first."""


@dataclass(frozen=True)
class Serving:
    """What is served, and how: `per_minute` and `at_once` are of each worker (`exchange.web.house`)."""

    host: str
    port: int
    per_minute: int
    at_once: int
    url: str
    workers: int = 1


def serve(asked: Serving) -> None:
    """Serve until a signal ends it. SettingsError before anything listens."""
    ctx, house = _opened(asked)
    with house.desk.state.begin():
        pass  # its form is brought up to date here, by nobody else
    from pipelines.publishing.granting import sweeping

    threading.Thread(target=sweeping, args=(ctx,), name="sweeping", daemon=True).start()
    if asked.workers == 1:
        _one(asked, house)
    else:
        _several(asked)


def _opened(asked: Serving) -> tuple[Context, House]:
    from exchange.desk import Desk
    from exchange.oidc.issuer import open_issuer
    from exchange.state import State
    from exchange.web.house import House
    from pipelines.context import open_context
    from pipelines.proof.certifying import open_log
    from pipelines.publishing.granting import taking_away

    ctx = open_context()
    log = open_log(ctx)[0]
    desk = Desk(State(ctx.settings, kept=True), ctx.catalogue, log, ctx.clock, taking_away(ctx))
    issuer = open_issuer(ctx.settings, ctx.catalogue.departments, ctx.clock)
    return ctx, House(desk, ctx.tables, asked.per_minute, asked.url, issuer, asked.at_once)


def _one(asked: Serving, house: House) -> None:
    from uvicorn import Server

    from exchange.web.app import make_app

    Server(_config(asked, make_app(house))).run()


def _several(asked: Serving) -> None:
    """Workers on one socket; one that dies is replaced."""
    from uvicorn.supervisors import Multiprocess

    from exchange.web.metered import FOLDER

    with ExitStack() as stack:
        os.environ[FOLDER] = stack.enter_context(TemporaryDirectory(prefix="xuanwu-metrics-"))
        config = _config(asked, partial(worker, asked), factory=True, workers=asked.workers)
        config.timeout_worker_healthcheck = HEALTH_SECONDS
        socket = config.bind_socket()
        stack.callback(socket.close)
        Multiprocess(config, [socket]).run()


def _config(asked: Serving, app: Any, **more: Any) -> Config:
    from uvicorn import Config

    from pipelines.heads import Headed

    return Config(
        app,
        http=Headed,
        host=asked.host,
        port=asked.port,
        server_header=False,
        log_level="warning",
        timeout_keep_alive=15,
        **more,
    )


def worker(asked: Serving) -> FastAPI:
    """The application of one worker, which ends with its parent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()
    from exchange.web.app import make_app

    return make_app(_opened(asked)[1])


def _end_with(parent: Any) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
