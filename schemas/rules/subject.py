"""What one row is about, and what its fields tell of a person: said wherever the open zone's gate must know it."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.draft import Draft
from schemas.findings import Finding, listed
from schemas.house import House
from schemas.model import EntryFile, LakeSource


def subject_said(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """An entry that holds a direct identifier of persons is about persons."""
    direct = [name for name, field in draft.fields.items() if field.risk == "direct"]
    if direct and written.subject != "person":
        why = f"is {written.subject or 'missing'}, and {listed(direct)} identifies a person directly (GB/T 42460)"
        yield Finding(("subject",), why, "`subject: person`")


def subject_of_derived(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """A dataset derived from one about persons says what its own rows are about: persons still, or aggregates."""
    if written.subject is not None or not isinstance(written.source, LakeSource):
        return
    inputs = [house.by_id[name].written for name in written.source.inputs if name in house.by_id]
    persons = [each.id for each in inputs if each is not None and each.subject == "person"]
    if persons:
        why = f"is missing, and the SQL reads {listed(persons)}, where a row is a person's"
        yield Finding(("subject",), why, "`person`, or `organisation` or `thing` where rows are aggregates")


def risks_said(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """Of persons every opened field has a risk, its own or its element's: what is optional gets forgotten."""
    if written.subject != "person" or written.open.type == "none":
        return
    for name in written.open.fields or ():
        if name in draft.fields and name not in written.open.drop and draft.fields[name].risk is None:
            why = "is opened, is of a person, and nobody says what it tells of them (GB/T 42460)"
            yield Finding(("fields", name, "risk"), why, "direct, quasi, sensitive or none")
