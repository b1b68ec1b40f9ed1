"""Casts of text: what is read, what is nothing, and what is set aside."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from pipelines.casting.casts import codebook
from pipelines.casting.text import WHITESPACE, digits, half_width, present, squeeze
from schemas.model import Code
from tests.pipelines.casting.making import FAILS, field, result

GENDER = codebook(
    [
        Code(code="1", zh="男", en="male", aliases=("M", "男（性）")),
        Code(code="2", zh="女", en="female", aliases=("F",)),
        Code(code="3", zh="未说明", en="other", aliases=("无",)),
        Code(code="9", zh="其他", en="other"),
    ]
)
KINDS = ["string", "integer", "decimal", "number", "boolean", "date", "timestamp", "binary"]
MAX, MIN = "9223372036854775807", "-9223372036854775808"


@pytest.mark.parametrize(
    ("kind", "given_text", "expected"),
    [
        ("integer", ["7", "+7", "-7", "007", "-0"], [7, 7, -7, 7, 0]),
        ("integer", ["１，２３４", "1,234,567", " 8 ", "　９　", "\ufeff1", "1.0", "1."], [1234, 1234567, 8, 9, 1, 1, 1]),
        ("integer", [MAX, MIN, "0" * 40 + "5"], [2**63 - 1, -(2**63), 5]),
        ("integer", ["9223372036854775808", "-9223372036854775809", "9" * 60], [FAILS] * 3),
        ("integer", ["1.5", "0x1F", "1e3", "--1", "-", "1-1", "12,34", ",123", "1,2345", "一", "٣", "1 2"], [FAILS] * 12),
        ("decimal", ["1", "1.5", "-.5", "5.", "+1.50", "1.500", "１２.３"], [Decimal(x) for x in ("1", "1.5", "-.5", "5", "1.5", "1.5", "12.3")]),
        ("decimal", ["1,234.50", "9999999999999999.99"], [Decimal("1234.50"), Decimal("9999999999999999.99")]),
        ("decimal", ["1.505", "10000000000000000", "1e3", "nan", "(5)", "¥5", "-", ".", "1,23", "1.2.3"], [FAILS] * 10),
        ("number", ["1", "-.5", "1e5", "1E-05", "1,000.5", "５"], [1.0, -0.5, 1e5, 1e-5, 1000.5, 5.0]),
        ("number", ["nan", "NaN", "inf", "-Infinity", "1e999", "0x10", "1e", "e5", "一"], [FAILS] * 9),
        ("boolean", ["true", "FALSE", "是", "否", "Y", "n", "1", "0", "１", " yes "], [True, False, True, False, True, False, True, False, True, True]),
        ("boolean", ["2", "on", "-1", "对"], [FAILS] * 4),
        ("binary", ["abc", " 中"], [b"abc", " 中".encode()]),
    ],
)  # fmt: skip
def test_values(kind: str, given_text: list[str], expected: list[Any]) -> None:
    assert result(given_text, field(kind)) == expected
    assert result([*given_text, None], field(kind)) == [*expected, None]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_null_in_every_type_and_no_failure(kind: str) -> None:
    blanks = [None, "", " ", "　", "\u00a0", "\t\r\n", "\ufeff", WHITESPACE]
    assert result(blanks, field(kind)) == [None] * len(blanks)
    assert result(pa.nulls(3), field(kind)) == [None] * 3
    assert result([], field(kind)) == []


@budget(max_examples=300)
@given(st.lists(st.one_of(st.text(max_size=12), st.none()), max_size=8), st.sampled_from(KINDS))
@example(["\x00", "\ud7ff", "a\u3000b"], "string")
def test_no_value_is_ever_nulled_silently(values: list[str | None], kind: str) -> None:
    for value, got in zip(values, result(values, field(kind, normalise=("trim", "digits"))), strict=True):
        blank = value is None or not value.strip(WHITESPACE)
        assert (got is None) == blank


def plain_number(text: str) -> Decimal | None:
    """Python's own reading of a number as departments write it."""
    if "," in text and not re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", text, re.ASCII):
        return None
    try:
        return Decimal(text.replace(",", "")) if re.fullmatch(r"[+\-0-9.,]+", text, re.ASCII) else None
    except InvalidOperation:
        return None


NUMBERS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(lambda d: f"{d:f}"),
    st.integers(-(10**20), 10**20).map(lambda n: f"{n:,}"),
    st.decimals(-(10**17), 10**17, places=2).map(lambda d: f"{d:,}"),
    st.from_regex(r"[+-]?[0-9]{0,4}(,[0-9]{2,3})?(\.[0-9]{0,4}0{0,3})?", fullmatch=True),
    st.text("0123456789.,+-eE ", max_size=8),
)


@budget(max_examples=400)
@given(st.lists(NUMBERS, min_size=1, max_size=6), st.integers(1, 38), st.integers(0, 38))
def test_decimals_agree_with_python(texts: list[str], precision: int, scale: int) -> None:
    scale = min(scale, precision)
    for text, got in zip(
        texts, result(texts, field("decimal", precision=precision, scale=scale)), strict=True
    ):
        value = plain_number(text.strip())
        if not text.strip():
            assert got is None
        elif value is None or not fits(value, precision, scale):
            assert got == FAILS
        else:
            assert got == value


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["35", "0.35", "-35"]),
        pa.array(["+35", "0.35", "-35"]),
        pa.array([Decimal("35.00"), Decimal("0.35"), Decimal("-35.00")]),
        pa.array([35.0, 0.35, -35.0]),
    ],
    ids=["text", "signed", "decimal", "float"],
)
def test_what_wraps_around_in_arrow_fails(column: pa.Array) -> None:
    """35 has 39 digits at a scale of 37; Arrow gives 0.97 for it."""
    wide = field("decimal", precision=37, scale=37)
    assert result(column, wide) == [FAILS, Decimal("0.35"), FAILS]
    assert result(pa.array([35, 0]), wide) == [FAILS, 0]


