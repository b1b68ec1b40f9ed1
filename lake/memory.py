"""Freed memory goes back to the system: where one piece of work is over and the next allocates in another way.

Arrow's pool and the C library keep what was freed for whoever asks next, in the sizes in which it was asked for. DuckDB
asks in its own, so that a process holds both.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

import pyarrow as pa


def give_back() -> None:
    """What is freed and kept by Arrow's default pool and by glibc is the system's again; another C library keeps it."""
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
