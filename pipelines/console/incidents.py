"""Security incidents for the terminal, Chinese first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.markup import escape

from exchange.words import DIDS, INCIDENT_STEPS, INCIDENT_TEXTS, INCIDENTS
from lake.reporting import Due, reports
from pipelines.console.show import printable, terminal, titled
from schemas.workdays import HERE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lake.incidents import About, Incident, Step
    from schemas.model import Incidents, Title


def show_incidents(found: Sequence[Incident], numbers: Incidents, now: datetime) -> None:
    """A line an incident, the newest first; of each report when it was made, or is due."""
    table = titled(
        "安全事件 Security incidents",
        (
            "编号\nno.",
            "级别\nlevel",
            "发现\nnoticed",
            "涉及\nconcerns",
            "状态\nstate",
            "报告\nreports",
        ),
    )
    for each in found:
        table.add_row(
            str(each.number),
            _title(numbers.levels, each.level),
            _minute(each.noticed),
            escape(printable(concerned(each.about))),
            " ".join(INCIDENTS["closed" if each.closed else "open"]),
            "\n".join(_coloured(due, numbers, now) for due in reports(each, numbers)) or "-",
        )
    terminal().print(table)


def concerned(about: About) -> str:
    """What an incident is about, in one line."""
    numbered = [f"申请 request {each}" for each in about.requests] + [
        f"风险 risk {each}" for each in about.risks
    ]
    return ", ".join((*about.datasets, *about.accounts, *numbered)) or "平台 the platform"


def _coloured(due: Due, numbers: Incidents, now: datetime) -> str:
    line = escape(due_line(due, numbers, now))
    return f"[red]{line}[/]" if due.late(now) else line


def due_line(due: Due, numbers: Incidents, now: datetime) -> str:
    """A report in one line: when it was made or is due, in the city's time, and whether that was late."""
    said = f"{due.title.zh} {due.title.en} → {_title(numbers.told, due.to)}"
    when = f"已报 made {_minute(due.done)}" if due.done else f"期限 due {_minute(due.due)}"
    return f"{said}: {when}" + (" 逾期 late" if due.late(now) else "")


def show_unreported(found: Sequence[tuple[int, Due]], numbers: Incidents, now: datetime) -> None:
    """A line for each report that is late."""
    for number, due in found:
        line = f"{escape(due_line(due, numbers, now))}: xuanwu incident show {number}"
        terminal().print(f"[red]安全事件 incident {number}[/red] {line}", highlight=False)


def show_incident(found: Incident, numbers: Incidents, now: datetime) -> None:
    """What it is, which reports it asks for, and its steps in their order."""
    console = terminal()
    state = " ".join(INCIDENTS["closed" if found.closed else "open"])
    console.print(f"[bold]安全事件 incident {found.number}[/] {_title(numbers.levels, found.level)}, {state}")
    console.print(f"涉及 concerns: {escape(printable(concerned(found.about)))}", highlight=False)
    began = found.steps[0].since
    console.print(
        f"发现 noticed: {_minute(found.noticed)}" + (f", 始于 began {_minute(began)}" if began else "")
    )
    for due in reports(found, numbers):
        console.print(_coloured(due, numbers, now), highlight=False)
    for step in found.steps:
        console.print(f"\n[bold]{step.place}. {heading(step, numbers)}[/]", highlight=False)
        console.print(
            f"   {_minute(step.when)} {escape(printable(step.by))}{_written(step)}", highlight=False
        )
        for name, text in step.texts.items():
            console.print(f"   {' '.join(INCIDENT_TEXTS[name])}: {escape(printable(text))}", highlight=False)


def heading(step: Step, numbers: Incidents) -> str:
    """What a step is: `报告 reported → 网信部门 cyberspace administration, 宁数〔2026〕3号`."""
    what = " ".join(INCIDENT_STEPS["reopen" if step.reopens else step.kind])
    to = f"→ {_title(numbers.told, step.to)}" if step.to else ""
    did = " ".join(DIDS[step.did]) if step.did else ""
    more = [
        did,
        _title(numbers.levels, step.level),
        concerned(step.about) if step.about else "",
        step.document,
    ]
    return escape(printable(" · ".join([f"{what} {to}".rstrip(), *filter(None, more)])))


def _written(step: Step) -> str:
    """When it was written down, where that was a while after it happened."""
    later = (step.at - step.when).total_seconds() >= 60
    return f", 登记于 written down {_minute(step.at)}" if later else ""


def _title(titles: Mapping[str, Title], name: str) -> str:
    """In the policy's words, where it has them still."""
    return f"{titles[name].zh} {titles[name].en}" if name in titles else name


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(HERE):%Y-%m-%d %H:%M}"
