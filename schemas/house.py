"""Everything under a catalogue's root, read as far as it goes: entries as drafts, elements, departments,
codes.

Of a shared file `x.yaml` (or the folder codes/) the root's own is taken where there is one, else the one
here.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.draft import Draft, judge_form, read_draft, validate
from schemas.findings import Finding
from schemas.forks import spread
from schemas.messages import findings_of
from schemas.model import Code, Department, ElementFile, LakeSource, Numbers
from schemas.numbers import default_numbers, numbers_of
from schemas.resolve import apply_likes, origin, resolve_fields
from schemas.yamlfile import Unreadable, decode, parse, read_bytes

HERE = Path(__file__).parent
SHARED_FILES = ("elements.yaml", "departments.yaml", "policy.yaml")
COLUMNS = ("code", "zh", "en", "aliases")
_YAML = (".yaml", ".yml")
_PLACE = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
_MANY = 1000
"""Entries that are worth processes of their own."""


@dataclass
class House:
    """`drafts` are by the id that their place gives, `by_id` also by the id they state. `unread` names the
    elements, departments and code lists (or the whole files) that are there but cannot be read, so that
    nobody calls them unknown. `findings` are those of files that are no entry, with the file's text."""

    root: Path
    drafts: dict[str, Draft] = field(default_factory=dict)
    by_id: dict[str, Draft] = field(default_factory=dict)
    elements: dict[str, ElementFile] = field(default_factory=dict)
    departments: dict[str, Department] = field(default_factory=dict)
    codes: dict[str, tuple[Code, ...]] = field(default_factory=dict)
    numbers: Numbers = field(default_factory=default_numbers)
    unread: set[str] = field(default_factory=set)
    findings: dict[str, tuple[str, list[Finding]]] = field(default_factory=dict)

    def note(self, path: Path, text: str, findings: Iterable[Finding]) -> None:
        """Keeps what is wrong with a file that is no entry."""
        self.findings.setdefault(shown(path), (text, []))[1].extend(findings)

    def place(self, name: str) -> Path:
        """The path of a shared file: the root's own, else the one beside this module."""
        own = self.root / name
        return own if own.exists() else HERE / name

    def knows(self, kind: str, name: str) -> bool:
        """Whether an element, department or code list is there, be it one that cannot be read."""
        return name in getattr(self, kind) or not self.unread.isdisjoint((kind, f"{kind}:{name}"))


def shown(path: Path) -> str:
    """The path relative to the current folder when below it."""
    absolute, here = str(path.absolute()), f"{os.getcwd()}{os.sep}"  # noqa: PTH109 (as often as there are files)
    return absolute.removeprefix(here)


def read_house(root: Path, datasets: Collection[str] | None = None, processes: int = 1) -> House:
    """Everything under a catalogue's root, read and resolved as far as it goes; of the entries, where `datasets` are
    named, only theirs and those that they speak of. Never raises for what files hold.

    Of many entries the YAML is read by so many forks of this process (`schemas.forks`)."""
    house = House(root)
    _read_named(house, "elements", ElementFile, house.elements)
    _read_named(house, "departments", Department, house.departments)
    _read_numbers(house)
    _read_codes(house)
    if datasets is None:
        paths = list(_paths(house))
        with spread(_read_entry, paths, processes if len(paths) >= _MANY else 1) as drafts:
            _read_entries(house, drafts)
    else:
        _read_entries(house, map(_read_entry, _paths_of(house, datasets)))
    for draft in house.drafts.values():
        resolve_fields(draft, house.by_id, house.elements, lambda name: house.knows("elements", name))
    return house


def _read_named(house: House, kind: str, model: Any, into: dict[str, Any]) -> None:
    """A file of named things, elements or departments; each that can be read is taken."""
    path, text = house.place(f"{kind}.yaml"), ""
    if not path.exists():
        return
    try:
        text = decode(read_bytes(path))
        data, findings = parse(text)
    except Unreadable as error:
        house.unread.add(kind)
        house.note(path, text, [error.finding])
        return
    for key, value in data.items():
        try:
            into[key] = validate(model, value)
        except ValidationError as error:
            house.unread.add(f"{kind}:{key}")
            findings += [f._replace(path=(key, *f.path)) for f in findings_of(error, model, value)]
    if kind == "elements":
        resolved, loops = apply_likes(into, lambda name: house.knows("elements", name))
        into.update(resolved)
        findings += loops
    house.note(path, text, findings)


def _read_numbers(house: House) -> None:
    path, text = house.root / "policy.yaml", ""
    if not path.exists():
        return
    try:
        text = decode(read_bytes(path))
        house.numbers, findings = numbers_of(text)
    except Unreadable as error:
        findings = [error.finding]
    house.note(path, text, findings)


# ── entries ───────────────────────────────────────────────────────────────────────────────────────────────


def _read_entries(house: House, drafts: Iterable[Draft]) -> None:
    for draft in drafts:
        judge_form(draft)
        house.drafts[draft.place] = draft
    house.by_id = dict(house.drafts)
    for draft in house.drafts.values():
        stated = draft.data.get("id")
        if isinstance(stated, str):
            house.by_id.setdefault(stated, draft)


