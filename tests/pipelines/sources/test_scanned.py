"""What is landed is read once before it counts, text while it passes; only what is not UTF-8 once more."""

from __future__ import annotations

import codecs
import gzip
from functools import partial
from pathlib import Path

import pytest

from lake.passing import teed
from pipelines.readers import delimited
from pipelines.sources import scanned as module
from pipelines.sources.scanned import scanned, scanned_passing
from schemas.errors import SourceError
from tests.pipelines.readers.files import landed, source


@pytest.mark.parametrize(("encoding", "detected"), [("utf-8", 0), ("utf-8-sig", 0), ("gb18030", 1)])
def test_a_file_in_utf_8_is_not_read_to_find_out_that_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, detected: int
) -> None:
    asked: list[str] = []
    real = module.encoding_of
    monkeypatch.setattr(module, "encoding_of", lambda file, of: asked.append(file.path) or real(file, of))
    path = tmp_path / "names.csv"
    path.write_bytes("编号,名称\n1,南京市玄武区市场监督管理局\n2,江苏省人民政府办公厅\n".encode(encoding))
    file, seen = scanned(landed(path, "csv"), source("csv"), ["编号", "名称"])
    assert (len(asked), file.encoding_guessed, seen.rows) == (detected, bool(detected), 2)
    assert file.encoding == ("gb18030" if detected else "utf-8")


TABLE = "编号,名称\n1,南京市玄武区市场监督管理局\n2,江苏省人民政府办公厅\n".encode()


@pytest.mark.parametrize(
    ("data", "form", "more", "seen"),
    [
        (TABLE, "csv", {}, True),
        (codecs.BOM_UTF8 + TABLE, "csv", {}, True),
        (TABLE.decode().encode("gb18030"), "csv", {"encoding": "gb18030"}, True),
        (TABLE.decode().encode("gb18030"), "csv", {}, False),
        (gzip.compress(TABLE), "csv", {}, False),
        ('{"编号": 1, "名称": "街道"}\n{"编号": 2, "名称": "社区"}\n'.encode(), "jsonl", {}, True),
        ('[{"编号": 1, "名称": "街道"}, {"编号": 2, "名称": "社区"}]'.encode(), "json", {}, False),
    ],
)
def test_text_is_looked_at_while_it_passes(
    tmp_path: Path, data: bytes, form: str, more: dict[str, str], seen: bool
) -> None:
    """And what is seen is what a look at the landed file shows; what cannot be seen is left to that."""
    path = tmp_path / f"names.{form}"
    path.write_bytes(data)
    file, declared, columns = landed(path, form), source(form, **more), ["编号", "名称"]
    look = partial(scanned_passing, file, declared, columns)
    with teed([data[at : at + 7] for at in range(0, len(data), 7)], look) as (passed, made):
        assert b"".join(passed) == data
    assert made.result() == (scanned(file, declared, columns) if seen else None)
    assert scanned(file, declared, columns)[1].rows == 2


def test_a_row_too_long_for_a_block_is_left_to_the_landed_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second attempt, with larger blocks, would have to read again what has passed."""
    monkeypatch.setattr(delimited, "BLOCKS", (128, 4096))
    data = "编号,名称\n".encode() + b"1," + b"x" * 1000 + b"\n2,y\n"
    path = tmp_path / "long.csv"
    path.write_bytes(data)
    file, columns = landed(path, "csv"), ["编号", "名称"]
    look = partial(scanned_passing, file, source("csv"), columns)
    with teed([data], look) as (passed, made):
        list(passed)
    assert made.result() is None
    assert scanned(file, source("csv"), columns)[1].rows == 2


def test_what_cannot_be_read_is_said_of_the_landed_file(tmp_path: Path) -> None:
    data = b"a,b\n1,2\n"
    path = tmp_path / "other.csv"
    path.write_bytes(data)
    file, columns = landed(path, "csv"), ["编号"]
    with teed([data], partial(scanned_passing, file, source("csv"), columns)) as (passed, made):
        list(passed)
    assert made.result() is None
    with pytest.raises(SourceError, match="编号"):
        scanned(file, source("csv"), columns)
