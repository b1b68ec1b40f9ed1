"""Files of the lake: whole or not at all."""

from __future__ import annotations

import errno
import gzip
import hashlib
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import store, zones
from schemas.errors import LakeError
from schemas.settings import Settings


def test_bytes_appear_whole_and_for_their_owner_only(tmp_path: Path) -> None:
    uri = str(tmp_path / "new" / "folder" / "文件.json")
    store.write_atomic(uri, b"one")
    store.write_atomic(uri, b"two")
    assert store.read_bytes(uri) == b"two"
    assert stat.S_IMODE(Path(uri).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert store.list_files(str(tmp_path)) == [uri]


def test_a_stream_that_breaks_leaves_what_was_there(tmp_path: Path) -> None:
    uri = str(tmp_path / "a")
    store.write_atomic(uri, b"before")

    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.write_stream(uri, chunks())
    assert store.read_bytes(uri) == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_stream_is_digested_as_it_passes(tmp_path: Path) -> None:
    uri = str(tmp_path / "a")
    assert store.write_stream(uri, [b"ab", b"", b"c"]) == (hashlib.sha256(b"abc").hexdigest(), 3)
    assert store.sha256_of(uri) == hashlib.sha256(b"abc").hexdigest()
    assert store.size_of(uri) == 3


@pytest.mark.parametrize("suffix", ["csv.gz", "csv.bz2", "csv.zst"])
def test_a_packed_file_is_read_as_it_lies(tmp_path: Path, suffix: str) -> None:
    packed = gzip.compress(b"id\n1\n")
    uri = str(tmp_path / f"a.{suffix}")
    store.write_atomic(uri, packed)
    assert Path(uri).read_bytes() == packed
    assert store.read_bytes(uri) == packed
    assert store.sha256_of(uri) == hashlib.sha256(packed).hexdigest()


def test_what_passes_is_digested_whatever_becomes_of_its_room(tmp_path: Path) -> None:
    """Whoever gives a block may fill its room anew as soon as it was taken."""
    room, whole = bytearray(3 * store.DIGESTED_BESIDE), bytearray()
    with store.output(str(tmp_path / "a")) as out, store.Digested(out) as passed:
        for number, size in enumerate((1, store.DIGESTED_BESIDE - 1, store.DIGESTED_BESIDE, len(room), 0, 7)):
            room[:size] = bytes([number]) * size
            whole += room[:size]
            assert passed.write(memoryview(room)[:size]) == size
            assert passed.tell() == len(whole)
    assert (tmp_path / "a").read_bytes() == whole
    assert (passed.sha256, passed.size) == (hashlib.sha256(whole).hexdigest(), len(whole))
    assert store.digest_of(str(tmp_path / "a")) == (passed.sha256, passed.size)


def test_a_block_that_cannot_be_written_leaves_no_thread() -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(OSError, match="No space"),
        store.Digested(full) as passed,
    ):
        passed.write(bytes(store.DIGESTED_BESIDE))
    assert not [each for each in threading.enumerate() if each.name.startswith("digest")]


def test_a_parquet_is_digested_as_it_is_written(tmp_path: Path) -> None:
    """More than a block, written in the sizes that Parquet has."""
    uri, texts = str(tmp_path / "a.parquet"), [uuid4().hex for _ in range(90_000)]
    groups = [pa.table({"x": texts[at : at + 20_000]}) for at in range(0, len(texts), 20_000)]
    told = store.write_parquet(uri, groups, groups[0].schema)
    assert told == store.digest_of(uri)
    assert told[1] > store.BLOCK
    assert pq.read_table(uri).column("x").to_pylist() == texts
    assert pq.ParquetFile(uri).num_row_groups == len(groups)
    empty = store.write_parquet(str(tmp_path / "b.parquet"), [], groups[0].schema)
    assert empty == store.digest_of(str(tmp_path / "b.parquet"))


