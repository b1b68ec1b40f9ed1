"""What holds for every mask: rows stay, null stays, layouts do not matter, no message holds a value."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args

import pyarrow as pa
import pytest

from pipelines.keys import Key
from pipelines.masks import MASKS, apply, check_plan
from pipelines.masks.tokens import Tokens
from schemas.arrow import field_type, masked_type
from schemas.errors import MaskError
from schemas.model import (
    Clip,
    Constant,
    Drop,
    Field,
    Fpe,
    Generalise,
    Hmac,
    Keep,
    Mask,
    Partial,
    Redact,
    Round,
    TypeName,
)
from tests.pipelines.masks.fields import field

KEY = Key("1", bytes(range(32)))
SECRET = "11010519491231002X"
VALUES: dict[TypeName, list[Any]] = {
    "string": [SECRET, None, "", "👍𠮷13812345678", "南京市玄武区"],
    "integer": [17, None, 0, -3, 2**40],
    "decimal": [Decimal("12.50"), None, Decimal("0.00"), Decimal("-3.99"), Decimal("123456.78")],
    "number": [1.5, None, 0.0, -2.25, 1e9],
    "boolean": [True, None, False, True, True],
    "date": [date(2026, 3, 4), None, date(1970, 1, 1), date(1949, 10, 1), date(2026, 12, 31)],
    "timestamp": [
        datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
        None,
        *(datetime(y, 1, 1, tzinfo=UTC) for y in (1970, 1949, 2000)),
    ],
    "binary": [b"\x00\xff", None, b"", b"abc", b"\xf0"],
}
CASES: list[tuple[TypeName, Mask]] = [
    *((kind, Keep()) for kind in get_args(TypeName)),
    *((kind, Hmac()) for kind in get_args(TypeName)),
    *((kind, Constant(value="不公开")) for kind in get_args(TypeName)),
    ("string", Partial(first=1, last=1)),
    ("string", Redact()),
    ("string", Fpe(form="digits")),
    ("string", Generalise(to="city")),
    ("date", Generalise(to="quarter")),
    ("timestamp", Generalise(to="month")),
    *((kind, Generalise(bins=(0, 10))) for kind in ("integer", "decimal", "number")),
    *((kind, Round(to=10)) for kind in ("integer", "decimal", "number")),
    *((kind, Clip(min=0, max=100)) for kind in ("integer", "decimal", "number")),
]
MISFITS: list[tuple[TypeName, Mask]] = [
    ("integer", Partial(first=1)),
    ("date", Redact()),
    ("integer", Fpe(form="digits")),
    ("string", Generalise(to="month")),
    ("date", Generalise(to="city")),
    ("string", Generalise(bins=(0, 10))),
    ("integer", Generalise()),
    ("integer", Generalise(bins=(10, 0))),
    ("string", Round(to=10)),
    ("date", Clip(min=0)),
    ("integer", Clip()),
    ("integer", Clip(min=2, max=1)),
    ("integer", Round(to=0.5)),
    ("decimal", Round(to=0.001)),
    ("integer", Clip(min=1e30)),
    ("string", Drop()),
]


def column(subject: Field) -> pa.Array:
    return pa.array(VALUES[subject.type], field_type(subject))


def name_of(value: Any) -> str:
    return value if isinstance(value, str) else f"{value.kind}"


def test_every_mask_kind_has_a_case() -> None:
    """But noise, which only a publication draws: tests/pipelines/gates/test_aggregates.py."""
    assert {mask.kind for _, mask in CASES} | {"noise"} == {*MASKS, "hmac", "fpe"}


@pytest.mark.parametrize(("kind", "mask"), CASES, ids=name_of)
def test_rows_and_nulls_stay_in_every_layout(kind: TypeName, mask: Mask) -> None:
    subject = field(kind)
    values = column(subject)
    plain = apply(values, mask, subject, Tokens(KEY, "share"))
    assert plain.type == masked_type(subject, mask)
    assert len(plain) == len(values)
    if mask.kind != "constant":
        assert plain.is_null().to_pylist()[1]
    padded = pa.concat_arrays([values.slice(2, 1), values, values.slice(0, 1)]).slice(1, len(values))
    layouts = [padded, pa.chunked_array([values.slice(0, 2), values.slice(2)])]
    layouts += [values.dictionary_encode()] if kind != "boolean" else []
    layouts += [values.cast(pa.large_string()), values.cast(pa.string_view())] if kind == "string" else []
    for layout in layouts:
        assert apply(layout, mask, subject, Tokens(KEY, "share")).equals(plain)


@pytest.mark.parametrize(("kind", "mask"), CASES, ids=name_of)
def test_no_rows_and_all_null(kind: TypeName, mask: Mask) -> None:
    subject = field(kind)
    none = pa.array([], field_type(subject))
    for empty in (none, pa.chunked_array([], field_type(subject))):
        assert apply(empty, mask, subject, Tokens(KEY, "share")).equals(
            pa.array([], masked_type(subject, mask))
        )
    nulls = apply(pa.nulls(3, field_type(subject)), mask, subject, Tokens(KEY, "share"))
    assert nulls.null_count == (0 if mask.kind == "constant" else 3)


@pytest.mark.parametrize(("kind", "mask"), MISFITS, ids=name_of)
def test_a_mask_that_does_not_fit_names_field_and_mask_and_no_value(kind: TypeName, mask: Mask) -> None:
    subject = field(kind)
    for values in (column(subject), column(subject).slice(0, 0)):
        with pytest.raises(MaskError) as caught:
            apply(values, mask, subject, Tokens(KEY, "share"))
        assert caught.value.place["field"] == "subject"
        assert caught.value.expected
        assert mask.kind in str(caught.value)
        assert SECRET not in str(caught.value)


def test_a_column_of_another_type_than_the_field_is_an_error() -> None:
    with pytest.raises(MaskError, match="int64"):
        apply(pa.array([1]), Keep(), field("string"))


def test_arrow_s_own_message_which_quotes_the_value_is_not_passed_on() -> None:
    subject = field("decimal", precision=5, scale=2)
    values = pa.array([Decimal("999.99")], field_type(subject))
    with pytest.raises(MaskError) as caught:
        apply(values, Round(to=10), subject)
    assert "1000" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_plan_is_tried_before_any_row_is_read() -> None:
    with pytest.raises(MaskError, match="subject"):
        check_plan({"subject": Hmac()}, {"subject": field()}, None)
    with pytest.raises(MaskError, match="subject"):
        check_plan({"subject": Fpe(form="digits")}, {"subject": field()}, None)
    check_plan({"subject": Hmac()}, {"subject": field()}, Tokens(KEY, "share"))


def test_constant_hides_absence_too() -> None:
    assert apply(pa.array(["a", None]), Constant(value="x"), field()).to_pylist() == ["x", "x"]
