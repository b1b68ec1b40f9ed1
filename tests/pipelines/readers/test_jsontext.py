"""JSON documents and JSON Lines: text as it stands, bad lines in their place, bad documents said by place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from pipelines.readers import jsontext, scan
from schemas.errors import EngineError, SourceError
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
        ('[{"a": ' + "[" * 10_000 + "]" * 10_000 + '},\n {"a": secret}]', "nested too deeply to say"),
        ('[{"a": ' + "9" * 5000 + '},\n {"a": secret}]', "not JSON at line 2, column 8"),
        ('[{"a": "\\\\ud800 \\ud83d\\ude00"},\n {"a": "secret\\ud800"}]', "at line 2, column 15"),
        ('[{"a": 1},\n {"a": "secret\0"}]', "not JSON at line 2, column 15"),
    ],
)
def test_bad_documents(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(SourceError) as caught:
        rows(path, "json", ["a"], records="data")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_what_reads_as_any_other_value(path: Path, form: str) -> None:
    """A mark in front, another encoding, numbers that no computer counts with and deep nesting are text as it stands."""
    deep, long = "[" * 10_000 + "]" * 10_000, "9" * 5000
    cells = [deep, long, "1e400", "NaN", "-Infinity", '{"b":' * 10_000 + "1" + "}" * 10_000]
    records = [f'{{"a":{each}}}' for each in cells]
    text = f"[{','.join(records)}]" if form == "json" else "\n".join(records)
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text(text, encoding=encoding)
        assert good(path, form, ["a"]) == [(each,) for each in cells]


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_a_key_that_is_there_twice_sets_its_record_aside(path: Path, form: str) -> None:
    """Where it is a column's: nobody can tell which of its values holds."""
    records = [
        '{"a":1}',
        '{"a":1,"a":2}',
        '{"b":1,"b":2,"a":3}',
        "3",
        '{"a":4,"\\u0061":5}',
        '{"in":{"x":1},"in":{}}',
        '{"a":6,"in":{"x":2}}',
    ]
    path.write_text(f"[{','.join(records)}]" if form == "json" else "\n".join(records))
    found = rows(path, form, ["a", "in.x"])
    twice = "a key is there more than once"
    assert [(row["_row"], row["a"], row["in.x"], row["_error"]) for row in found] == [
        (1, "1", None, None),
        (2, None, None, twice),
        (3, "3", None, None),
        (4, None, None, "not a JSON object"),
        (5, None, None, twice),
        (6, None, None, twice),
        (7, "6", "2", None),
    ]
    assert found[1]["_raw"].strip() == records[1]


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_an_archive_that_breaks_off_is_named(path: Path, form: str) -> None:
    records = [json.dumps({"a": number * 7919}) for number in range(50_000)]
    text = f"[{','.join(records)}]" if form == "json" else "\n".join(records)
    path.write_bytes(gzip.compress(text.encode())[:-2000])
    with pytest.raises(SourceError, match=r"cut short; \[file a\.json\]; next: have the source send"):
        rows(path, form, ["a"])


@pytest.mark.parametrize(("form", "unit"), [("json", "record"), ("jsonl", "line")])
def test_a_lack_of_memory_names_the_file_and_how_far_it_was_read(
    path: Path, monkeypatch: pytest.MonkeyPatch, form: str, unit: str
) -> None:
    @contextmanager
    def small() -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect(config={"threads": 1, "memory_limit": "8MB", "temp_directory": ""}) as connection:
            yield connection

    monkeypatch.setattr(jsontext, "_kernels", small)
    monkeypatch.setattr(jsontext, "BLOCK", 1000)
    large = json.dumps({"a": "secret" * 1_000_000})
    records = [*(json.dumps({"a": number}) for number in range(500)), large]
    path.write_text(f"[{','.join(records)}]" if form == "json" else "\n".join(records))
    with pytest.raises(
        EngineError, match=rf"\(OutOfMemoryException\) after {unit} \d+; \[file a\.json\]"
    ) as caught:
        rows(path, form, ["a"])
    assert "smaller files" in str(caught.value) and "secret" not in str(caught.value)
    assert (f"after {unit} 0" in str(caught.value)) == (form == "json"), "a document is read whole"


def test_what_fails_in_the_middle_of_a_result_names_the_file_and_how_far_it_was_read() -> None:
    """DuckDB's failures reach Python as the system's there."""

    def broken() -> Generator[pa.RecordBatch, None, None]:
        asked = "SELECT CASE WHEN i = 900000 THEN error('secret') ELSE i END::BIGINT AS _row FROM range(1000000) t(i)"
        with duckdb.connect() as connection:
            yield from connection.execute(asked).to_arrow_reader(1000)

    with pytest.raises(
        EngineError, match=r"\(.*Error\) after record [1-9]\d*; \[file a\.json\]; next"
    ) as caught:
        list(jsontext._told(broken(), "record", "a.json"))
    assert "secret" not in str(caught.value) and caught.value.__suppress_context__


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
