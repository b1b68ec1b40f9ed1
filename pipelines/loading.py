"""Great Expectations is imported while a source is waited for: it takes seconds of Python, which collection, being the
work of a database and of Arrow, leaves to others.

A check imports what it needs itself, and waits where that is being imported still.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Final

from schemas.model import Engine

CHECKS: Final[dict[Engine, str]] = {"local": "expectations.run", "spark": "expectations.spark"}
MOMENT: Final = 0.2
"""Seconds after which a collection is worth it: where there is nothing new it is over sooner, and so is the batch."""


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
