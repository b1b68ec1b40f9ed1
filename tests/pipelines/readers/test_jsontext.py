"""JSON documents and JSON Lines: text as it stands, bad lines in their place, bad documents said by place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.readers import jsontext, scan
from schemas.errors import SourceError
from tests.pipelines.readers.files import good, landed, numbers, rows, source

RECORD = {
    "s": '玄武"湖\n',
    "i": 12345678901234567890123,
    "f": 1.5,
    "t": True,
    "n": None,
    "list": [1, {"x": 2}],
    "in": {"side": "deep"},
    "a.b": "flat",
    "q/~": "odd",
}
CELLS = (
    '玄武"湖\n',
    "12345678901234567890123",
    "1.5",
    "true",
    None,
    '[1,{"x":2}]',
    "deep",
    "flat",
    "odd",
    None,
)
COLUMNS = ["s", "i", "f", "t", "n", "list", "in.side", "a.b", "q/~", "absent"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.json"


def test_values_as_text(path: Path) -> None:
    path.write_text(json.dumps([RECORD, {"s": "x"}]))
    assert good(path, "json", COLUMNS) == [CELLS, ("x",) + (None,) * 9]
    path.write_text(json.dumps({"data": {"items": [RECORD]}}, ensure_ascii=False), encoding="utf-8-sig")
    assert good(path, "json", COLUMNS, records="data.items") == [CELLS]
    path.write_text("\n".join(json.dumps(RECORD, ensure_ascii=False) for _ in range(3)), encoding="gb18030")
    assert good(path, "jsonl", COLUMNS, encoding="gb18030") == [CELLS] * 3


def test_bad_lines_keep_their_place(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext, "BLOCK", 16)
    path.write_text('{"a":1}\n\n{"a":\n[1]\n"x"\n  \n{"a":"\\u0000"}\r\n{"a":2}')
    found = rows(path, "jsonl", ["a"])
    assert [(row["_row"], row["a"], row["_error"]) for row in found] == [
        (1, "1", None),
        (3, None, "not a JSON object"),
        (4, None, "not a JSON object"),
        (5, None, "not a JSON object"),
        (7, None, "a NUL byte"),
        (8, "2", None),
    ]
    assert found[1]["_raw"].strip() == '{"a":'


def test_records_that_are_no_objects(path: Path) -> None:
    path.write_text('[{"a":1}, 3, {"a":2}, null]')
    found = rows(path, "json", ["a"])
    assert [row["_error"] is None for row in found] == [True, False, True, False]
    assert numbers(found) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON at line 1, column 1"),
        ("<html>secret</html>", "not JSON at line 1, column 1"),
        ('[{"a": "secret"},\n {"a": secret}]', "not JSON at line 2, column 8"),
        ('[{"a": "secret"}', "not JSON at line 1"),
        ('{"rows": []}', "nothing at data"),
        ('{"data": {"a": "secret"}}', "a JSON object at data"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_bad_documents(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(SourceError) as caught:
        rows(path, "json", ["a"], records="data")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_no_records(path: Path) -> None:
    path.write_text("[]")
    assert rows(path, "json", ["a"]) == []
    path.write_text("")
    assert rows(path, "jsonl", ["a"]) == []


def test_size_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext, "DOCUMENT", 100)
    monkeypatch.setattr(jsontext, "LINE", 100)
    monkeypatch.setattr(jsontext, "BLOCK", 50)
    path.write_text(json.dumps([{"a": "x" * 200}]))
    with pytest.raises(SourceError, match="read whole"):
        rows(path, "json", ["a"])
    with pytest.raises(SourceError, match="a line is longer"):
        rows(path, "jsonl", ["a"])


def test_scan_gathers_keys(path: Path) -> None:
    path.write_text('{"a":1}\n{"b":2}\nx\n')
    seen = scan(landed(path, "jsonl"), source("jsonl"), ["a"])
    assert (seen.rows, seen.malformed, seen.keys) == (3, 1, {"a", "b"})


def test_many_lines(path: Path) -> None:
    path.write_text("".join(f'{{"a":{i},"b":"玄武{i}"}}\n' for i in range(200_000)))
    found = good(path, "jsonl", ["b", "a"])
    assert len(found) == 200_000
    assert found[-1] == ("玄武199999", "199999")


def test_real_files(shared: Path) -> None:
    folder = shared / "messy-tabulator"
    assert good(folder / "table.ndjson", "jsonl", ["id", "name"]) == [("1", "english"), ("2", "中国人")]
    assert good(folder / "table-dicts.json", "json", ["id", "name"]) == [("1", "english"), ("2", "中国人")]
    daily = shared / "cn-covid-daily" / "Data" / "2020-02-05.json"
    expected = json.loads(daily.read_text("utf-8"))
    assert isinstance(expected, list | dict)
    nulls = json.loads((shared / "messy-blns" / "blns.json").read_text("utf-8"))
    assert scan(landed(shared / "messy-blns" / "blns.json", "json"), source("json"), []).malformed == len(
        nulls
    )


def test_naughty_strings_survive(shared: Path, path: Path) -> None:
    strings = json.loads((shared / "messy-blns" / "blns.json").read_text("utf-8"))
    path.write_text("\n".join(json.dumps({"s": text}) for text in strings))
    assert good(path, "jsonl", ["s"]) == [(text,) for text in strings]
