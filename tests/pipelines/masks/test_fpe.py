"""Format-preserving encryption of columns: the form stays, the mapping is one to one, and no valid number comes out.

No person's number: the ids and codes are computed for these tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.keys import Key
from pipelines.masks import apply, fpe
from pipelines.masks.fpe import unfit
from pipelines.masks.tokens import Tokens
from schemas.identifiers import is_mobile, is_resident_id, is_uscc, resident_id_check, uscc_check
from schemas.model import Fpe
from tests.pipelines.masks.fields import field

KEY = Key("1", bytes(range(32)))
FORMS = ("digits", "alphanumeric", "resident_id", "uscc", "mobile")


def masked(values: Any, domain: str = "share/default", key: Key = KEY, **mask: Any) -> list[str | None]:
    column = pa.array(values, pa.string())
    return list(apply(column, Fpe(**mask), field(), Tokens(key, domain)).to_pylist())


def residents(count: int) -> pa.Array:
    """Ids of all provinces and of every day of 1900 to 2025, with the right check digit."""
    places, days = (
        np.array([110105, 320102, 650100, 830000]),
        np.arange("1900-01-01", "2025-12-31", dtype="M8[D]"),
    )
    numbers = np.arange(count)
    dates = np.char.replace(days[numbers * 7919 % len(days)].astype(str), "-", "")
    body = pa.array(
        [
            f"{place}{date}{n % 1000:03}"
            for n, place, date in zip(numbers, places[numbers % 4], dates, strict=True)
        ]
    )
    return pc.binary_join_element_wise(body, resident_id_check(body), "")


def companies(count: int) -> pa.Array:
    body = pa.array([f"91320102MA{number:07}" for number in range(count)])
    return pc.binary_join_element_wise(body, uscc_check(body), "")


VALID: dict[str, tuple[pa.Array, Callable[[pa.Array], Any], str]] = {
    "resident_id": (residents(20_000), is_resident_id, r"^\d{6}(?:19|20)\d{9}[\dX]$"),
    "uscc": (companies(20_000), is_uscc, r"^91320102[0-9A-HJ-NPQRTUWXY]{10}$"),
    "mobile": (pa.array([f"1{3 + n % 7}{n:09}" for n in range(20_000)]), is_mobile, r"^2\d{10}$"),
}


@pytest.mark.parametrize("form", ["digits", "alphanumeric", "resident_id", "uscc", "mobile"])
def test_how_many_are_not_of_the_form_is_known_without_a_key(form: str) -> None:
    """As many as come out empty, but for those that went in so."""
    given = [*VALID.get(form, (pa.array(["苏A12345", "3201020001"]),))[0].to_pylist()[:50], None, None]
    odd = ["", "x", "李四 13800138000", "110", "1" * 33, "32010219900307001X", "18991231"]
    values = pa.array([*given, *odd])
    emptied = sum(value is None for value in masked(values, form=form)) - 2
    assert 0 < unfit(values, Fpe(form=form)) == emptied < len(values)


@pytest.mark.parametrize("cipher", ["sm4", "aes"])
@pytest.mark.parametrize("form", VALID)
def test_the_form_stays_and_no_valid_number_comes_out(form: str, cipher: str) -> None:
    values, valid, pattern = VALID[form]
    assert valid(values).all()
    found = pa.array(masked(values, form=form, cipher=cipher))
    assert found.null_count == 0
    assert pc.count_distinct(found).as_py() == pc.count_distinct(values).as_py() > 15_000
    assert pc.all(pc.match_substring_regex(found, pattern)).as_py()
    assert not valid(found).any()


def test_an_enciphered_resident_id_is_a_real_place_and_day_but_for_its_check_digit() -> None:
    found = pa.array(masked(residents(2000), form="resident_id"))
    body = pc.utf8_slice_codeunits(found, 0, 17)
    right = resident_id_check(body)
    upto_today = pc.less(pc.utf8_slice_codeunits(body, 6, 14), "20260101")
    repaired = pc.binary_join_element_wise(body, right, "").filter(upto_today)
    assert len(repaired) > 500
    assert is_resident_id(repaired).all()
    order = "0123456789X"
    shown = pc.utf8_slice_codeunits(found, 17, 18).to_pylist()
    assert [order[(order.index(letter) + 1) % 11] for letter in right.to_pylist()] == shown


def test_the_bytes_are_pinned() -> None:
    """Whoever changes these changes what is published: raise `pipelines.masks.RULES`."""
    assert masked(["11010519491231002X"], form="resident_id") == ["455244190501046768"]
    assert masked(["010-8888-1234"], form="digits") == ["007-4590-6650"]
    assert masked(["13812345678"], form="mobile") == ["20782590134"]


IN_PLACE = [
    ("digits", "010-8888-1234", r"^\d{3}-\d{4}-\d{4}$"),
    ("digits", "第(2026)0001号", r"^第\(\d{4}\)\d{4}号$"),
    ("digits", "000000", r"^\d{6}$"),
    ("digits", "12345678901234567890123456789012", r"^\d{32}$"),
    ("digits", "+86 138 0013 8000", r"^\+\d\d \d{3} \d{4} \d{4}$"),
    ("digits", "2026年03月01日", r"^\d{4}年\d\d月\d\d日$"),
    ("digits", "11010519491231002X", r"^\d{17}X$"),
    ("alphanumeric", "苏A1234警", r"^苏[0-9A-Z]{5}警$"),
    ("alphanumeric", "使014578", r"^使[0-9A-Z]{6}$"),
    ("alphanumeric", "E12345678", r"^[0-9A-Z]{9}$"),
    ("alphanumeric", "苏M·9O32P", r"^苏[0-9A-Z]·[0-9A-Z]{5}$"),
    ("alphanumeric", "A-1/B 2", r"^[0-9A-Z]-[0-9A-Z]/[0-9A-Z] [0-9A-Z]$"),
]


@pytest.mark.parametrize(("form", "value", "pattern"), IN_PLACE)
def test_in_place(form: str, value: str, pattern: str) -> None:
    (found,) = masked([value], form=form)
    assert found != value
    assert pc.match_substring_regex(pa.array([found]), pattern)[0].as_py()


NOT_OF_THE_FORM = [
    ("digits", ["12345", "", "abc", "苏A12345", "１２３４５６７８", "1234567８", "1" * 33]),
    ("digits", ["李四 13800138000", "13800138000李四", "138李0013四8000", "Li Si 13800138000", "E12345678"]),
    ("digits", ["一三八零零一三8000000", "①③⑧00138000", "13800138000x", "X13800138000", "13800138000é"]),
    ("alphanumeric", ["ABC", "abcd1234", "ABCDÉ123", "Ａ1234567", "1" * 21]),
    (
        "alphanumeric",
        ["李四 E12345678", "E12345678李四", "E1234李5678", "李A12345", "苏苏A12345", "苏12345", "警A12345"],
    ),
    (
        "resident_id",
        ["110105194912310021", "110105491231002", "11010518491231002X", " 11010519491231002X", ""],
    ),
    ("uscc", ["91320102MA00000000", "913201020000", ""]),
    ("mobile", ["23812345678", "1381234567", "+8613812345678", "12345678901"]),
]


@pytest.mark.parametrize(("form", "values"), NOT_OF_THE_FORM)
def test_what_is_not_of_the_form_becomes_null(form: str, values: list[str]) -> None:
    assert masked([*values, None], form=form) == [None] * (len(values) + 1)


@pytest.mark.parametrize("form", FORMS)
def test_domains_keys_and_ciphers_have_nothing_in_common(form: str) -> None:
    value = [{"uscc": companies(1)[0].as_py(), "mobile": "13800000000"}.get(form, "11010519491231002X")]
    column = pa.array(value, pa.string())
    found = [
        masked(value, form=form),
        masked(value, "share/statistics", form=form),
        masked(value, form=form, cipher="aes"),
        masked(value, key=Key("2", bytes(range(1, 33))), form=form),
        apply(column, Fpe(form=form, domain="health"), field(), Tokens(KEY, "share/default")).to_pylist(),
    ]
    assert len({each[0] for each in found} - {None}) == len(found)


def test_separators_make_no_difference_to_the_digits() -> None:
    plain, spaced = masked(["0101234567", "010-1234567"], form="digits")
    assert plain is not None
    assert spaced == f"{plain[:3]}-{plain[3:]}"


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_walking_stays_within_the_domain_and_meets_no_value_twice(count: int) -> None:
    """A domain just above 32**4, where nearly one in eight of 33**4 lies outside."""
    size = 32**4 + 1
    numbers = (np.arange(count, dtype=np.uint64) * np.uint64(1009)) % np.uint64(size)
    cipher = fpe.block_cipher("aes", bytes(16))
    found = fpe._walked(cipher, numbers, size)
    assert len(set(found.tolist())) == len(set(numbers.tolist()))
    assert (found < size).all()
