"""Who looked at a person's record: reads of few rows note, as keyed digests, whose rows they were.

What is digested is the published value of a field that tells one person from another (`risk: direct`, masked so that
equal values stay equal: a token, an enciphered number, the value itself). Nobody can tell the person from a digest, nor
that two digests are one person's in two datasets. A read of more than `FEW` rows, or of whole files, notes that it was
one: anybody's record may have been in it.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from exchange.access import Access
from exchange.desk import Desk
from exchange.schema import LOOKS
from schemas.model import Entry
from schemas.policy import mask_plan, policies

FEW: Final = 1_000
"""Rows of a page up to which each row is noted."""
_TELLING: Final = {"hmac", "fpe", "keep"}
_PURPOSE: Final = "exchange looks"
_WHOLE: Final = "*"


@dataclass(frozen=True)
class Record:
    """A published value by which a person's rows are found. It is kept out of `repr`."""

    dataset: str
    policy: str
    column: str
    value: str = field(repr=False)


@dataclass(frozen=True)
class Look:
    """A read, as its entry in the audit log tells it. `whole`: the record may have been among very many."""

    entry: int
    whole: bool
    at: str
    by: str
    department: str
    purpose: str
    dataset: str
    policy: str
    door: str
    columns: tuple[str, ...]


def telling(entry: Entry, policy: str) -> list[str]:
    """The published columns by which a person is told from another."""
    plan = mask_plan(entry, "share", policies(entry, "share")[policy])
    return [
        name for name, mask in plan.items() if entry.fields[name].risk == "direct" and mask.kind in _TELLING
    ]


def note(desk: Desk, number: int, right: Access, columns: Sequence[str], rows: pa.RecordBatch) -> None:
    """Note whose rows the read with this entry saw, before they leave. Busy where it cannot be written."""
    found = {
        (name, str(value))
        for name in columns
        for value in rows.column(name).unique().to_pylist()
        if value is not None
    }
    _write(desk, number, (Record(right.entry.id, right.policy, *each) for each in found))


def note_whole(desk: Desk, number: int, right: Access) -> None:
    """Note that a read saw a table, or files of it."""
    if telling(right.entry, right.policy):
        _write(desk, number, [Record(right.entry.id, right.policy, _WHOLE, "")])


def _write(desk: Desk, number: int, records: Iterable[Record]) -> None:
    values = [{"entry": number, "digest": each} for each in sorted(set(_digests(desk, records)))]
    if values:
        desk.state.put(LOOKS, values)


def _digests(desk: Desk, records: Iterable[Record]) -> Iterator[str]:
    key = bytes.fromhex(desk.log.signer.secret(_PURPOSE, ""))
    for each in records:
        text = "\0".join((each.dataset, each.policy, each.column, each.value)).encode()
        yield hmac.digest(key, text, "sha256").hex()[:32]


def looks(desk: Desk, records: Sequence[Record]) -> list[Look]:
    """The reads that saw one of these records, and those of whole tables that may have; the oldest first."""
    tables = {(each.dataset, each.policy) for each in records}
    whole = set(_digests(desk, (Record(*table, _WHOLE, "") for table in tables)))
    wanted = whole | set(_digests(desk, records))
    query = sa.select(LOOKS.c.entry, LOOKS.c.digest).where(LOOKS.c.digest.in_(wanted))
    with desk.state.begin() as connection:
        found = {row.entry: row.digest in whole for row in connection.execute(query)}
    told = [_look(number, found[number], desk.log.entry(number)) for number in sorted(found)]
    return [each for each in told if each is not None]


def _look(number: int, whole: bool, entry: dict[str, Any] | None) -> Look | None:
    if entry is None:
        return None
    names = ("at", "by", "department", "purpose", "dataset", "policy", "door")
    said = {name: str(entry.get(name, "")) for name in names}
    return Look(entry=number, whole=whole, columns=tuple(entry.get("columns", ())), **said)
