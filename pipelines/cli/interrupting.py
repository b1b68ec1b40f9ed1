"""Ctrl-C (SIGINT): a command ends within seconds, says where it stopped and how it goes on, with exit code 130.

The lake is made for kills, so what is interrupted is not unwound, it ends. As a KeyboardInterrupt it would come out of
whatever C++ the main thread is in: ADBC's own handler waits for a statement that waits for it, DuckDB and Arrow raise
errors of theirs, and threads that outlive the interpreter crash. So the signal is blocked in every thread, and threads
that do nothing else wait for it: handlers that libraries set are never called.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from lake.batch import Batch
    from lake.records import Stage
    from pipelines.context import Context

CODE: Final = 128 + signal.SIGINT
LIMIT: Final = 3.0
"""Seconds that writing into the ledger may take: without it too, a process that has ended is seen."""
OTHERWISE: Final = frozenset({"serve", "account"})
"""Commands that Python's own way suits better: a server ends its calls first, and a password's prompt must give the
terminal its echo back."""
AGAIN: Final = "已中断 interrupted; 请重新执行同一命令 give the same command again"
_CLEARED: Final = "\r\x1b[2K\x1b[?25h"
"""A terminal's line of progress is removed, and its cursor shown again."""


@dataclass
class Going:
    """A batch under way, with the stage that it is at or comes to next, and the datasets that are to follow it."""

    ctx: Context
    batch: Batch
    stage: Stage
    then: tuple[str, ...] = ()


_going: list[Going] = []
_first: Final = threading.Lock()


@contextmanager
def going(ctx: Context, batch: Batch, stage: Stage, then: tuple[str, ...] = ()) -> Iterator[Going]:
    """Within the block an interruption stops this batch."""
    one = Going(ctx, batch, stage, then)
    _going.append(one)
    try:
        yield one
    finally:
        _going.remove(one)


def watch() -> None:
    """From here on SIGINT ends the process, and a second one at once. To be called before any other thread begins,
    since threads inherit what is blocked. A process told to ignore it, as by `nohup`, still does."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    for _ in ("the first signal", "the second"):
        threading.Thread(target=_wait, name="interruption", daemon=True).start()


def _wait() -> None:
    """Wait for one signal. The ledger may be slow to reach: then the process ends without having written there."""
    signal.sigwait({signal.SIGINT})
    if not _first.acquire(blocking=False):
        os._exit(CODE)
    stopped = list(_going)
    if stopped:
        limit = threading.Timer(LIMIT, _end, (stopped,))
        limit.daemon = True
        limit.start()
    for one in stopped:
        with suppress(Exception):
            _leave(one)
    _end(stopped)


def _leave(one: Going) -> None:
    from pipelines.resuming import leave

    leave(one.ctx, one.batch, one.stage)


def _end(stopped: list[Going]) -> None:
    try:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        cleared = _CLEARED if sys.stderr.isatty() else ""
        for line in map(_said, stopped) if stopped else (AGAIN,):
            typer.echo(cleared + line, err=True)
    finally:
        os._exit(CODE)


def _said(one: Going) -> str:
    waiting = f"; 尚未开始 not begun: {' '.join(one.then)}" if one.then else ""
    return (
        f"已中断 interrupted: {one.batch.dataset} {one.batch.id}; 未完成的不计入 nothing half-done counts;"
        f" 续跑 go on: xuanwu resume {one.batch.dataset}{waiting}"
    )
