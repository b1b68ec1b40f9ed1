from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from pipelines.masks import apply
from pipelines.masks.generalise import bin_labels
from schemas.arrow import field_type
from schemas.model import Generalise, TypeName
from tests.pipelines.masks.fields import field

DAY = date(2026, 3, 4)


@pytest.mark.parametrize(
    ("to", "value", "expected"),
    [
        ("district", "320102", "320102"),
        ("district", "320102003", "320102"),
        ("district", "320102003001", "320102"),
        ("city", "320102", "320100"),
        ("province", "320102", "320000"),
        ("city", "11010519491231002X", "110100"),
        ("city", "110105491231002", "110100"),
        ("city", "3201", None),
        ("district", "玄武区", None),
        ("district", "320102 ", None),
        ("province", "1381234567", None),
    ],
)
def test_places(to: Any, value: str, expected: str | None) -> None:
    assert apply(pa.array([value]), Generalise(to=to), field()).to_pylist() == [expected]


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("day", "2026-03-04"),
        ("month", "2026-03"),
        ("quarter", "2026-Q1"),
        ("year", "2026"),
        ("decade", "2020s"),
    ],
)
def test_periods(to: Any, expected: str) -> None:
    assert apply(pa.array([DAY, DAY]), Generalise(to=to), field("date")).to_pylist() == [expected] * 2


def test_years_of_three_digits_and_before_the_epoch() -> None:
    days = pa.array([date(987, 1, 1), date(1949, 10, 1)])
    assert apply(days, Generalise(to="decade"), field("date")).to_pylist() == ["0980s", "1940s"]


def test_a_timestamp_s_day_is_that_of_its_zone() -> None:
    late = pa.array([datetime(2026, 2, 28, 16, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    assert apply(late, Generalise(to="month"), field("timestamp")).to_pylist() == ["2026-03"]
    assert apply(late, Generalise(to="month"), field("timestamp", timezone="UTC")).to_pylist() == ["2026-02"]


@pytest.mark.parametrize(
    ("kind", "bins", "values", "expected"),
    [
        ("integer", (0, 18, 60), [-1, 0, 17, 18, 59, 60], ["<0", "0-17", "0-17", "18-59", "18-59", "60+"]),
        ("integer", (0.5, 1.5), [0, 1, 2], ["<0.5", "[0.5,1.5)", "≥1.5"]),
        ("integer", (0, 1e30), [2**62], [f"0-{10**30 - 1}"]),
        ("decimal", (0, 0.005), [Decimal("0.00"), Decimal("0.01")], ["[0,0.005)", "≥0.005"]),
        ("decimal", (-1e30, 1e30), [Decimal("5.00")], [f"[-1{'0' * 30},1{'0' * 30})"]),
        (
            "number",
            (0, 18),
            [17.999, 18.0, -0.0, math.inf, math.nan],
            ["[0,18)", "≥18", "[0,18)", "≥18", None],
        ),
    ],
)
def test_bins_hold_their_lower_bound(
    kind: TypeName, bins: tuple[float, ...], values: list[Any], expected: list[str | None]
) -> None:
    subject = field(kind)
    masked = apply(pa.array(values, field_type(subject)), Generalise(bins=bins), subject)
    assert masked.to_pylist() == expected


def test_a_decimal_just_below_a_bound_is_not_rounded_into_the_next_bin() -> None:
    subject = field("decimal", precision=38, scale=20)
    values = pa.array([Decimal("17.99999999999999999999")], field_type(subject))
    assert apply(values, Generalise(bins=(0, 18)), subject).to_pylist() == ["[0,18)"]


def test_labels() -> None:
    assert bin_labels((0, 5, 6, 1_000_000), whole=True) == ["<0", "0-4", "5", "6-999999", "1000000+"]
    assert bin_labels((-10, 0), whole=True) == ["<-10", "[-10,0)", "≥0"]
    assert bin_labels((0.1, 1e-7 + 1), whole=False) == ["<0.1", "[0.1,1.0000001)", "≥1.0000001"]
