"""The catalogue, valid and resolved; or every problem of it at once.

    <root>/<department>/<dataset>.yaml     one entry each
    <root>/elements.yaml, departments.yaml, codes/*.csv     where absent, those beside this module
    <root>/policy.yaml     what it leaves out is taken from the one beside this module

How: `schemas.house` reads every file, `schemas.resolve` applies elements, `schemas.rules` judges.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from schemas import stamp
from schemas.errors import CatalogueError, Problem, XuanwuError
from schemas.findings import Finding, dotted, near
from schemas.house import House, dataset_names, read_house, shown
from schemas.model import Code, Department, ElementFile, Entry, Numbers
from schemas.numbers import default_numbers
from schemas.resolve import finished
from schemas.rules import judge
from schemas.settings import Settings
from schemas.yamlfile import Lines


@dataclass(frozen=True)
class Catalogue:
    """What the city holds, resolved: all of it, or what some datasets need. Elements have their `like:` applied."""

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
            f"no dataset `{dataset}` in the catalogue"
            + near(dataset, {*self.entries, *dataset_names(self.root)}),
            expected="department.dataset, as in the catalogue",
            next_step="`xuanwu catalogue list` lists the datasets",
        )

    def order(self) -> list[str]:
        """Every dataset after those it reads from, and after those its checks look into, unless these wait for one
        another: two registers may be checked against each other."""
        inputs = {name: {*entry.inputs} for name, entry in self.entries.items()}
        looked = {name: {*entry.references} - {name} for name, entry in self.entries.items()}
        with suppress(CycleError):
            return list(
                TopologicalSorter({name: inputs[name] | looked[name] for name in inputs}).static_order()
            )
        return list(TopologicalSorter(inputs).static_order())


def load_catalogue(
    root: Path | None = None,
    datasets: Collection[str] | None = None,
    stamps: Path | None = None,
    processes: int = 1,
) -> Catalogue:
    """The catalogue under `root` (default: the setting XUANWU_CATALOGUE).

    Where `stamps` is the folder of an earlier check's stamp that still fits (`schemas.stamp`), the rules are not
    asked again, and of the entries only those of `datasets` are read, with those that they speak of. Else all of it
    is judged, and stamped. A command, of which no other thread does anything yet, may have more `processes` do
    that. Raises CatalogueError with every problem of every file.
    """
    root = Settings().catalogue if root is None else Path(root)
    with garbage_kept():
        return _catalogue(_judged(root, processes) if stamps is None else _stamped(root, datasets, stamps))


def _stamped(root: Path, datasets: Collection[str] | None, stamps: Path) -> House:
    before = stamp.taken(root)
    if stamp.known(stamps, root, before):
        return read_house(root, datasets)
    house = _judged(root)
    if not _problems(house):
        stamp.keep(stamps, root, before)
    return house


def _catalogue(house: House) -> Catalogue:
    """CatalogueError where something is wrong; in a house that was judged before, because it came meanwhile."""
    if problems := _problems(house):
        raise CatalogueError(problems)
    numbers = house.numbers
    entries = {
        n: finished(draft, draft.written, numbers) for n, draft in house.drafts.items() if draft.written
    }
    return Catalogue(house.root, entries, house.elements, house.departments, house.codes, numbers)


def check_catalogue(root: Path | None = None) -> list[Problem]:
    """Every problem of the catalogue under `root`, in file and line order; paths relative to the current
    folder."""
    with garbage_kept():
        house = _judged(Settings().catalogue if root is None else Path(root))
        problems = _problems(house)
    if not house.drafts and not problems:
        return [Problem(shown(house.root), 1, "(folder)", "holds no dataset", "<department>/<dataset>.yaml")]
    return problems


def _judged(root: Path, processes: int = 1) -> House:
    house = read_house(root, processes=processes)
    judge(house, processes)
    return house


@contextmanager
def garbage_kept() -> Iterator[None]:
    """Without the cyclic collector, which takes 40 % of the time looking through millions of YAML nodes, none of
    them in a cycle, and a fifth of it through DAGs that stay. Plain reference counting frees the nodes."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _problems(house: House) -> list[Problem]:
    wrong = [(file, text, findings) for file, (text, findings) in house.findings.items()]
    wrong += [(draft.file, draft.text, draft.findings) for draft in house.drafts.values() if draft.findings]
    found = [problem for each in wrong for problem in _with_lines(*each)]
    return sorted(set(found))


def _with_lines(file: str, text: str, findings: Iterable[Finding]) -> list[Problem]:
    """Findings of one file as problems. Composes the file again only where a line has to be found."""
    found = list(findings)
    lines = Lines(text if any(finding.line is None for finding in found) else "")
    return [Problem(file, f.line or lines.of(f.path), dotted(f.path), f.message, f.expected) for f in found]
