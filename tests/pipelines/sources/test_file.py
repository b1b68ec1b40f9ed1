"""Files as sources: each file once, nothing left out in silence, nothing from outside the connection's folder."""

from __future__ import annotations

import csv
import gzip
import json
import os
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import landing, store, zones
from lake.batch import Batch
from lake.records import Landed
from pipelines.context import Context
from pipelines.readers import read
from pipelines.sources import places
from pipelines.sources.file import collect_file
from pipelines.sources.places import CHUNK, ChangedError
from schemas.errors import LakeError, SettingsError, SourceError
from schemas.model import Entry, Merge
from schemas.settings import Settings
from tests.pipelines.building import NOW, batch_of, context_of, entry_of
from tests.pipelines.test_work_done import bytes_read
from tests.s3 import S3
from tests.waiting import ran

DATASET = "civil_affairs.list"
Collect = Callable[..., Landed]


def entry(path: str, *fields: str, **source: Any) -> Entry:
    named = {f"f{i}": {"type": "string", "source": name} for i, name in enumerate(fields or ("a", "b"))}
    declared = {"kind": "file", "connection": "drop", "format": "csv", "path": path, **source}
    return entry_of(DATASET, {key: value for key, value in declared.items() if value is not None}, named)


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """The department's folder."""
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


@pytest.fixture
def ctx(settings: Settings, drop: Path) -> Context:
    return context_of(settings, urls={"drop": str(drop), "uri": f"file://{drop}"})


@pytest.fixture
def collect(ctx: Context) -> Collect:
    def run(path: str, *fields: str, day: int = 1, batch: Batch | None = None, **source: Any) -> Landed:
        return collect_file(ctx, entry(path, *fields, **source), batch or batch_of(DATASET, day))

    return run


def cells(landed: Landed, source: Entry) -> list[tuple[Any, ...]]:
    columns = [field.source or field.name for field in source.fields.values()]
    return [
        tuple(row[name] for name in columns)
        for file in landed.files
        for batch in read(file, source.source, columns)
        for row in batch.to_pylist()
    ]


def folder_of(settings: Settings, day: int = 1) -> Path:
    return Path(zones.folder(settings, "landing", DATASET, batch_of(DATASET, day).id))


# ── what lands ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_bytes_land(drop: Path, collect: Collect, settings: Settings) -> None:
    data = "a,b,c\n1,玄武,x\n2,3\n".encode("gb18030")
    (drop / "名单.csv").write_bytes(data)
    landed = collect("名单.csv", encoding="gb18030")
    (file,) = landed.files
    assert Path(file.path).read_bytes() == data
    assert (file.origin, file.size, file.rows, file.encoding, file.encoding_guessed) == (
        "名单.csv",
        len(data),
        2,
        "gb18030",
        False,
    )
    assert (landed.rows, landed.counted, landed.skipped, landed.position) == (2, None, (), None)
    assert landed.notes == ("名单.csv: 1 column(s) not collected: c", "名单.csv: 1 malformed row(s)")
    assert landed == landing.landed(settings, batch_of(DATASET))


def test_a_guess_is_recorded(drop: Path, collect: Collect) -> None:
    (drop / "a.csv").write_bytes(("a,b\n" + "南京市玄武区,人民政府办公室\n" * 30).encode("gb18030"))
    (file,) = collect("a.csv").files
    assert (file.encoding, file.encoding_guessed) == ("gb18030", True)


