"""Merging batches into the curated table: every kind, hostile values, repetition, schema changes."""

from __future__ import annotations

import json
import math
import re
import traceback
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from lake import datafiles, properties, quarantine
from lake.upkeep import expire
from lake.zones import identifier
from schemas.errors import CommitConflict, EngineError, LakeError, Unbalanced
from schemas.settings import Settings
from tests.pipelines.merging.making import City, MakeCatalogue, Row, counts

Make = Callable[..., City]
PAIR = {"id": {"type": "string"}, "v": {"type": "integer"}}
TIMED = {**PAIR, "t": {"type": "integer"}}


@pytest.fixture
def city(settings: Settings, make_catalogue: MakeCatalogue) -> Make:
    def make(fields: dict[str, dict[str, Any]] = PAIR, **entry: Any) -> City:
        return City(settings, make_catalogue, fields, **entry)

    return make


def pairs(**values: int | None) -> list[Row]:
    return [{"id": name, "v": value} for name, value in values.items()]


# ── snapshot ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_snapshot_inserts_updates_keeps_and_deletes(city: Make) -> None:
    here = city(kind="snapshot")
    assert counts(here.merge(1, pairs(a=1, b=2, c=3))) == {"inserted": 3}
    second = here.merge(2, pairs(a=1, b=20, d=4))
    assert counts(second) == {"inserted": 1, "updated": 1, "unchanged": 1, "deleted": 1}
    assert (second.total_before, second.total) == (3, 3)
    assert here.rows() == pairs(a=1, b=20, d=4)


def test_unchanged_rows_keep_the_batch_that_changed_them_last(city: Make) -> None:
    here = city(kind="snapshot")
    first, second = here.merge(1, pairs(a=1, b=2)), here.merge(2, pairs(a=1, b=3))
    assert [row["_batch"] for row in here.rows("_batch")] == [first.batch.id, second.batch.id]


