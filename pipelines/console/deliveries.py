"""Deliveries and their receipts for the terminal, Chinese first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from pipelines.console.show import terminal, titled

if TYPE_CHECKING:
    from exchange.receipts import Receipt
    from exchange.subscriptions import Subscription

WORDS = {"done": "[green]已交付 done[/]", "failed": "[red]失败 failed[/]", "": "[dim]未交付 not yet[/]"}


def show_deliveries(found: Sequence[Subscription], last: Mapping[int, Receipt]) -> None:
    """A line a delivery, by number; below them why the newest failed."""
    table = titled(
        "交付 Deliveries",
        ("编号\nno.", "数据集\ndataset", "需求方\nto", "去处\nwhere", "方式\nhow", "状态\nstate"),
        ("行\nrows",),
    )
    for each in found:
        receipt = last.get(each.number)
        how = each.mode if each.method == "batch" else f"{each.format}, {each.keep} kept"
        state = "[dim]已停止 stopped[/]" if each.ended else WORDS[receipt.state if receipt else ""]
        where = f"{each.connection_name} {each.place}"
        names = (str(each.number), f"{each.dataset} {each.policy}", each.department, where, how)
        rows = f"{receipt.counts.found:,}" if receipt else "-"
        table.add_row(*(escape(name) for name in names), state, rows)
    console = terminal()
    console.print(table)
    for each in found:
        if (receipt := last.get(each.number)) and receipt.why and not each.ended:
            console.print(f"[red]{each.number}[/red] {escape(receipt.why)}", highlight=False)


def show_receipts(found: Sequence[Receipt]) -> None:
    """A line a delivery, the newest first, and why the newest failed."""
    table = titled(
        "交付回执 Receipts",
        ("编号 no.", "时间 at", "快照 snapshot", "状态 state"),
        ("应有 rows", "发送 sent", "实有 found", "增 +", "改 ~", "删 -", "替换 altered"),
    )
    for each in found:
        done = each.counts
        counts = (done.rows, done.sent, done.found, done.inserted, done.updated, done.deleted, done.altered)
        names = (str(each.number), f"{each.at:%Y-%m-%d %H:%M:%S}", each.snapshot, WORDS[each.state])
        table.add_row(*names, *(f"{n:,}" for n in counts))
    console = terminal()
    console.print(table)
    if found and found[0].why:
        console.print(f"[red]{escape(found[0].why)}[/red]", highlight=False)
