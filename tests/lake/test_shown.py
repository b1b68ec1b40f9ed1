"""A published table as readers elsewhere are shown it: no place of the lake, no row that is gone, no file that is not yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import shown, store
from lake.commits import Staged
from lake.hints import Hint, Joined, Not, Term
from lake.search import Needles, search
from lake.tables import Tables
from lake.zones import identifier
from schemas.errors import LakeError
from schemas.settings import Settings

TABLE = identifier("share", "dept.data", "default")
SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("on", pa.date32())])


class Sealed:
    """The certificate of a test's snapshot."""

    def properties(self, snapshot: int) -> Mapping[str, str]:
        return {}

    def issue(self, staged: Staged) -> None:
        pass


def rows(*ids: int) -> pa.RecordBatchReader:
    names = [f"name-{number}" for number in ids]
    days = pa.array([20_000 + number for number in ids], pa.int32()).cast(pa.date32())
    return pa.table({"id": ids, "name": names, "on": days}, schema=SCHEMA).to_reader()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("shown") / "home")


@pytest.fixture(scope="module")
def tables(settings: Settings) -> Tables:
    """Two data files, 0 to 9 and 10 to 14, the names private; then 3 and 5 are deleted."""
    made = Tables(settings)
    made.ensure(TABLE, SCHEMA, private=["name"])
    for ids in (range(10), range(10, 15)):
        made.replace(TABLE, rows(*ids), (), {}, seal=Sealed())
    large = max(made.parts(TABLE), key=lambda part: part.rows)
    made.replace(TABLE, None, (), {}, deleted={large.path: np.array([3, 5])}, seal=Sealed())
    return made


def plain(tables: Tables, number: int = -1, hint: Hint | None = None) -> list[shown.Plain]:
    found = sorted(shown.versions(tables, TABLE), key=lambda each: each.number)
    return list(shown.plain_files(tables, TABLE, found[number].snapshot, hint))


def held(files: list[shown.Plain]) -> list[int]:
    return sorted(number for each in files for number in pq.read_table(each.path)["id"].to_pylist())


def test_versions_count_up_and_can_all_be_read(tables: Tables) -> None:
    found = shown.versions(tables, TABLE)
    assert [each.number for each in found] == [3, 2, 1]
    assert found[0].at >= found[1].at >= found[2].at
    assert [held(plain(tables, number)) for number in range(3)] == [
        list(range(10)),
        list(range(15)),
        [0, 1, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14],
    ]
    assert shown.versions(tables, identifier("share", "dept.other", "default")) == []


def test_a_plain_file_tells_its_rows_and_size_and_no_private_bound(tables: Tables) -> None:
    for each in plain(tables):
        file = pq.ParquetFile(each.path)
        assert (file.metadata.num_rows, store.size_of(each.path)) == (each.rows, each.size)
        assert set(each.least) == set(each.most) == {"id", "on"}
        assert file.metadata.row_group(0).column(1).statistics is None
        assert [field.name for field in file.schema_arrow] == SCHEMA.names
    assert sum(bool(each.nulls) for each in plain(tables)) == 1
    assert plain(tables) == plain(tables)


@pytest.mark.parametrize(
    ("hint", "rows"),
    [
        (Term("id", "lt", "10"), 8),
        (Term("ID", "ge", "10"), 5),
        (Joined("or", (Term("id", "eq", "1"), Term("id", "eq", "12"))), 13),
        (Joined("and", (Term("id", "gt", "2"), Term("id", "gt", "99"))), 0),
        (Not(Term("id", "le", "9")), 5),
        (Term("on", "gt", "2024-10-14"), 5),
        (Term("id", "null"), 0),
        (Term("name", "eq", "name-1"), 13),
        (Term("nothing", "eq", "1"), 13),
        (Term("id", "eq", "one"), 13),
        (Term("id", "eq"), 13),
        (Term("id", "eq", "9" * 400), 0),
    ],
)
def test_hints_leave_files_out_or_are_left_out(tables: Tables, hint: Hint, rows: int) -> None:
    assert sum(each.rows for each in plain(tables, hint=hint)) == rows


