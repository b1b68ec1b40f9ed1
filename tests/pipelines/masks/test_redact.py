"""Identifiers in free text: what is found however it is written, and what is left alone.

No person's number: the ids are the example of GB 11643 and numbers computed for these tests."""

from __future__ import annotations

import sys
import tracemalloc

import pyarrow as pa
import pytest

from pipelines.masks import apply, spans
from pipelines.masks.finders import LABELS
from pipelines.masks.shadow import shadowed
from pipelines.masks.spans import marked
from schemas.model import Redact
from tests.pipelines.masks.fields import field

NUMBERS = tuple(kind for kind in LABELS if kind != "name")
FOUND = [
    ("身份证11010519491231002X。", "身份证[身份证号]。"),
    ("11010519491231002x", "[身份证号]"),
    ("１１０１０５１９４９１２３１００２Ｘ", "[身份证号]"),
    ("110105 19491231 002X", "[身份证号]"),
    ("110105-19491231-002X", "[身份证号]"),
    ("1 1 0 1 0 5 1 9 4 9 1 2 3 1 0 0 2 X", "[身份证号]"),
    ("旧号110105491231002", "旧号[身份证号]"),
    ("请致电13812345678联系", "请致电[手机号]联系"),
    ("138 1234 5678", "[手机号]"),
    ("138-1234-5678", "[手机号]"),
    ("138—1234—5678", "[手机号]"),
    ("1381234 5678", "[手机号]"),
    ("１３８１２３４５６７８", "[手机号]"),
    ("138\u200b1234\u200b5678", "[手机号]"),
    ("1 3 8 1 2 3 4 5 6 7 8", "[手机号]"),
    *((f"手机1381234{between}5678", "手机[手机号]") for between in "\0\t\v\f\r\x1c\x85\u2028\u2029"),
    ("010-5551234", "[电话号]"),
    ("苏\rA12345", "[车牌号]"),
    ("+86 13812345678", "[手机号]"),
    ("+86-138-1234-5678", "[手机号]"),
    ("008613812345678", "[手机号]"),
    ("8613812345678", "[手机号]"),
    ("013812345678", "[手机号]"),
    ("٠١٣٨١٢٣٤٥٦٧٨", "[手机号]"),
    ("邮箱zhang.san+tag@mail.example.com.cn。", "邮箱[邮箱]。"),
    ("zhang＠example．com", "[邮箱]"),
    ("13812345678@139.com", "[邮箱]"),
    ("卡4111111111111111", "卡[银行卡号]"),
    ("4111 1111 1111 1111", "[银行卡号]"),
    ("4111-1111-1111-1111", "[银行卡号]"),
    ("6222021234567890128", "[银行卡号]"),
    ("6222 0212 3456 7890 128", "[银行卡号]"),
    ("622202 1234567890128", "[银行卡号]"),
    ("3782 822463 10005", "[银行卡号]"),
    ("尾号1234 4111 1111 1111 1111", "尾号1234 [银行卡号]"),
    ("苏A12345", "[车牌号]"),
    ("苏A·12345停在路边", "[车牌号]停在路边"),
    ("苏a 1234b", "[车牌号]"),
    ("苏Ａ１２３４５", "[车牌号]"),
    ("苏AD12345", "[车牌号]"),
    ("苏A12345D", "[车牌号]"),
    ("苏A1234警", "[车牌号]"),
    ("粤Z1234港", "[车牌号]"),
    ("京A0012使", "[车牌号]"),
    ("使014578", "[车牌号]"),
    ("13812345678 4111111111111111", "[手机号] [银行卡号]"),
    ("13812345678，13912345678", "[手机号]，[手机号]"),
    ("11010519491231002X13812345678", "[身份证号][手机号]"),
    ("1381234567811010519491231002X", "[手机号][身份证号]"),
    ("👍𠮷13812345678👍", "👍𠮷[手机号]👍"),
    ("一行\n13812345678\n二行", "一行\n[手机号]\n二行"),
    ("\0" + "13812345678", "\0[手机号]"),
]
LEFT_ALONE = [
    "",
    "玄武区政务服务中心",
    "110105194912310021",  # the check character is X
    "11010519491331002X",  # no 13th month
    "4111111111111112",  # Luhn's sum is wrong
    "4111 1111 1111 1112",
    "1381234567",
    "138123456789",
    "订单138123456780001112223334",
    "12812345678",
    "2026-03-04 12:30:45",
    "共1234567890123.45元",
    "京A股上涨，苏B类",
    "user@localhost",
    "A座1201室",
    "第13812号文",
    "320102",
]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_found(text: str, expected: str) -> None:
    assert apply(pa.array([text]), Redact(), field()).to_pylist() == [expected]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_left_alone(text: str) -> None:
    assert apply(pa.array([text]), Redact(), field()).to_pylist() == [text]


