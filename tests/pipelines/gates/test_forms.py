"""Coarser forms in SQL are letter for letter those of the mask, and two forms meet in the coarser one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from pipelines.gates.forms import Shape, coarser, common, read
from pipelines.masks import apply
from schemas.arrow import field_type
from schemas.model import Constant, Field, Fpe, Generalise, Hmac, Keep, Mask, Title
from schemas.rules.masks import PLACES, TIMES

RNG = np.random.default_rng(42)
DAYS = [date(1949, 10, 1) + timedelta(days=int(each)) for each in RNG.integers(0, 30000, 300)]
COLUMNS: dict[str, list[Any]] = {
    "string": ["320102", "320105001", "110101", "320102199001010015", "99", "", None],
    "date": [*DAYS, None],
    "timestamp": [
        datetime(2026, 2, 28, 15, 59, tzinfo=UTC) + timedelta(hours=int(h)) for h in range(0, 9000, 7)
    ],
    "integer": [*range(-5, 120), None],
    "decimal": [Decimal(f"{n}.{n % 10}{n % 7}") for n in range(-5, 120)] + [None],
    "number": [*np.linspace(-5, 120, 300).tolist(), float("nan"), None],
}
ENCIPHERED = Fpe(form="digits")
FINE, COARSE = (0.0, 10.0, 18.0, 60.0, 99.5), (0.0, 60.0)


def field(kind: str) -> Field:
    return Field.model_validate({"name": "x", "title": Title(zh="甲", en="A"), "type": kind, "grade": 1})


def steps(kind: str) -> list[Mask]:
    if kind == "string":
        return [Keep(), *(Generalise(to=word) for word in PLACES)]
    if kind in ("date", "timestamp"):
        return [Keep(), *(Generalise(to=word) for word in TIMES)]
    return [Keep(), Generalise(bins=FINE), Generalise(bins=COARSE)]


CASES = [
    (kind, finer, other)
    for kind in COLUMNS
    for at, finer in enumerate(steps(kind))
    for other in steps(kind)[at + 1 :]
]


@pytest.mark.parametrize(("kind", "now", "to"), CASES)
def test_sql_writes_what_the_mask_writes(kind: str, now: Mask, to: Generalise) -> None:
    values = pa.array(COLUMNS[kind], field_type(field(kind)))
    sql = coarser(Shape(field(kind), now), to)
    assert sql is not None
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rows", pa.table({"x": apply(values, now, field(kind))}))
        found = [row[0] for row in connection.execute(f"SELECT {sql} FROM rows").fetchall()]
    assert found == apply(values, to, field(kind)).to_pylist()


@pytest.mark.parametrize(("kind", "to", "now"), CASES)
def test_what_is_coarse_is_not_made_finer(kind: str, to: Mask, now: Generalise) -> None:
    assert not isinstance(to, Generalise) or coarser(Shape(field(kind), now), to) is None


def test_two_forms_meet_in_the_coarser_one() -> None:
    day, year = Shape(field("date"), Keep(), quasi=True), Shape(field("date"), Generalise(to="year"))
    (pair,) = common({"x": day}, {"x": year})
    assert pair.new == '"x"' and "strftime" in pair.old and pair.quasi
    (pair,) = common({"x": year}, {"x": day})
    assert pair.old == '"x"' and "strftime" in pair.new
    some = Shape(field("integer"), Generalise(bins=(0.0, 10.0, 60.0)))
    others = Shape(field("integer"), Generalise(bins=(0.0, 18.0, 60.0)))
    (pair,) = common({"x": some}, {"x": others})
    assert "0-59" in pair.old and "0-59" in pair.new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Shape(field("string"), Hmac(), key="one"), Shape(field("string"), Hmac(), key="two")),
        (Shape(field("string"), Hmac(domain="a"), key="k"), Shape(field("string"), Hmac(), key="k")),
        (Shape(field("string"), ENCIPHERED, key="one"), Shape(field("string"), ENCIPHERED, key="two")),
        (Shape(field("string"), Constant(value="*")), Shape(field("string"), Constant(value="*"))),
        (Shape(field("integer"), Generalise(bins=(1.0,))), Shape(field("integer"), Generalise(bins=(2.0,)))),
        (Shape(field("string"), Keep()), Shape(field("integer"), Keep())),
    ],
)
def test_what_cannot_be_compared_is_not(old: Shape, new: Shape) -> None:
    assert common({"x": old}, {"x": new}) == []


def test_a_shape_is_read_as_it_was_written() -> None:
    shape = Shape(field("decimal"), Generalise(bins=FINE), key="k", quasi=True)
    again = read(shape.said)
    assert again.said == shape.said and again.mask == shape.mask and again.field.type == "decimal"
