"""The catalogue, valid and resolved; or every problem of it at once.

    <root>/<department>/<dataset>.yaml     one entry each
    <root>/elements.yaml, departments.yaml, codes/*.csv     where absent, those beside this module
    <root>/policy.yaml     what it leaves out is taken from the one beside this module

How: `schemas.house` reads every file, `schemas.resolve` applies elements, `schemas.rules` judges.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from schemas.errors import CatalogueError, Problem, XuanwuError
from schemas.findings import Finding, dotted, near
from schemas.house import House, read_house, shown
from schemas.model import Code, Department, ElementFile, Entry, Numbers
from schemas.numbers import default_numbers
from schemas.resolve import finished
from schemas.rules import judge
from schemas.settings import Settings
from schemas.yamlfile import Lines


@dataclass(frozen=True)
class Catalogue:
    """All that the city holds, resolved. Elements have their `like:` applied."""

    root: Path
    entries: dict[str, Entry]
    elements: dict[str, ElementFile]
    departments: dict[str, Department]
    codes: dict[str, tuple[Code, ...]]
    numbers: Numbers = field(default_factory=default_numbers)

    def entry(self, dataset: str) -> Entry:
        """The entry of a dataset.

        Raises XuanwuError, naming near misses, where there is none.
        """
        if dataset in self.entries:
            return self.entries[dataset]
        raise XuanwuError(
            f"no dataset `{dataset}` in the catalogue" + near(dataset, self.entries),
            expected="department.dataset, as in the catalogue",
            next_step="`xuanwu status` lists the datasets",
        )

    def order(self) -> list[str]:
        """Every dataset after those it reads from."""
        inputs = {name: entry.inputs for name, entry in self.entries.items()}
        return list(TopologicalSorter(inputs).static_order())


def load_catalogue(root: Path | None = None) -> Catalogue:
    """The catalogue under `root` (default: the setting XUANWU_CATALOGUE).

    Raises CatalogueError with every problem of every file.
    """
    house, problems = _judged(root)
    if problems:
        raise CatalogueError(problems)
    numbers = house.numbers
    entries = {
        n: finished(draft, draft.written, numbers) for n, draft in house.drafts.items() if draft.written
    }
    return Catalogue(house.root, entries, house.elements, house.departments, house.codes, numbers)


def check_catalogue(root: Path | None = None) -> list[Problem]:
    """Every problem of the catalogue under `root`, in file and line order; paths relative to the current
    folder."""
    house, problems = _judged(root)
    if not house.drafts and not problems:
        return [Problem(shown(house.root), 1, "(folder)", "holds no dataset", "<department>/<dataset>.yaml")]
    return problems


def _judged(root: Path | None) -> tuple[House, list[Problem]]:
    with _garbage_kept():
        house = read_house(Settings().catalogue if root is None else Path(root))
        judge(house)
        return house, _problems(house)


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """Without the cyclic collector, which takes 40 % of the time looking through millions of YAML nodes, none of
    them in a cycle. Plain reference counting frees them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _problems(house: House) -> list[Problem]:
    found = [
        p for file, (text, findings) in house.findings.items() for p in _with_lines(file, text, findings)
    ]
    for draft in house.drafts.values():
        found += _with_lines(draft.file, draft.text, draft.findings)
    return sorted(set(found))


def _with_lines(file: str, text: str, findings: Iterable[Finding]) -> list[Problem]:
    """Findings of one file as problems. Composes the file again only where a line has to be found."""
    found = list(findings)
    lines = Lines(text if any(finding.line is None for finding in found) else "")
    return [Problem(file, f.line or lines.of(f.path), dotted(f.path), f.message, f.expected) for f in found]