def test_a_new_file_takes_numbers_of_a_dictionary_and_one_that_is_rewritten_text(
    city: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text that comes both ways would end a row group wherever the one follows the other."""
    came: set[bool] = set()
    conform = datafiles.conform

    def noted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        came.add(pa.types.is_dictionary(batch.schema.field("v").type))
        return conform(batch, schema)

    monkeypatch.setattr(datafiles, "conform", noted)
    here = city({"id": {"type": "string"}, "v": {"type": "string"}}, kind="snapshot")
    here.merge(1, [{"id": name, "v": "x"} for name in "abc"])
    assert came == {True}
    came.clear()
    second = [{"id": "a", "v": "x"}, {"id": "b", "v": "y"}, {"id": "c", "v": "x"}]
    here.merge(2, second)
    assert came == {False} and here.rows() == second
    (part,) = here.ctx.tables.parts(identifier("curated", here.entry.id))
    assert datafiles.row_groups(part.path) == [0]


def test_of_duplicates_in_a_snapshot_the_last_counts(city: Make) -> None:
    here = city(kind="snapshot")
    assert counts(here.merge(1, pairs(a=1) + pairs(a=2))) == {"inserted": 1, "superseded": 1}
    assert here.rows() == pairs(a=2)


def test_an_older_snapshot_changes_nothing(city: Make) -> None:
    here = city(kind="snapshot")
    here.merge(2, pairs(a=1, b=2))
    late = here.merge(1, pairs(a=9))
    assert counts(late) == {"superseded": 1}
    assert (late.rows_in, late.total) == (1, 2)
    assert here.rows() == pairs(a=1, b=2)
    assert here.merge(1, pairs(a=9)).snapshot == late.snapshot


def test_an_empty_snapshot_deletes_all(city: Make) -> None:
    here = city(kind="snapshot")
    here.merge(1, pairs(a=1, b=2))
    assert counts(here.merge(2, [])) == {"deleted": 2}
    assert here.rows() == []


def test_a_rejected_row_is_no_deletion(city: Make) -> None:
    """Its source still holds it: the last good version stays until it is repaired or goes."""
    here = city(kind="snapshot")
    here.merge(1, pairs(a=1, b=2, c=3))
    assert counts(here.merge(2, pairs(a=1, b=-1), rejects=[1])) == {"unchanged": 1, "deleted": 1}
    assert here.rows() == pairs(a=1, b=2)


# ── upsert ────────────────────────────────────────────────────────────────────────────────────────────────


def timed(*rows: tuple[str, int | None, int | None]) -> list[Row]:
    return [{"id": name, "v": value, "t": t} for name, value, t in rows]


def test_an_upsert_adds_and_changes_and_never_deletes(city: Make) -> None:
    here = city()
    here.merge(1, pairs(a=1, b=2))
    assert counts(here.merge(2, pairs(b=3, c=4))) == {"inserted": 1, "updated": 1}
    assert here.rows() == pairs(a=1, b=3, c=4)


def test_the_newest_by_order_by_wins_within_a_batch(city: Make) -> None:
    here = city(TIMED, order_by="t")
    merged = here.merge(1, timed(("a", 1, 5), ("a", 2, 9), ("a", 3, 7), ("b", 1, 1), ("b", 2, 1)))
    assert counts(merged) == {"inserted": 2, "superseded": 3}
    assert here.rows() == timed(("a", 2, 9), ("b", 2, 1))


def test_an_older_row_is_superseded_by_the_stored_one(city: Make) -> None:
    here = city(TIMED, order_by="t")
    here.merge(1, timed(("a", 1, 5)))
    assert counts(here.merge(2, timed(("a", 2, 4)))) == {"superseded": 1}
    assert counts(here.merge(3, timed(("a", 3, 5)))) == {"updated": 1}
    assert here.rows() == timed(("a", 3, 5))


def test_a_row_without_a_time_is_older_than_any_with_one(city: Make) -> None:
    here = city(TIMED, order_by="t")
    assert counts(here.merge(1, timed(("a", 1, None), ("a", 2, 3), ("b", 1, None)))) == {
        "inserted": 2,
        "superseded": 1,
    }
    assert counts(here.merge(2, timed(("a", 9, None), ("b", 2, None)))) == {"superseded": 1, "updated": 1}
    assert here.rows() == timed(("a", 2, 3), ("b", 2, None))


def test_nan_is_no_time_either(city: Make) -> None:
    here = city({**PAIR, "t": {"type": "number"}}, order_by="t")
    here.merge(1, [{"id": "a", "v": 1, "t": math.nan}, {"id": "a", "v": 2, "t": 0.5}])
    assert counts(here.merge(2, [{"id": "a", "v": 3, "t": math.nan}])) == {"superseded": 1}
    assert here.rows() == [{"id": "a", "v": 2, "t": 0.5}]
    assert counts(here.merge(3, [{"id": "a", "v": 4, "t": -math.inf}])) == {"superseded": 1}


def test_nan_equals_nan_as_content(city: Make) -> None:
    here = city({"id": {"type": "string"}, "v": {"type": "number"}})
    here.merge(1, [{"id": "a", "v": math.nan}])
    assert counts(here.merge(2, [{"id": "a", "v": math.nan}])) == {"unchanged": 1}


def test_a_late_batch_undoes_nothing_where_times_are_equal(city: Make) -> None:
    here = city(TIMED, order_by="t")
    here.merge(2, timed(("a", 2, 5)))
    assert counts(here.merge(1, timed(("a", 1, 5), ("b", 1, 5)))) == {"inserted": 1, "superseded": 1}
    assert here.rows() == timed(("a", 2, 5), ("b", 1, 5))


# ── append ────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_appended_never_changes(city: Make) -> None:
    here = city(kind="append")
    assert counts(here.merge(1, [*pairs(a=1, b=2), *pairs(b=3)])) == {"inserted": 2, "superseded": 1}
    merged = here.merge(2, pairs(a=1, b=9, c=3))
    assert counts(merged) == {"inserted": 1, "unchanged": 1, "quarantined": 1}
    assert here.rows() == pairs(a=1, b=2, c=3)
    (row,) = pa.Table.from_batches(quarantine.rows(here.ctx.tables, "dept.data")).to_pylist()
    assert (row["batch"], row["stage"], row["file"], row["row"]) == (merged.batch.id, "merge", "data.csv", 3)
    assert [(f["field"], f["rule"]) for f in row["failures"]] == [("id", "append_only")]
    assert json.loads(row["data"]) == {"id": "b", "v": 9}


def test_a_refused_row_is_set_aside_once_however_often_it_is_merged(city: Make) -> None:
    here = city(kind="append")
    here.merge(1, pairs(a=1))
    first, again = here.merge(2, pairs(a=2)), here.merge(2, pairs(a=2))
    assert first == again
    assert quarantine.count(here.ctx.tables, "dept.data") == 1
    assert counts(here.merge(2, pairs(a=1))) == {"unchanged": 1}
    assert quarantine.count(here.ctx.tables, "dept.data") == 0


# ── repetition ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["snapshot", "append", "upsert"])
def test_a_batch_merged_again_changes_nothing(city: Make, kind: str) -> None:
    here = city(kind=kind)
    first = here.merge(1, pairs(a=1, b=2))
    files = here.files()
    assert here.merge(1, pairs(a=1, b=2)) == first
    assert here.files() == files


def test_a_batch_that_changes_nothing_is_a_snapshot_of_its_own(city: Make) -> None:
    here = city()
    first, second = here.merge(1, pairs(a=1)), here.merge(2, pairs(a=1))
    assert second.snapshot != first.snapshot
    assert counts(second) == {"unchanged": 1}
    assert here.merge(1, pairs(a=1)) == first


def test_a_repaired_batch_is_merged_anew(city: Make) -> None:
    here = city()
    here.merge(1, pairs(a=1, b=2), rejects=[1])
    assert counts(here.merge(1, pairs(a=1, b=2))) == {"inserted": 1, "unchanged": 1}
    assert here.rows() == pairs(a=1, b=2)


def test_only_the_files_of_changed_rows_are_rewritten(city: Make) -> None:
    here = city()
    for day, name in enumerate("abc", start=1):
        here.merge(day, pairs(**{name: day}))
    before = set(here.files())
    here.merge(4, pairs(b=20, d=4))
    assert len(before & set(here.files())) == 2
    assert here.rows() == pairs(a=1, b=20, c=3, d=4)


def test_a_change_in_a_large_file_writes_what_changed_and_nothing_else(
    city: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lake.deletes.SMALL_ROWS", 50)
    here = city()
    here.merge(1, pairs(**{f"p{n:03}": n for n in range(100)}))
    table = identifier("curated", "dept.data")
    [whole] = here.ctx.tables.parts(table)
    assert counts(here.merge(2, pairs(p007=700, p100=100))) == {"inserted": 1, "updated": 1}
    parts = {part.path: part for part in here.ctx.tables.parts(table)}
    old = parts.pop(whole.path)
    [new] = parts.values()
    assert (len(old.gone), new.rows, here.ctx.tables.row_count(table)) == (1, 2, 101)
    assert {row["id"]: row["v"] for row in here.rows()} == {f"p{n:03}": n for n in range(101)} | {"p007": 700}
    here.merge(3, pairs(**{f"p{n:03}": 1000 for n in range(20, 60)}))
    assert whole.path not in {part.path for part in here.ctx.tables.parts(table)}, "a fifth of it was gone"
    assert len(here.rows()) == 101


def test_many_small_files_become_one(city: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lake.deletes.SMALL_FILES", 3)
    here = city(kind="append")
    merged = [here.merge(day, pairs(**{name: day})) for day, name in enumerate("abcd", start=1)]
    assert len(here.files()) == 1
    assert here.rows() == pairs(a=1, b=2, c=3, d=4)
    assert [row["_batch"] for row in here.rows("_batch")] == [each.batch.id for each in merged]


def test_rows_that_do_not_add_up_are_not_committed(city: Make) -> None:
    here = city()
    here.merge(1, pairs(a=1))
    wrong = here.checked(2, pairs(b=2)).model_copy(update={"rows_out": 2})
    from pipelines.merge import merge

    with pytest.raises(Unbalanced, match="rows out of check 2 ≠ rows into merge 1"):
        merge(here.ctx, here.entry, wrong)
    assert here.rows() == pairs(a=1)


# ── values and names ──────────────────────────────────────────────────────────────────────────────────────

OURS = (
    "file",
    "place",
    "action",
    "rank",
    "row",
    "seq",
    "rowid",
    "file_index",
    "i",
    "s",
    "p",
    "incoming",
    "stored",
    "plan",
)
"""Names of the engine's own columns and of relations in the statements."""
EVERY = {
    "order": {"type": "string"},
    "select": {"type": "decimal", "precision": 38, "scale": 10},
    "when": {"type": "timestamp"},
    "from": {"type": "date"},
    "table": {"type": "binary"},
    "group": {"type": "boolean"},
    "null": {"type": "integer"},
    "filename": {"type": "string"},
    **{name: {"type": "string"} for name in OURS},
}


def every(**changed: Any) -> Row:
    return {
        "order": "秦淮区'\"；\n",
        "select": Decimal("1234567890123456789012345678.0123456789"),
        "when": datetime(2026, 3, 1, 16, 0, 0, 123456, tzinfo=UTC),
        "from": date(1900, 1, 1),
        "table": b"\x00\xff'",
        "group": None,
        "null": 2**63 - 1,
        "filename": "",
        **{name: name for name in OURS},
        **changed,
    }


@pytest.mark.parametrize("kind", ["snapshot", "append", "upsert"])
def test_every_type_survives_under_reserved_names(city: Make, kind: str) -> None:
    here = city(EVERY, kind=kind, key=("order", "when"))
    rows = [every(), every(order="b", **{"table": b"", "select": Decimal("-0.0000000001")})]
    here.merge(1, rows)
    assert counts(here.merge(2, rows)) == {"unchanged": 2}
    assert here.rows() == sorted(rows, key=lambda row: row["order"])


def test_a_refused_row_of_every_type_is_valid_json(city: Make) -> None:
    here = city({**EVERY, "x": {"type": "number"}, "y": {"type": "number"}}, kind="append", key=("order",))
    here.merge(1, [every(x=1.5, y=1.5)])
    assert counts(here.merge(2, [every(x=math.nan, y=0.1)])) == {"quarantined": 1}
    (row,) = pa.Table.from_batches(quarantine.rows(here.ctx.tables, "dept.data")).to_pylist()
    data = json.loads(row["data"], parse_constant=pytest.fail)
    assert data["order"] == "秦淮区'\"；\n"
    assert data["select"] == "1234567890123456789012345678.0123456789"
    assert (data["table"], data["x"], data["y"], data["group"]) == ("AP8n", "nan", 0.1, None)
    assert data["null"] == 2**63 - 1


@pytest.mark.parametrize("kind", ["snapshot", "upsert", "append"])
def test_null_and_the_empty_text_are_two_contents_and_a_null_in_a_key_is_a_value(
    city: Make, kind: str
) -> None:
    here = city({"id": {"type": "string"}, "v": {"type": "string"}}, kind=kind)
    here.merge(1, [{"id": None, "v": None}, {"id": "", "v": ""}])
    again = here.merge(2, [{"id": None, "v": ""}, {"id": "", "v": ""}])
    other = "quarantined" if kind == "append" else "updated"
    assert counts(again) == {other: 1, "unchanged": 1}


# ── the entry changes ─────────────────────────────────────────────────────────────────────────────────────


def test_a_gained_field_is_null_in_the_rows_of_before(city: Make) -> None:
    here = city()
    here.merge(1, pairs(a=1, b=2))
    here.change(fields={**PAIR, "w": {"type": "string"}})
    merged = here.merge(2, [{"id": "b", "v": 2, "w": "new"}, {"id": "c", "v": 3, "w": None}])
    assert counts(merged) == {"inserted": 1, "updated": 1}
    assert here.rows("id", "w") == [{"id": "a", "w": None}, {"id": "b", "w": "new"}, {"id": "c", "w": None}]


def test_a_lost_field_stays_in_old_rows_and_is_null_in_new_ones(city: Make) -> None:
    here = city({**PAIR, "w": {"type": "string"}})
    here.merge(
        1, [{"id": "a", "v": 1, "w": "old"}, {"id": "b", "v": 2, "w": "old"}, {"id": "c", "v": 3, "w": "old"}]
    )
    here.change(fields=PAIR)
    assert counts(here.merge(2, pairs(a=1, b=20, d=4))) == {"unchanged": 1, "updated": 1, "inserted": 1}
    assert [row["w"] for row in here.rows("w")] == ["old", None, "old", None]


@pytest.mark.parametrize("kind", ["snapshot", "append", "upsert"])
def test_a_key_that_rows_of_the_table_share_is_told_as_such(city: Make, kind: str) -> None:
    """Of a key that was changed: what is stored was merged by the old one."""
    here = city(TIMED, order_by="t", kind=kind, key=("id", "v"))
    here.merge(1, timed(("a", 1, 1), ("a", 2, 1), ("b", 1, 1)))
    here.change(key=("id",))
    with pytest.raises(
        LakeError, match="rows of the curated table share a key with another, by id"
    ) as caught:
        here.merge(2, timed(("a", 3, 2), ("b", 1, 1)))
    assert "`key`" in str(caught.value.next_step)
    here.change(key=("id", "v"))
    assert here.merge(2, timed(("a", 1, 1), ("a", 2, 1), ("b", 1, 1))).unchanged == 3


def test_a_decimal_may_gain_digits(city: Make) -> None:
    amount = {"type": "decimal", "precision": 5, "scale": 2}
    here = city({"id": {"type": "string"}, "v": amount})
    here.merge(1, [{"id": "a", "v": Decimal("1.25")}, {"id": "b", "v": Decimal("2.50")}])
    here.change(fields={"id": {"type": "string"}, "v": {**amount, "precision": 12}})
    merged = here.merge(2, [{"id": "a", "v": Decimal("1.25")}, {"id": "b", "v": Decimal("1234567890.50")}])
    assert counts(merged) == {"unchanged": 1, "updated": 1}
    assert [row["v"] for row in here.rows("v")] == [Decimal("1.25"), Decimal("1234567890.50")]


@pytest.mark.parametrize("kind", [{"type": "string"}, {"type": "decimal", "precision": 12, "scale": 1}])
def test_a_type_that_would_lose_values_is_refused(city: Make, kind: dict[str, Any]) -> None:
    here = city({"id": {"type": "string"}, "v": {"type": "decimal", "precision": 5, "scale": 2}})
    here.merge(1, [{"id": "a", "v": Decimal("1.25")}])
    here.change(fields={"id": {"type": "string"}, "v": kind})
    with pytest.raises(LakeError, match="cannot change v from decimal") as caught:
        here.merge(2, [])
    assert caught.value.next_step


def test_the_snapshot_says_what_it_was_for(city: Make) -> None:
    here = city()
    merged = here.merge(1, pairs(a=1, b=2))
    _, summary = next(here.ctx.tables.snapshots(identifier("curated", "dept.data")))
    assert properties.said(summary, "batch") == merged.batch.id
    assert properties.said(summary, "interval_end") == merged.batch.end.isoformat()
    ours = [name for name in summary if name.startswith("xuanwu.")]
    assert "xuanwu.rows-in" in ours
    assert not [name for name in ours if not re.fullmatch(r"xuanwu\.[a-z]+(-[a-z]+)*", name)]


def test_a_snapshot_stays_late_when_upkeep_has_forgotten_the_newer_one(city: Make) -> None:
    here = city(kind="snapshot")
    here.merge(3, pairs(a=3))
    assert counts(here.merge(1, pairs(a=1, b=1))) == {"superseded": 2}
    table = identifier("curated", "dept.data")
    assert expire(here.ctx.tables, table, datetime.now(UTC) + timedelta(days=1)) >= 1
    assert len(list(here.ctx.tables.snapshots(table))) == 1
    assert counts(here.merge(2, pairs(a=2))) == {"superseded": 1}
    assert here.rows() == pairs(a=3)


@pytest.mark.parametrize("kind", ["snapshot", "append", "upsert"])
def test_a_batch_that_upkeep_has_forgotten_changes_no_row_when_merged_again(city: Make, kind: str) -> None:
    here = city(TIMED, order_by="t", kind=kind)
    first = timed(("a", 1, 1), ("b", 1, 1), ("c", 1, None))
    here.merge(1, first)
    here.merge(2, timed(("a", 2, 2), ("b", 1, 1)))
    before, table = here.rows("id", "v", "t", "_batch"), identifier("curated", "dept.data")
    expire(here.ctx.tables, table, datetime.now(UTC) + timedelta(days=1))
    again = here.merge(1, first)
    assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)
    assert here.rows("id", "v", "t", "_batch") == before


def test_a_conflict_that_does_not_end_is_reported(city: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    here = city()

    def beaten(*_: object, **__: object) -> int:
        raise CommitConflict("another run was first")

    monkeypatch.setattr(here.ctx.tables, "replace", beaten)
    monkeypatch.setattr("pipelines.merge.time.sleep", lambda _: None)
    with pytest.raises(CommitConflict, match="keep committing"):
        here.merge(1, pairs(a=1))


@pytest.mark.parametrize("kind", [duckdb.OutOfMemoryException, pa.ArrowInvalid])
def test_an_engine_that_fails_is_an_error_of_ours_that_quotes_no_value(
    city: Make, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def fails(_: object) -> None:
        raise kind("Could not convert '张秘密'")

    here = city(kind="snapshot")
    monkeypatch.setattr("pipelines.merging.local._Local.plan", fails)
    with pytest.raises(EngineError, match=rf"could not merge the batch \({kind.__name__}\)") as caught:
        here.merge(1, pairs(a=1))
    told = "".join(traceback.format_exception(caught.value))
    assert "run merge again" in told and "XUANWU_MEMORY" in told and "张秘密" not in told
    assert {"dataset", "batch"} <= caught.value.place.keys()
