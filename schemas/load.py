"""The catalogue from its files: entries, data elements, departments and code lists, with every problem at once.

<root>/<department>/<dataset>.yaml     one entry each
<root>/elements.yaml, departments.yaml, codes/*.csv     where absent, those beside this module
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.draft import Draft, read_draft, validate
from schemas.errors import CatalogueError, Problem, XuanwuError
from schemas.findings import Finding, dotted, near
from schemas.messages import findings_of
from schemas.model import Code, Department, ElementFile, Entry
from schemas.resolve import apply_likes, finished, resolve_fields
from schemas.yamlfile import Lines, Unreadable, decode, parse, read_bytes

HERE = Path(__file__).parent
SHARED_FILES = ("elements.yaml", "departments.yaml")


@dataclass(frozen=True)
class Catalogue:
    """All that the city holds, resolved. Elements have their `like:` applied."""

    root: Path
    entries: dict[str, Entry]
    elements: dict[str, ElementFile]
    departments: dict[str, Department]
    codes: dict[str, tuple[Code, ...]]

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
        return list(
            TopologicalSorter({name: entry.inputs for name, entry in self.entries.items()}).static_order()
        )


@dataclass
class House:
    """What is read so far, and what is wrong with it. `findings` holds those of files that are no entry."""

    root: Path
    drafts: dict[str, Draft] = field(default_factory=dict)
    twins: list[Draft] = field(default_factory=list)
    elements: dict[str, ElementFile] = field(default_factory=dict)
    departments: dict[str, Department] = field(default_factory=dict)
    codes: dict[str, tuple[Code, ...]] = field(default_factory=dict)
    findings: dict[str, tuple[str, list[Finding]]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)


def load_catalogue(root: Path | None = None) -> Catalogue:
    """The catalogue under `root` (default: the setting XUANWU_CATALOGUE).

    Raises CatalogueError with every problem of every file.
    """
    house = read_house(_root(root))
    problems = problems_of(house)
    if problems:
        raise CatalogueError(problems)
    entries = {name: finished(draft) for name, draft in sorted(house.drafts.items())}
    return Catalogue(house.root, entries, house.elements, house.departments, house.codes)


def check_catalogue(root: Path | None = None) -> list[Problem]:
    """Every problem of the catalogue under `root`, in file and line order; paths relative to the current folder."""
    house = read_house(_root(root))
    problems = problems_of(house)
    if not house.drafts and not problems:
        problems.append(
            Problem(shown(house.root), 1, "(folder)", "holds no dataset", "<department>/<dataset>.yaml")
        )
    return problems


def _root(root: Path | None) -> Path:
    if root is None:
        from schemas.settings import Settings

        root = Settings().catalogue
    return Path(root)


def shown(path: Path) -> str:
    """The path relative to the current folder when below it."""
    absolute, here = path.resolve(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────


def read_house(root: Path) -> House:
    """Everything under a catalogue's root, read and resolved as far as it goes."""
    house = House(root)
    _read_shared(house, "elements.yaml", ElementFile, house.elements)
    _read_shared(house, "departments.yaml", Department, house.departments)
    _read_codes(house)
    _read_entries(house)
    for draft in (*house.drafts.values(), *house.twins):
        resolve_fields(draft, house.drafts, house.elements)
    return house


def _note(house: House, path: Path, text: str, findings: Iterable[Finding]) -> None:
    found = list(findings)
    if found:
        house.findings.setdefault(shown(path), (text, []))[1].extend(found)


def _place(house: House, name: str) -> Path:
    own = house.root / name
    return own if own.exists() else HERE / name


