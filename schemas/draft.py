"""One entry's file on its way to an `Entry`: what it says, section by section, and what is wrong with it.

A file with a mistake is read as far as it goes: a section (a top-level key) that is broken is set aside, and every
rule about the other sections still speaks. So one run of the check finds everything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from schemas.findings import Finding, KeyPath
from schemas.messages import findings_of
from schemas.model import Check, Entry, EntryFile, Field, FieldFile
from schemas.yamlfile import Unreadable, decode, parse


@dataclass
class Draft:
    """`place` is the id that the file's place gives. `broken` names the sections that cannot be read; those are None
    in `written`. `names` are all fields, those that cannot be read among them; `fields` those that are resolved."""

    file: str
    place: str
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    written: EntryFile | None = None
    broken: frozenset[str] = frozenset()
    findings: list[Finding] = field(default_factory=list)
    fields: dict[str, Field] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    entry: Entry | None = None

    @property
    def names(self) -> list[str]:
        """Every field's name as written, also where the field itself is wrong."""
        fields = self.data.get("fields")
        return list(fields) if isinstance(fields, dict) else []

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


def read_draft(raw: bytes, file: str, place: str) -> Draft:
    """The draft of one file's bytes. Never raises: what is wrong is in its findings."""
    draft = Draft(file, place)
    try:
        draft.text = decode(raw)
        draft.data, draft.findings = parse(draft.text)
    except Unreadable as error:
        draft.findings = [error.finding]
        return draft
    try:
        draft.written = validate(EntryFile, draft.data)
    except ValidationError as error:
        draft.findings += findings_of(error, EntryFile, draft.data)
        draft.written, draft.broken = _salvage(draft.data)
    return draft


def _salvage(data: dict[str, Any]) -> tuple[EntryFile, frozenset[str]]:
    """The sections of a broken file that can be read, and the names of those that cannot."""
    parts: dict[str, Any] = {}
    for name, info in EntryFile.model_fields.items():
        value = data.get(name, info.get_default(call_default_factory=True))
        if name == "fields":
            parts[name] = _each(FieldFile, value.items()) if isinstance(value, dict) else None
        elif name == "checks":
            parts[name] = tuple(_each(Check, enumerate(value)).values()) if isinstance(value, list) else None
        else:
            parts[name] = _attempt(Annotated[info.annotation, info], value)
    broken = frozenset(name for name, value in parts.items() if value is None and name != "schedule")
    if parts["schedule"] is None and data.get("schedule") is not None:
        broken |= {"schedule"}
    return EntryFile.model_construct(**parts), broken


def _each(model: type[BaseModel], items: Any) -> dict[Any, Any]:
    found = {key: _attempt(model, value) for key, value in items}
    return {key: value for key, value in found.items() if value is not None}


def _attempt(model: Any, value: Any) -> Any:
    try:
        return validate(model, value)
    except ValidationError:
        return None


def at(*path: str | int) -> KeyPath:
    """A key path, written as one reads it: `at("fields", name, "mask")`."""
    return path
