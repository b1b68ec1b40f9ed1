"""gzip and zip: taken off while reading, bounded, and clear where they are broken."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.readers import members, opening
from schemas.errors import SourceError
from tests.pipelines.readers.files import good, landed, rows, source

CSV = b"a,b\n1,2\n3,4\n"


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def parquet() -> bytes:
    held = io.BytesIO()
    pq.write_table(pa.table({"a": ["1", "3"]}), held)
    return held.getvalue()


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("csv", CSV),
        ("jsonl", b'{"a":"1"}\n{"a":"3"}\n'),
        ("json", b'[{"a":"1"},{"a":"3"}]'),
        ("parquet", parquet()),
    ],
)
def test_every_format_compressed(tmp_path: Path, form: str, data: bytes) -> None:
    path = tmp_path / "x"
    for packed in (gzip.compress(data), gzip.compress(data[:5]) + gzip.compress(data[5:])):
        path.write_bytes(packed)
        assert good(path, form, ["a"]) == [("1",), ("3",)]
    zipped(path, {"dir/x": data})
    assert good(path, form, ["a"]) == [("1",), ("3",)]
    zipped(path, {"x.gz": gzip.compress(data)})
    assert good(path, form, ["a"]) == [("1",), ("3",)]


def test_a_workbook_is_a_zip_and_may_be_in_one(shared: Path, tmp_path: Path) -> None:
    for name in ("table.xlsx", "table.ods", "table.xls"):
        data = (shared / "messy-tabulator" / name).read_bytes()
        path = zipped(tmp_path / "w.zip", {name: data})
        assert members(str(path), path.name, "excel", None) == (name,)
        assert good(path, "excel", ["id", "name"]) == [(1, "english"), (2, "中国人")]
        direct = shared / "messy-tabulator" / name
        assert members(str(direct), name, "excel", None) == ()


def test_members(tmp_path: Path) -> None:
    files = {
        "b/2.csv": CSV,
        "1.csv": CSV,
        "readme.txt": b"x",
        "__MACOSX/._1.csv": b"x",
        ".DS_Store": b"x",
        "d/": b"",
    }
    path = zipped(tmp_path / "a.zip", files)
    assert members(str(path), "a.zip", "csv", "*.csv") == ("1.csv", "b/2.csv")
    assert members(str(path), "a.zip", "csv", None) == ("1.csv", "b/2.csv", "readme.txt")
    assert members(str(path), "a.zip", "csv", "b/*") == ("b/2.csv",)
    with pytest.raises(SourceError, match=r"no member of the archive matches '\*.xls'; it holds 3"):
        members(str(path), "a.zip", "csv", "*.xls")
    (tmp_path / "plain.csv").write_bytes(CSV)
    assert members(str(tmp_path / "plain.csv"), "plain.csv", "csv", None) == ()


def test_names_in_gbk(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"XXXX.csv": CSV})
    name = "名单".encode("gbk")
    path.write_bytes(path.read_bytes().replace(b"XXXX", name))
    assert members(str(path), "a.zip", "csv", "名单*") == ("名单.csv",)
    assert good(path, "csv", ["a"]) == [("1",), ("3",)]


def test_names_that_climb_are_only_names(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "in" / "a.zip" if (tmp_path / "in").mkdir() is None else tmp_path,
        {"../../evil.csv": CSV, "/etc/evil.csv": CSV},
    )
    assert members(str(path), "a.zip", "csv", None) == ("../../evil.csv", "/etc/evil.csv")
    for name in members(str(path), "a.zip", "csv", None):
        file = landed(path, "csv", member=name)
        from pipelines.readers import read

        assert sum(batch.num_rows for batch in read(file, source("csv"), ["a"])) == 2
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "a.zip"]


def test_broken_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"")
    with pytest.raises(SourceError, match="zero bytes: not an archive"):
        members(str(path), "a.zip", "csv", None)
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(SourceError, match="not a zip archive"):
        members(str(path), "a.zip", "csv", None)
    whole = zipped(path, {"x.csv": CSV * 1000}).read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(SourceError, match="damaged or was cut short"):
        members(str(path), "a.zip", "csv", None)
    with pytest.raises(SourceError, match="the archive is empty"):
        members(str(zipped(path, {})), "a.zip", "csv", None)


def test_wrong_checksums_and_cut_streams(tmp_path: Path) -> None:
    data = b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(200_000))
    path = tmp_path / "x.zip"
    whole = bytearray(zipped(path, {"x.csv": data}).read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(bytes(whole))
    with pytest.raises(SourceError, match="damaged or was cut short"):
        rows(path, "csv", ["a"])
    packed = gzip.compress(data)
    for broken in (packed[: len(packed) // 2], packed[:-8] + b"\0" * 8, packed[:-1]):
        path.write_bytes(broken)
        with pytest.raises(SourceError, match="damaged or was cut short"):
            rows(path, "csv", ["a"])


def test_a_password(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"x.csv": CSV})
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag that says: encrypted
        data[data.index(mark) + at] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(SourceError, match="protected by a password"):
        rows(path, "csv", ["a"])


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "FREE", 1 << 20)
    bomb = b"a,b\n" + b"0,0\n" * 2_000_000
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(bomb))
    with pytest.raises(SourceError, match="expands beyond"):
        rows(path, "csv", ["a"])
    for form in ("csv", "json", "jsonl", "parquet"):
        with pytest.raises(SourceError, match="expands beyond"):
            rows(zipped(path, {"x": bomb}), form, ["a"])


def test_real_archives(shared: Path) -> None:
    folder = shared / "messy-tabulator"
    assert good(folder / "table.csv.gz", "csv", ["id", "name"]) == [("1", "english"), ("2", "中国人")]
    assert good(folder / "table.csv.zip", "csv", ["id", "name"]) == [("1", "english"), ("2", "中国人")]
    path = folder / "2-files.zip"
    assert members(str(path), path.name, "csv", None) == tuple(sorted(zipfile.ZipFile(path).namelist()))