def _read_shared(house: House, name: str, model: Any, into: dict[str, Any]) -> None:
    """A file of named things (elements, departments); each that can be read is taken."""
    path = _place(house, name)
    if not path.exists():
        return
    text = ""
    try:
        text = decode(read_bytes(path))
        data, findings = parse(text)
    except Unreadable as error:
        house.unread.add(name)
        _note(house, path, text, [error.finding])
        return
    for key, value in data.items():
        try:
            into[key] = validate(model, value)
        except ValidationError as error:
            house.unread.add(f"{name}:{key}")
            findings += [
                found._replace(path=(key, *found.path)) for found in findings_of(error, model, value)
            ]
    if model is ElementFile:
        resolved, loops = apply_likes(into)
        into.update(resolved)
        findings += loops
    _note(house, path, text, findings)


def _read_entries(house: House) -> None:
    root = house.root
    if not root.is_dir():
        _note(house, root, "", [Finding((), "is no folder", "the catalogue's folder (XUANWU_CATALOGUE)", 1)])
        return
    for path in sorted(p for p in root.rglob("*") if p.suffix in (".yaml", ".yml") and p.is_file()):
        parts = path.relative_to(root).parts
        if any(part.startswith(".") for part in parts) or (len(parts) == 1 and parts[0] in SHARED_FILES):
            continue
        if len(parts) != 2 or path.suffix != ".yaml":
            _note(house, path, "", [Finding((), "no entry belongs here", "<department>/<dataset>.yaml", 1)])
            continue
        _read_entry(house, path)


def _read_entry(house: House, path: Path) -> None:
    place = f"{path.parent.name}.{path.stem}"
    try:
        draft = read_draft(read_bytes(path), shown(path), place)
    except Unreadable as error:
        draft = Draft(shown(path), place, findings=[error.finding])
    house.drafts[place] = draft


def _read_codes(house: House) -> None:
    folder = _place(house, "codes")
    for path in sorted(folder.glob("*.csv")) if folder.is_dir() else ():
        try:
            text = decode(read_bytes(path))
        except Unreadable as error:
            house.unread.add(f"codes:{path.stem}")
            _note(house, path, "", [error.finding])
            continue
        codes, findings = _codes_of(text)
        house.codes[path.stem] = codes
        _note(house, path, text, findings)


def _codes_of(text: str) -> tuple[tuple[Code, ...], list[Finding]]:
    """The rows of a code list: columns code, zh, en and aliases, these separated by `|`."""
    reader = csv.DictReader(io.StringIO(text))
    columns = reader.fieldnames or []
    if "code" not in columns or "zh" not in columns or set(columns) - {"code", "zh", "en", "aliases"}:
        return (), [Finding((), "the columns are not those of a code list", "code,zh,en,aliases", 1)]
    codes: dict[str, Code] = {}
    findings: list[Finding] = []
    for row in reader:
        if row.get(None) or not row["code"] or not row["zh"] or row["code"] in codes:  # type: ignore[call-overload]
            message = "a code is missing, stands twice, or its row has other columns than the first"
            findings.append(Finding((), message, "code,zh,en,aliases", reader.line_num))
            continue
        aliases = tuple(alias for alias in (row.get("aliases") or "").split("|") if alias)
        codes[row["code"]] = Code(code=row["code"], zh=row["zh"], en=row.get("en") or "", aliases=aliases)
    return tuple(codes.values()), findings


# ── problems ──────────────────────────────────────────────────────────────────────────────────────────────


def problems_of(house: House) -> list[Problem]:
    """Every finding with its line, in file and line order, those of the rules among them."""
    problems: list[Problem] = []
    for file, (text, findings) in house.findings.items():
        problems += with_lines(file, text, findings)
    for draft in (*house.drafts.values(), *house.twins):
        problems += with_lines(draft.file, draft.text, draft.findings)
    return sorted(set(problems))


def with_lines(file: str, text: str, findings: Iterable[Finding]) -> list[Problem]:
    """Findings of one file as problems. Composes the file again only where there is one."""
    found = list(findings)
    lines = Lines(text) if any(f.line is None for f in found) else None
    return [
        Problem(file, f.line or (lines.of(f.path) if lines else 1), dotted(f.path), f.message, f.expected)
        for f in found
    ]


__all__ = ["Catalogue", "CycleError", "Mapping", "check_catalogue", "load_catalogue"]
