"""How long a dataset's data are kept, where its entry says so."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.draft import Draft
from schemas.findings import Finding
from schemas.house import House
from schemas.model import EntryFile


def kept_no_longer(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """Data about persons are kept for the shortest time that does (PIPL, Art. 19): an entry may shorten the policy's,
    and not lengthen it."""
    if written.subject != "person" or written.retention is None:
        return
    for name, said in written.retention:
        most = getattr(house.numbers.retention, name)
        if said is not None and said > most:
            why = f"is {said.days} days, and the rows are persons': policy.yaml keeps them for {most.days}"
            yield Finding(("retention", name), why, f"{most.days}d or less")
