"""What is told of errors that are none of ours."""

from __future__ import annotations

from schemas.errors import unforeseen

CANARY = "320102199003070011"


def _broken(value: str) -> int:
    try:
        return int(value + "x")
    except ValueError as error:
        raise KeyError(value) from error


def test_an_unforeseen_error_is_told_by_kind_and_place_and_without_its_words() -> None:
    try:
        _broken(CANARY)
    except KeyError as error:
        told = unforeseen(error)
    assert "KeyError at " in told and "ValueError at " in told
    assert "test_errors._broken:" in told
    assert CANARY not in told and "\n" not in told


def test_an_error_that_came_of_itself_is_told_once() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert unforeseen(first).count("ValueError") == 2