def test_globs_folders_and_hidden_files(drop: Path, collect: Collect) -> None:
    for i, name in enumerate(
        ["2026/03/b.csv", "2026/03/a.csv", "2026/04/c.csv", ".half.csv", "~$a.csv", "2026/x.txt", "top.csv"]
    ):
        (drop / name).parent.mkdir(parents=True, exist_ok=True)
        (drop / name).write_text(f"a,b\n{i},2\n")
    assert [file.origin for file in collect("2026/*/*.csv").files] == [
        "2026/03/a.csv",
        "2026/03/b.csv",
        "2026/04/c.csv",
    ]
    assert [file.origin for file in collect("**/*.csv", day=2).files] == ["top.csv"]
    assert collect("**/*.csv", day=2).skipped == ("2026/03/a.csv", "2026/03/b.csv", "2026/04/c.csv")
    os.mkfifo(drop / "fifo.csv")
    assert collect("*.csv", day=3).skipped == ("top.csv",)


def test_placeholders_are_the_intervals_start_in_local_time(drop: Path, collect: Collect) -> None:
    """2026-03-01T18:00Z is 02:00 on the second in Nanjing."""
    batch = Batch(
        dataset=DATASET, start=datetime(2026, 3, 1, 18, tzinfo=UTC), end=datetime(2026, 3, 1, 19, tzinfo=UTC)
    )
    (drop / "2026030202.csv").write_text("a,b\n1,2\n")
    (drop / "2026-03-02").mkdir()
    (drop / "2026-03-02" / "x.csv").write_text("a,b\n3,4\n")
    assert collect("{year}{month}{day}{hour}.csv", batch=batch).rows == 1
    other = batch.model_copy(update={"pins": "x"})
    assert [file.origin for file in collect("{date}/*.csv", batch=other).files] == ["2026-03-02/x.csv"]
    with pytest.raises(SourceError, match=r"there is no placeholder \{week\}"):
        collect("{week}.csv", day=9)


@pytest.mark.parametrize("connection", ["uri", None])
def test_uris_and_absolute_paths(drop: Path, collect: Collect, connection: str | None) -> None:
    (drop / "a.csv").write_text("a,b\n1,2\n")
    path = "*.csv" if connection else f"{drop}/*.csv"
    assert collect(path, connection=connection).rows == 1
    assert collect(f"file://{drop}/a.csv", connection=None, day=2).skipped == ("a.csv",)
    with pytest.raises(SourceError, match="a relative path needs a connection"):
        collect("a.csv", connection=None, day=3)


