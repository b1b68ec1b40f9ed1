"""What a workbook says: of each row what is wrong, and on its second sheet what to do. Chinese first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from pipelines.quarantine.aside import Failure
from pipelines.quarantine.rejects import MALFORMED
from pipelines.report.words import CHECK_WORDS
from schemas.model import Entry

RULES: Final[dict[str, str]] = {
    **CHECK_WORDS,
    "string": "应为文本",
    "integer": "应为整数",
    "decimal": "应为定点小数",
    "number": "应为数字",
    "boolean": "应为是或否",
    "date": "应为真实存在的日期",
    "timestamp": "应为真实存在的时间",
    "binary": "应为二进制内容",
    "code_list": "应为代码表内的代码、名称或别名",
    "append_only": "主键已存在且内容不同",
    MALFORMED: "整行无法读取",
}
"""The rules of casts, and those of checks in the report's words. A rule that is in neither keeps its English name."""


def wrong(entry: Entry, failures: Sequence[Failure]) -> str:
    """A line for each failure: field, rule and what was expected; never a value."""
    return "\n".join(_failure(entry, each) for each in failures)


def _failure(entry: Entry, failure: Failure) -> str:
    field = entry.fields.get(failure.field)
    zh = field.title.zh if field else failure.field or "整行"
    en = field.title.en if field else failure.field or "the row"
    rule = RULES.get(failure.rule, failure.rule)
    shared = f" 来自 from {field.shared_from.dataset}" if field and field.shared_from else ""
    return f"{zh}：{rule}{shared} / {en}: {failure.expected}"


def readme(
    entry: Entry, department: Mapping[str, str], *, rows: int, due: date | None, correctable: bool
) -> list[tuple[str, str]]:
    """What to do, by lines."""
    until = f"{due:%Y-%m-%d}" if due else "–"
    return [
        (
            f"{entry.title.zh}：{rows} 行未通过校验，请核对更正",
            f"{entry.title.en}: {rows} rows did not pass; please verify and correct them",
        ),
        (
            f"请 {department['zh']} 于 {until} 前办结（《政务数据共享条例》第二十六条，工作日）。",
            f"For {department['en']}, until {until} (Decree 809, Art. 26, working days).",
        ),
        *(_CORRECT if correctable else _ELSEWHERE),
        (
            "确认原值无误或无法更正的，在最后一列写明理由；理由中不得出现个人姓名、证件号、电话。",
            "Where nothing can or need be corrected, give the reason in the last column, without names or numbers of "
            "persons.",
        ),
        (
            "灰色单元格请勿改动：每行有校验码，改动过的行将被退回。请勿改名、删除工作表。",
            "Leave the grey cells alone: each row carries a code, and a row that was changed is refused. Do not rename "
            "or remove sheets.",
        ),
        (
            "源系统中的数据也请一并更正，否则下次采集仍会出错。",
            "Correct the data in your own system too, or they will fail again the next time they are collected.",
        ),
        (
            "本文件含有原始数据，请按数据分级要求保管，用毕删除。",
            "This file holds data as received: keep it as their grade asks, and delete it when you are done.",
        ),
    ]


_CORRECT: Final = (
    (
        "在“更正”列填写正确的值（黄色单元格为未通过的值）；不需更正的留空。要清空一个值，填写 (空)。",
        "Write the right value into the column `corrected` (yellow: what did not pass); leave the others empty. To "
        "remove a value write (空).",
    ),
    (
        "单元格已设为文本格式：证件号、编码请直接输入，不要使用公式。",
        "The cells are text: type identity numbers and codes as they are, and use no formulas.",
    ),
)
_ELSEWHERE: Final = (
    (
        "这些值由贵部门提供的数据集共享而来，请在贵部门的源系统中更正；本表仅供定位。",
        "These values come from your own dataset by sharing: correct them in your own system. This sheet shows where.",
    ),
)
