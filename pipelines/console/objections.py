"""Objections for the terminal, Chinese first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from exchange.words import STATES
from pipelines.console.show import terminal, titled

if TYPE_CHECKING:
    from pipelines.objected import Objected


def show_objections(found: Sequence[Objected]) -> None:
    """A line an objection, by number."""
    table = titled(
        "校核异议 Objections",
        (
            "编号\nno.",
            "数据集\ndataset",
            "提出\nfrom",
            "数源部门\nto",
            "提出日\nraised",
            "状态\nstate",
            "期限\ndue",
        ),
    )
    for each in found:
        due = f"[red]{each.due or ''} 逾期 late[/]" if each.late else each.due or "-"
        names = (
            str(each.number),
            f"{each.dataset} {each.zone}/{each.policy}",
            each.department or "公众 public",
            each.provider,
            each.raised,
            " ".join(STATES[each.state]),
        )
        table.add_row(*(escape(name) for name in names), due)
    terminal().print(table)
