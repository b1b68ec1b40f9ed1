"""Tables for the terminal: what the command line shows people of the lake, Chinese first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pipelines.keyring import Standing
    from pipelines.leftover import Left
    from pipelines.quarantine.aside import Aside
    from pipelines.quarantine.casework import Case, Load
    from pipelines.status import BatchStatus, Lateness, StageStatus
    from schemas.lineage import Origin, Reader
    from schemas.model import Entry

COLOURS = {
    "done": "green",
    "failed": "red",
    "running": "yellow",
    "lost": "red",
    "held": "yellow",
    "stuck": "red",
    "nothing new": "dim",
}
CASE_WORDS = {
    "open": ("待交办", "yellow"),
    "assigned": ("待更正", "yellow"),
    "corrected": ("待重放", "green"),
    "dismissed": ("不予更正", "dim"),
}
UNBROKEN = 100_000
"""Columns of what is not a terminal."""
HEADINGS = (
    "采集\ncollected",
    "隔离\nset aside",
    "归并\nmerged",
    "现有\ncurated",
    "共享\nshared",
    "开放\nopened",
)


def show_status(rows: Sequence[BatchStatus], late: Sequence[Lateness]) -> None:
    """One line a batch, then every failure in full and every late dataset. Merged: `+inserted ~updated -deleted`."""
    table = Table(
        title="数据湖状态 State of the lake", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    table.add_column("数据集\ndataset", overflow="fold")
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("状态\nstate", no_wrap=True)
    for row in rows:
        table.add_row(
            f"{row.dataset}\n[dim]{escape(row.title_zh)} {row.day}[/dim]",
            number(row.collected),
            number(row.quarantined),
            _merged(row),
            number(row.total),
            "\n".join(f"{count:,}" for count in row.shared.values()) or "-",
            number(row.opened),
            f"[{COLOURS.get(row.state, 'white')}]{row.state}[/]"
            + ("" if row.state == "done" else f"\n{row.stage}"),
        )
    console = terminal()
    console.print(table)
    for row in rows:
        if row.reason:
            console.print(
                f"[red]{row.dataset} {row.batch}[/red] {row.stage}: {escape(row.reason)}", highlight=False
            )
        if row.warning:
            console.print(
                f"[yellow]未改变数据 no effect[/yellow] {row.dataset} {row.batch}: {escape(row.warning)}",
                highlight=False,
            )
    for item in late:
        newest = f"{item.newest:%Y-%m-%d %H:%M}" if item.newest else "nothing yet"
        console.print(
            f"[yellow]迟到 late[/yellow] {item.dataset}: due {item.expected:%Y-%m-%d %H:%M}, newest {newest}",
            highlight=False,
        )


def show_stages(rows: Sequence[StageStatus]) -> None:
    """Rows in and out of every stage of every batch, as the ledger holds them."""
    table = Table(
        title="各环节行数 Rows of every stage", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for heading in ("数据集\ndataset", "批次\nbatch", "环节\nstage"):
        table.add_column(heading, overflow="fold")
    for heading in ("进\nrows in", "出\nrows out", "隔离\nset aside", "秒\nseconds", "次\nattempt"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("状态\nstate", no_wrap=True)
    for row in rows:
        table.add_row(
            row.dataset,
            row.batch,
            f"{row.stage} {row.part}".strip(),
            number(row.rows_in),
            number(row.rows_out),
            number(row.counts.get("quarantined")),
            "-" if row.seconds is None else f"{row.seconds:.1f}",
            str(row.attempt),
            f"[{COLOURS.get(row.state, 'white')}]{row.state}[/]",
        )
    terminal().print(table)


def _merged(row: BatchStatus) -> str:
    counts = (("+", row.inserted), ("~", row.updated), ("-", row.deleted))
    return " ".join(f"{sign}{count:,}" for sign, count in counts if count) or (
        "=" if row.total is not None else "-"
    )


def titled(title: str, texts: Sequence[str], numbers: Sequence[str] = ()) -> Table:
    """A table with columns of texts, which are folded where they are long, and then of numbers."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for heading in texts:
        table.add_column(heading, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table


def terminal() -> Console:
    """The terminal's own width. Where there is none nothing is broken, so that a whole id is on one line for `grep`."""
    console = Console()
    return console if console.is_terminal else Console(width=UNBROKEN)


def show_cases(found: Sequence[Case], now: datetime) -> None:
    """A line for each case; a row that broke two rules is in two."""
    table = Table(title="隔离区 Quarantine", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("数据集 dataset", "批次 batch", "环节 stage", "字段 field", "规则 rule"):
        table.add_column(heading, overflow="fold")
    table.add_column("行\nrows", justify="right")
    for heading in ("状态\nstate", "部门\ndepartment"):
        table.add_column(heading, overflow="fold")
    for heading in ("工作日\nWD", "期限\ndue"):
        table.add_column(heading, justify="right", no_wrap=True)
    for case in found:
        zh, colour = CASE_WORDS[case.state]
        due = f"{case.due:%Y-%m-%d}" if case.due else "-"
        table.add_row(
            *(case.dataset, case.batch, case.stage, case.field, case.rule, f"{case.rows:,}"),
            f"[{colour}]{zh} {case.state}[/]",
            case.department,
            str(case.age(now)) if case.due else "-",
            f"[red]{due}\n逾期 overdue {case.overdue:,}[/]" if case.overdue else due,
        )
    terminal().print(table)


def show_overdue(found: Sequence[Load]) -> None:
    """A line for each department that has rows beyond their day."""
    for load in found:
        if load.overdue:
            terminal().print(
                f"[red]隔离逾期 overdue[/red] {load.department}: {load.overdue:,} rows set aside, "
                f"the oldest due {load.due:%Y-%m-%d}: xuanwu quarantine list",
                highlight=False,
            )


def show_left(found: Sequence[Left]) -> None:
    """A line for each dataset without an entry: what stays of it, and first what can still be read."""
    for each in found:
        if each.readable:
            terminal().print(
                f"[red]条目已移除 no entry any more[/red] {each.dataset}: {', '.join(each.readable)} "
                "can still be read: xuanwu upkeep",
                highlight=False,
            )
        stays = ", ".join(
            filter(None, (f"{each.batches:,} landed batches" if each.batches else "", *each.tables))
        )
        if stays:
            terminal().print(
                f"[yellow]条目已移除 no entry any more[/yellow] {each.dataset}: {stays} stay, and no `retention:` "
                "removes anything of them: put the entry back, with share and open of type none",
                highlight=False,
            )


def show_keys(rows: Sequence[Standing]) -> None:
    """A line for every snapshot with tokens; then what is left to publish again under the key in use."""
    table = Table(title="密钥版本 Key versions", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("数据集 dataset", "策略 policy", "快照 snapshot", "密钥 key", "状态 state", "核对 check"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        named = f"{row.snapshot}{' 当前 current' if row.current else ''}"
        colour = {"in use": "green", "kept": "yellow"}.get(row.state, "red")
        cells = (row.dataset, f"{row.zone}/{row.policy}", named, row.version)
        table.add_row(*cells, f"[{colour}]{row.state}[/]", row.check or "")
    terminal().print(table)
    behind = dict.fromkeys(row.dataset for row in rows if row.current and row.state != "in use")
    if behind:
        terminal().print(f"xuanwu run {' '.join(behind)} --from publish", highlight=False)


def show_asides(rows: Iterable[Aside]) -> None:
    """A few lines for each row: where it stands, what it broke, its masked data."""
    from pipelines.quarantine.rejects import MALFORMED

    console = terminal()

    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style), soft_wrap=True)

    for row in rows:
        say(f"{printable(row.file)} 行 row {row.row}  [{row.stage} {row.batch}]", "bold")
        for failure in row.failures:
            said = failure.expected if failure.rule == MALFORMED else f"expected: {failure.expected}"
            say(f"  {failure.field or '整行 the row'}: {failure.rule}; {said}", "red")
        for name, value in row.data.items():
            say(f"    {printable(name)} = {'null' if value is None else printable(value)}")


def printable(text: str) -> str:
    """Without anything that a terminal would obey: sources are not ours."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def number(value: int | None) -> str:
    """A dash for what is not known."""
    return "-" if value is None else f"{value:,}"


def show_lineage(entry: Entry, made: Mapping[str, Sequence[Origin]], read_by: Sequence[Reader]) -> None:
    """A line for each field and the columns that it is made from, then one for each field made from this dataset."""
    table = titled(f"血缘 Lineage of {entry.id}", ("字段 field", "取自 made from", "方式 how"))
    for name, given in made.items():
        source = entry.fields[name].source or name
        rows = [(".".join(each.column), each.how) for each in given if each.direct]
        for number, (column, how) in enumerate(rows or [(f"{source} @ {entry.source.kind}", "")]):
            table.add_row("" if number else name, column, how)
    rowwise = sorted(
        {(".".join(each.column), each.how) for given in made.values() for each in given if not each.direct}
    )
    for number, (column, how) in enumerate(rowwise):
        table.add_row("" if number else "（行 rows）", column, how)
    terminal().print(table)
    below = titled("被谁使用 Read by", ("数据集.字段 dataset.field", "方式 how", "步 steps"))
    for reader in read_by:
        below.add_row(".".join(reader.column), reader.how, str(reader.steps))
    terminal().print(below if read_by else "没有数据集使用它 no dataset reads it")
