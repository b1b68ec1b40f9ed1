"""The quarantine: each row once, replaced as a whole, counted by rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from lake import quarantine
from lake.quarantine import Summary
from lake.tables import Tables
from schemas.settings import Settings

AT = datetime(2026, 3, 5, tzinfo=UTC)
ONE, TWO = "20260305T120000Z-00000001", "20260305T120000Z-00000002"


@pytest.fixture
def tables(settings: Settings) -> Tables:
    return Tables(settings)


def failed(
    batch: str, stage: str, *rules: tuple[str, ...], at: datetime = AT, file: str = "a.csv"
) -> pa.RecordBatchReader:
    """A row for each tuple of rules that it failed."""
    rows: list[dict[str, Any]] = [
        {
            "batch": batch,
            "stage": stage,
            "file": file,
            "row": i + 2,
            "failures": [{"field": "x", "rule": rule, "expected": "else"} for rule in each],
            "data": "{}",
            "at": at,
        }
        for i, each in enumerate(rules)
    ]
    return pa.Table.from_pylist(rows, schema=quarantine.SCHEMA).to_reader()


def test_nothing_to_set_aside_makes_no_table(tables: Tables) -> None:
    assert quarantine.put(tables, "dept.data", ONE, "check", failed(ONE, "check")) == 0
    assert not tables.exists(quarantine.table_of("dept.data"))
    assert quarantine.summary(tables, "dept.data") == []
    assert list(quarantine.rows(tables, "dept.data")) == []
    assert quarantine.count(tables, "dept.data") == 0


def test_a_row_with_two_failures_is_one_row_and_counts_in_both_rules(tables: Tables) -> None:
    assert quarantine.put(tables, "dept.data", ONE, "check", failed(ONE, "check", ("r", "s"), ("s",))) == 2
    assert quarantine.count(tables, "dept.data") == 2
    assert quarantine.summary(tables, "dept.data") == [
        Summary(ONE, "check", "x", "r", 1),
        Summary(ONE, "check", "x", "s", 2),
    ]


def test_a_rerun_replaces_its_own_rows_and_no_others(tables: Tables) -> None:
    for batch in (ONE, TWO):
        for stage in ("standardise", "check"):
            quarantine.put(tables, "dept.data", batch, stage, failed(batch, stage, ("r",), ("r",)))
    quarantine.put(tables, "dept.data", ONE, "check", failed(ONE, "check", ("s",)))
    assert quarantine.summary(tables, "dept.data") == [
        Summary(ONE, "check", "x", "s", 1),
        Summary(ONE, "standardise", "x", "r", 2),
        Summary(TWO, "check", "x", "r", 2),
        Summary(TWO, "standardise", "x", "r", 2),
    ]
    quarantine.put(tables, "dept.data", ONE, "check", failed(ONE, "check"))
    assert (quarantine.count(tables, "dept.data"), quarantine.count(tables, "dept.data", ONE)) == (6, 2)


def test_rows_of_others_in_a_compacted_file_stay(tables: Tables) -> None:
    quarantine.put(tables, "dept.data", ONE, "check", failed(ONE, "check", ("r",)))
    quarantine.put(tables, "dept.data", TWO, "check", failed(TWO, "check", ("r",)))
    table = quarantine.table_of("dept.data")
    tables.replace(table, tables.scan(table).read_all().to_reader(), "all", {})
    assert len(tables.data_files(table)) == 1
    quarantine.put(tables, "dept.data", ONE, "check", failed(ONE, "check"))
    assert quarantine.summary(tables, "dept.data") == [Summary(TWO, "check", "x", "r", 1)]


def test_rows_are_shown_by_batch_stage_and_rule(tables: Tables) -> None:
    quarantine.put(tables, "dept.data", ONE, "check", failed(ONE, "check", ("r", "s"), ("s",), ("r",)))
    quarantine.put(tables, "dept.data", TWO, "merge", failed(TWO, "merge", ("r",)))

    def places(**what: Any) -> list[tuple[str, int]]:
        found = pa.Table.from_batches(
            quarantine.rows(tables, "dept.data", **what), quarantine.SCHEMA
        ).to_pylist()
        return [(row["stage"], row["row"]) for row in found]

    assert places(rule="s") == [("check", 2), ("check", 3)]
    assert places(batch_id=TWO) == places(stage="merge") == [("merge", 2)]
    assert len(places()) == 4
    assert places(batch_id=TWO, rule="s") == []


def since(tables: Tables) -> dict[tuple[str, str, int], tuple[int, int]]:
    """Hours after `AT` of the newest and of the first time, by batch, file and row."""
    found = pa.Table.from_batches(quarantine.places(tables, "dept.data")).to_pylist()
    hours = [[(row[name] - AT) // timedelta(hours=1) for name in ("at", "since")] for row in found]
    return {
        (row["batch"], row["file"], row["row"]): (at, first)
        for row, (at, first) in zip(found, hours, strict=True)
    }


def test_a_row_keeps_the_moment_when_it_was_set_aside_first(tables: Tables) -> None:
    """When its batch is run again, at whichever stage; a row that is new, or another batch's, has its own."""
    later = AT + timedelta(hours=5)
    quarantine.put(tables, "dept.data", ONE, "check", failed(ONE, "check", ("r",), ("r",)))
    quarantine.put(tables, "dept.data", TWO, "check", failed(TWO, "check", ("r",), at=later))
    again = failed(ONE, "standardise", ("s",), ("s",), ("s",), at=later)
    quarantine.put(tables, "dept.data", ONE, "standardise", again)
    quarantine.put(tables, "dept.data", ONE, "check", failed(ONE, "check"))
    assert since(tables) == {
        (ONE, "a.csv", 2): (5, 0),
        (ONE, "a.csv", 3): (5, 0),
        (ONE, "a.csv", 4): (5, 5),
        (TWO, "a.csv", 2): (5, 5),
    }
    other = failed(ONE, "standardise", ("s",), at=later, file="b.csv")
    quarantine.put(tables, "dept.data", ONE, "standardise", other)
    assert since(tables)[ONE, "b.csv", 2] == (5, 5)


def test_a_table_from_before_has_the_moment_that_it_knows(tables: Tables) -> None:
    table = quarantine.table_of("dept.data")
    tables.ensure(table, quarantine.SCHEMA)
    tables.replace(table, failed(ONE, "check", ("r",)), (), {"xuanwu.batch": ONE})
    assert since(tables) == {(ONE, "a.csv", 2): (0, 0)}
    quarantine.put(
        tables, "dept.data", ONE, "check", failed(ONE, "check", ("s",), at=AT + timedelta(hours=1))
    )
    assert since(tables) == {(ONE, "a.csv", 2): (1, 0)}
