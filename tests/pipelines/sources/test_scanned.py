"""What was landed is read once before it counts, and only what is not UTF-8 once more."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.sources import scanned as module
from pipelines.sources.scanned import scanned
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
