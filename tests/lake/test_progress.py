"""Counting: of the innermost work, and never more than a number added."""

from __future__ import annotations

import threading

import pytest

from lake import progress
from lake.ahead import abreast, ahead
from lake.progress import Work


def test_what_passes_counts_for_the_innermost_work() -> None:
    assert progress.now() is None
    progress.passed(5)
    with progress.going("outer", 10) as outer:
        progress.passed(1)
        with progress.going("inner") as inner:
            progress.passed(2)
            progress.expect(7)
            assert progress.now() is inner
        progress.passed(1)
        assert progress.now() is outer
    assert (outer.done, inner.done, inner.total, progress.now()) == (2, 2, 7, None)


def test_work_that_fails_is_no_longer_under_way() -> None:
    with pytest.raises(ZeroDivisionError), progress.going("x"):
        raise ZeroDivisionError
    assert progress.now() is None


def test_works_of_generators_may_end_in_any_order() -> None:
    first, second = progress.going("first"), progress.going("second")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert (progress.now() or Work("")).what == "second"
    second.__exit__(None, None, None)
    assert progress.now() is None


def test_works_abreast_count_what_passes_in_their_own_threads() -> None:
    """In those too that a thread of theirs began; the work that was begun last is told."""
    begun = threading.Barrier(2)

    def work(name: str) -> Work:
        with progress.going(name) as own:
            begun.wait(timeout=60)
            for count in ahead(iter([1, 2])):
                progress.passed(count)
            progress.expect(len(name))
            list(ahead(progress.passed(10) or each for each in "ab"))
            assert progress.now() is not None
            begun.wait(timeout=60)
        return own

    with progress.going("outer") as outer:
        found = list(abreast(work, ("one", "other"), 2))
        assert progress.now() is outer
    assert [(each.what, each.done, each.total) for each in found] == [("one", 23, 3), ("other", 23, 5)]
    assert outer.done == 0


def test_an_engines_gauge_is_asked_until_rows_are_counted() -> None:
    with progress.going("merge", 200) as work:
        with progress.gauged(lambda: 0.25):
            assert work.reached == 50
            progress.passed(60)
            assert work.reached == 60
        assert work.gauge is None
    unknown = Work("merge", 200, gauge=lambda: -1.0)
    assert (unknown.reached, unknown.left) == (0, None)


def test_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.time, "monotonic", lambda: 110.0)
    work = Work("merge", 400, done=100, since=100.0)
    assert (work.seconds, work.rate, work.left) == (10.0, 10.0, 30.0)
    assert Work("merge", None, done=100, since=100.0).left is None
    assert Work("merge", 100, done=150, since=100.0).left == 0
