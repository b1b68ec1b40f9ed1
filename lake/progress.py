"""How far a piece of work has come: counted by whoever does it, looked at by whoever shows it.

The work says `with going("merge", rows): …` and, as rows pass, `passed(batch.num_rows)`, which adds one number and does
nothing else. A terminal or a log looks at it from a thread of its own, a few times a second or twice a minute
(`pipelines.console.showing`). Of works within one another the innermost is told, of works abreast the one that was
begun last. What passes counts for the work in which it was begun, in threads too that its context was given to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(eq=False)
class Work:
    """`total` is None where nobody knows it. `since` is of the monotonic clock."""

    what: str
    total: int | None = None
    unit: str = "rows"
    done: int = 0
    gauge: Callable[[], float] | None = None
    since: float = field(default_factory=time.monotonic)

    @property
    def reached(self) -> int:
        """What is done; where nothing was counted yet, what an engine's own gauge (a share, or less than 0) tells."""
        share = self.gauge() if self.gauge and not self.done and self.total else 0.0
        return round(max(share, 0.0) * (self.total or 0)) or self.done

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.since

    @property
    def rate(self) -> float:
        """Units in a second, so far."""
        return self.reached / max(self.seconds, 1e-9)

    @property
    def left(self) -> float | None:
        """Seconds that it will still take at this rate; None where that cannot be told."""
        if self.total is None or not (reached := self.reached):
            return None
        return max(self.total - reached, 0) * self.seconds / reached


_under_way: list[Work] = [Work("")]
_own: ContextVar[Work] = ContextVar("_own")
_counting = threading.Lock()


def _innermost() -> Work:
    """The work that whoever asks is at; in a thread that was told of none the one begun last."""
    own = _own.get(_under_way[-1])
    return own if own in _under_way else _under_way[-1]


def passed(count: int) -> None:
    """So many more are done of the innermost work, by whichever of its threads."""
    with _counting:
        _innermost().done += count


def expect(total: int) -> None:
    """The innermost work turns out to be so much in all."""
    _innermost().total = total


@contextmanager
def gauged(share: Callable[[], float]) -> Iterator[None]:
    """Within the block an engine tells which share of its query is done, for work that cannot count rows meanwhile."""
    work = _innermost()
    before, work.gauge = work.gauge, share
    try:
        yield
    finally:
        work.gauge = before


def now() -> Work | None:
    """The work begun last; None where there is none."""
    return _under_way[-1] if len(_under_way) > 1 else None


@contextmanager
def going(what: str, total: int | None = None, unit: str = "rows") -> Iterator[Work]:
    """The work that is under way from here to the end of the block."""
    work, outer = Work(what, total, unit), _innermost()
    _under_way.append(work)
    _own.set(work)
    try:
        yield work
    finally:
        _under_way.remove(work)
        if _own.get(None) is work:
            _own.set(outer)
