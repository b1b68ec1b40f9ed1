"""Rows marked as deleted in files that stay: what every reader of Iceberg sees, ours and others."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from lake import commits, store
from lake.deletes import left
from lake.tables import Tables
from lake.upkeep import leads_to
from lake.zones import identifier
from pipelines.sqlrows import left as left_in_sql
from schemas.errors import CommitConflict, LakeError
from schemas.settings import Settings

TABLE = identifier("curated", "dept.data")
SCHEMA = pa.schema([("id", pa.int64()), ("v", pa.string())])


@pytest.fixture
def tables(settings: Settings) -> Tables:
    """Two data files: 0 to 9 and 10 to 14."""
    made = Tables(settings)
    made.ensure(TABLE, SCHEMA)
    for ids in (range(10), range(10, 15)):
        made.replace(TABLE, rows(*ids), (), {})
    return made


def rows(*ids: int) -> pa.RecordBatchReader:
    return pa.table({"id": ids, "v": ["x"] * len(ids)}, schema=SCHEMA).to_reader()


def ids(tables: Tables, snapshot: int | None = None) -> list[int]:
    return sorted(tables.scan(TABLE, ["id"], snapshot).read_all()["id"].to_pylist())


def files(tables: Tables) -> list[str]:
    return sorted(tables.data_files(TABLE), key=lambda path: -commits.parts(tables._load(TABLE))[path].rows)


def mark(tables: Tables, path: str, *places: int) -> int:
    return tables.replace(TABLE, None, (), {}, deleted={path: np.array(places)})


def test_marked_rows_are_gone_for_every_reader(tables: Tables) -> None:
    large, _ = files(tables)
    before = tables.current_snapshot(TABLE)
    mark(tables, large, 0, 3, 9)
    wanted = [1, 2, 4, 5, 6, 7, 8, *range(10, 15)]
    loaded = tables._load(TABLE)
    assert ids(tables) == wanted
    assert tables.row_count(TABLE) == len(wanted)
    assert sorted(loaded.scan().to_arrow()["id"].to_pylist()) == wanted
    with duckdb.connect() as db:
        found = db.execute(f"SELECT id FROM ({left_in_sql(tables.parts(TABLE))}) ORDER BY id").fetchall()
    assert [number for (number,) in found] == wanted
    assert ids(tables, before) == list(range(15))
    snapshot = loaded.current_snapshot()
    assert snapshot is not None and snapshot.summary is not None
    assert snapshot.summary["total-position-deletes"] == "3"


def test_a_data_file_has_one_delete_file_at_most_which_goes_with_it(tables: Tables) -> None:
    large, small = files(tables)
    for place in (1, 2, 5):
        mark(tables, large, place)
    mark(tables, small, 0)
    assert [len(part.deletes) for part in tables.parts(TABLE)] == [1, 1]
    assert tables.row_count(TABLE) == len(ids(tables)) == 11
    tables.replace(TABLE, rows(0), [large], {})
    assert ids(tables) == [0, 11, 12, 13, 14]
    assert sorted(len(part.deletes) for part in tables.parts(TABLE)) == [0, 1]
    assert sorted(tables._load(TABLE).scan().to_arrow()["id"].to_pylist()) == ids(tables)
    tables.replace(TABLE, None, "all", {})
    assert (ids(tables), tables.row_count(TABLE)) == ([], 0)


def test_upkeep_knows_delete_files(tables: Tables) -> None:
    mark(tables, files(tables)[0], 4)
    kept = leads_to(tables, TABLE)
    assert {path for part in tables.parts(TABLE) for path in part.deleting} <= kept


def test_who_reads_the_files_alone_is_told(tables: Tables) -> None:
    mark(tables, files(tables)[0], 4)
    with pytest.raises(LakeError, match="deleted rows in its data files"):
        tables.data_files(TABLE)


def test_rows_of_a_file_that_has_gone_cannot_be_marked_and_nothing_is_left(tables: Tables) -> None:
    large, _ = files(tables)
    tables.replace(TABLE, None, [large], {})
    before = store.list_files(tables.location(TABLE))
    with pytest.raises(CommitConflict, match="no longer has the files"):
        mark(tables, large, 1)
    assert store.list_files(tables.location(TABLE)) == before


def test_batches_lose_their_own_rows() -> None:
    batch = pa.record_batch({"n": [10, 11, 12, 13]})
    rows, places = left(batch, 10, np.array([3, 11, 13, 14]))
    assert (rows.column(0).to_pylist(), places.tolist()) == ([10, 12], [10, 12])
    assert left(batch, 10, np.array([3, 14]))[0] is batch
