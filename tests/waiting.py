"""Waiting for what another thread, process or server brings about."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(there: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether it came to be there within the seconds."""
    end = time.monotonic() + seconds
    while not there() and time.monotonic() < end:
        time.sleep(0.01)
    return there()