def test_a_column_at_once_gives_what_each_row_gives() -> None:
    """Rows are joined for the search: no identifier may begin in one and end in the next."""
    texts = [*(text for text, _ in FOUND), *LEFT_ALONE, None, "1381234", "5678", "4111 1111 ", "1111 1111"]
    alone = [apply(pa.array([text], pa.string()), Redact(), field()).to_pylist()[0] for text in texts]
    assert apply(pa.array(texts), Redact(), field()).to_pylist() == alone


def test_only_the_kinds_asked_for() -> None:
    text = pa.array(["13812345678 4111111111111111 苏A12345 a@b.cn 11010519491231002X"])
    kept = apply(text, Redact(what=("phone", "plate")), field()).to_pylist()[0]
    assert kept == "[手机号] 4111111111111111 [车牌号] a@b.cn 11010519491231002X"


def test_slices_of_bounded_size_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["pipelines.masks.redact"], "SLICE_BYTES", 20)
    texts = ["拨13812345678", "无", "卡4111111111111111", "13812345678" * 1, None, "x" * 50 + "@b.cn"]
    expected = ["拨[手机号]", "无", "卡[银行卡号]", "[手机号]", None, "[邮箱]"]
    assert apply(pa.array(texts), Redact(), field()).to_pylist() == expected


@pytest.mark.timeout(120)  # in proportion to its length each takes half a second, else hours
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "1",
            "1 ",
            "a",
            "苏",
            "@",
            "张",
            "姓名：",
            "张伟、",
            "0",
            "(025",
            "A1",
            "买·",
            "联系人：艾力·买买提",
        ),
        *("1.", "一", "①", "1_", "1·", "1.1/1_", "138.0013.8000.", "一.一/"),
    ],
)
def test_hostile_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    (found,) = apply(pa.array([text + "@，13812345678"]), Redact(), field()).to_pylist()
    assert found.endswith("[手机号]")


@pytest.mark.parametrize("plate", ["苏A12345", "鲁A12345", "新A1234警"])
@pytest.mark.parametrize("name", ["周勇嘉", "王建国", "李娜"])
def test_a_name_right_before_a_plate_is_found_as_any_other(name: str, plate: str) -> None:
    """The province is no part of a given name."""
    mask = Redact(what=("plate", "name"))
    found = [f"昨日{name}驾车", f"昨日{name}{plate}驾车", f"昨日{name} {plate}"]
    masked = apply(pa.array(found), mask, field()).to_pylist()
    assert masked == ["昨日[姓名]驾车", "昨日[姓名][车牌号]驾车", "昨日[姓名] [车牌号]"]


@pytest.mark.parametrize("piece", [" 1 ", ".1.", "-一-"])
def test_text_full_of_candidates_takes_memory_in_proportion_to_its_length(piece: str) -> None:
    """At every digit of it one begins that is some fifty characters long: all at once take 300 bytes for each."""
    text = shadowed(piece * 100_000)
    marked(shadowed("13812345678"), NUMBERS)
    tracemalloc.start()
    try:
        marked(text, NUMBERS)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100 * len(text.text)


@pytest.mark.parametrize("together", [1, 3, 7])
def test_candidates_looked_at_in_turns_are_found_as_at_once(
    monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    text = "\n".join([*(text for text, _ in FOUND), *LEFT_ALONE])
    at_once = list(marked(shadowed(text), NUMBERS))
    monkeypatch.setattr(spans, "TOGETHER", together)
    assert list(marked(shadowed(text), NUMBERS)) == at_once
    assert len(at_once) > 40


def test_a_shadow_has_a_byte_for_each_character() -> None:
    text = "苏Ａ·１2\u3000—👍𠮷\0"
    assert len(shadowed(text).dark) == len(text)
    assert shadowed("１—\u3000Ａ＠٣").dark.tobytes() == b"1- A@3"


def test_a_name_that_reaches_into_a_plate_moves_no_other_row() -> None:
    texts = ["局长万苏A12345到", "第二行", "请致电15412345678联系"]
    masked = apply(pa.array(texts), Redact(what=("phone", "plate", "name")), field()).to_pylist()
    assert masked == ["局长[姓名][车牌号]到", "第二行", "请致电[手机号]联系"]