def keys(tables: Tables) -> list[str]:
    """Every file of the table, of the lake's own names and of those that were made for readers."""
    home = tables.location(TABLE)
    return [f"{shown.prefix(TABLE)}{path.removeprefix(home + '/')}" for path in store.list_files(home)]


def test_what_readers_are_shown_names_no_place_of_the_lake(
    tables: Tables, settings: Settings, tmp_path: Path
) -> None:
    place, metadata = shown.metadata(tables, TABLE)
    assert place.startswith(f"s3://xuanwu/{shown.prefix(TABLE)}metadata/")
    assert settings.lake_root not in json.dumps(metadata)
    assert metadata["location"] == "s3://xuanwu/share/dept__data__default"
    files = [file.path for key in keys(tables) if (file := shown.file_of(tables, TABLE, key))]
    assert len(files) >= 3 + 3 + 2 + 1
    for number, path in enumerate(files):
        (tmp_path / f"{number}").write_bytes(store.read_bytes(path))
    copies = [str(each) for each in tmp_path.iterdir()]
    assert search(copies, Needles([settings.lake_root])).found == {}
    named = search(copies, Needles(["s3://xuanwu/share/"])).found
    assert len(named) == sum("/data/" not in path and "/plain-" not in path for path in files)


def test_sizes_that_files_tell_of_each_other_hold(tables: Tables) -> None:
    from pyiceberg.manifest import read_manifest_list

    io, home = tables._load(TABLE).io, tables.location(TABLE) + "/"

    def path_of(outside: str) -> str:
        file = shown.file_of(tables, TABLE, outside.removeprefix("s3://xuanwu/"))
        assert file is not None
        return file.path

    sizes = []
    for snapshot in tables._load(TABLE).metadata.snapshots:
        key = shown.prefix(TABLE) + snapshot.manifest_list.removeprefix(home)
        for manifest in read_manifest_list(io.new_input(path_of(key))):
            manifest._data[0] = path_of(manifest.manifest_path)
            sizes.append((store.size_of(manifest.manifest_path), manifest.manifest_length))
            for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
                file = entry.data_file
                sizes.append((store.size_of(path_of(file.file_path)), file.file_size_in_bytes))
    assert len(sizes) >= 10
    assert all(size == told for size, told in sizes)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x",
        "/etc/passwd",
        "share/dept__data__default/",
        "share/dept__data__default/metadata",
        "share/dept__data__default/data/../../../curated/x",
        "share/dept__data__default/data/%2e%2e/x",
        "curated/dept__data/data/x.parquet",
        "share/dept__data__default/shown/plain-x.parquet",
        "share/dept__data__default/shown/plain-/../../metadata/x",
        "share/dept__data__default/\0",
    ],
)
def test_no_other_key_leads_anywhere(tables: Tables, key: str) -> None:
    assert shown.file_of(tables, TABLE, key) is None


def test_a_file_that_no_snapshot_names_is_nobodys(tables: Tables) -> None:
    with_all = [key for key in keys(tables) if shown.file_of(tables, TABLE, key)]
    stray = store.join(tables.location(TABLE), "data", "stray.parquet")
    pq.write_table(pa.table({"id": [1]}), stray)
    again = [key for key in keys(tables) if "/shown/" not in key and shown.file_of(tables, TABLE, key)]
    assert shown.file_of(tables, TABLE, f"{shown.prefix(TABLE)}data/stray.parquet") is None
    assert set(again) <= set(with_all)


def test_rows_are_told_of_data_files_alone(tables: Tables) -> None:
    plain(tables)
    told = {key: file.rows for key in keys(tables) if (file := shown.file_of(tables, TABLE, key))}
    assert {rows for key, rows in told.items() if key.endswith(".avro") or "deletes" in key} == {None}
    assert sorted(rows for rows in told.values() if rows is not None) == [5, 8, 10]


def test_a_table_that_lies_elsewhere_is_shown_to_nobody(tables: Tables, settings: Settings) -> None:
    moved = Tables(Settings(home=settings.home, lake=str(settings.home / "other")))
    with pytest.raises(LakeError, match="outside its folder"):
        shown.metadata(moved, TABLE)
