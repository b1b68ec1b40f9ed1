"""Two threads of one stage: order, errors, and an early end."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import NoReturn

import pytest

from lake.ahead import abreast, ahead


def test_items_come_in_order_and_are_made_in_another_thread() -> None:
    made_by = set()

    def items() -> Iterator[int]:
        for number in range(100):
            made_by.add(threading.get_ident())
            yield number

    assert list(ahead(items())) == list(range(100))
    assert len(made_by) == 1 and threading.get_ident() not in made_by


def test_the_next_item_is_made_while_the_one_before_is_in_use() -> None:
    second = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    for number in ahead(items()):
        assert second.wait(timeout=60), f"nothing was made while {number} was in use"


def test_no_more_is_made_than_three_ahead_of_what_was_taken() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    for number in ahead(items()):
        assert len(made) <= number + 4


def test_what_is_raised_there_is_raised_here_after_what_came_before() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    taken = []
    with pytest.raises(ZeroDivisionError):
        for number in ahead(items()):
            taken.append(number)
    assert taken == [1]


class _Unreadable:
    def __iter__(self) -> NoReturn:
        raise ZeroDivisionError


class _Unclosable:
    """Whose closing raises; and whose items do before, if there is an `error`."""

    def __init__(self, error: BaseException | None = None) -> None:
        self._items, self._error = iter([1, 2]), error

    def __iter__(self) -> _Unclosable:
        return self

    def __next__(self) -> int:
        if self._error is not None:
            raise self._error
        return next(self._items)

    def close(self) -> NoReturn:
        raise ZeroDivisionError


def _raised(items: Iterable[int]) -> BaseException | None:
    """By the taking of all items, for which nobody here waits for ever."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(list, ahead(items)).exception(timeout=60)
    finally:
        pool.shutdown(wait=False)


@pytest.mark.parametrize("kind", [_Unreadable, _Unclosable])
def test_a_source_that_cannot_be_begun_or_closed_is_no_wait_for_ever(kind: type[Iterable[int]]) -> None:
    assert isinstance(_raised(kind()), ZeroDivisionError)


def test_of_a_source_that_breaks_and_cannot_be_closed_the_first_error_is_told() -> None:
    error = KeyError("first")
    assert _raised(_Unclosable(error)) is error


def test_who_stops_early_is_not_told_of_a_source_that_cannot_be_closed() -> None:
    with closing(ahead(_Unclosable())) as numbers:
        assert next(numbers) == 1
    assert "ahead" not in {thread.name for thread in threading.enumerate()}


def test_who_stops_early_leaves_no_thread_and_the_source_closed() -> None:
    closed_by = []

    def items() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed_by.append(threading.current_thread().name)

    with closing(ahead(items())) as numbers:
        assert next(numbers) == 0
    assert closed_by == ["ahead"]
    assert "ahead" not in {thread.name for thread in threading.enumerate()}


def test_what_is_made_abreast_comes_in_order_and_at_one_time() -> None:
    both = threading.Barrier(2)

    def made(number: int) -> int:
        both.wait(timeout=60)
        return number * number

    assert list(abreast(made, range(10), 2)) == [number * number for number in range(10)]


def test_no_more_is_made_abreast_than_there_are_threads() -> None:
    begun: list[int] = []
    for number, _ in enumerate(abreast(begun.append, range(50), 3)):
        assert len(begun) <= number + 3


def test_what_is_raised_abreast_is_raised_here_and_the_rest_is_not_begun() -> None:
    begun: list[int] = []

    def made(number: int) -> int:
        begun.append(number)
        return 1 // (number - 1)

    taken = []
    with pytest.raises(ZeroDivisionError):
        for found in abreast(made, range(50), 2):
            taken.append(found)
    assert taken == [-1] and len(begun) <= 4


def test_nobody_is_left_at_work_where_taking_ends_early() -> None:
    several = abreast(str, range(50), 2)
    assert next(several) == "0"
    several.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("abreast")]
