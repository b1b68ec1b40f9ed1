"""Numbers written so that plain patterns pass them by: with points, slashes and low lines between the digits, in circles,
as Chinese words. And what is written with the same characters and is no identifier.

No person's number: the ids are the example of GB 11643 and numbers computed for these tests."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.masks import apply
from pipelines.masks.finders import MAY_HOLD
from pipelines.masks.redact import find
from pipelines.masks.shadow import loosened, shadowed
from schemas.model import Redact
from tests.pipelines.masks.fields import field

FOUND = [
    # set apart by points, slashes, low lines
    ("致电138.0013.8000。", "致电[手机号]。"),
    ("138_0013_8000", "[手机号]"),
    ("138/0013/8000", "[手机号]"),
    ("138\\0013\\8000", "[手机号]"),
    ("138·0013·8000", "[手机号]"),
    ("１３８．００１３．８０００", "[手机号]"),
    ("+86.138.0013.8000", "[手机号]"),
    ("1_3_8_0_0_1_3_8_0_0_0", "[手机号]"),
    ("138.0013.8000/139.0013.9000", "[手机号]/[手机号]"),
    ("联系138.0013.8000.", "联系[手机号]."),
    ("110105/19491231/002X", "[身份证号]"),
    ("110105.19491231.002x", "[身份证号]"),
    ("110105.1949.12.31.002X", "[身份证号]"),
    ("110105_19491231002X", "[身份证号]"),  # what follows the line has the form of a telephone
    ("身份证110105/491231/002", "身份证[身份证号]"),
    ("4111.1111.1111.1111", "[银行卡号]"),
    ("4111/1111/1111/1111", "[银行卡号]"),
    ("6222_0212_3456_7890_128", "[银行卡号]"),
    ("卡号621700.1234567890155", "卡号[银行卡号]"),
    ("025.84512345", "[电话号]"),
    ("025/84512345", "[电话号]"),
    ("座机8451_2345", "座机[电话号]"),
    ("91.350100.M000100Y4.3", "[信用代码]"),
    ("手机138.00138000", "手机[手机号]"),  # once, after its word
    # in circles, brackets, on keys
    ("①③⑧⓪⓪①③⑧⓪⓪⓪", "[手机号]"),
    ("①③⑧00①③⑧000", "[手机号]"),
    ("13⑧0013⑧000", "[手机号]"),
    ("❶❸❽⓿⓿❶❸❽⓿⓿⓿", "[手机号]"),
    ("⑴⑶⑻00⑴⑶⑻000", "[手机号]"),
    ("1\ufe0f\u20e33\ufe0f\u20e38" + "\ufe0f\u20e30" * 8, "[手机号]"),
    # as words
    ("手机是一三八零零一三八零零零，请回电", "手机是[手机号]，请回电"),
    ("幺三八〇〇幺三八〇〇〇", "[手机号]"),
    ("一三八-零零一三-八零零零", "[手机号]"),
    ("壹叁捌零零壹叁捌零零零", "[手机号]"),
    ("13八零零一38零零零", "[手机号]"),
    ("一一〇一〇五一九四九一二三一〇〇二X", "[身份证号]"),
    ("卡号四一一一一一一一一一一一一一一一", "卡号[银行卡号]"),
    ("电话八四五一二三四五", "电话[电话号]"),
    ("零二五-八四五一二三四五", "[电话号]"),
    ("护照E一二三四五六七八", "护照[证件号]"),
    # a list's number stays one
    ("①13800138000 ②13900139000", "①[手机号] ②[手机号]"),
]
LEFT_ALONE = [
    "2026.03.01",
    "2026/03/01 12:30:45",
    "2026.03.01-2026.04.01",
    "2026/03/01_2026/03/31",
    "二〇二六年三月一日",
    "一九九八年一月一日至二〇〇〇年十二月三十一日",
    "版本23.138.0702.0004",  # no telephone set apart by points from other digits
    "138.0702.0004.1",
    "1.3.6.1.2.1.2.2.1.8.1",  # an object identifier
    "第1.3.8.1.2节",
    "10.138.12.34",
    "192.168.100.101:8080",
    "138.00138000",  # a number with its decimals
    "131.12345678,47.12345678",
    "138.0013/8000",
    "138_0013.8000",
    "1,380,013.80.00",
    "13.800.138.000",
    "金额13800138.00元",
    "金额138.0013.8000",
    "622202.1234567891",  # Luhn's sum, as one number in ten has it
    "110105.491231.002",  # nothing proves it
    "110105/19491231/0021",  # the check character is wrong
    "4111.1111.1111.1112",
    "一二三四五六七八九十",
    "①申请②受理③审核④决定⑤送达⑥归档⑦公示⑧结束",
    "①13500001 ②1380",
    "人民币壹拾叁万捌仟元整",
    "10.1016/j.cell.2013.06.020",
    "978.7.1234.5678.9",
    "500m²300m³",
    "订单号138.0013.8000",
    "订单号一三八零零一三八零零零",
    "www.nanjing.gov.cn/2026/03/01/13800138.html",
]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_found(text: str, expected: str) -> None:
    masked = apply(pa.array([text]), Redact(), field()).to_pylist()[0]
    assert masked.rstrip("\ufe0f\u20e3") == expected


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_left_alone(text: str) -> None:
    assert apply(pa.array([text]), Redact(), field()).to_pylist() == [text]


def test_a_column_at_once_gives_what_each_row_gives() -> None:
    texts = [
        *(text for text, _ in FOUND),
        *LEFT_ALONE,
        None,
        "138.0013",
        ".8000",
        "一三八零零",
        "一三八零零零",
    ]
    alone = [apply(pa.array([text], pa.string()), Redact(), field()).to_pylist()[0] for text in texts]
    assert apply(pa.array(texts), Redact(), field()).to_pylist() == alone


def test_who_only_asks_is_told_the_digits_as_others_write_them() -> None:
    texts = pa.array(["138.0013.8000", "一一〇一〇五一九四九一二三一〇〇二x", "a.b@c.cn"])
    assert [each.number for each in find(texts)] == [b"13800138000", b"11010519491231002X", b"A.B@C.CN"]


def test_a_note_above_the_line_belongs_to_no_number() -> None:
    assert apply(pa.array(["13800138000²"]), Redact(), field()).to_pylist() == ["[手机号]²"]


@pytest.mark.parametrize("text", ["", "2026.3.1", "共三件", "13800138000", "一九九八年", "a.b/c_d"])
def test_what_holds_no_long_number_is_not_searched_again(text: str) -> None:
    assert loosened(shadowed(text)) is None


def test_only_the_run_that_is_read_otherwise_is_searched_again() -> None:
    text = "电话13912345678，另138.0013.8000，共三件"
    read = loosened(shadowed(text))
    assert read is not None and read.loosely is not None
    assert "".join(text[at] for at in read.loosely.where) == "138.0013.8000，"


DIGITS = (
    "0零〇⓪⓿",
    "1一幺①❶",
    "2二贰②❷",
    "3三叁③❸",
    "4四肆④❹",
    "5五伍⑤❺",
    "6六陆⑥❻",
    "7七柒⑦❼",
    "8八捌⑧❽",
    "9九玖⑨❾",
)


@given(
    st.integers(3 * 10**9, 10**10 - 1),
    st.lists(st.integers(1, 4), min_size=11, max_size=11),
    st.sampled_from(["", ".", "/", "_", "-", " "]),
)
def test_a_telephone_in_any_digits_set_apart_anyhow_is_found(
    rest: int, written: list[int], between: str
) -> None:
    digits = [DIGITS[int(digit)][way] for digit, way in zip(f"1{rest:010}", written, strict=True)]
    text = between.join("".join(digits[start:end]) for start, end in ((0, 3), (3, 7), (7, 11)))
    assert pc.match_substring_regex(pa.array([text]), MAY_HOLD)[0].as_py()
    assert apply(pa.array([text]), Redact(), field()).to_pylist() == ["[手机号]"]


@given(st.lists(st.text("0123456789.._/·一三八零①③⑧⓪ -\n\x1e元Xx", max_size=14)))
def test_any_text_is_read_without_an_error_and_masked_once(rows: list[str]) -> None:
    column = pa.array([row.replace("\x1e", "") for row in rows], pa.string())
    masked = apply(column, Redact(), field())
    assert len(masked) == len(column)
    assert apply(masked, Redact(), field()).equals(masked)


def test_dates_of_every_day_are_left_alone() -> None:
    days = np.arange("1950-01-01", "2030-01-01", dtype="M8[D]").astype(str)
    for between in "./_":
        texts = pa.array(np.char.replace(days, "-", between))
        spans = pa.array(
            [f"{a}{between}{b}" for a, b in zip(texts.to_pylist(), reversed(texts.to_pylist()), strict=True)]
        )
        assert list(find(texts)) == []
        assert len({each.row for each in find(spans)}) == 0
