"""Callers whom nobody knows, in the audit log: one entry a minute and reason, with how many there were.

The first of a reason is written at once, those that follow within a minute together: a flood of made-up tokens makes
a line a minute and reason, and no more. Entries name no address and nothing that a caller wrote; who a token had stood
for is named where it was proved (an expired one's, a revoked one's). What was not written yet is lost with a process
that is killed: a minute's counts, never that there were any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from lake.auditlog import AuditLog
from schemas.errors import XuanwuError

EVERY: Final = timedelta(minutes=1)
NAMES: Final = 20
ADDRESSES: Final = 1_000
"""How many names are told, and how many addresses are told apart."""


@dataclass
class _Tally:
    since: datetime
    doors: Counter[str] = field(default_factory=Counter)
    names: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)

    def add(self, other: _Tally) -> None:
        self.since = min(self.since, other.since)
        self.doors += other.doors
        self.names = set(sorted(self.names | other.names)[:NAMES])
        self.addresses = set(sorted(self.addresses | other.addresses)[:ADDRESSES])


class Refusals:
    """Those of one process. Safe where several threads note at once."""

    def __init__(self, log: AuditLog, clock: Callable[[], datetime]) -> None:
        self._log, self._clock = log, clock
        self._open: dict[str, _Tally] = {}
        self._written: dict[str, datetime] = {}
        self._lock = Lock()

    def note(self, reason: str, door: str, *, who: str = "", address: str = "") -> None:
        """Count one. `reason` is a word of ours, never a caller's."""
        now = self._clock()
        found = _Tally(now, Counter([door]), {who} - {""}, {address} - {""})
        with self._lock:
            self._take_in(reason, found)
            last = self._written.get(reason)
            if last is not None and now - last < EVERY:
                return
            self._written[reason] = now
        self._write([reason])

    def flush(self, *, all_of_it: bool = False) -> None:
        """Write what was counted a minute ago or longer, or all of it, before the process ends."""
        now = self._clock()
        with self._lock:
            due = [each for each in self._open if all_of_it or now - self._written[each] >= EVERY]
            self._written |= dict.fromkeys(due, now)
        self._write(due)

    def _take_in(self, reason: str, found: _Tally) -> None:
        if reason in self._open:
            self._open[reason].add(found)
        else:
            self._open[reason] = found

    def _write(self, reasons: list[str]) -> None:
        """Where the log cannot be written the counts are kept for the next time: nothing has left."""
        for reason in reasons:
            with self._lock:
                found = self._open.pop(reason, None)
            if found is None:
                continue
            try:
                self._log.append(_entry(reason, found))
            except XuanwuError:
                with self._lock:
                    self._take_in(reason, found)


def _entry(reason: str, found: _Tally) -> dict[str, object]:
    return {
        "action": "authenticate",
        "phase": "refused",
        "reason": reason,
        "count": found.doors.total(),
        "doors": dict(sorted(found.doors.items())),
        "names": sorted(found.names),
        "addresses": len(found.addresses),
        "since": found.since.isoformat(timespec="seconds"),
    }
