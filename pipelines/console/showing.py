"""What a person sees of work under way (`lake.progress`): on a terminal rows, rate and time left, in Airflow a line of
the task's log now and then. Work that takes less than a second shows nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from lake import progress
from lake.progress import Work

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_AFTER: Final = 1.0
LOOKS: Final = 0.25
LOGGED_EVERY: Final = 30.0

log = logging.getLogger(__name__)


def told(work: Work) -> str:
    """`merge  1,200,000 of 2,000,000 rows  60%  400,000/s  2 s left`, as far as it is known."""
    done = work.reached
    if not done:
        return f"{work.what}  {_time(work.seconds)}"
    words = [work.what, f"{done:,} {work.unit}", f"{work.rate:,.0f}/s"]
    if work.total:
        words[1:2] = [f"{done:,} of {work.total:,} {work.unit}", f"{min(done / work.total, 1):.0%}"]
    if work.left is not None:
        words.append(f"{_time(work.left)} left 剩余")
    return "  ".join(words)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}:{minutes:02}:{rest:02} h"
        if hours
        else f"{minutes}:{rest:02} min"
        if minutes
        else f"{rest} s"
    )


@contextmanager
def shown(console: Console | None = None) -> Iterator[None]:
    """Work within the block is shown on the terminal, on standard error; nothing where that is none."""
    from rich.console import Console as Terminal

    terminal = console or Terminal(stderr=True)
    if not terminal.is_terminal:
        yield
        return
    from rich.live import Live
    from rich.text import Text

    with Live(console=terminal, transient=True, auto_refresh=False) as live:

        def look() -> None:
            work = progress.now()
            line = told(work) if work and work.seconds >= SHOWN_AFTER else ""
            live.update(Text(line, no_wrap=True), refresh=True)

        with _looking(look, LOOKS):
            yield


@contextmanager
def logged(every: float = LOGGED_EVERY) -> Iterator[None]:
    """Work within the block is logged, a line every so many seconds at most."""

    def look() -> None:
        if work := progress.now():
            log.info("%s", told(work))

    with _looking(look, every):
        yield


@contextmanager
def _looking(look: Callable[[], None], every: float) -> Iterator[None]:
    """Calls `look` from a thread of its own until the block ends."""
    ended = Event()

    def watch() -> None:
        while not ended.wait(every):
            look()

    thread = Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
