"""How each department does its part, for the terminal, Chinese first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from pipelines.console.show import terminal, titled
from pipelines.report.words import SCORE_WORDS

if TYPE_CHECKING:
    from pipelines.report.departments import Department
    from pipelines.report.facts import Indicator
    from schemas.load import Catalogue


def show_departments(found: Sequence[Department], catalogue: Catalogue) -> None:
    """A line a department: of each indicator A/B."""
    headings = ["部门\ndepartment", "数据集\ndatasets", *("\n".join(words) for words in SCORE_WORDS.values())]
    table = titled("部门评价 Departments", tuple(headings))
    for each in found:
        known = catalogue.departments.get(each.name)
        shares = (_told(each.indicators[name]) for name in SCORE_WORDS)
        table.add_row(escape(known.title.zh if known else each.name), str(each.datasets), *shares)
    terminal().print(table)


def _told(counted: Indicator) -> str:
    if not counted.evaluated:
        return "–"
    said = f"{counted.passed:,}/{counted.evaluated:,}"
    return said if counted.passed == counted.evaluated else f"[red]{said}[/]"