def test_archives_give_one_file_per_member(drop: Path, collect: Collect) -> None:
    with zipfile.ZipFile(drop / "a.zip", "w") as archive:
        archive.writestr("1.csv", "a,b\n1,2\n")
        archive.writestr("2.csv", "a,b\n3,4\n5,6\n")
        archive.writestr("readme.txt", "x")
    landed = collect("a.zip", member="*.csv")
    assert [(file.member, file.rows) for file in landed.files] == [("1.csv", 1), ("2.csv", 2)]
    assert landed.rows == 3
    assert len({file.path for file in landed.files}) == 1
    assert cells(landed, entry("a.zip")) == [("1", "2"), ("3", "4"), ("5", "6")]
    (drop / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    landed = collect("a.csv.gz", day=2)
    assert Path(landed.files[0].path).read_bytes()[:2] == b"\x1f\x8b"


def test_names_that_hold_an_identifier_are_not_told(drop: Path, collect: Collect, settings: Settings) -> None:
    """Keys, files and members called after persons: the record keeps a file's name, by which the file is known."""
    (drop / "13987651234.jsonl").write_text('{"a": 1, "张伟": 2, "13987651234": 3}\n[]\n')
    landed = collect("*.jsonl", "a", format="jsonl")
    assert landed.notes == (
        "*.jsonl: 2 column(s) not collected: names withheld, for an identifier is among them",
        "*.jsonl: 1 malformed row(s)",
    )
    assert [column.name for column in landed.columns] == ["a"]
    assert collect("*.jsonl", "a", format="jsonl", day=2).skipped == ("[手机号].jsonl",)
    (file,) = landed.files
    assert (file.origin, Path(file.path).name) == ("13987651234.jsonl", "00001-[手机号].jsonl")
    with zipfile.ZipFile(drop / "a.zip", "w") as archive:
        archive.writestr("13987651234.csv", "x,y\n1,2\n")
    with pytest.raises(SourceError, match=r"file a\.zip!\[手机号\]\.csv"):
        collect("a.zip", "a", day=3)


def test_no_error_of_a_place_tells_whom_its_file_is_called_after(
    drop: Path, collect: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that leads out, a file that changes while it is read, and one that cannot be read."""
    name = "13987651234.csv"
    (drop.parent / "s.csv").write_text("a,b\n1,2\n")
    (drop / name).symlink_to(drop.parent / "s.csv")
    with pytest.raises(SourceError, match=r"a symbolic link leads out.*\[手机号\]\.csv"):
        collect("*.csv")
    (drop / name).unlink()
    (drop / name).write_text("a,b\n1,2\n")
    (found,) = places.find(places.place(str(drop)), "*.csv")
    with pytest.raises(ChangedError, match=r"^\[手机号\]\.csv$"):
        list(places.chunks(places.place(str(drop)), replace(found, size=1)))
    (drop / name).unlink()
    with pytest.raises(ChangedError, match=r"^\[手机号\]\.csv$"):
        list(places.chunks(places.place(str(drop)), found))
    (drop / name).mkdir()
    with pytest.raises(SourceError, match=r"cannot be read.*\[手机号\]\.csv"):
        list(places.chunks(places.place(str(drop)), found))


def test_columns_of_json_may_be_absent_in_one_record_not_in_all(drop: Path, collect: Collect) -> None:
    (drop / "1.jsonl").write_text('{"a":1}\n')
    (drop / "2.jsonl").write_text('{"b":{"c":2},"new":3}\n')
    landed = collect("*.jsonl", "a", "b.c", format="jsonl")
    assert landed.rows == 2
    assert landed.notes == ("*.jsonl: 1 column(s) not collected: new",)
    (drop / "1.jsonl").write_text('{"a":2}\n')
    with pytest.raises(SourceError, match=r"column aa is missing \(near: a\)"):
        collect("1.jsonl", "a", "aa", format="jsonl", revise=True, day=2)


@pytest.mark.parametrize(("form", "before", "after"), [("jsonl", "", "\n"), ("json", "[", "]")])
def test_a_nested_key_that_no_record_has_is_missing(
    drop: Path, collect: Collect, form: str, before: str, after: str
) -> None:
    """Its parent is there: the key was renamed, or it is spelt otherwise in the entry."""
    (drop / "x").write_text(f'{before}{{"id": 1, "a": {{"name": "x"}}, "b.c": 2}}{after}')
    landed = collect("x", "id", "a.name", "b.c", format=form)
    assert [column.name for column in landed.columns] == ["a", "a.name", "b.c", "id"]
    assert not [note for note in landed.notes if "not collected" in note]
    (drop / "y").write_text(f'{before}{{"id": 2, "a": {{"title": "x"}}, "b.c": 2}}{after}')
    with pytest.raises(SourceError, match=r"column a\.name is missing"):
        collect("y", "id", "a.name", "b.c", format=form, day=2)


def test_nested_keys_of_what_no_record_has_today_are_null(drop: Path, collect: Collect) -> None:
    (drop / "x").write_text('{"id": 1, "a": null}\n{"id": 2, "a": {}}\n{"id": 3}\n')
    assert collect("x", "id", "a.name", format="jsonl").rows == 3


# ── each file once ────────────────────────────────────────────────────────────────────────────────────────


def test_known_bytes_are_skipped_under_any_name(drop: Path, collect: Collect) -> None:
    (drop / "a.csv").write_text("a,b\n1,2\n")
    assert collect("*.csv").rows == 1
    (drop / "copy.csv").write_text("a,b\n1,2\n")
    (drop / "new.csv").write_text("a,b\n3,4\n")
    second = collect("*.csv", day=2)
    assert ([file.origin for file in second.files], second.skipped) == (["new.csv"], ("a.csv", "copy.csv"))
    third = collect("*.csv", day=3)
    assert (third.files, third.rows, third.skipped) == ((), 0, ("a.csv", "copy.csv", "new.csv"))


def test_the_same_bytes_twice_in_one_batch(drop: Path, collect: Collect) -> None:
    for name in ("a.csv", "b.csv"):
        (drop / name).write_text("a,b\n1,2\n")
    landed = collect("*.csv")
    assert (landed.rows, landed.skipped) == (1, ("b.csv",))


@pytest.mark.parametrize("text", ["a,b\n9,2\n", "a,b\n1,2\n3,4\n"])
def test_a_known_name_with_other_bytes(drop: Path, collect: Collect, text: str) -> None:
    (drop / "a.csv").write_text("a,b\n1,2\n")
    collect("a.csv")
    (drop / "a.csv").write_text(text)
    with pytest.raises(SourceError, match="loaded before, with other bytes") as caught:
        collect("a.csv", day=2)
    assert "source.revise: true" in str(caught.value)
    assert collect("a.csv", day=2, revise=True).rows == text.count("\n") - 1


def test_a_revision_may_go_back(drop: Path, collect: Collect) -> None:
    texts = ["a,b\n1,2\n", "a,b\n3,4\n", "a,b\n1,2\n", "a,b\n1,2\n"]
    counts = []
    for day, text in enumerate(texts, start=1):
        (drop / "a.csv").write_text(text)
        counts.append(collect("a.csv", day=day, revise=True).rows)
    assert counts == [1, 1, 1, 0]


def snapshot(ctx: Context, path: str, day: int, **source: Any) -> Landed:
    """A day of a dataset whose batch is the whole."""
    whole = entry(path, **source).model_copy(update={"merge": Merge(kind="snapshot")})
    return collect_file(ctx, whole, batch_of(DATASET, day))


def origins(landed: Landed) -> list[str]:
    return [file.origin for file in landed.files]


def test_of_a_snapshot_in_several_files_all_land_again_when_one_is_revised(drop: Path, ctx: Context) -> None:
    """Without the others the merge would take their rows for deleted."""
    for name, text in (("a.csv", "1,2"), ("b.csv", "3,4"), ("c.csv", "5,6")):
        (drop / name).write_text(f"a,b\n{text}\n")
    assert snapshot(ctx, "*.csv", 1, revise=True).rows == 3
    assert snapshot(ctx, "*.csv", 2, revise=True).files == ()
    (drop / "b.csv").write_text("a,b\n3,9\n")
    third = snapshot(ctx, "*.csv", 3, revise=True)
    assert (origins(third), third.skipped) == (["a.csv", "b.csv", "c.csv"], ())
    (drop / "c.csv").unlink()
    assert snapshot(ctx, "*.csv", 4, revise=True).files == (), "a file may be on its way: what came stands"


def test_of_a_day_s_snapshot_unchanged_files_land_beside_those_that_changed(drop: Path, ctx: Context) -> None:
    for day, texts in ((1, ("1,2", "3,4")), (2, ("1,9", "3,4")), (3, ("1,9", "3,4"))):
        (drop / f"2026-03-0{day}").mkdir()
        for name, text in zip("ab", texts, strict=True):
            (drop / f"2026-03-0{day}" / f"{name}.csv").write_text(f"a,b\n{text}\n")
    landed = [snapshot(ctx, "{date}/*.csv", day) for day in (1, 2, 3)]
    assert [each.rows for each in landed] == [2, 2, 0]
    assert origins(landed[1]) == ["2026-03-02/a.csv", "2026-03-02/b.csv"]
    assert landed[2].skipped == ("2026-03-03/a.csv", "2026-03-03/b.csv")


def test_a_snapshot_may_go_back_to_what_an_earlier_one_held(drop: Path, ctx: Context) -> None:
    """A row that was added by mistake and taken out again leaves the bytes of the day before."""
    rows = []
    for day, text in enumerate(("1,2\n", "1,2\n3,4\n", "1,2\n", "1,2\n"), start=1):
        (drop / f"2026-03-0{day}.csv").write_text(f"a,b\n{text}")
        rows.append(snapshot(ctx, "{date}.csv", day).rows)
    assert rows == [1, 2, 1, 0]


def test_files_that_stay_in_the_folder_are_earlier_snapshots(drop: Path, ctx: Context) -> None:
    for day in (1, 2, 3):
        (drop / f"dump{day}.csv").write_text(f"a,b\n{day},2\n")
        landed = snapshot(ctx, "*.csv", day)
        assert (origins(landed), len(landed.skipped)) == ([f"dump{day}.csv"], day - 1)
    (drop / "dump1.csv").write_text("a,b\n9,2\n")
    with pytest.raises(SourceError, match="loaded before, with other bytes"):
        snapshot(ctx, "*.csv", 4)


def test_of_a_snapshot_nothing_lands_while_a_file_is_still_being_written(drop: Path, ctx: Context) -> None:
    for name, age in (("a.csv", 600), ("b.csv", 10)):
        (drop / name).write_text(f"a,b\n{age},2\n")
        moment = (NOW - timedelta(seconds=age)).timestamp()
        os.utime(drop / name, (moment, moment))
    with pytest.raises(SourceError, match=r"1 file\(s\) are still being written"):
        snapshot(ctx, "*.csv", 1, settle="5m")
    with pytest.raises(SourceError, match="still being written"):
        snapshot(ctx, "*.csv", 1, settle="5m", revise=True)


def test_a_rerun_returns_what_landed(drop: Path, collect: Collect) -> None:
    (drop / "a.csv").write_text("a,b\n1,2\n")
    first = collect("a.csv")
    (drop / "a.csv").write_text("changed")
    assert collect("a.csv") == first


# ── not yet, or not at all ────────────────────────────────────────────────────────────────────────────────


def test_a_late_source(collect: Collect) -> None:
    with pytest.raises(SourceError, match="no file matches") as caught:
        collect("in/{date}.csv")
    assert caught.value.place["file"] == "in/2026-03-01.csv"
    assert "run again when the file has come" in str(caught.value)


def test_a_connection_s_folder_that_is_not_there(drop: Path, collect: Collect) -> None:
    drop.rmdir()
    with pytest.raises(SourceError, match="the folder of the connection is not there") as caught:
        collect("in/{date}.csv")
    assert caught.value.place["file"] == str(drop)
    assert "mount the folder" in str(caught.value.next_step)


def test_a_young_file_is_left_alone(drop: Path, ctx: Context, collect: Collect) -> None:
    for name, age in (("old.csv", 600), ("young.csv", 10)):
        (drop / name).write_text(f"a,b\n{age},2\n")
        moment = (NOW - timedelta(seconds=age)).timestamp()
        os.utime(drop / name, (moment, moment))
    landed = collect("*.csv", settle="5m")
    assert [file.origin for file in landed.files] == ["old.csv"]
    assert landed.notes == ("young.csv: still being written, left alone",)
    with pytest.raises(SourceError, match=r"1 file\(s\) are still being written"):
        collect("young*.csv", settle="5m", day=2)
    (drop / "2026-03-03.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="still being written"):
        collect("{date}.csv", settle="5m", day=3)
    later = replace(ctx, clock=lambda: NOW + timedelta(days=999))
    assert collect_file(later, entry("*.csv", settle="5m"), batch_of(DATASET, 4)).rows == 2


def test_a_file_that_grows_while_read_is_left_alone(
    drop: Path, collect: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    (drop / "a.csv").write_text("a,b\n" + "1,2\n" * CHUNK)
    (drop / "b.csv").write_text("a,b\n1,2\n")
    honest = places.chunks

    def growing(where: places.Place, file: places.Found) -> Iterator[bytes]:
        for i, chunk in enumerate(honest(where, file)):
            if file.name == "a.csv" and i == 1:
                with (drop / "a.csv").open("a") as more:
                    more.write("3,4\n")
            yield chunk

    monkeypatch.setattr("pipelines.sources.file.chunks", growing)
    landed = collect("*.csv")
    assert [file.origin for file in landed.files] == ["b.csv"]
    assert landed.notes == ("a.csv: still being written, left alone",)
    assert len(list(Path(landed.files[0].path).parent.iterdir())) == 1


def test_no_rights_and_no_connection(drop: Path, collect: Collect, ctx: Context) -> None:
    with pytest.raises(SettingsError, match="there is no connection 'other'"):
        collect("a.csv", connection="other")
    bad = context_of(ctx.settings, urls={"drop": "postgresql://user:secret@host/db"})
    with pytest.raises(SettingsError) as caught:
        collect_file(bad, entry("a.csv"), batch_of(DATASET))
    assert "secret" not in str(caught.value)


# ── never outside ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path", ["../secret.csv", "in/../../secret.csv", "/etc/passwd", "file:///etc/passwd", "a\0.csv"]
)
def test_paths_that_lead_out(drop: Path, collect: Collect, path: str) -> None:
    (drop.parent / "secret.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="leads out of its connection's folder"):
        collect(path)


def test_links_that_lead_out(drop: Path, collect: Collect) -> None:
    (drop.parent / "secret").mkdir()
    (drop.parent / "secret" / "s.csv").write_text("a,b\n1,2\n")
    (drop / "s.csv").symlink_to(drop.parent / "secret" / "s.csv")
    with pytest.raises(SourceError, match="a symbolic link leads out"):
        collect("s.csv")
    (drop / "s.csv").unlink()
    (drop / "in").symlink_to(drop.parent / "secret")
    with pytest.raises(SourceError, match=r"a symbolic link leads out|no file matches"):
        collect("in/*.csv")
    (drop / "in").unlink()
    (drop / "real.csv").write_text("a,b\n1,2\n")
    (drop / "inside.csv").symlink_to(drop / "real.csv")
    assert collect("inside.csv").rows == 1


# ── what cannot be read ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "data", "source", "message"),
    [
        ("a.csv", b"", {}, "the file is empty"),
        ("a.csv", "a,b\n玄武,1\n".encode("gb18030"), {"encoding": "utf-8"}, "is not text in utf-8"),
        ("a.csv", b"a,c\n1,2\n", {}, "column b is missing"),
        ("a.csv", b'a,b\n1,"2\n', {}, "never closed"),
        ("a.zip", b"", {}, "zero bytes"),
        ("a.parquet", b"PAR1....", {"format": "parquet"}, "cut short"),
        ("a.xlsx", b"PK\x03\x04", {"format": "excel"}, "no workbook"),
        ("a.json", b"<html>", {"format": "json"}, "not JSON"),
    ],
)
def test_the_original_stays_and_the_next_good_batch_works(
    drop: Path,
    collect: Collect,
    settings: Settings,
    name: str,
    data: bytes,
    source: dict[str, Any],
    message: str,
) -> None:
    (drop / name).write_bytes(data)
    with pytest.raises(SourceError, match=message):
        collect(name, **source)
    files = folder_of(settings) / "files"
    kept = [path for path in files.iterdir() if path.name != "rejected.json"]
    assert [path.read_bytes() for path in kept] == [data]
    assert message in json.loads((files / "rejected.json").read_text())["reason"]
    assert landing.landed(settings, batch_of(DATASET)) is None
    (drop / name).unlink()
    (drop / "good.csv").write_text("a,b\n1,2\n")
    assert collect("*.csv").rows == 1
    assert [path.suffix for path in files.iterdir()] == [".csv"]


def test_text_is_read_once_while_it_is_copied(drop: Path, collect: Collect) -> None:
    """The source's bytes, and none of what was landed."""
    (drop / "a.csv").write_text("a,b\n1,2\n")
    collect("a.csv")
    size = (drop / "b.csv").write_text("a,b\n" + "鼓楼区,320106\n" * 300_000)
    before = bytes_read()
    assert collect("b.csv", day=2).rows == 300_000
    assert size < bytes_read() - before < 1.2 * (drop / "b.csv").stat().st_size


def test_a_killed_run_leaves_nothing_landed(
    drop: Path, collect: Collect, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (drop / "a.csv").write_text("a,b\n1,2\n")
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.sources.file.members", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            collect("a.csv")
    assert landing.landed(settings, batch_of(DATASET)) is None
    assert collect("a.csv").rows == 1


def test_a_full_disk(drop: Path, tmp_path: Path) -> None:
    """On a real file system of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ran(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    try:
        settings = Settings(home=tmp_path / "home", lake=str(disk / "lake"))
        ctx = context_of(settings, urls={"drop": str(drop)})
        (drop / "a.csv").write_text("a,b\n" + "1,2\n" * 1_000_000)
        with pytest.raises(LakeError, match="the disk is full"):
            collect_file(ctx, entry("a.csv"), batch_of(DATASET))
        assert landing.landed(settings, batch_of(DATASET)) is None
        assert not [path for path in (disk / "lake").rglob("*") if path.is_file()]
        (drop / "a.csv").write_text("a,b\n1,2\n")
        assert collect_file(ctx, entry("a.csv"), batch_of(DATASET)).rows == 1
    finally:
        ran(["umount", disk], check=False)


def test_landed_files_cannot_be_written(drop: Path, collect: Collect) -> None:
    (drop / "a.csv").write_text("a,b\n1,2\n")
    (file,) = collect("a.csv").files
    assert not stat.S_IMODE(Path(file.path).stat().st_mode) & 0o222


MEASURE = """
import resource, sys
from pathlib import Path
from schemas.settings import Settings
from tests.pipelines.building import batch_of, context_of
from tests.pipelines.sources.test_file import DATASET, entry
from pipelines.sources.file import collect_file
ctx = context_of(Settings(home=Path(sys.argv[1]) / "home"), urls={"drop": sys.argv[1]})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
landed = collect_file(ctx, entry("a.csv"), batch_of(DATASET))
print(landed.rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_200_megabytes_in_bounded_memory(tmp_path: Path) -> None:
    line = b"17,some text of usual length,2026-03-01 12:00:00,3.14159,320102\n"
    with (tmp_path / "a.csv").open("wb") as file:
        file.write(b"a,b,c,d,e\n")
        for _ in range(200):
            file.write(line * (CHUNK // len(line)))
    done = ran([sys.executable, "-c", MEASURE, tmp_path], capture_output=True, text=True, check=True)
    rows, grown = map(int, done.stdout.split())
    assert rows == 200 * (CHUNK // len(line))
    assert grown < 250


# ── S3 ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_s3(s3: S3, settings: Settings) -> None:
    s3.bucket("department")
    for name, text in (
        ("in/2026/1.csv", "a,b\n1,2\n"),
        ("in/2026/2.csv", "a,b\n3,4\n"),
        ("other/3.csv", "x"),
    ):
        s3.client.put_object(Bucket="department", Key=name, Body=text.encode())
    ctx = context_of(settings, urls={"drop": s3.connection("department", "in")})
    landed = collect_file(ctx, entry("*/*.csv"), batch_of(DATASET))
    assert [(file.origin, file.rows) for file in landed.files] == [("2026/1.csv", 1), ("2026/2.csv", 1)]
    s3.client.put_object(Bucket="department", Key="in/2026/2.csv", Body=b"a,b\n9,9\n")
    with pytest.raises(SourceError, match="with other bytes"):
        collect_file(ctx, entry("*/*.csv"), batch_of(DATASET, 2))
    with pytest.raises(SourceError, match="no file matches"):
        collect_file(ctx, entry("none/*.csv"), batch_of(DATASET, 2))
    with pytest.raises(SourceError, match="leads out"):
        collect_file(ctx, entry("../other/3.csv"), batch_of(DATASET, 2))


def test_a_lake_on_s3(
    s3: S3,
    drop: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shared: Path,
) -> None:
    """Every kind of file lands on S3 and is read from there."""
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    settings = Settings(home=tmp_path / "home", lake=f"{s3.bucket('lake')}/files")
    ctx = context_of(settings, urls={"drop": str(drop)})
    folder = shared / "messy-tabulator"
    for day, (name, form) in enumerate(
        [
            ("table.csv", "csv"),
            ("table.csv.gz", "csv"),
            ("table.csv.zip", "csv"),
            ("table.xlsx", "excel"),
            ("table.ods", "excel"),
            ("table.xls", "excel"),
            ("table.ndjson", "jsonl"),
        ],
        start=1,
    ):
        (drop / name).write_bytes((folder / name).read_bytes())
        declared = entry(name, "id", "name", format=form)
        landed = collect_file(ctx, declared, batch_of(DATASET, day))
        assert [(str(i), text) for i, text in cells(landed, declared)] == [("1", "english"), ("2", "中国人")]
        assert store.size_of(landed.files[0].path) == (folder / name).stat().st_size
    pq.write_table(pa.table({"a": ["1"], "b": ["2"]}), drop / "a.parquet")
    landed = collect_file(ctx, entry("a.parquet", format="parquet"), batch_of(DATASET, 20))
    assert cells(landed, entry("a.parquet", format="parquet")) == [("1", "2")]


def test_s3_that_does_not_answer_or_refuses(s3: S3, settings: Settings) -> None:
    s3.bucket("refused")
    url = s3.connection("refused").replace("xuanwutestsecret", "wrongsecret")
    with pytest.raises(SourceError, match="the place of the files cannot be read") as caught:
        collect_file(context_of(settings, urls={"drop": url}), entry("*.csv"), batch_of(DATASET))
    assert "wrongsecret" not in str(caught.value)
    with pytest.raises(SettingsError, match="unknown option"):
        collect_file(context_of(settings, urls={"drop": f"{url}&x=1"}), entry("*.csv"), batch_of(DATASET))


# ── real files ────────────────────────────────────────────────────────────────────────────────────────────


def test_hourly_air(shared: Path, settings: Settings) -> None:
    """A file an hour, each found by its own interval."""
    ctx = context_of(settings, urls={"drop": str(shared / "cn-air-2020")})
    for hour in range(19, 24):
        start = datetime(2020, 4, 10, hour - 8, tzinfo=UTC)
        batch = Batch(dataset=DATASET, start=start, end=start + timedelta(hours=1))
        landed = collect_file(ctx, entry("{year}{month}{day}{hour}.csv", "_id", "AQI"), batch)
        with (shared / "cn-air-2020" / f"20200410{hour}.csv").open(newline="", encoding="utf-8") as file:
            assert landed.rows == len(list(csv.DictReader(file)))


def test_all_of_the_divisions(shared: Path, settings: Settings) -> None:
    ctx = context_of(settings, urls={"drop": str(shared / "admin-modood")})
    landed = collect_file(ctx, entry("*.csv", "code", "name"), batch_of(DATASET))
    counts = {
        path.name: len(list(csv.DictReader(path.open(newline="", encoding="utf-8-sig"))))
        for path in (shared / "admin-modood").glob("*.csv")
    }
    assert {file.origin: file.rows for file in landed.files} == counts
    assert landed.rows == sum(counts.values())
