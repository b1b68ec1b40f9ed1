"""The scan that other tests look for leaks with."""

from __future__ import annotations

import pytest

from tests.leaks import among

VALUES = {"20210715", "2021-07-15", "13900000001", "张三李四"}


@pytest.mark.parametrize("value", sorted(VALUES))
@pytest.mark.parametrize("around", ['{"x": "%s"}', "%s", "x=%s/", "id%s", "\0\0\0\b%s\x0b\0\0\0"])
def test_a_value_is_found_wherever_it_stands(value: str, around: str) -> None:
    assert among(VALUES, (around % value).encode()) == {value}


@pytest.mark.parametrize("text", ["4832021071598012345", "d8a4c20210715f3c", f"{'0' * 20}20210715{'f' * 36}"])
def test_digits_within_a_snapshot_s_id_or_a_digest_are_no_value(text: str) -> None:
    assert among(VALUES, text.encode()) == set()


def test_a_number_too_long_for_chance_is_found_there_too() -> None:
    assert among(VALUES, f"{'0' * 20}13900000001{'f' * 33} 8613900000001".encode()) == {"13900000001"}


def test_a_value_beside_such_an_id_is_found_all_the_same() -> None:
    assert among(VALUES, b"4832021071598012345 20210715") == {"20210715"}
