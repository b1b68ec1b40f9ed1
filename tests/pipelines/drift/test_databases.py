"""Tables that change between two days, on the real servers: told by the column's name, or held, or stopped."""

from __future__ import annotations

from typing import Any

import pytest

from lake.records import Landed
from pipelines.collect import collect
from pipelines.context import Context
from pipelines.deciding import decide
from pipelines.drift.told import told
from schemas.errors import ColumnsMissing, DecisionNeeded
from schemas.model import Entry
from schemas.settings import Settings
from tests.pipelines.building import batch_of, context_of, entry_of
from tests.pipelines.sources.conftest import Department, department, mariadb, postgresql

__all__ = ["department", "mariadb", "postgresql"]
SOURCE = {"kind": "database", "connection": "c", "table": "person"}


class Bureau:
    """A table of persons and the dataset that collects it, with another dataset that shares its names."""

    def __init__(self, settings: Settings, department: Department, **fields: Any) -> None:
        self.department = department
        columns = {"id": {"type": "integer"}, "xm": {"type": "string"}} | fields
        self.entry: Entry = entry_of(
            "police.person", SOURCE, columns, open={"type": "unconditional", "fields": ["id", "xm"]}
        )
        shared = {"dataset": "police.person", "field": "xm", "on": "person", "key": "id"}
        other = entry_of(
            "civil.marriage",
            {"kind": "file", "path": "x.csv", "format": "csv"},
            {"person": "integer", "bride": {"type": "string", "shared_from": shared}},
        )
        self.ctx: Context = context_of(settings, [self.entry, other], {"c": department.url})
        department.run(
            "CREATE TABLE person (id INTEGER, xm VARCHAR(20), note VARCHAR(10))",
            "INSERT INTO person VALUES (1, '甲', 'x'), (2, '乙', 'y')",
        )

    def collect(self, day: int) -> Landed:
        return collect(self.ctx, self.entry, batch_of(self.entry.id, day))

    def change(self, *statements: str) -> None:
        self.department.run(*statements)

    @property
    def told(self) -> tuple[str, ...]:
        found = told(self.ctx, self.entry)
        return found.sentences if found else ()


@pytest.fixture
def bureau(settings: Settings, department: Department) -> Bureau:
    return Bureau(settings, department)


def test_nothing_changed_nothing_is_told(bureau: Bureau) -> None:
    assert [column.name for column in bureau.collect(1).columns] == ["id", "xm", "note"]
    bureau.collect(2)
    assert bureau.told == ()


def test_a_new_column_is_told_by_name_and_type_and_not_collected(bureau: Bureau) -> None:
    bureau.collect(1)
    bureau.change("ALTER TABLE person ADD COLUMN blood_type VARCHAR(4)")
    landed = bureau.collect(2)
    (sentence,) = bureau.told
    assert "new column `blood_type` (" in sentence.lower() and "name it in a field of the entry" in sentence
    assert sentence in landed.notes
    bureau.collect(3)
    assert bureau.told == (), "told once, beside the batch before"


def test_a_column_that_nobody_collects_may_go(bureau: Bureau) -> None:
    bureau.collect(1)
    bureau.change("ALTER TABLE person DROP COLUMN note")
    bureau.collect(2)
    assert bureau.told == ("column `note` is gone: it was not collected, so nothing else changes",)


def test_a_renamed_column_stops_with_its_new_name_and_who_feels_it(bureau: Bureau) -> None:
    bureau.collect(1)
    bureau.change("ALTER TABLE person RENAME COLUMN xm TO full_name")
    with pytest.raises(ColumnsMissing) as caught:
        bureau.collect(2)
    said = str(caught.value)
    assert "no column `xm`" in said
    assert "`xm` seems to be called `full_name` now (in its place, of its type" in said
    assert "1 `from:` column (civil.marriage.bride)" in said
    assert "policy table" in said and "1 download (police.person)" in said
    assert "xuanwu impact police.person.xm" in said and "set `source` of the field" in said


def test_a_renamed_column_is_known_by_a_name_like_it(bureau: Bureau) -> None:
    bureau.collect(1)
    bureau.change("ALTER TABLE person RENAME COLUMN xm TO xm_", "ALTER TABLE person ADD COLUMN more INTEGER")
    with pytest.raises(ColumnsMissing, match=r"`xm` seems to be called `xm_` now \(a name like it\)"):
        bureau.collect(2)


def test_a_dropped_column_stops_and_no_new_name_is_made_up(bureau: Bureau) -> None:
    bureau.collect(1)
    bureau.change("ALTER TABLE person DROP COLUMN xm")
    with pytest.raises(ColumnsMissing) as caught:
        bureau.collect(2)
    assert "seems to be called" not in str(caught.value) and "civil.marriage.bride" in str(caught.value)


@pytest.fixture(params=["postgresql", "mariadb"])
def typed(request: pytest.FixtureRequest, settings: Settings) -> Bureau:
    """Servers whose columns have types, which SQLite's have not (ADR 8)."""
    return Bureau(settings, request.getfixturevalue(request.param))


def alter(bureau: Bureau, column: str, kind: str) -> str:
    if bureau.department.url.startswith("mysql"):
        return f"ALTER TABLE person MODIFY {column} {kind}"
    using = f" USING {column}::{kind}"
    return f"ALTER TABLE person ALTER COLUMN {column} TYPE {kind}{using}"


def test_widening_is_accepted_and_told(typed: Bureau) -> None:
    typed.collect(1)
    typed.change(alter(typed, "id", "BIGINT"), alter(typed, "xm", "VARCHAR(60)"))
    assert typed.collect(2).rows == 2
    assert [sentence.rpartition(": ")[2] for sentence in typed.told] == ["wider, accepted"] * 2
    assert "`id` (id) was int" in typed.told[0] and "`xm` (xm) was " in typed.told[1]


def test_a_widening_that_the_field_has_no_room_for_is_held(
    settings: Settings, postgresql: Department
) -> None:
    bureau = Bureau(settings, postgresql, xm={"type": "string", "length": 20})
    bureau.collect(1)
    bureau.change(alter(bureau, "xm", "VARCHAR(60)"))
    with pytest.raises(DecisionNeeded, match="widen the entry's field"):
        bureau.collect(2)


def test_another_type_is_held_until_it_is_approved_for_what_it_is(typed: Bureau) -> None:
    typed.collect(1)
    typed.change(alter(typed, "id", "VARCHAR(12)"))
    with pytest.raises(DecisionNeeded) as caught:
        typed.collect(2)
    said = str(caught.value)
    assert "column `id` (id) was int" in said and "civil.marriage.bride" in said and "xuanwu approve" in said
    with pytest.raises(DecisionNeeded):
        typed.collect(2)
    decide(typed.ctx, typed.entry, "approve", by="李四", why="编号改为文本，含义不变")
    assert typed.collect(2).rows == 2
    typed.change(alter(typed, "id", "VARCHAR(8)"))
    with pytest.raises(DecisionNeeded):
        typed.collect(3)
