"""Freed memory is the system's again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from lake.memory import give_back

MIB = 1 << 20


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_what_was_freed_is_given_back() -> None:
    give_back()
    before = resident()
    small = [pa.array(np.full(2000, number, np.int64)).cast(pa.int32()) for number in range(20_000)]
    objects = [bytes(3000) for _ in range(20_000)]
    assert resident() > before + 150 * MIB
    del small, objects
    give_back()
    assert resident() < before + 60 * MIB
