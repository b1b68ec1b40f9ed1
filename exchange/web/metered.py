"""What Prometheus is told: answers by door and status, and how many calls are under way.

Where several workers serve (`PROMETHEUS_MULTIPROC_DIR` is set then, before this is loaded) each keeps its numbers in
files there, and whichever is asked tells the numbers of all: counts of a worker that died stay, what it had under way
does not.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder."""


class Metered:
    """The metrics of one exchange."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.answered = Counter(
            "xuanwu_exchange_answers",
            "Answers by door and status",
            ["door", "status"],
            registry=self._registry,
        )
        self._now = Gauge(
            "xuanwu_exchange_under_way",
            "Calls that are being answered",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._most = Gauge(
            "xuanwu_exchange_under_way_most",
            "The most there have been at one time, in one worker",
            multiprocess_mode="livemax",
            registry=self._registry,
        )

    def crowd(self, now: int, most: int) -> None:
        """So many calls are under way now, and were at most."""
        self._now.set(now)
        self._most.set(most)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        if FOLDER not in os.environ:
            return generate_latest(self._registry)
        _bury(Path(os.environ[FOLDER]))
        every = CollectorRegistry()
        MultiProcessCollector(every)
        return generate_latest(every)


def _bury(folder: Path) -> None:
    """Forget what workers that died had under way."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)
