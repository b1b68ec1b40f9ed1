"""The landing zone: write-once, the manifest last."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import landing, recordstore, store, zones
from lake.records import LandedFile
from schemas.errors import LakeError
from schemas.settings import Settings
from tests.lake.making import batch_of, landed

ROWS = pa.table({"名": ["甲", None], "x": pa.array([1, 2], pa.int32())})


def land(settings: Settings, day: int) -> None:
    with landing.open_landing(settings, batch_of(day)) as writer:
        path, *_ = writer.add_rows("t", ROWS.to_reader())
        writer.commit(landed(batch_of(day), 2, path))


def test_what_was_given_is_kept_exactly(settings: Settings) -> None:
    batch = batch_of(1)
    with landing.open_landing(settings, batch) as writer:
        path, sha256, size = writer.add_stream("../一 月/数据.csv", [b"a,b\r\n", b"\xff\x00"])
        second, digest, length, rows = writer.add_rows("t.parquet", ROWS.to_reader())
        files = (
            LandedFile(path=path, origin="数据.csv", sha256=sha256, size=size, rows=1, format="csv"),
            LandedFile(path=second, origin="t", sha256=digest, size=length, rows=rows, format="parquet"),
        )
        assert landing.landed(settings, batch) is None
        record = writer.commit(landed(batch, 3, files=files))
    assert landing.landed(settings, batch) == record
    assert len({file.salt for file in record.files}) == 2, "each file has a salt of its own"
    assert Path(path).read_bytes() == b"a,b\r\n\xff\x00"
    assert Path(path).is_relative_to(zones.folder(settings, "landing", "dept.data", batch.id))
    assert pq.read_table(second).equals(ROWS)
    assert (store.sha256_of(second), store.size_of(second), rows) == (digest, length, 2)


def test_rows_are_read_in_one_thread_and_written_in_another(settings: Settings) -> None:
    threads: set[int] = set()

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in ROWS.to_batches():
            threads.add(threading.get_ident())
            yield batch

    reader = pa.RecordBatchReader.from_batches(ROWS.schema, batches())
    with landing.open_landing(settings, batch_of(1)) as writer:
        assert writer.add_rows("t", reader)[3] == 2
    assert threads
    assert threading.get_ident() not in threads


def test_what_fails_while_rows_are_read_leaves_no_file(settings: Settings) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from ROWS.to_batches()
        raise LakeError("gone")

    reader = pa.RecordBatchReader.from_batches(ROWS.schema, batches())
    with (
        pytest.raises(LakeError, match="gone"),
        landing.open_landing(settings, batch_of(1)) as writer,
    ):
        writer.add_rows("t", reader)
    assert store.list_files(zones.folder(settings, "landing", "dept.data", batch_of(1).id)) == []


def test_two_files_of_one_name_are_two(settings: Settings) -> None:
    with landing.open_landing(settings, batch_of(1)) as writer:
        paths = {writer.add_stream("a.csv", [b"x"])[0] for _ in range(3)}
    assert len(paths) == 3


def test_a_landed_batch_is_not_landed_again(settings: Settings) -> None:
    land(settings, 1)
    with pytest.raises(LakeError, match="write-once"), landing.open_landing(settings, batch_of(1)):
        pass
    assert landing.landed(settings, batch_of(1)) is not None


def test_what_a_dead_run_left_is_swept(settings: Settings) -> None:
    with pytest.raises(ConnectionError), landing.open_landing(settings, batch_of(1)) as writer:
        writer.add_stream("a", [b"x"])
        raise ConnectionError
    assert landing.landed(settings, batch_of(1)) is None
    land(settings, 1)
    assert len(store.list_files(zones.folder(settings, "landing", "dept.data", batch_of(1).id))) == 2


def test_files_that_the_manifest_does_not_name_go(settings: Settings) -> None:
    with landing.open_landing(settings, batch_of(1)) as writer:
        known, *_ = writer.add_stream("seen before", [b"x"])
        path, *_ = writer.add_stream("new", [b"y"])
        writer.commit(landed(batch_of(1), 1, path))
    assert not store.exists(known)


def test_two_runs_of_one_batch_do_not_meet(settings: Settings) -> None:
    with landing.open_landing(settings, batch_of(1)) as writer:
        path, *_ = writer.add_stream("a", [b"x"])
        with pytest.raises(LakeError, match="another run"), landing.open_landing(settings, batch_of(1)):
            pass
        assert store.exists(path)
        with landing.open_landing(settings, batch_of(2)):
            pass


def test_a_manifest_names_only_what_was_landed(settings: Settings) -> None:
    with landing.open_landing(settings, batch_of(1)) as writer:
        with pytest.raises(LakeError, match="does not describe"):
            writer.commit(landed(batch_of(1), 1, "/etc/hostname"))
        with pytest.raises(LakeError, match="does not describe"):
            writer.commit(landed(batch_of(2), 0, files=()))


def test_history_is_newest_first_and_only_of_the_landed(settings: Settings) -> None:
    for day in (2, 1, 3):
        land(settings, day)
    with landing.open_landing(settings, batch_of(4)):
        pass
    assert [found.batch for found in landing.history(settings, "dept.data")] == [
        batch_of(d) for d in (3, 2, 1)
    ]
    assert list(landing.history(settings, "dept.other")) == []


def test_a_damaged_manifest_is_an_error_without_its_content(settings: Settings) -> None:
    land(settings, 1)
    manifest = Path(zones.folder(settings, "landing", "dept.data", batch_of(1).id)) / "manifest.json"
    manifest.write_text('{"secret": 1}')
    with pytest.raises(LakeError, match="damaged") as caught:
        landing.landed(settings, batch_of(1))
    assert "secret" not in str(caught.value)


def test_records_are_kept_by_stage_and_part(settings: Settings) -> None:
    batch = batch_of(1)
    uri = recordstore.save(settings, landed(batch), "collect")
    assert uri.endswith("/collect.json")
    assert recordstore.load(settings, batch, "collect") == landed(batch)
    assert not recordstore.exists(settings, batch, "publish", "share/default")
    with pytest.raises(LakeError, match="run merge"):
        recordstore.load(settings, batch, "merge")
    with pytest.raises(LakeError, match="not a part"):
        recordstore.save(settings, landed(batch), "publish", "../../x y")


def test_a_damaged_record_names_the_field_and_no_value(settings: Settings) -> None:
    uri = recordstore.save(settings, landed(batch_of(1)), "collect")
    store.write_atomic(uri, store.read_bytes(uri).replace(b'"rows": 10', b'"rows": "x320102"'))
    with pytest.raises(LakeError, match=r"damaged at files\.0\.rows, rows") as caught:
        recordstore.load(settings, batch_of(1), "collect")
    assert "320102" not in str(caught.value)
