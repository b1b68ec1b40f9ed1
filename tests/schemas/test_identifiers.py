"""Identifier kernels against python-stdnum and against hostile values. All numbers here are invented."""

from __future__ import annotations

import doctest
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.cn import ric, uscc
from stdnum.exceptions import InvalidComponent, ValidationError

from schemas import identifiers as ids

TODAY = date(2026, 3, 1)
GOOD_ID, GOOD_X = "11010519491231002X", "360426199101010071"
GOOD_USCC = "91110000600037341L"
HOSTILE = [
    *(
        "",
        " ",
        "\x00" * 18,
        "1" * 17 + "\x00",
        "１１０１０５１９４９１２３１００２Ｘ",
        "11010519491231002x",
        "中" * 6,
    ),
    *(
        " 11010519491231002X",
        "11010519491231002X ",
        "11010519491231002X\n",
        "-1010519491231002X",
        "é" * 9,
        "9" * 10_000,
    ),
]
CHECKS: list[Callable[[pa.Array], np.ndarray]] = [
    *(ids.is_resident_id, ids.is_old_resident_id, ids.is_uscc, ids.is_mobile),
    *(ids.is_bank_card, ids.is_division_code),
]


def resident(value: str) -> bool:
    """python-stdnum without its list of districts and without its cleaning of separators."""
    try:
        if value != ric.compact(value) or len(value) != 18:
            return False
        if not value[:17].isascii() or not value[:17].isdigit() or value[-1] != ric.calc_check_digit(value):
            return False
        born = ric.get_birth_date(value)
    except (ValidationError, ValueError):
        return False
    return date(1800, 1, 1) <= born <= TODAY and int(value[:2]) in ids.PROVINCES


def near(text: str) -> st.SearchStrategy[str]:
    """The text with one character changed, dropped or doubled."""
    at = st.integers(0, len(text) - 1)
    return st.builds(lambda i, c: text[:i] + c + text[i + 1 :], at, st.sampled_from("0123456789XxAIO 中\x00"))


@st.composite
def resident_ids(draw: st.DrawFn) -> str:
    area = draw(st.sampled_from(["320102", "110105", "990101", "000000", "830000"]))
    day = draw(
        st.one_of(
            st.dates().map(lambda d: f"{d:%Y%m%d}".zfill(8)), st.integers(0, 99_999_999).map("{:08d}".format)
        )
    )
    first = f"{area}{day}{draw(st.integers(0, 999)):03d}"
    return first + ric.calc_check_digit(first + "0")


def test_the_vectors_of_python_stdnum(shared: Path) -> None:
    text = (shared / "std-stdnum/tests/test_cn_ric.doctest").read_text()
    calls = [e for e in doctest.DocTestParser().get_examples(text) if e.source.startswith("ric.validate(")]
    values = [e.source.split("'")[1].upper() for e in calls]
    expected = [e.exc_msg is None for e in calls]
    assert len(values) >= 6 and any(expected) and not all(expected)
    assert ids.is_resident_id(pa.array(values), TODAY).tolist() == expected


def test_districts_are_not_looked_up() -> None:
    """python-stdnum refuses numbers whose district did not exist; ours outlive their district, so only provinces count."""
    value = "110111198012010078"
    with pytest.raises(InvalidComponent):
        ric.validate(value)
    assert ids.is_resident_id(pa.array([value]), TODAY).tolist() == [True]


@budget(max_examples=300)
@given(st.lists(st.one_of(resident_ids(), near(GOOD_ID), near(GOOD_X), st.text(max_size=20), st.none())))
def test_resident_ids_agree_with_the_oracle(values: list[str | None]) -> None:
    expected = [v is not None and resident(v) for v in values]
    assert ids.is_resident_id(pa.array(values, pa.string()), TODAY).tolist() == expected


@budget(max_examples=300)
@given(
    st.lists(
        st.one_of(st.text(ids.USCC_ALPHABET, min_size=17, max_size=17), near(GOOD_USCC), st.text(), st.none())
    )
)
def test_uscc_agree_with_the_oracle(values: list[str | None]) -> None:
    texts = [
        None
        if v is None
        else v + uscc.calc_check_digit(v)
        if set(v) <= set(ids.USCC_ALPHABET) and len(v) == 17
        else v
        for v in values
    ]
    got = ids.is_uscc(pa.array(texts, pa.string())).tolist()
    for text, answer in zip(texts, got, strict=True):
        plain = text is not None and text == uscc.compact(text)
        if text is not None and text[:2].isdigit():
            assert answer == (plain and text.isascii() and uscc.is_valid(text))
        elif text is None or len(text) != 18:
            assert not answer


def test_uscc_of_the_army_and_of_farmers() -> None:
    """GB 32100 lets authority and kind be letters (A, N, Y are given out); python-stdnum wants digits there."""
    first = [f"{two}320102MA1ABCDE1" for two in ("N2", "A1", "Y1")]
    whole = pc.binary_join_element_wise(pa.array(first), ids.uscc_check(pa.array(first)), "")
    assert ids.is_uscc(whole).all()


