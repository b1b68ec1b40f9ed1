"""Casts of columns that already have a type, and of every layout that Arrow may hand over."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from pipelines.casting.casts import cast
from tests.pipelines.casting.making import FAILS, field, result

D = Decimal
BROKEN = pa.Array.from_buffers(pa.string(), 2, pa.array([b"ok", b"\xff\xfe"]).buffers())


@pytest.mark.parametrize(
    ("column", "kind", "expected"),
    [
        (pa.array([1, 2**63, None], pa.uint64()), "integer", [1, FAILS, None]),
        (
            pa.array([1.0, 1.5, float("nan"), 2.0**63, -(2.0**63), None]),
            "integer",
            [1, FAILS, FAILS, FAILS, FAILS, None],
        ),
        (pa.array([D("2.00"), D("2.50")]), "integer", [2, FAILS]),
        (pa.array([True, False]), "integer", [1, 0]),
        (pa.array([D("1.50"), D("1.505")]), "decimal", [D("1.50"), FAILS]),
        (pa.array([D("1.5")], pa.decimal256(60, 3)), "decimal", [D("1.5")]),
        (pa.array([1, 2**62]), "decimal", [D(1), FAILS]),
        (pa.array([2**64 - 1], pa.uint64()), "decimal", [FAILS]),
        (
            pa.array([0.1, 0.1 + 0.2, 1e16, float("inf"), None]),
            "decimal",
            [D("0.1"), FAILS, FAILS, FAILS, None],
        ),
        (pa.array([0.1], pa.float32()), "decimal", [D("0.1")]),
        (pa.array([1, 2**53 + 1]), "number", [1.0, FAILS]),
        (pa.array([1.5, float("nan"), float("-inf"), None]), "number", [1.5, FAILS, FAILS, None]),
        (pa.array([D("1.25")]), "number", [1.25]),
        (pa.array([0, 1, 2, None]), "boolean", [False, True, FAILS, None]),
        (pa.array([0.0, 1.0, 0.5]), "boolean", [False, True, FAILS]),
        (pa.array([1, None]), "string", ["1", None]),
        (pa.array([1.0, 1.5, 3.2e17, float("nan")]), "string", ["1", "1.5", FAILS, FAILS]),
        (pa.array([D("1.50"), None]), "string", ["1.50", None]),
        (pa.array([True]), "string", ["true"]),
        (pa.array([date(2026, 3, 1), None]), "string", ["2026-03-01", None]),
        (pa.array([datetime(2026, 3, 1, 8)], pa.timestamp("s")), "string", ["2026-03-01 08:00:00"]),
        (pa.array([time(8, 30)], pa.time32("s")), "string", ["08:30:00"]),
        (pa.array([b"ok", b"\xff", None]), "string", ["ok", FAILS, None]),
        (BROKEN, "string", ["ok", FAILS]),
        (BROKEN, "integer", [FAILS, FAILS]),
        (pa.array([b"ok", b"\xff", None]), "binary", [b"ok", b"\xff", None]),
        (pa.array([b"ok"], pa.binary(2)), "binary", [b"ok"]),
        (pa.array([1]), "binary", [FAILS]),
        (pa.array([[1], None]), "string", [FAILS, None]),
        (pa.array([{"a": 1}, None]), "date", [FAILS, None]),
        (pa.array([[1], None]), "decimal", [FAILS, None]),
        (pa.array([True]), "date", [FAILS]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else None,
)
def test_exactly_or_not_at_all(column: pa.Array, kind: str, expected: list[Any]) -> None:
    assert result(column, field(kind)) == expected


CASES: list[tuple[str, list[str | None]]] = [
    ("string", [" ａ ", None, "", "中", "11010519491231002x"]),
    ("integer", ["1", "x", None, "１，０００", ""]),
    ("decimal", ["1.5", None, "1.555", "", "1,000"]),
    ("date", ["2026-03-01", "20260301", None, "2026-02-30", "2026年3月1日"]),
    ("timestamp", ["2026-03-01 08:00:00", None, "x", "", "2026-03-01T08:00:00Z"]),
    ("boolean", ["是", None, "x", "", "Y"]),
]


def layouts(values: list[str | None]) -> dict[str, pa.Array]:
    plain = pa.array(values, pa.string())
    longer = pa.array(["pad", None, "１", *values, "tail"], pa.string())
    return {
        "large": plain.cast(pa.large_string()),
        "sliced": longer.slice(3, len(values)),
        "large, sliced": longer.cast(pa.large_string()).slice(3, len(values)),
        "view": plain.cast(pa.string_view()),
        "dictionary": plain.dictionary_encode(),
        "dictionary, sliced": longer.dictionary_encode().slice(3, len(values)),
        "run ends": pa.RunEndEncodedArray.from_arrays(pa.array(range(1, len(values) + 1), pa.int32()), plain),
        "bytes": plain.cast(pa.binary()),
    }


@pytest.mark.parametrize(("kind", "values"), CASES, ids=[kind for kind, _ in CASES])
def test_every_layout_gives_the_same(kind: str, values: list[str | None]) -> None:
    to = field(kind, normalise=("trim", "half_width", "upper") if kind == "string" else ())
    expected = result(values, to)
    for name, column in layouts(values).items():
        assert result(column, to) == expected, name


def test_text_that_came_as_numbers_of_a_dictionary_stays_so_and_each_text_is_in_it_once() -> None:
    """A Parquet writer takes a dictionary as it is: one that held a text twice, or a null, would be refused."""
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None, 3, 1]), pa.array(["a", " a", "　", "B"]))
    found = cast(column, field("string", normalise=("trim", "upper"))).values
    assert found.dictionary.to_pylist() == ["A", "B"]
    assert found.to_pylist() == ["A", "A", None, None, "B", "A"]


def test_a_bad_value_that_no_row_uses_fails_no_row() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, None, 0]), pa.array(["1", "bad"]))
    assert result(column, field("integer")) == [1, None, 1]


@budget(max_examples=200)
@given(st.lists(st.one_of(st.none(), st.decimals(-(10**12), 10**12, places=4))), st.integers(0, 6))
def test_typed_decimals_narrow_exactly(values: list[Decimal | None], scale: int) -> None:
    got = result(pa.array(values, pa.decimal128(38, 4)), field("decimal", precision=18, scale=scale))
    for value, answer in zip(values, got, strict=True):
        exact = value is None or value == round(value, scale)
        fits = value is None or abs(value) < 10 ** (18 - scale)
        assert answer == (value if exact and fits else FAILS)


def test_a_column_of_bad_values_is_halved_quickly() -> None:
    column = pa.array([D("1.505"), D("1.50")] * 20_000)
    got = result(column, field("decimal"))
    assert got[:2] == [FAILS, D("1.50")] and got.count(FAILS) == 20_000
