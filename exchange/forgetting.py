"""What people wrote in cases (requests, objections, applications) and the notes of their tokens, taken out where it
tells of somebody who is erased (PIPL Art. 47).

The steps themselves stay, and so does the audit log, which has no text of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from exchange.cases import TABLES
from exchange.schema import TOKENS
from exchange.state import State

ERASED: Final = "〔已删除 erased〕"
"""What stands in the place of a text that told of them."""
OF_TOKENS: Final = "tokens"
"""What the notes of tokens are counted under, which are about no dataset."""
_WRITTEN: Final = {
    "request": ("basis", "scenario"),
    "objection": ("rows", "wrong", "proposed"),
    "application": ("applicant", "purpose", "safeguards"),
}
Tells = Callable[[str], bool]


@dataclass(frozen=True)
class Trace:
    """A row with texts that tell, and the update that takes them out."""

    dataset: str
    update: sa.Update


def traces(state: State, tells: Tells) -> list[Trace]:
    """Every row of cases and their events, and of tokens, that has a text that tells; none without a
    database."""
    if not state.begun:
        return []
    with state.begin() as connection:
        found = [trace for kind in TABLES for trace in _traces(connection, kind, tells)]
        for row in connection.execute(sa.select(TOKENS)).mappings():
            found += _trace(TOKENS, row, ("note",), OF_TOKENS, tells)
    return found


def forget(state: State, found: list[Trace]) -> None:
    """Take the texts out, in one transaction, and their bytes out of the database's files."""
    with state.begin() as connection:
        for each in found:
            connection.execute(each.update)
    state.scrub([*(table for tables in TABLES.values() for table in tables), TOKENS])


def _traces(connection: sa.Connection, kind: str, tells: Tells) -> Iterator[Trace]:
    table, events = TABLES[kind]
    datasets: dict[int, str] = {}
    for row in connection.execute(sa.select(table)).mappings():
        datasets[row["number"]] = row["dataset"]
        yield from _trace(table, row, _WRITTEN[kind], row["dataset"], tells)
    for row in connection.execute(sa.select(events)).mappings():
        yield from _trace(events, row, ("said",), datasets[row[kind]], tells)


def _trace(
    table: sa.Table, row: sa.RowMapping, names: tuple[str, ...], dataset: str, tells: Tells
) -> Iterator[Trace]:
    cleared = {name: without(row[name], tells) for name in names}
    if any(cleared[name] != row[name] for name in names):
        same = (column == row[column.name] for column in table.primary_key.columns)
        yield Trace(dataset, sa.update(table).where(*same).values(cleared))


def without(value: Any, tells: Tells) -> Any:
    """A text, or a list or mapping of texts, without those that tell."""
    if isinstance(value, str):
        return ERASED if tells(value) else value
    if isinstance(value, list):
        return [without(each, tells) for each in value]
    if isinstance(value, dict):
        return {name: without(each, tells) for name, each in value.items()}
    return value