def fits(value: Decimal, precision: int, scale: int) -> bool:
    shifted = value.scaleb(scale)
    return value.scaleb(scale) == int(shifted) and abs(int(shifted)) < 10**precision


@budget(max_examples=400)
@given(st.lists(NUMBERS, min_size=1, max_size=6))
def test_integers_agree_with_python(texts: list[str]) -> None:
    for text, got in zip(texts, result(texts, field("integer")), strict=True):
        value = plain_number(text.strip())
        if not text.strip():
            assert got is None
        elif (
            value is None
            or value != int(value)
            or not -(2**63) <= value < 2**63
            or text.strip().startswith((".", "-.", "+."))
        ):
            assert got == FAILS
        else:
            assert got == int(value)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_floats_survive_their_text(values: list[float]) -> None:
    assert result([repr(v) for v in values], field("number")) == values


def test_strings_keep_what_they_are_unless_told() -> None:
    assert result([" a ", "ＡＢ　c", "中"], field("string")) == [" a ", "ＡＢ　c", "中"]


@pytest.mark.parametrize(
    ("normalise", "text", "expected"),
    [
        (("trim",), "　\u00a0a b\ufeff ", "a b"),
        (("half_width",), "ＡＢ１２－（中）　①㎡、。", "AB12-(中) ①㎡、。"),
        (("squeeze", "trim"), " a 　\t b ", "a b"),
        (("squeeze",), "中山路  8 号", "中山路 8 号"),
        (("upper",), "11010519491231002x é", "11010519491231002X É"),
        (("lower",), "Li@EXAMPLE.cn", "li@example.cn"),
        (("digits",), "+86 １３8-0013-8000", "8613800138000"),
        (("digits",), "12:30/4", "12304"),
        (("trim", "half_width", "upper"), " １ｘ ", "1X"),
    ],
)
def test_normalisers(normalise: tuple[str, ...], text: str, expected: str) -> None:
    assert result([text, None, "zz9", text], field("string", normalise=normalise))[0::3] == [expected] * 2


def test_digits_that_leave_nothing_are_a_failure() -> None:
    assert result(["n/a", "", "5"], field("string", normalise=("digits",))) == [FAILS, None, "5"]


@budget(max_examples=500)
@given(
    st.lists(
        st.one_of(st.none(), st.text(st.sampled_from(f"  {WHITESPACE}a1中é，。…\U0001f600"), max_size=4)),
        max_size=4,
    ),
    st.integers(0, 2),
)
def test_kernels_of_bytes_are_what_a_character_at_a_time_would_give(
    texts: list[str | None], start: int
) -> None:
    """Among values that have their own places in the buffers."""
    values = pa.array(["x", "中"][:start] + texts, pa.string()).slice(start)
    for kernel, reference in (
        (squeeze, lambda text: re.sub(f"[{WHITESPACE}]+", " ", text)),
        (present, lambda text: text if text.strip(WHITESPACE) else None),
        (digits, lambda text: re.sub("[^0-9]", "", text) or None),
    ):
        assert kernel(values).to_pylist() == [None if text is None else reference(text) for text in texts]
        kernel(values).validate(full=True)


@pytest.mark.parametrize("text", ["张 三", "某某（某，某号。）…", "a b c", "é\u0300"])
def test_text_that_needs_no_change_is_given_back_as_it_is(text: str) -> None:
    values = pa.array([text, "中", text])
    assert squeeze(values) is values
    assert present(values) is values


@budget(max_examples=300)
@given(
    st.lists(st.one_of(st.none(), st.text(st.sampled_from("ａ！～　1中é\U0001f600、。゠＀"), max_size=6))),
    st.integers(0, 3),
)
def test_half_width_is_nfkc_of_the_ascii_range_in_any_slice(values: list[str | None], start: int) -> None:
    table = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
    column = pa.array(values, pa.string()).slice(min(start, len(values)))
    expected = [None if v is None else v.translate(table) for v in column.to_pylist()]
    got = half_width(column)
    got.validate(full=True)
    assert got.to_pylist() == expected


def test_length_is_in_characters() -> None:
    assert result(["南京市", "南京市区", "abcd", "abc"], field("string", length=3)) == [
        "南京市",
        FAILS,
        FAILS,
        "abc",
    ]


def test_nul_in_a_string_is_set_aside() -> None:
    assert result(["a\0b", "ab"], field("string")) == [FAILS, "ab"]


def test_codes_labels_and_aliases() -> None:
    gender = field("string", codes="gender")
    written = ["男", " 女 ", "m", "１", "MALE", "男（性）", "男(性)", "x", "", None]
    assert result(written, gender, GENDER) == ["1", "2", "1", "1", "1", "1", "1", FAILS, None, None]
    assert result(pa.array([1.0, 2.0, 4.0, None]), gender, GENDER) == ["1", "2", FAILS, None]


def test_a_label_of_two_codes_names_none() -> None:
    assert result(["other", "其他", "无"], field("string", codes="gender"), GENDER) == [FAILS, "9", "3"]


def test_a_list_that_tells_case_apart_still_does() -> None:
    book = codebook([Code(code="a", zh="小"), Code(code="A", zh="大")])
    assert result(["a", "A"], field("string", codes="case"), book) == ["a", "A"]


def test_codes_of_another_type() -> None:
    assert result(["男", "2", "x"], field("integer", codes="gender"), GENDER) == [1, 2, FAILS]