def _paths(house: House) -> Iterator[Path]:
    """The files of all entries; what lies in no place of one is noted."""
    if not house.root.is_dir():
        expected = "the catalogue's folder (XUANWU_CATALOGUE)"
        house.note(house.root, "", [Finding((), "there is no such folder", expected, 1)])
        return
    for path in _yaml_files(house.root):
        parts = path.parts[len(house.root.parts) :]
        if len(parts) == 1 and parts[0] in SHARED_FILES:
            continue
        if len(parts) != 2 or path.suffix != ".yaml":
            house.note(
                path, "", [Finding((), "this is no place of an entry", "<department>/<dataset>.yaml", 1)]
            )
            continue
        yield path


def _paths_of(house: House, datasets: Collection[str]) -> Iterator[Path]:
    """The files of these datasets and, found while they are read, of those that they speak of."""
    wanted = deque(datasets)
    seen = set[str]()
    while wanted:
        name = wanted.popleft()
        path = entry_path(house.root, name)
        if name not in seen and path is not None and path.is_file():
            yield path
            wanted.extend(_spoken_of(house.drafts[name]))
        seen.add(name)


def dataset_names(root: Path) -> list[str]:
    """The datasets that have a file under the root, whatever it holds."""
    return [f"{path.parent.name}.{path.stem}" for path in _yaml_files(root) if path.parent.parent == root]


def entry_path(root: Path, dataset: str) -> Path | None:
    """Where the entry of a dataset lies, whether or not it is there; None for what is no dataset's name."""
    department, dot, name = dataset.partition(".")
    return root / department / f"{name}.yaml" if dot and _PLACE.fullmatch(dataset) else None


def _spoken_of(draft: Draft) -> Iterator[str]:
    """The datasets that an entry reads or whose fields it names."""
    if draft.written is None:
        return
    if draft.has("source") and isinstance(draft.written.source, LakeSource):
        yield from draft.written.source.inputs
    for name, written in (draft.written.fields or {}).items():
        if written.shared_from is not None:
            yield origin(written.shared_from, name)[0]
    for check in draft.written.checks or ():
        if isinstance(other := check.arguments.get("dataset"), str):
            yield other


def _yaml_files(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(folder)
        found += [here / name for name in files if name.endswith(_YAML) and not name.startswith(".")]
    return sorted(found)


def _read_entry(path: Path) -> Draft:
    return read_draft(path, shown(path), f"{path.parent.name}.{path.stem}")


# ── code lists ────────────────────────────────────────────────────────────────────────────────────────────


def _read_codes(house: House) -> None:
    folder = house.place("codes")
    for path in sorted(folder.glob("*.csv")) if folder.is_dir() else ():
        try:
            text = decode(read_bytes(path))
        except Unreadable as error:
            house.unread.add(f"codes:{path.stem}")
            house.note(path, "", [error.finding])
            continue
        house.codes[path.stem], findings = _codes_of(text)
        house.note(path, "", findings)


def _codes_of(text: str) -> tuple[tuple[Code, ...], list[Finding]]:
    """The rows of a code list: columns code, zh, en and aliases, these separated by `|`. A code, a label and
    an alias each mean one code only."""
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        columns = reader.fieldnames or ()
        if not {"code", "zh"} <= set(columns) <= set(COLUMNS):
            return (), [Finding((), "the columns are not those of a code list", ",".join(COLUMNS), 1)]
        return _code_rows(reader)
    except csv.Error as error:
        return (), [Finding((), f"this is not CSV: {error}", ",".join(COLUMNS), reader.line_num + 1)]


def _code_rows(reader: csv.DictReader[str]) -> tuple[tuple[Code, ...], list[Finding]]:
    codes: dict[str, Code] = {}
    lines: dict[str, int] = {}
    means: dict[str, str] = {}
    findings: list[Finding] = []
    for row in reader:
        wrong = _wrong_row(row, codes)
        if wrong:
            findings.append(Finding((), wrong, ",".join(COLUMNS), reader.line_num))
            continue
        aliases = tuple(alias for alias in (row.get("aliases") or "").split("|") if alias)
        code = Code(code=row["code"], zh=row["zh"], en=row.get("en") or "", aliases=aliases)
        codes[code.code], lines[code.code] = code, reader.line_num
        for alias in aliases:
            if means.setdefault(alias, code.code) != code.code:
                twice = f"alias `{alias}` means both {means[alias]} and {code.code}"
                findings.append(Finding((), twice, "an alias of one code only", reader.line_num))
    findings += _not_their_own(codes, lines)
    if not codes and not findings:
        findings.append(Finding((), "the code list is empty", "a row for each code", 1))
    return tuple(codes.values()), findings


def _not_their_own(codes: Mapping[str, Code], lines: Mapping[str, int]) -> Iterator[Finding]:
    """Aliases that are another code, or its label: such a text names no code, and rows that have it are set aside."""
    means: dict[str, set[str]] = {}
    for code in codes.values():
        for written in {code.code, code.zh, code.en}:
            means.setdefault(written, set()).add(code.code)
    for code in codes.values():
        for alias in code.aliases:
            if others := means.get(alias, set()) - {code.code}:
                said = f"alias `{alias}` of {code.code} is also the code or the label of {min(others)}"
                yield Finding((), said, "an alias that means one code only", lines[code.code])


def _wrong_row(row: dict[str, Any], codes: dict[str, Code]) -> str:
    if None in row or None in row.values():
        return "the row has more or fewer columns than the header"
    if not row["code"] or not row["zh"]:
        return "a code or its Chinese label is empty"
    return f"code `{row['code']}` stands here twice" if row["code"] in codes else ""
