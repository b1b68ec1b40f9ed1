"""Landlines, passports, credit codes and names in prose; and ordinary numbers, which are left alone.

No person's number: they are computed for these tests, and the people are invented."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.masks import apply
from pipelines.masks.finders import AHEAD, FINDERS, LABELS, MAY_HOLD
from pipelines.masks.redact import find
from pipelines.masks.spans import _candidates
from schemas.model import Redact
from schemas.model.masks import Identifier
from tests.pipelines.masks.fields import field

FOUND = [
    # landlines: set apart anywhere, written in one after a word
    ("可拨025-84512345转", "可拨[电话号]转"),
    ("（025）84512345", "[电话号]"),
    ("(0512) 6512345", "[电话号]"),
    ("025 8451 2345", "[电话号]"),
    ("+86-25-84512345", "[电话号]"),
    ("０２５－８４５１２３４５", "[电话号]"),
    ("025-84512345-8012", "[电话号]"),
    ("电话：02584512345", "电话：[电话号]"),
    ("座机84512345", "座机[电话号]"),
    ("Tel: 8451-2345", "Tel: [电话号]"),
    # passports and permits, after a word
    ("护照号E12345678", "护照号[证件号]"),
    ("持护照 EA1234567 入境", "持护照 [证件号] 入境"),
    ("港澳通行证C12345678", "港澳通行证[证件号]"),
    ("passport no. G12345678", "passport no. [证件号]"),
    # credit codes
    ("施工单位91350100M000100Y43承建", "施工单位[信用代码]承建"),
    ("代码９１３５０１００Ｍ０００１００Ｙ４３", "代码[信用代码]"),
    # cards after their word, whatever they begin with
    ("卡号1000000000000008", "卡号[银行卡号]"),
    # names beside a label
    ("联系人：张伟，", "联系人：[姓名]，"),
    ("联系人张伟电话不通", "联系人[姓名]电话不通"),
    ("姓名:欧阳文修", "姓名:[姓名]"),
    ("申请人买买提·艾力提交", "申请人[姓名]提交"),
    ("经办人王丽、李明明", "经办人[姓名]、[姓名]"),
    ("法定代表人 赵敏 于", "法定代表人 [姓名] 于"),
    ("我是李小明，", "我是[姓名]，"),
    ("负责人为张和平。", "负责人为[姓名]。"),
    ("办公室值班室02584512345", "办公室值班室[电话号]"),
    # numbers broken by the end of a line, in groups, or within a card
    ("身份证号：11010519491\n231002X，", "身份证号：[身份证号]，"),
    ("手机1381\r\n2345678。", "手机[手机号]。"),
    ("联系电话：\n84512345", "联系电话：\n[电话号]"),
    ("代码91 350100 M000100Y4 3。", "代码[信用代码]。"),
    ("卡号6222 0213 8123 4567 892", "卡号[银行卡号]"),
    ("身份证号码340102690402626", "身份证号码[身份证号]"),  # 15 digits with Luhn's sum are no card there
    ("1.13812345678", "1.[手机号]"),
    # names before and after a title
    ("会议由何鹏军科长主持", "会议由[姓名]科长主持"),
    ("郭副市长、王区长到场", "[姓名]副市长、[姓名]区长到场"),
    ("新华社记者兰红光摄", "新华社记者[姓名]摄"),
    ("罗一庆（身份证：略）", "[姓名]（身份证：略）"),
    ("托运人：于水梓，", "托运人：[姓名]，"),
    (
        "刘梅梅主任说，后来刘梅梅已退热",
        "[姓名]主任说，后来[姓名]已退热",
    ),
    ("市民王女士反映", "市民[姓名]女士反映"),
    ("请张伟明主任到场", "请[姓名]主任到场"),
    ("公安局局长李建国同志", "公安局局长[姓名]同志"),
    ("欧阳老师来电", "[姓名]老师来电"),
    ("高级工程师陈志强。", "高级工程师[姓名]。"),
]
LEFT_ALONE = [
    "订单号13812345678",
    "流水号：6222021234567890128",
    "编号 320102900101001",
    "合同号02584512345",
    "02584512345",  # nothing says that it is a telephone
    "84512345",
    "0305-20260305",  # no such area
    "025-12345678",  # no subscriber's number begins with 1
    "E12345678",
    "批次E12345678",
    "91350100M000100Y44",  # the check character is wrong
    "11010519491331002X",  # right by chance, of no province
    "交易流水4417123456789113",  # Luhn's sum by chance, and a word that says whose number it is
    "资产号4417123456789113",
    "金额13812345678.50元",
    "报价13812345678元",
    "0.6554621848739496,0.835195530726257",  # fractions with the sum of a card and the form of an old id
    "1381\n2345\n678",  # on three lines
    "65009 12345678901",
    "4417123456789",  # 13 digits: no card that anyone issues
    "玄武区区长",
    "格鲁吉亚总统",
    "全国人大常务委员会委员",
    "公司董事长到会",
    "项目经理常驻现场",
    "青年路街道",
    "办公室主任",
    "公安局长、统计局长到会",
    "项目经理说",
    "安全主任",
    "由于主任不在",
    "联系人：详见附件",
    "居民高度关注",
    "负责人管理不善",
    "张某先生",
    "班主任",
    "江宁区区长",
    "客户经理",
]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_found(text: str, expected: str) -> None:
    assert apply(pa.array([text]), Redact(), field()).to_pylist() == [expected]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_left_alone(text: str) -> None:
    assert apply(pa.array([text]), Redact(), field()).to_pylist() == [text]


def test_a_column_at_once_gives_what_each_row_gives() -> None:
    """A word at the end of one row says nothing of the number that begins the next."""
    texts = [
        *(text for text, _ in FOUND),
        *LEFT_ALONE,
        None,
        "电话",
        "84512345",
        "联系人",
        "张伟",
        "护照",
        "E12345678",
    ]
    alone = [apply(pa.array([text], pa.string()), Redact(), field()).to_pylist()[0] for text in texts]
    assert apply(pa.array(texts), Redact(), field()).to_pylist() == alone


def test_every_kind_has_a_finder_and_a_label() -> None:
    kinds = set(Identifier.__args__)  # type: ignore[attr-defined]
    assert {finder.kind for finder in FINDERS} | {"name"} == set(LABELS) == kinds


def test_who_only_asks_is_told_kind_and_row() -> None:
    texts = pa.array(["无", "联系人：张伟，座机84512345", None, "护照E12345678"])
    assert [(each.kind, each.row) for each in find(texts)] == [("name", 1), ("landline", 1), ("passport", 3)]
    assert [each.kind for each in find(texts, ("passport",))] == ["passport"]


def test_a_code_of_letters_and_digits_is_searched_where_a_word_stands_before_it() -> None:
    codes = [f"H{number * 7919 % 10**9:09}" for number in range(1, 100)]
    said = ["护照H123456", "证件（号码不详，另见 H123456"]
    texts = pa.array([*codes, *said])
    assert pc.match_substring_regex(texts, MAY_HOLD).to_pylist() == [False] * len(codes) + [True] * len(said)


NUMBERS = (
    "11010519491231002X",
    "110105491231002",
    "13812345678",
    "4111 1111 1111 1111",
    "1 3 8 1 2 3 4 5 6 7 8",
)
PIECES = st.one_of(st.sampled_from(NUMBERS), st.text("0123456789Xx -\n.a\x1e\xff", max_size=8))


@given(st.lists(PIECES, max_size=6).map("".join))
def test_a_number_is_missed_nowhere_for_looking_only_where_it_has_room(text: str) -> None:
    dark = np.frombuffer(text.encode("latin-1"), np.uint8)
    for pattern in (each for finder in FINDERS for each in finder.patterns):
        everywhere = [(each.start(), each.end(1)) for each in pattern.regex.finditer(dark)]
        found = _candidates(dark, pattern)
        assert list(zip(found.starts.tolist(), found.ends.tolist(), strict=True)) == everywhere


def test_what_may_not_follow_a_number_is_within_the_characters_looked_at() -> None:
    never = {finder.never_before for finder in FINDERS if finder.never_before is not None}
    assert never and all(re._parser.parse(each.pattern).getwidth()[1] <= AHEAD for each in never)  # type: ignore[attr-defined]


@given(
    st.lists(
        st.lists(
            st.one_of(
                PIECES, st.sampled_from(["元", "号", "卡号", "电话", "致电", "金额", "身份证", "@", "a@b.cn"])
            ),
            max_size=5,
        )
    )
)
def test_any_column_at_once_gives_what_each_of_its_rows_gives(rows: list[list[str]]) -> None:
    column = pa.array(["".join(row) for row in rows], pa.string())
    alone = [apply(column.slice(n, 1), Redact(), field()).to_pylist()[0] for n in range(len(column))]
    found = apply(column, Redact(), field())
    found.validate(full=True)
    assert found.to_pylist() == alone