def test_a_parquet_whose_tables_break_is_not_there(tmp_path: Path) -> None:
    def tables() -> Iterator[pa.Table]:
        yield pa.table({"x": [1]})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write_parquet(str(tmp_path / "a.parquet"), tables(), pa.schema([("x", pa.int64())]))
    assert list(tmp_path.iterdir()) == []
    assert not [each for each in threading.enumerate() if each.name.startswith("digest")]


def test_a_parquet_that_breaks_is_not_there(tmp_path: Path) -> None:
    uri, schema = str(tmp_path / "a.parquet"), pa.schema([("x", pa.int64())])
    with pytest.raises(ZeroDivisionError), store.atomic_parquet(uri, schema) as writer:
        writer.write_table(pa.table({"x": [1]}, schema=schema))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with store.atomic_parquet(uri, schema) as writer:
        writer.write_table(pa.table({"x": [1]}, schema=schema))
    assert pq.read_table(uri).to_pydict() == {"x": [1]}
    assert pq.ParquetFile(uri).metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_full_disk_says_so() -> None:
    """/dev/full takes every open and refuses every byte, as a full disk does."""
    with (
        pytest.raises(LakeError, match="the disk is full") as caught,
        store.full_disk_is_ours("/lake/x"),
        Path("/dev/full").open("wb") as file,
    ):
        file.write(b"x" * 10_000)
        file.flush()
    assert caught.value.next_step
    with pytest.raises(PermissionError), store.full_disk_is_ours("/lake/x"):
        raise PermissionError(errno.EACCES, "no")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_so_where_no_room_of_ours_expected_it(number: int) -> None:
    error = store.refused(OSError(number, "no", "/lake/x"))
    assert "the disk is full" in str(error) and "free some space" in str(error.next_step)
    assert error.place["file"] == "/lake/x"
    assert "the disk is full" not in str(store.refused(PermissionError(errno.EACCES, "no", "/lake/x")))


def test_small_batches_are_gathered_into_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROW_GROUP_ROWS", 5)
    schema = pa.schema([("x", pa.int64())])
    batches = [pa.record_batch([[1, 2]], schema=schema)] * 6
    assert [t.num_rows for t in store.row_groups(batches, schema)] == [6, 6]
    monkeypatch.setattr(store, "ROW_GROUP_BYTES", 16)
    assert [t.num_rows for t in store.row_groups(batches, schema)] == [2] * 6
    assert list(store.row_groups([], schema)) == []


@pytest.mark.parametrize("name", ["..", "a/../../b", "/etc/passwd", "", "a\0b"])
def test_no_name_leads_out_of_the_lake(name: str) -> None:
    with pytest.raises(LakeError, match="not a name inside the lake"):
        store.join("/lake", name)


def test_a_lake_elsewhere_is_refused() -> None:
    with pytest.raises(LakeError, match="ftp://"):
        store.filesystem("ftp://host/lake")


def test_removing_what_is_not_there_is_done_already(tmp_path: Path) -> None:
    store.remove_tree(str(tmp_path / "nothing"))
    store.remove_file(str(tmp_path / "nothing"))
    assert store.list_files(str(tmp_path / "nothing")) == []
    assert not store.exists(str(tmp_path / "nothing"))


def test_folders_follow_the_dataset(settings: Settings) -> None:
    root = settings.lake_root
    assert zones.folder(settings, "landing", "dept.data") == f"{root}/landing/dept/data"
    assert zones.folder(settings, "verdicts", "dept.data", "2026-a") == f"{root}/verdicts/dept/data/2026-a"


@pytest.mark.parametrize(
    ("dataset", "batch"),
    [("../x.y", None), ("dept", None), ("a.b.c", None), ("a.b", "../../x"), ("a__b.c", None), ("a.b_", None)],
)
def test_no_id_leads_out_of_its_zone_or_into_another_dataset(
    settings: Settings, dataset: str, batch: str | None
) -> None:
    with pytest.raises(LakeError, match="not a"):
        zones.folder(settings, "landing", dataset, batch)
