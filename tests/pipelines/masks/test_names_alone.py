"""Names that stand beside neither label nor title. The people are invented."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.masks import apply
from pipelines.masks.names_alone import names_alone
from pipelines.masks.redact import find
from schemas.model import Redact
from tests.pipelines.masks.fields import field

FOUND = [
    ("昨天下午张建国在政务大厅递交了材料", "昨天下午[姓名]在政务大厅递交了材料"),
    ("欧阳晓雯一起去了医院", "[姓名]一起去了医院"),
    ("收货地址在后宰门，马冬梅收。", "收货地址在后宰门，[姓名]收。"),
    ("李娜、王小明和赵云鹏都在场", "[姓名]、[姓名]和[姓名]都在场"),
    ("陈晓燕的来信，13812345678", "[姓名]的来信，[手机号]"),
]
LEFT_ALONE = [
    "项目管理费由高淳区财政局承担",
    "王府大街菜场，安德门大街与黄埔路路口",
    "贺卡、卢布、蒲公英和胡萝卜",
    "水利、石油、黄金等行业平稳增长",
    "苏府规〔2026〕3号",
    "高铁站房施工安全管理方案已经专家评审",
]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_found(text: str, expected: str) -> None:
    assert apply(pa.array([text]), Redact(), field()).to_pylist() == [expected]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_left_alone(text: str) -> None:
    assert apply(pa.array([text]), Redact(), field()).to_pylist() == [text]


def test_each_row_is_looked_at_by_itself_and_found_as_a_name() -> None:
    texts = ["有张建国", "无", None, "张建国走了", "张", "建国"]
    assert [(each.kind, each.row) for each in find(pa.array(texts))] == [("name", 0), ("name", 3)]


def test_not_where_names_are_not_asked_for() -> None:
    text = pa.array(["张建国来过，13812345678", "张建国来过"])
    masked = apply(text, Redact(what=("phone",)), field()).to_pylist()
    assert masked == ["张建国来过，[手机号]", "张建国来过"]


def test_a_run_that_comes_again_is_found_again() -> None:
    assert list(names_alone("张建国来过。张建国来过")) == [(0, 3), (6, 9)]
