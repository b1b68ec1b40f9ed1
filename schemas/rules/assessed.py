"""What was judged before a dataset was catalogued: said where it must be, in documents that there can be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from schemas.draft import Draft
from schemas.findings import Finding, listed
from schemas.house import House
from schemas.model import PERSONAL, Assessed, Document, EntryFile
from schemas.workdays import day_of

_FORM: Final = "{day: …, number: …}"
_OF_A_PERSON: Final = re.compile(r"[0-9]{11}")


def assessed_said(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """Before it is catalogued, a dataset has had its secrecy review and, from grade 3 on, its personal-information
    impact assessment, both approved by the department's head (Decree 809, Art. 13): said from that grade on which
    `catalogue.assess_from` of policy.yaml names, and whole wherever it is said."""
    least = house.numbers.catalogue.assess_from
    if written.assessed is None and (graded := _from(least, draft)):
        why = f"is missing, and {listed(graded)} have a grade of {least} or more (Decree 809, Art. 13)"
        yield Finding(("assessed",), why, f"secrecy, approved and, from grade 3 on, impact, each `{_FORM}`")
    elif written.assessed and written.assessed.impact is None and (graded := _from(PERSONAL, draft)):
        why = f"is missing, and {listed(graded)} are graded {PERSONAL} or more (Decree 809, Art. 13)"
        yield Finding(("assessed", "impact"), why, f"`{_FORM}` of the personal-information impact assessment")


def assessed_in_order(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """What the head approved was there before, nothing is of a day to come, and no document's number is a person's."""
    if written.assessed is None:
        return
    approved = written.assessed.approved.day
    for key, document in _documents(written.assessed):
        if document.day > day_of(datetime.now(UTC)):
            yield Finding(("assessed", key, "day"), "is a day to come", "the day of the document")
        elif document.day > approved:
            why = f"is after the day of the approval, {approved}"
            yield Finding(("assessed", key, "day"), why, "what was there when the head approved it")
        if _OF_A_PERSON.search(document.number):
            why = "may be the number of a person, and goes into a log that is never changed"
            yield Finding(("assessed", key, "number"), why, "the document's number")


def _documents(assessed: Assessed) -> Iterator[tuple[str, Document]]:
    """Each that is there, by its key."""
    for key, document in assessed:
        if document is not None:
            yield key, document


def _from(grade: int, draft: Draft) -> list[str]:
    return [name for name, field in draft.fields.items() if field.grade >= grade]
