"""Publication: what is written, what stands already, what nobody may read any more."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyiceberg.table import Table

from lake import renewal, store
from lake.records import Published
from lake.tables import Tables
from lake.upkeep import expire
from pipelines import publish as module
from pipelines.keys import Key
from pipelines.masks.tokens import hash_values
from pipelines.publishing import rows as made
from pipelines.publishing.withdrawal import withdraw
from schemas.errors import (
    CommitConflict,
    EngineError,
    LakeError,
    LeakFound,
    MaskError,
    Unbalanced,
    XuanwuError,
)
from schemas.load import Catalogue
from schemas.settings import Settings
from tests.leaks import bytes_below
from tests.pipelines.publishing.making import FIELDS, KEY, OPEN, SECRET, City, people


@pytest.fixture
def city(
    settings: Settings, make_catalogue: Callable[[dict[str, str]], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> City:
    monkeypatch.setenv(KEY, SECRET)
    return City(settings, make_catalogue)


def table_of(city: City, published: Published) -> Table:
    zone, name = published.table.split(".")
    return city.ctx.tables._load((zone, name))


def folder_of(city: City, published: Published) -> Path:
    zone, name = published.table.split(".")
    return Path(city.ctx.tables.location((zone, name)))


# ── what is written ───────────────────────────────────────────────────────────────────────────────────────


def test_a_share_table_is_masked_row_for_row(city: City) -> None:
    rows = people()
    published = city.publish(city.curate(1, rows))
    assert (published.rows_in, published.rows_out, published.suppressed) == (8, 8, 0)
    assert (published.table, published.key_version, published.reused) == (
        "share.health__visit__default",
        "1",
        False,
    )
    found = {row["visit_no"]: row for row in city.rows(published)}
    key = Key("1", bytes(range(32))).derive("token/share/default", "sm3")
    for row in rows:
        shared = found[row["visit_no"]]
        assert shared["id_no"] == str(hash_values(pa.array([row["id_no"].encode()]), key, "sm3")[0])
        assert shared["name"] == "张" + "*" * 7
        assert shared["born"] == f"{row['born']:%Y-%m}"
        assert (shared["district"], shared["fee"], shared["at"]) == (row["district"], row["fee"], row["at"])
        assert "1381234" not in shared["memo"]


def test_a_policy_is_a_table_of_its_own_with_its_own_columns(city: City) -> None:
    merged = city.curate(1, people())
    city.publish(merged)
    published = city.publish(merged, policy="statistics")
    assert published.key_version is None
    assert city.ctx.tables.schema(("share", "health__visit__statistics")).names == ["born", "district"]


def test_the_snapshot_says_what_it_was_made_from(city: City) -> None:
    merged = city.curate(1, people())
    published = city.publish(merged)
    _, properties = next(city.ctx.tables.snapshots(("share", "health__visit__default")))
    assert properties["xuanwu.batch"] == merged.batch.id
    assert properties["xuanwu.curated-snapshot"] == str(merged.snapshot)
    assert properties["xuanwu.masks"] == published.masks_hash
    assert properties["xuanwu.hash"] == "sm3"
    assert properties["xuanwu.key-version"] == "1"
    assert {"xuanwu.contract", "xuanwu.code-version", "xuanwu.policy", "xuanwu.zone"} <= properties.keys()
    assert SECRET not in str(properties)


def test_the_order_of_rows_tells_nothing(city: City) -> None:
    """The curated rows lie in the order of the id, which is hidden: shared ones lie at random, opened ones in the order
    of what is published."""
    rows = people(60)
    one, other = (city.rows(city.publish(city.curate(day, rows))) for day in (1, 2))
    numbers = [[row["visit_no"] for row in found] for found in (one, other)]
    assert sorted(numbers[0]) == sorted(numbers[1]) == [row["visit_no"] for row in rows]
    assert numbers[0] != numbers[1]
    assert sorted(numbers[0]) not in (numbers[0], numbers[1])
    opened = city.rows(city.publish(city.curate(3, rows[::-1]), zone="open"))
    assert opened == sorted(opened, key=lambda row: row["visit_no"])


def test_an_empty_table_is_published_as_one(city: City) -> None:
    published = city.publish(city.curate(1, []), "open")
    assert (published.rows_in, published.rows_out) == (0, 0)
    assert {download.rows for download in published.downloads} == {0}


# ── nothing leaked ────────────────────────────────────────────────────────────────────────────────────────


def raw_values(rows: list[dict[str, Any]]) -> list[bytes]:
    texts = (
        [row["id_no"] for row in rows] + [row["name"] for row in rows] + [repr(row["born"]) for row in rows]
    )
    return [text.encode() for text in texts] + [
        row["memo"][3:14].encode() for row in rows if "致电" in row["memo"]
    ]


def test_no_raw_value_lies_anywhere_below_a_published_table(city: City) -> None:
    rows = people()
    merged = city.curate(1, rows)
    curated = bytes_below(Path(city.ctx.tables.location(city.curated)))
    published = [
        city.publish(merged),
        city.publish(merged, policy="statistics"),
        city.publish(merged, "open"),
    ]
    folders = [folder_of(city, each) for each in published]
    folders.append(Path(city.settings.lake_root) / "downloads")
    for value in raw_values(rows):
        assert value in curated, "the scan must be able to find what it looks for"
        for folder in folders:
            assert value not in bytes_below(folder)


def test_bounds_in_manifests_are_of_masked_values(city: City) -> None:
    published = city.publish(city.curate(1, people()))
    files = list(table_of(city, published).scan().plan_files())
    assert files
    lower = {bytes(value) for task in files for value in task.file.lower_bounds.values()}
    assert any(bound.startswith("张*".encode()) for bound in lower)


def test_what_the_catalogue_does_not_name_is_not_published(city: City) -> None:
    published = city.publish(city.curate(1, people()), "open")
    assert city.ctx.tables.schema(("open", "health__visit")).names == OPEN["fields"]
    assert "_batch" not in city.rows(published)[0]


# ── tightened masks leave nothing behind ──────────────────────────────────────────────────────────────────


def tightened(city: City) -> None:
    fields = {**FIELDS, "name": {**FIELDS["name"], "mask": {"share": "drop", "open": "drop"}}}
    fields["district"] = {**FIELDS["district"], "mask": {"share": {"kind": "constant", "value": "南京"}}}
    city.change(fields=fields)


def test_a_tightened_policy_leaves_no_old_column_snapshot_or_byte(city: City) -> None:
    merged = city.curate(1, people())
    first = city.publish(merged)
    old = table_of(city, first)
    tightened(city)
    second = city.publish(merged)
    table = table_of(city, second)
    assert not second.reused
    assert "name" not in {column.name for schema in table.schemas().values() for column in schema.fields}
    assert [snapshot.snapshot_id for snapshot in table.snapshots()] == [second.snapshot]
    assert table.metadata.table_uuid == old.metadata.table_uuid
    assert {row["district"] for row in city.rows(second)} == {"南京"}
    for value in ("张*".encode(), b"320102"):
        assert value not in bytes_below(folder_of(city, second))
    assert not Path(old.metadata_location.removeprefix("file://")).exists()


def test_a_process_killed_before_it_cleaned_up_is_followed_by_one_that_does(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = city.curate(1, people())
    city.publish(merged)
    tightened(city)
    with monkeypatch.context() as patch:
        patch.setattr(renewal, "sweep", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            city.publish(merged)
    assert len(store.list_folders(city.ctx.tables.location(("share", "health__visit__default")))) > 1
    again = city.publish(merged)
    assert again.reused
    assert len(store.list_folders(city.ctx.tables.location(("share", "health__visit__default")))) == 1
    assert len(city.rows(again)) == 8


def test_readers_see_the_old_table_or_the_new_one(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    merged = city.curate(1, people())
    first = city.publish(merged)
    tightened(city)
    seen: list[int] = []
    real = renewal._commit

    def watched(*args: Any) -> None:
        seen.append(len(Tables(city.settings).scan(("share", "health__visit__default")).read_all()))
        real(*args)
        seen.append(len(Tables(city.settings).scan(("share", "health__visit__default")).read_all()))

    monkeypatch.setattr(renewal, "_commit", watched)
    second = city.publish(merged)
    assert seen == [8, 8]
    assert second.snapshot != first.snapshot


def test_a_run_that_planned_on_the_old_masks_cannot_bring_them_back(city: City) -> None:
    """The slow run still has the old catalogue; the new masks are committed while it writes."""
    merged = city.curate(1, people())
    first = city.publish(merged)
    newer = city.curate(2, people(9))
    slow, slow_entry = city.ctx, city.entry
    job, _ = module._planned(slow, slow_entry, newer, "share", "default")
    standing = next(slow.tables.snapshots(job.table))
    tightened(city)
    second = city.publish(newer)
    for alike in (True, False):
        with pytest.raises((CommitConflict, LakeError)):
            module._write(job, made.local, newer.snapshot, standing, alike=alike, past=alike)
    assert first.snapshot != second.snapshot
    assert table_of(city, second).current_snapshot().snapshot_id == second.snapshot
    assert len(city.rows(second)) == 9
    assert len(store.list_folders(city.ctx.tables.location(("share", "health__visit__default")))) == 1


# ── again, later, never back ──────────────────────────────────────────────────────────────────────────────


def test_published_again_nothing_changes(city: City) -> None:
    merged = city.curate(1, people())
    for zone in ("share", "open"):
        first = city.publish(merged, zone)
        again = city.publish(merged, zone)
        assert again.reused
        assert again == first.model_copy(update={"reused": True})


def test_a_new_batch_replaces_the_rows_and_keeps_history(city: City) -> None:
    first = city.publish(city.curate(1, people()))
    second = city.publish(city.curate(2, people(9, day=1)))
    assert len(city.rows(second)) == 9
    history = [snapshot for snapshot, _ in city.ctx.tables.snapshots(("share", "health__visit__default"))]
    assert history == [second.snapshot, first.snapshot]


def test_an_older_batch_run_again_does_not_step_back(city: City) -> None:
    older, newer = city.curate(1, people()), city.curate(2, people(9))
    standing = city.publish(newer)
    again = city.publish(older)
    assert again.reused
    assert (again.snapshot, again.curated_snapshot) == (standing.snapshot, newer.snapshot)
    assert (again.rows_in, again.rows_out) == (9, 9)
    assert again.batch == older.batch


def test_with_new_masks_an_older_batch_publishes_the_newer_rows(city: City) -> None:
    older, newer = city.curate(1, people()), city.curate(2, people(9))
    city.publish(newer)
    tightened(city)
    again = city.publish(older)
    assert not again.reused
    assert (again.curated_snapshot, again.rows_out) == (newer.snapshot, 9)


def test_exactly_the_batch_s_snapshot_is_published_though_there_is_a_newer_one(city: City) -> None:
    older = city.curate(1, people())
    city.curate(2, people(9))
    assert city.publish(older).rows_out == 8


# ── no key, no publication ────────────────────────────────────────────────────────────────────────────────


def test_a_batch_whose_snapshot_upkeep_has_forgotten_publishes_the_current_rows(city: City) -> None:
    first = city.curate(1, people(day=1))
    second = city.curate(2, people(day=2))
    assert expire(city.ctx.tables, city.curated, datetime.now(UTC) + timedelta(days=1)) == 1
    assert city.publish(first).curated_snapshot == second.snapshot


def test_without_a_key_nothing_is_published(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    merged = city.curate(1, people())
    monkeypatch.delenv(KEY)
    with pytest.raises(MaskError, match="XUANWU_KEY_1"):
        city.publish(merged)
    assert not city.ctx.tables.exists(("share", "health__visit__default"))
    assert city.publish(merged, "open").key_version is None


def test_a_new_key_version_makes_new_tokens_and_leaves_no_old_ones(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = city.curate(1, people())
    before = {row["id_no"] for row in city.rows(city.publish(merged))}
    monkeypatch.delenv(KEY)  # test_rotation: while it is kept, what was published under it stays
    monkeypatch.setenv("XUANWU_KEY_2", SECRET[::-1])
    city.settings = city.settings.model_copy(update={"key_version": "2"})
    city.change()
    published = city.publish(merged)
    after = {row["id_no"] for row in city.rows(published)}
    assert (published.key_version, published.reused) == ("2", False)
    assert not before & after
    left = bytes_below(folder_of(city, published))
    assert not any(token.encode() in left for token in before)


def test_another_key_under_the_same_version_is_refused(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    merged = city.curate(1, people())
    first = city.publish(merged)
    monkeypatch.setenv(KEY, SECRET[::-1])
    with pytest.raises(MaskError, match="XUANWU_KEY_VERSION") as caught:
        city.publish(merged)
    assert SECRET[::-1] not in str(caught.value)
    assert city.ctx.tables.current_snapshot(("share", "health__visit__default")) == first.snapshot


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────────────


def test_a_mask_that_fails_on_a_value_publishes_nothing_and_names_no_value(city: City) -> None:
    fields = {**FIELDS, "balance": {**FIELDS["balance"], "mask": {"share": {"kind": "round", "to": 10}}}}
    city.change(fields=fields)
    rows = [{**row, "balance": 2**63 - 1} for row in people()]
    with pytest.raises(MaskError) as caught:
        city.publish(city.curate(1, rows))
    assert caught.value.place["field"] == "balance"
    assert str(2**63 - 1) not in str(caught.value)
    assert city.ctx.tables.current_snapshot(("share", "health__visit__default")) is None
    leftovers = folder_of(city, Published.model_construct(table="share.health__visit__default")).rglob(
        "*.parquet"
    )
    assert not list(leftovers)


def test_rows_lost_on_the_way_stop_the_commit(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    merged = city.curate(1, people())
    real = made.with_origin
    monkeypatch.setattr(made, "with_origin", lambda *args: (batch.slice(1) for batch in real(*args)))
    with pytest.raises(Unbalanced, match="curated rows 8 ≠ published rows 7"):
        city.publish(merged)
    assert city.ctx.tables.current_snapshot(("share", "health__visit__default")) is None


def test_a_policy_that_the_entry_does_not_have(city: City) -> None:
    with pytest.raises(MaskError, match="statistics"):
        city.publish(city.curate(1, people()), policy="nobody")


# ── withdrawal ────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_granted_no_more_is_gone(city: City) -> None:
    merged = city.curate(1, people())
    for zone, policy in (("share", "default"), ("share", "statistics"), ("open", "open")):
        city.publish(merged, zone, policy)  # type: ignore[arg-type]
    assert withdraw(city.ctx, city.entry) == []
    gone = Path(city.ctx.tables.location(("share", "health__visit__statistics")))
    city.change(share={"type": "unconditional", "policies": {"default": {}}})
    assert withdraw(city.ctx, city.entry) == ["share.health__visit__statistics"]
    assert not gone.exists()
    assert city.ctx.tables.exists(("share", "health__visit__default"))
    basis = {"type": "none", "basis": {"zh": "依据"}}
    city.change(share=basis, open=basis)
    assert withdraw(city.ctx, city.entry) == ["share.health__visit__default", "open.health__visit"]
    assert not list((Path(city.settings.lake_root) / "downloads" / "health").glob("*"))
    assert city.ctx.tables.exists(city.curated)


def test_a_dataset_s_withdrawal_leaves_its_neighbours_alone(city: City) -> None:
    """`health.visit` and `health.visit_x` have tables whose names begin alike."""
    for name in ("health__visit_x__default", "health__visits__default"):
        city.ctx.tables.ensure(("share", name), pa.schema([("a", pa.string())]))
    neighbour = city.entry.model_copy(update={"id": "health.visit_x"})
    catalogue = city.ctx.catalogue
    entries = {**catalogue.entries, "health.visit_x": neighbour}
    object.__setattr__(catalogue, "entries", entries)
    assert withdraw(city.ctx, city.entry) == []
    assert withdraw(city.ctx) == ["share.health__visits__default"]


def test_what_no_entry_grants_is_withdrawn_at_large(city: City) -> None:
    city.publish(city.curate(1, people()), "open")
    object.__setattr__(city.ctx.catalogue, "entries", {})
    with pytest.raises(LakeError, match="empty"):
        withdraw(city.ctx)
    other = city.entry.model_copy(update={"id": "health.other"})
    object.__setattr__(city.ctx.catalogue, "entries", {"health.other": other})
    assert withdraw(city.ctx) == ["open.health__visit"]
    assert not (Path(city.settings.lake_root) / "downloads" / "health" / "visit").exists()


def test_a_folder_that_a_killed_drop_left_is_removed(city: City) -> None:
    city.publish(city.curate(1, people()), policy="statistics")
    city.ctx.tables._catalogue.drop_table(("share", "health__visit__statistics"))
    city.change(share={"type": "unconditional", "policies": {"default": {}}})
    assert withdraw(city.ctx, city.entry) == ["share.health__visit__statistics"]
    assert not Path(city.ctx.tables.location(("share", "health__visit__statistics"))).exists()


# ── what the engine says ──────────────────────────────────────────────────────────────────────────────────

SAYS = "Could not convert '张秘密00001'"


@pytest.mark.parametrize("room", ["drawn", "_judged", "_with_downloads"])
@pytest.mark.parametrize("kind", [duckdb.OutOfMemoryException, duckdb.ConversionException, pa.ArrowInvalid])
def test_an_engine_that_fails_is_an_error_of_ours_that_quotes_no_value(
    city: City, monkeypatch: pytest.MonkeyPatch, room: str, kind: type[Exception]
) -> None:
    merged = city.curate(1, people())
    monkeypatch.setattr(module, room, _raising(kind(SAYS)))
    with pytest.raises(EngineError) as caught:
        city.publish(merged, "open")
    told = "".join(traceback.format_exception(caught.value))
    assert kind.__name__ in told and "XUANWU_MEMORY" in told and "张秘密" not in told


@pytest.mark.parametrize(
    "error", [LeakFound("a leak"), MaskError("no key"), EngineError("an engine of its own")]
)
def test_an_error_of_ours_passes_as_it_is(
    city: City, monkeypatch: pytest.MonkeyPatch, error: XuanwuError
) -> None:
    merged = city.curate(1, people())
    monkeypatch.setattr(module, "_judged", _raising(error))
    with pytest.raises(XuanwuError) as caught:
        city.publish(merged, "open")
    assert caught.value is error


def _raising(error: Exception) -> Callable[..., Any]:
    def fails(*_: Any, **__: Any) -> Any:
        raise error

    return fails
