"""What every contender is given, and how it tells what it did. Needs nothing but Python."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

STARTED = float(os.environ.get("BENCH_STARTED") or time.time())
"""When whoever measures started this process: what starting Python and importing took is counted."""


def job() -> dict[str, Any]:
    """The job named by the first argument: what to read, where to write, the tokens' keys."""
    return dict(json.loads(Path(sys.argv[1]).read_text()))


class Marks:
    """Seconds of each phase, in order, and processor seconds of this process; the first is everything before this."""

    def __init__(self, first: str = "start and import") -> None:
        self._last, self._spent = STARTED, 0.0
        self.seconds: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self.done(first)

    def done(self, phase: str) -> None:
        """The phase that ends now."""
        now, spent = time.time(), time.process_time()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last
        self.cpu[phase] = self.cpu.get(phase, 0.0) + spent - self._spent
        self._last, self._spent = now, spent

    def report(self, **more: Any) -> None:
        """The last line of output."""
        print(json.dumps({"phases": self.seconds, "cpu": self.cpu, **more}), flush=True)
