from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from pipelines.masks import apply
from schemas.arrow import field_type
from schemas.errors import MaskError
from schemas.model import Clip, Mask, Round, TypeName
from tests.pipelines.masks.fields import field

D = Decimal


@pytest.mark.parametrize(
    ("kind", "mask", "values", "expected"),
    [
        ("integer", Round(to=10), [4, 5, -5, 2**60], [0, 10, -10, 1152921504606846980]),
        ("integer", Round(to=3), [4, 5], [3, 6]),
        ("decimal", Round(to=0.5), [D("1.24"), D("1.25"), D("-1.25")], [D("1.00"), D("1.50"), D("-1.50")]),
        ("decimal", Round(to=0.01), [D("9999999999999999.99")], [D("9999999999999999.99")]),
        ("number", Round(to=0.1), [0.25, 0.35, 0.300001], [0.3, 0.3, 0.3]),
        ("number", Round(to=1000), [1499.9, -500.0], [1000.0, -1000.0]),
        ("integer", Clip(min=0.5, max=99.5), [0, 1, 100], [1, 1, 99]),
        ("integer", Clip(max=1e30), [2**62], [2**62]),
        ("decimal", Clip(min=0.1, max=10), [D("0.05"), D("10.01")], [D("0.10"), D("10.00")]),
        ("decimal", Clip(min=-1e30), [D("-0.05")], [D("-0.05")]),
        ("number", Clip(max=10), [math.inf, -math.inf, 9.9], [10.0, -math.inf, 9.9]),
    ],
)
def test_numbers_keep_their_type(kind: TypeName, mask: Mask, values: list[Any], expected: list[Any]) -> None:
    subject = field(kind)
    assert apply(pa.array(values, field_type(subject)), mask, subject).to_pylist() == expected


@pytest.mark.parametrize("mask", [Round(to=1), Clip(min=0, max=1)])
def test_what_is_no_number_stays_so(mask: Mask) -> None:
    assert math.isnan(apply(pa.array([math.nan]), mask, field("number")).to_pylist()[0])


def test_what_would_overflow_is_an_error_without_the_value() -> None:
    with pytest.raises(MaskError) as caught:
        apply(pa.array([2**63 - 1]), Round(to=10), field("integer"))
    assert str(2**63 - 1) not in str(caught.value)
