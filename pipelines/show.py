"""Tables for the terminal: what the command line shows people, Chinese first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from lake.quarantine import Summary
    from pipelines.status import BatchStatus, Lateness

COLOURS = {"done": "green", "failed": "red", "running": "yellow", "lost": "red", "nothing new": "dim"}


def show_status(rows: Sequence[BatchStatus], late: Sequence[Lateness]) -> None:
    """One line a batch, the sums below, then every failure in full and every late dataset."""
    console = Console()
    table = Table(title="数据湖状态 State of the lake", title_justify="left", header_style="bold", expand=False)
    table.add_column("数据集 dataset", no_wrap=True)
    table.add_column("批次 interval end", no_wrap=True)
    for heading in ("采集\ncollected", "隔离\nquarantined", "新增\ninserted", "更新\nupdated", "不变\nunchanged"):
        table.add_column(heading, justify="right")
    for heading in ("被取代\nsuperseded", "删除\ndeleted", "现有\ncurated", "共享\nshared", "开放\nopened"):
        table.add_column(heading, justify="right")
    table.add_column("状态 state")
    for row in rows:
        shared = "/".join(f"{count:,}" for count in row.shared.values())
        table.add_row(
            f"{row.dataset}\n[dim]{row.title_zh}[/dim]",
            row.interval_end[:16].replace("T", " "),
            *(_number(value) for value in (row.collected, row.quarantined, row.inserted, row.updated)),
            *(_number(value) for value in (row.unchanged, row.superseded, row.deleted, row.total)),
            shared or "-",
            _number(row.opened),
            f"[{COLOURS.get(row.state, 'white')}]{row.state}[/]" + ("" if row.state == "done" else f"\n{row.stage}"),
        )
    console.print(table)
    for row in rows:
        if row.reason:
            console.print(f"[red]{row.dataset} {row.batch}[/red] {row.stage}: {row.reason}", highlight=False)
    for item in late:
        newest = item.newest.isoformat() if item.newest else "nothing yet"
        console.print(
            f"[yellow]{item.dataset} is late[/yellow]: due {item.expected.isoformat()}, newest {newest}", highlight=False
        )


def show_quarantine(found: Sequence[tuple[str, Summary]]) -> None:
    """Counts by dataset, batch, stage, field and rule."""
    table = Table(title="隔离区 Quarantine", title_justify="left", header_style="bold")
    for heading in ("数据集 dataset", "批次 batch", "环节 stage", "字段 field", "规则 rule"):
        table.add_column(heading)
    table.add_column("行 rows", justify="right")
    for dataset, row in found:
        table.add_row(dataset, row.batch, row.stage, row.field, row.rule, f"{row.rows:,}")
    Console().print(table)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
