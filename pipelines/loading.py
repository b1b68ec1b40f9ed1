"""Great Expectations is imported while a source is waited for: it takes seconds of Python, which collection, being the
work of a database and of Arrow, leaves to others.

A check imports what it needs itself, and waits where that is being imported still.

What is imported are half a million objects that stay until the end. Python's collector, at its usual thresholds, goes
through them again and again while they become more, and once more when the process ends: a quarter of the processor's
time of importing.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # `xuanwu --help` loads this module
    from schemas.model import Engine

CHECKS: Final[dict[Engine, str]] = {"local": "expectations.run", "spark": "expectations.spark"}
MOMENT: Final = 0.2
"""Seconds after which a collection is worth it: where there is nothing new it is over sooner, and so is the batch."""

SELDOM: Final = (20_000, 20, 20)
"""Objects made, and younger collections, after which the collector looks: Python's own are 700, 10 and 10."""


def seldom_collected() -> None:
    """For a process of ours, at its start and before NumPy and Arrow are imported: the collector looks seldom, and does
    not go through everything at the end, when the system takes all memory back anyway. From Python 3.14 on it does:
    DuckDB 1 aborts a process whose interpreter ends before DuckDB's module is taken down (duckdb-python, pull request
    601). OpenBLAS, NumPy's and SciPy's, starts no threads, which spin at their start, for matrices that nobody has.
    Arrow's allocator keeps what is freed for a second, not for a hundredth of one: the next batch asks for as much,
    and each page that the system gives is cleared first. Between two stages it gives all back (`lake.memory`)."""
    gc.set_threshold(*SELDOM)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", "1000")  # milliseconds
    if sys.version_info < (3, 14):
        atexit.register(gc.freeze)


@contextmanager
def meanwhile(module: str, moment: float = MOMENT) -> Iterator[None]:
    """The module is imported in another thread if this block takes longer than a moment. Nobody waits for it here; why
    it cannot be imported is told to whoever imports it again."""
    over = threading.Event()

    def load() -> None:
        if not over.wait(moment):
            with suppress(Exception):
                import_module(module)

    if module not in sys.modules:
        threading.Thread(target=load, name="loading").start()
    try:
        yield
    finally:
        over.set()
