"""Applications for the terminal, Chinese first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from exchange.words import STATES, USES
from pipelines.console.show import terminal, titled

if TYPE_CHECKING:
    from pipelines.applied import Applied


def show_applications(found: Sequence[Applied]) -> None:
    """A line an application, by number."""
    table = titled(
        "开放申请 Applications",
        (
            "编号\nno.",
            "数据集\ndataset",
            "用途\nuse",
            "数源部门\nto",
            "申请日\napplied",
            "使用至\nuntil",
            "状态\nstate",
            "期限\ndue",
        ),
    )
    for each in found:
        due = f"[red]{each.due or ''} 逾期 late[/]" if each.late else each.due or "-"
        names = (
            str(each.number),
            each.dataset,
            " ".join(USES[each.use]),
            each.provider,
            each.applied,
            each.until,
            " ".join(STATES[each.state]),
        )
        table.add_row(*(escape(name) for name in names), due)
    terminal().print(table)
