"""Which of two masks hides less."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from schemas.model import Mask
from schemas.rules.masks import weaker

MASK: TypeAdapter[Any] = TypeAdapter(Mask)
WEAKER = [
    ("keep", "redact"),
    ("redact", {"kind": "partial"}),
    ({"kind": "partial", "first": 3}, "hmac"),
    ({"kind": "partial", "first": 3}, {"kind": "fpe", "form": "digits"}),
    ({"kind": "fpe", "form": "digits"}, "hmac"),
    ("hmac", {"kind": "constant", "value": "x"}),
    ({"kind": "constant", "value": "x"}, "drop"),
    ({"kind": "partial", "first": 3}, {"kind": "partial", "first": 2}),
    ({"kind": "generalise", "to": "month"}, {"kind": "generalise", "to": "year"}),
    ({"kind": "generalise", "to": "district"}, {"kind": "generalise", "to": "city"}),
    ({"kind": "generalise", "bins": [0, 10, 20]}, {"kind": "generalise", "bins": [0, 20]}),
    ({"kind": "round", "to": 10}, {"kind": "round", "to": 100}),
    ({"kind": "clip", "max": 20}, {"kind": "clip", "max": 10}),
    ({"kind": "clip", "max": 10}, {"kind": "clip", "min": 0, "max": 10}),
    ({"kind": "redact", "what": ["phone"]}, "redact"),
]


@pytest.mark.parametrize(("mask", "base"), WEAKER)
def test_the_first_hides_less_than_the_second(mask: Any, base: Any) -> None:
    first, second = MASK.validate_python(mask), MASK.validate_python(base)
    assert weaker(first, second)
    assert not weaker(second, first)
    assert not weaker(first, first)


def test_what_shows_another_part_shows_something_that_was_hidden() -> None:
    first, last = (
        MASK.validate_python({"kind": "partial", "first": 2}),
        MASK.validate_python({"kind": "partial", "last": 1}),
    )
    assert weaker(first, last)
    assert weaker(last, first)


def test_a_part_and_a_class_are_not_compared() -> None:
    assert not weaker(
        MASK.validate_python({"kind": "partial"}), MASK.validate_python({"kind": "generalise", "to": "year"})
    )
