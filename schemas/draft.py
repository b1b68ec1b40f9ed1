"""One entry's file on its way to an `Entry`: what it says, section by section, and what is wrong with it.

A file with a mistake is read as far as it goes: a section (a top-level key) that is broken is set aside, and
every rule about the other sections still speaks. So one run of the check finds everything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from schemas.findings import Finding, KeyPath
from schemas.messages import findings_of
from schemas.model import Check, EntryFile, Field, FieldFile
from schemas.yamlfile import Unreadable, decode, parse, read_bytes


@dataclass
class Draft:
    """`place` is the id that the file's place gives. `broken` names the sections that cannot be read; those
    are None in `written`. `names` are all fields, those that cannot be read among them; `fields` those that
    are resolved. `said` are the entry's own checks by their place in the list; `checks` all, the implied
    among them. `columns` are those that each column of its SQL may be (`schemas.rules.selected`), None where
    nobody has looked or names do not tell. `unreadable` is a file that is no YAML mapping: it has no `data`."""

    file: str
    place: str
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    written: EntryFile | None = None
    broken: frozenset[str] = frozenset()
    findings: list[Finding] = field(default_factory=list)
    fields: dict[str, Field] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    said: dict[int, Check] = field(default_factory=dict)
    columns: dict[str, set[str]] | None = None
    unreadable: bool = False

    @property
    def names(self) -> list[str]:
        """Every field's name as written, also where the field itself is wrong."""
        fields = self.data.get("fields")
        return list(fields) if isinstance(fields, dict) else []

    def say(self, path: KeyPath, message: str, expected: str) -> None:
        """Notes what is wrong at a key path."""
        self.findings.append(Finding(path, message, expected))

    def has(self, *sections: str) -> bool:
        """Whether these sections could be read."""
        return self.written is not None and self.broken.isdisjoint(sections)


@cache
def adapter(model: Any) -> TypeAdapter[Any]:
    """One validator per type, made on first use."""
    return TypeAdapter(model)


def validate(model: Any, data: Any) -> Any:
    """`data` as the model, strictly: nothing is coerced, so that an editor's schema and we agree.

    JSON is the way in because only there does strict validation take a list for a tuple.
    """
    return adapter(model).validate_json(json.dumps(data, ensure_ascii=False), strict=True)


def read_draft(path: Path, file: str, place: str) -> Draft:
    """The draft of one file, before its form is judged. Never raises: what is wrong is in its findings."""
    draft = Draft(file, place)
    try:
        draft.text = decode(read_bytes(path))
        draft.data, draft.findings = parse(draft.text)
    except Unreadable as error:
        draft.findings, draft.unreadable = [error.finding], True
    return draft


def judge_form(draft: Draft) -> None:
    """Fills in what the file says as a model, and adds what has not the right form to the findings."""
    if draft.unreadable:
        return
    try:
        draft.written = validate(EntryFile, draft.data)
        draft.said = dict(enumerate(draft.written.checks))
    except ValidationError as error:
        draft.findings += findings_of(error, EntryFile, draft.data)
        _salvage(draft)


def _salvage(draft: Draft) -> None:
    """Takes what can be read of a broken file: each section by itself, and of fields and checks each one."""
    parts: dict[str, Any] = {}
    broken = set()
    for name, info in EntryFile.model_fields.items():
        if name in draft.data:
            parts[name] = _section(name, info, draft.data[name])
        else:
            parts[name] = None if info.is_required() else info.default
        if parts[name] is None and (info.is_required() or draft.data.get(name) is not None):
            broken.add(name)
    if isinstance(parts["checks"], dict):
        draft.said = parts["checks"]
        parts["checks"] = tuple(draft.said.values())
    draft.written = EntryFile.model_construct(**parts)
    draft.broken = frozenset(broken)


def _section(name: str, info: FieldInfo, value: Any) -> Any:
    """One section; of fields and checks, those that can be read."""
    if name == "fields":
        return _each(FieldFile, value.items()) if isinstance(value, dict) else None
    if name == "checks":
        return _each(Check, enumerate(value)) if isinstance(value, list) else None
    return _attempt(Annotated[info.annotation, info], value)


def _each(model: type[BaseModel], items: Any) -> dict[Any, Any]:
    found = {key: _attempt(model, value) for key, value in items}
    return {key: value for key, value in found.items() if value is not None}


def _attempt(model: Any, value: Any) -> Any:
    try:
        return validate(model, value)
    except ValidationError:
        return None