@budget(max_examples=200)
@given(
    st.lists(st.one_of(st.from_regex(r"[1-9][0-9]{11,18}", fullmatch=True), st.text(max_size=20), st.none()))
)
def test_bank_cards_agree_with_the_oracle(values: list[str | None]) -> None:
    texts = [v + luhn.calc_check_digit(v) if v and v.isascii() and v.isdigit() else v for v in values]
    expected = [
        bool(v and v.isascii() and v.isdigit() and v[0] != "0" and 13 <= len(v) <= 19 and luhn.is_valid(v))
        for v in texts
    ]
    assert ids.is_bank_card(pa.array(texts, pa.string())).tolist() == expected


def test_a_wrong_card_digit_fails() -> None:
    assert (
        ids.is_bank_card(pa.array(["6222020000000000000", "6222020000000000007", "0000000000000000"])).sum()
        <= 1
    )


def every_day() -> Iterator[str]:
    for n in range(0, 366 * 5):
        yield f"320102{date(1996, 1, 1) + timedelta(days=n):%Y%m%d}001"


def test_every_calendar_day_and_no_other() -> None:
    first = pa.array([*every_day(), *(f"3201022023{m:02d}{d:02d}001" for m in range(14) for d in range(33))])
    whole = pc.binary_join_element_wise(first, ids.resident_id_check(first), "")
    assert int(ids.is_resident_id(whole, TODAY).sum()) == 366 * 5 + 365
    assert ids.is_resident_id(whole, TODAY).tolist() == [resident(v) for v in whole.to_pylist()]


def test_a_birth_in_the_future_is_refused() -> None:
    first = pa.array(["32010220260301001", "32010220260302001", "32010217991231001"])
    whole = pc.binary_join_element_wise(first, ids.resident_id_check(first), "")
    assert ids.is_resident_id(whole, TODAY).tolist() == [True, False, False]
    assert ids.is_resident_id(whole).tolist()[0] in (True, False)


def test_check_letters() -> None:
    assert ids.resident_id_check(pa.array([GOOD_ID[:17], GOOD_X[:17], None, "1", "x" * 17])).to_pylist() == [
        "X",
        "1",
        None,
        None,
        None,
    ]
    assert ids.uscc_check(pa.array([GOOD_USCC[:17], None, "I" * 17])).to_pylist() == ["L", None, None]


@pytest.mark.parametrize("check", CHECKS)
def test_hostile_values_are_false(check: Callable[[pa.Array], np.ndarray]) -> None:
    got = check(pa.array([*HOSTILE, None]))
    assert got.dtype == np.bool_ and not got.any()


def shapes(values: list[str | None]) -> dict[str, pa.Array | pa.ChunkedArray]:
    """The same strings in every layout in which Arrow may hand them over."""
    plain = pa.array(values, pa.string())
    longer = pa.array(["x", "11010519491231002X", None, *values, "tail"], pa.string())
    return {
        "large": plain.cast(pa.large_string()),
        "sliced": longer.slice(3, len(values)),
        "sliced large": longer.cast(pa.large_string()).slice(3, len(values)),
        "chunked": pa.chunked_array([plain.slice(0, 3), plain.slice(3, 0), plain.slice(3)]),
        "dictionary": plain.dictionary_encode(),
        "view": plain.cast(pa.string_view()),
    }


@pytest.mark.parametrize("check", CHECKS)
def test_every_layout_gives_the_same_answer(check: Callable[[pa.Array], np.ndarray]) -> None:
    good = [
        GOOD_ID,
        None,
        GOOD_X,
        GOOD_USCC,
        "13800138000",
        "6222020000000000000",
        "320102",
        "li@example.cn",
        "320102990101001",
    ]
    values = [*good, *HOSTILE]
    expected = check(pa.array(values, pa.string())).tolist()
    assert any(expected)
    for name, shape in shapes(values).items():
        assert check(shape).tolist() == expected, name
    assert check(pa.nulls(3)).tolist() == [False] * 3
    assert check(pa.array([], pa.string())).tolist() == []
    assert check(pa.nulls(2, pa.string())).tolist() == [False, False]


def test_numbers_are_not_identifiers() -> None:
    with pytest.raises(TypeError, match="int64"):
        ids.is_mobile(pa.array([13800138000]))


def test_mobiles() -> None:
    values = pa.array(
        [
            "13800138000",
            "19912345678",
            "12012345678",
            "1380013800",
            "138001380000",
            "+8613800138000",
            "23800138000",
        ]
    )
    assert ids.is_mobile(values).tolist() == [True, True, False, False, False, False, False]


def test_old_ids() -> None:
    assert ids.is_old_resident_id(
        pa.array(["320102991231001", "320102991331001", "990102991231001"])
    ).tolist() == [True, False, False]


def test_division_codes() -> None:
    values = pa.array(["320102", "990102", "32010", "3201020", None, "３２０１０２"])
    assert ids.is_division_code(values).tolist() == [True, False, False, False, False, False]
    assert ids.is_division_code(values, ["990102"]).tolist() == [False, True, False, False, False, False]
    assert not ids.is_division_code(values, []).any()
