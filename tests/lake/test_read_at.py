"""Rows at places of a data file: the same as reading all of them and choosing, whatever the columns are like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import datafiles, parquet

ROWS, GROUP = 3_000, 700
HELD = pa.schema(
    [
        pa.field("id", pa.string(), metadata={"PARQUET:field_id": "1"}),
        pa.field("town", pa.string(), metadata={"PARQUET:field_id": "2"}),
        pa.field("seen", pa.timestamp("us", "UTC"), metadata={"PARQUET:field_id": "3"}),
        pa.field("photo", pa.binary(), metadata={"PARQUET:field_id": "4"}),
        pa.field(
            "tags",
            pa.list_(pa.field("element", pa.string(), metadata={"PARQUET:field_id": "6"})),
            metadata={"PARQUET:field_id": "5"},
        ),
    ]
)
ASKED = pa.schema(
    [
        pa.field("place", pa.string(), metadata={"PARQUET:field_id": "2"}),
        HELD.field("id"),
        HELD.field("photo"),
        HELD.field("seen"),
        HELD.field("tags"),
        pa.field("newer", pa.string(), metadata={"PARQUET:field_id": "9"}),
    ]
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Ids all differ and have no dictionary; towns and photos have one; `town` is called `place` since."""
    place = str(tmp_path_factory.mktemp("file") / "a.parquet")
    rows = pa.table(
        {
            "id": [f"{number:06}" for number in range(ROWS)],
            "town": [None if number % 11 == 0 else f"镇{number % 5}" for number in range(ROWS)],
            "seen": pa.array(range(ROWS), pa.timestamp("us", "UTC")),
            "photo": [bytes([number % 3]) for number in range(ROWS)],
            "tags": [[f"tag {number % 3}"] * (number % 2) for number in range(ROWS)],
        },
        schema=HELD,
    )
    told = parquet.OPTIONS | {"use_dictionary": ["town", "photo", "tags.list.element"]}
    with pq.ParquetWriter(place, HELD, **told) as writer:
        for begin in range(0, ROWS, GROUP):
            writer.write_table(rows.slice(begin, GROUP))
    group = pq.read_metadata(place).row_group(0)
    assert [group.column(at).has_dictionary_page for at in range(5)] == [False, True, False, True, True]
    return place


@pytest.mark.parametrize("batch", [64, 1_000_000])
@pytest.mark.parametrize("seed", range(8))
def test_rows_at_places(path: str, seed: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datafiles, "BATCH_ROWS", batch)
    random = np.random.default_rng(seed)
    places = np.unique(random.integers(0, ROWS, 3**seed % ROWS))
    names = ASKED.names
    found = list(datafiles.read_at(path, ASKED, names, places))
    whole = pa.Table.from_batches(datafiles.read(path, ASKED, names))
    assert all(rows.num_rows for rows in found)
    assert pa.Table.from_batches(found, whole.schema) == whole.take(pa.array(places))


def test_row_groups_without_any_are_not_read(path: str, tmp_path: Path) -> None:
    """The second of the row groups is damaged: who wants none of its rows does not meet it."""
    data, group = bytearray(Path(path).read_bytes()), pq.read_metadata(path).row_group(1)
    ids = group.column(0)
    assert ids.dictionary_page_offset is None
    data[ids.data_page_offset : ids.data_page_offset + ids.total_compressed_size] = bytes(
        ids.total_compressed_size
    )
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(data)
    (rows,) = datafiles.read_at(str(damaged), ASKED, ["id"], np.array([0, 5]))
    assert rows["id"].to_pylist() == ["000000", "000005"]
    with pytest.raises(OSError):
        list(datafiles.read_at(str(damaged), ASKED, ["id"], np.array([GROUP + 1])))


def test_no_places_and_no_rows(path: str, tmp_path: Path) -> None:
    assert list(datafiles.read_at(path, ASKED, ASKED.names, np.zeros(0, np.int64))) == []
    empty = str(tmp_path / "empty.parquet")
    with Path(empty).open("wb") as out, parquet.Writer(out, HELD):
        pass
    assert list(datafiles.read_at(empty, ASKED, ["id"], np.zeros(0, np.int64))) == []
