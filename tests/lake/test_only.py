"""Looking for some rows: the same rows are found, and columns of row groups that hold none are not read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lake import store
from lake.datafiles import Only
from lake.opened import Opened
from lake.tables import Tables
from lake.zones import identifier
from schemas.errors import LakeError
from schemas.settings import Settings

TABLE = identifier("curated", "dept.data")
SCHEMA = pa.schema([("id", pa.int64()), ("v", pa.string()), ("w", pa.int64())])
GROUP, ROWS = 100, 1_000


@pytest.fixture
def tables(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """Two files of five row groups each, and rows of the first that are deleted."""
    monkeypatch.setattr(store, "ROW_GROUP_ROWS", GROUP)
    made = Tables(settings)
    made.ensure(TABLE, SCHEMA)
    for begin in (0, ROWS // 2):
        ids = range(begin, begin + ROWS // 2)
        rows = pa.table({"id": ids, "v": [f"v{n}" for n in ids], "w": [n % 7 for n in ids]}, schema=SCHEMA)
        made.replace(TABLE, rows.to_reader(GROUP), (), {})
    for path in made.data_files(TABLE):
        assert pq.read_metadata(path).num_row_groups == ROWS // 2 // GROUP
    first = min(made.data_files(TABLE), key=lambda path: pq.read_table(path)["id"][0].as_py())
    made.replace(TABLE, None, (), {}, deleted={first: np.array([1, 3, 250])})
    return made


def opened(tables: Tables) -> Opened:
    found = tables.open(TABLE)
    assert found is not None
    return found


def wanting(*ids: int) -> Only:
    return ["id"], lambda batch: bool(pc.any(pc.is_in(batch["id"], pa.array(ids))).as_py())


@pytest.mark.parametrize("most", [1_000, 64, 7])
@pytest.mark.parametrize("skip", [0, 1, 96, 97, 260, 499, 900])
@pytest.mark.parametrize("ids", [(), (0,), (1,), (99, 100), (250, 251), (999,), tuple(range(ROWS))])
def test_the_rows_are_those_of_the_whole(tables: Tables, ids: tuple[int, ...], skip: int, most: int) -> None:
    """In their order and number, whatever is wanted; the wanted ones with all their columns."""
    table = opened(tables)
    whole = table.scan(["v", "id", "w"], skip=skip).read_all()
    found = table.scan(["v", "id", "w"], skip=skip, rows=most, only=wanting(*ids)).read_all()
    assert found["id"].to_pylist() == whole["id"].to_pylist()

    def where(rows: pa.Table) -> pa.Table:
        return rows.filter(pc.is_in(rows["id"], pa.array(ids, pa.int64())))

    assert where(found).equals(where(whole))
    if not ids:
        assert found["v"].null_count == found["w"].null_count == len(found)


def test_what_holds_no_wanted_row_is_not_read(tables: Tables) -> None:
    """A column that is spoilt in all row groups but one hinders nobody who wants a row of that one."""
    for path in [part.path for part in tables.parts(TABLE)]:
        metadata, data = pq.read_metadata(path), bytearray(Path(path).read_bytes())
        for number in range(metadata.num_row_groups):
            chunk = metadata.row_group(number).column(1)
            begin = chunk.dictionary_page_offset or chunk.data_page_offset
            if number != 2:
                data[begin : begin + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
        Path(path).write_bytes(bytes(data))
    table = opened(tables)
    with pytest.raises((LakeError, OSError, pa.ArrowException)):
        table.scan(["id", "v"]).read_all()
    found = table.scan(["id", "v"], only=wanting(230)).read_all()
    assert found.filter(pc.equal(found["id"], 230))["v"].to_pylist() == ["v230"]
    with pytest.raises((LakeError, OSError, pa.ArrowException)):
        table.scan(["id", "v"], only=wanting(330)).read_all()
