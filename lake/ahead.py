"""Work in two threads, one a step ahead of the other: the next rows are made while those before are written.

Arrow, NumPy and DuckDB let go of Python's lock while they work, so that two processor cores share a stage; and no more
than two steps are in memory, however many there are. Sources that do not depend on one another are read abreast. Each
thread is given the context of who began it (`contextvars`).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from queue import Queue
from typing import Generic, TypeVar

from lake.closing import first_error

S = TypeVar("S")
T = TypeVar("T")
_HELD = 1


def abreast(make: Callable[[S], T], sources: Iterable[S], threads: int) -> Generator[T, None, None]:
    """What is made of each source, in their order, of so many at a time. No more of what is made is held than there are
    threads. What is raised in one is raised here; whoever stops early waits until those under way are made."""
    under_way: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads, "abreast") as pool:
        try:
            for source in sources:
                under_way.append(pool.submit(copy_context().run, make, source))
                if len(under_way) >= threads:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for each in under_way:
                each.cancel()


def ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """The items in their order, each made in a thread of its own while whoever takes them is at the one before. What is
    raised there is raised here. Whoever stops taking them early waits until the one under way is made and the source
    has been closed, in the thread in which it ran."""
    maker = _Maker(items)
    try:
        yield from maker
    finally:
        maker.stop()


class _Maker(Generic[T]):
    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self._made: Queue[tuple[T] | BaseException | None] = Queue(_HELD)
        self._stopped = threading.Event()
        within = copy_context()
        self._thread = threading.Thread(target=within.run, args=(self._make,), name="ahead", daemon=True)
        self._thread.start()

    def _make(self) -> None:
        """Whatever happens, the end is told: who takes the items would wait for it for ever."""
        last: BaseException | None = None
        try:
            self._give()
        except BaseException as error:
            last = error
        self._made.put(last)

    def _give(self) -> None:
        source = iter(self._items)
        with first_error(source):
            for item in source:
                self._made.put((item,))
                del item  # not held while the next one is made
                if self._stopped.is_set():
                    break

    def __iter__(self) -> Iterator[T]:
        while (made := self._made.get()) is not None:
            if isinstance(made, BaseException):
                raise made
            yield made[0]
            del made

    def stop(self) -> None:
        """Have the thread end, whatever it still has to give, or to raise."""
        self._stopped.set()
        while self._thread.is_alive():
            while not self._made.empty():
                self._made.get_nowait()
            self._thread.join(0.01)
