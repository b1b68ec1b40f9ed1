"""CSV and TSV: what is read is what Python's csv module reads, and what cannot be read is said."""

from __future__ import annotations

import csv
import io
import json
import random
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipelines.readers import delimited, delimited_parse, encodings, malformed, read, scan
from schemas.errors import ColumnsMissing, SourceError
from tests.pipelines.readers.files import good, landed, numbers, rows, source
from tests.waiting import ran


@pytest.fixture
def write(tmp_path: Path):
    def to_file(data: bytes | str) -> Path:
        path = tmp_path / "list.csv"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return to_file


# ── form ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("end", ["", "newline"])
def test_every_newline(write, newline: str, end: str) -> None:
    text = newline.join(["a,b", "1,2", '"x\ny",3', "5,6"]) + (newline if end else "")
    assert good(write(text), "csv", ["b", "a"]) == [("2", "1"), ("3", "x\ny"), ("6", "5")]


def test_quotes_delimiters_and_nulls(write) -> None:
    text = "a;b\n'x;''y';\n'';NA\n"
    assert good(write(text), "csv", ["a", "b"], delimiter=";", quote="'", null_values=["", "NA"]) == [
        ("x;'y", None)
    ]
    assert good(write('a\tb\n"x\t"\t2\n'), "tsv", ["a", "b"]) == [("x\t", "2")]
    assert good(write('a,b\n5" disk,"\n'), "csv", ["a", "b"], quote="") == [('5" disk', '"')]


def test_row_numbers_count_what_a_person_sees(write) -> None:
    path = write('标题,\n\na,b\n1,2\n"3\n4",5\n\n6\n7,8\n合计,2\n')
    notes: list[str] = []
    found = rows(path, "csv", ["a"], notes, skip=2, footer_pattern="^合计")
    assert [(row["_row"], row["a"], row["_error"]) for row in found] == [
        (4, "1", None),
        (5, "3\n4", None),
        (7, None, "1 cell instead of 2"),
        (8, "7", None),
    ]
    assert found[2]["_raw"] == "6"
    assert [note.split(": ")[1] for note in notes] == [
        "1 column(s) not collected",
        "1 blank row(s) left out",
        "1 footer row(s) left out",
    ]


def test_header_further_down_of_several_rows(write) -> None:
    text = "title\nunit: m\n住址,,姓名\n区,街道,\n玄武,后宰门,某\n"
    columns = ["住址/区", "住址/街道", "姓名"]
    assert good(write(text), "csv", columns, skip=1, header=2, header_rows=2) == [("玄武", "后宰门", "某")]


def test_footers_are_known_at_the_end(write) -> None:
    text = "a,b\n" + "".join(f"{i},x\n" for i in range(10)) + "总计\n制表人,某\n"
    assert len(good(write(text), "csv", ["a"], footer=2)) == 10
    assert good(write("a,b\n1,2\n"), "csv", ["a"], footer=5) == []
    assert len(good(write(text), "csv", ["a"], footer_pattern="^(总计|制表人)")) == 10


def test_no_header(write) -> None:
    path = write("1,2\n3,4,5\n")
    found = rows(path, "csv", ["y"], header=None, columns=["x", "y"])
    assert [(row["_row"], row["y"], row["_error"]) for row in found] == [
        (1, "2", None),
        (2, None, "3 cells instead of 2"),
    ]
    with pytest.raises(SourceError, match="no column names"):
        rows(path, "csv", ["y"], header=None)


def test_header_only_and_empty(write) -> None:
    assert good(write("a,b\n"), "csv", ["a"]) == []
    assert good(write("a,b"), "csv", ["a"]) == []
    with pytest.raises(SourceError, match="the file is empty"):
        rows(write(""), "csv", ["a"])
    with pytest.raises(SourceError, match="ends at row 1, before its header"):
        rows(write("title\n"), "csv", ["a"], skip=1)


# ── columns ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_column_names_what_is_near(write) -> None:
    with pytest.raises(SourceError) as caught:
        rows(write("reg_no,reg_dat,name\n1,2,3\n"), "csv", ["reg_no", "reg_date"])
    assert "column reg_date is missing (near: reg_dat)" in str(caught.value)
    assert "found reg_no, reg_dat, name" in str(caught.value)


def test_a_file_without_its_header_shows_no_value(write) -> None:
    with pytest.raises(SourceError) as caught:
        rows(write("320102199001011234,某某\n1,2\n"), "csv", ["id_no", "name"])
    assert "none of the 2 columns" in str(caught.value)
    assert "3201021990" not in str(caught.value)


@pytest.mark.parametrize("header", ["姓名,张三,李四,13987651234", "no,张三,望江路917号,13987651234"])
def test_a_row_that_hardly_is_a_header_shows_no_value(write, header: str) -> None:
    """A sheet on its side, and data in the header's place that holds one of the names by chance."""
    first = header.partition(",")[0]
    with pytest.raises(ColumnsMissing) as caught:
        rows(write(f"{header}\n1,2,3,4\n"), "csv", [first, "Phone No", "address"])
    assert "found 1 of them, in 4 cells" in str(caught.value)
    assert not any(cell in str(caught.value) for cell in header.split(",")[1:])
    assert caught.value.found == {}


def test_a_name_that_differs_in_case_and_signs_is_told_of_any_header(write) -> None:
    with pytest.raises(ColumnsMissing) as caught:
        rows(write("no,PHONE_NO,张三\n1,2,3\n"), "csv", ["no", "Phone No", "address"])
    assert "(near: PHONE_NO)" in str(caught.value) and "张三" not in str(caught.value)


def test_names_are_withheld_where_an_identifier_is_among_them(write) -> None:
    notes: list[str] = []
    rows(write("a,b,张伟13987651234\n1,2,3\n"), "csv", ["a", "b"], notes)
    assert notes == ["list.csv: 1 column(s) not collected: names withheld, for an identifier is among them"]


def test_a_column_twice(write) -> None:
    path = write("a,b,b\n1,2,3\n")
    with pytest.raises(SourceError, match="column b is there more than once"):
        rows(path, "csv", ["b"])
    assert good(path, "csv", ["a"]) == [("1",)]


# ── malformed rows ────────────────────────────────────────────────────────────────────────────────────────


def test_ragged_rows_are_kept_in_their_place(write) -> None:
    """Against the csv module, over many blocks."""
    random.seed(3)
    lines = [["a", "b", "c"]] + [
        ["x\n,y" if random.random() < 0.1 else "v"] * random.choice([3] * 9 + [2, 5]) for _ in range(20_000)
    ]
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    path = write(text.getvalue())
    found = rows(path, "csv", ["a", "c"])
    expected = [(i, len(line) != 3) for i, line in enumerate(csv.reader(path.open(newline="")), start=1)][1:]
    assert [(row["_row"], row["_error"] is not None) for row in found] == expected
    assert all(next(csv.reader([row["_raw"]], strict=False)) for row in found if row["_error"])


def test_ragged_rows_over_many_blocks(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCKS", (128,))
    lines = [f"{i},{i}" if i % 7 else f"{i}" for i in range(2, 200)]
    found = rows(write("a,b\n" + "\n".join(lines)), "csv", ["a"])
    assert numbers(found) == list(range(2, 200))
    assert all((row["_error"] is None) == (row["_row"] % 7 != 0) for row in found)
    assert all(row["a"] == str(row["_row"]) for row in found if row["_error"] is None)


def test_a_wrong_form_is_no_heap_of_malformed_rows(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited_parse, "MANY", 50)
    with pytest.raises(SourceError, match="50 rows in a row do not have 2 cells") as caught:
        rows(write("a,b\n" + "1;2\n" * 100), "csv", ["a"])
    assert caught.value.place["row"] == 2


def test_as_many_malformed_rows_with_good_ones_between_are_rows(
    write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of them the parser has met before the first is asked for."""
    monkeypatch.setattr(delimited_parse, "MANY", 50)
    found = rows(write("a,b\n" + "1\n2,3\n" * 500), "csv", ["a"])
    assert numbers(found) == list(range(2, 1002))
    assert [row["_error"] is None for row in found] == [False, True] * 500


def test_a_file_is_decoded_and_parsed_beside_whoever_takes_its_rows(
    write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody is left at work where taking ends early."""
    at: dict[str, int] = {}
    check, ragged = encodings.Utf8Check.take, delimited_parse.Ragged.__call__

    def decoding(*given: Any, **more: Any) -> None:
        at["decoded"] = threading.get_ident()
        check(*given, **more)

    def parsing(*given: Any) -> str:
        at["parsed"] = threading.get_ident()
        return ragged(*given)

    monkeypatch.setattr(encodings.Utf8Check, "take", decoding)
    monkeypatch.setattr(delimited_parse.Ragged, "__call__", parsing)
    path = write("a,b\n1\n" + "1,2\n" * 3_000_000)
    found = read(landed(path, "csv", encoding="utf-8"), source("csv"), ["a"])
    next(found)
    assert len({*at.values(), threading.get_ident()}) == 3
    found.close()  # type: ignore[attr-defined]
    assert not [each for each in threading.enumerate() if each.name == "ahead"]


def test_nul_and_oversized_cells_set_their_row_aside(write) -> None:
    large = "x" * (10 << 20)
    path = write(f"a,b,c\n1,2,3\n4,\0,6\n7,{large},9\n1,{large},3,4\n10,11,12\n")
    found = rows(path, "csv", ["a", "b"])
    assert [(row["_row"], row["a"], row["_error"]) for row in found] == [
        (2, "1", None),
        (3, None, "a NUL byte"),
        (4, None, f"a cell of more than {malformed.CELL} bytes"),
        (5, None, "4 cells instead of 3"),
        (6, "10", None),
    ]
    assert json.loads(found[1]["_raw"]) == {"a": "4", "b": "\0"}
    assert all(len(row["_raw"] or "") < 5000 for row in found)


@pytest.mark.parametrize(
    "text", ['a,b\n1,2\n3,"4\n5,6\n', 'a,b\n1,2\n"3,4\n5,6\n', 'a,b\n1,2\n3,"', 'a\n1\n"3']
)
def test_a_quotation_mark_never_closed(write, text: str) -> None:
    columns = text.partition("\n")[0].split(",")
    with pytest.raises(SourceError, match="never closed") as caught:
        rows(write(text), "csv", columns)
    assert caught.value.place["row"] == 3


def test_a_quotation_mark_never_closed_in_a_large_file(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCKS", (4096,))
    with pytest.raises(SourceError, match="quotation mark"):
        rows(write('a,b\n1,2\n3,"4\n' + "5,6\n" * 10_000), "csv", ["a"])


def test_a_quotation_mark_never_closed_above_the_header(write) -> None:
    with pytest.raises(SourceError, match="header"):
        rows(write('"title\n' + "a,b\n" * 500_000), "csv", ["a"], skip=1)


@pytest.mark.parametrize("seed", range(20))
def test_as_the_csv_module_reads_it(write, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random tables, written by the csv module, through tiny blocks."""
    monkeypatch.setattr(delimited, "BLOCKS", (64, 512))
    rng = random.Random(seed)
    alphabet = ["", "x", '"', ",", "\n", "玄武湖", " ", "0", "\r\n", "é"]
    table = [["".join(rng.choices(alphabet, k=rng.randint(0, 4))) for _ in range(4)] for _ in range(300)]
    text = io.StringIO()
    csv.writer(text, lineterminator=rng.choice(["\n", "\r\n"])).writerows([["a", "b", "c", "d"], *table])
    found = good(write(text.getvalue()), "csv", ["d", "a"])
    assert found == [(row[3] or None, row[0] or None) for row in table if any(row)]


# ── size ──────────────────────────────────────────────────────────────────────────────────────────────────

MEASURE = """
import resource, sys
from pathlib import Path
from pipelines.readers import scan
from tests.pipelines.readers.files import landed, source
print(scan(landed(Path(sys.argv[1]), "csv", encoding="utf-8"), source("csv"), ["b", "c"]).rows)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A ten times larger file may not take 100 MB more."""
    peaks = []
    for megabytes in (20, 200):
        path = tmp_path / f"{megabytes}.csv"
        line = b"17,some text of usual length,2026-03-01 12:00:00,3.14159,320102\n"
        with path.open("wb") as file:
            file.write(b"a,b,c,d,e\n")
            for _ in range(megabytes):
                file.write(line * ((1 << 20) // len(line)))
        done = ran([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
        count, peak = map(int, done.stdout.split())
        assert count == megabytes * ((1 << 20) // len(line))
        peaks.append(peak)
        path.unlink()
    assert peaks[1] - peaks[0] < 100


def test_batches_are_small_and_never_empty(write) -> None:
    path = write("a\n" + "1\n" * 300_000)
    sizes = [batch.num_rows for batch in read(landed(path, "csv"), source("csv"), ["a"])]
    assert max(sizes) <= malformed.MAX_BATCH
    assert min(sizes) > 0
    assert sum(sizes) == 300_000


# ── real files ────────────────────────────────────────────────────────────────────────────────────────────


def test_gb18030_list(shared: Path) -> None:
    path = shared / "derived-gb18030" / "杭州.gb18030.csv"
    expected = list(csv.reader(io.StringIO(path.read_bytes().decode("gb18030"))))[2:]
    found = good(path, "csv", ["序号", "企业名称"], skip=1, encoding="gb18030")
    assert found == [tuple(row) for row in expected]
    assert len(found) == 332


@pytest.mark.parametrize("name", ["provinces", "cities", "areas", "streets"])
def test_divisions(shared: Path, name: str) -> None:
    path = shared / "admin-modood" / f"{name}.csv"
    expected = list(csv.DictReader(path.open(newline="", encoding="utf-8-sig")))
    assert good(path, "csv", ["code", "name"]) == [(row["code"], row["name"]) for row in expected]


def test_air(shared: Path) -> None:
    for path in sorted((shared / "cn-air-2020").glob("*.csv")):
        expected = list(csv.DictReader(path.open(newline="", encoding="utf-8")))
        columns = ["AQI", "WatchPoint", "CO"]
        assert good(path, "csv", columns) == [
            tuple(row[name] or None for name in columns) for row in expected
        ]


def test_csvspectrum(shared: Path) -> None:
    """A set of hard cases with the right answers beside them."""
    folder = shared / "messy-csvspectrum"
    cases = sorted((folder / "csvs").glob("*.csv"))
    assert cases
    for path in cases:
        answer = json.loads((folder / "json" / f"{path.stem}.json").read_text())
        if path.stem == "location_coordinates":
            continue  # upstream's answer has another phone number than its question
        answer = answer if isinstance(answer, list) else [answer]
        columns = list(answer[0])
        expected = [tuple(row[name].replace("\r\n", "\n") or None for name in columns) for row in answer]
        found = [tuple(c and c.replace("\r\n", "\n") for c in row) for row in good(path, "csv", columns)]
        assert found == expected, path.name


@pytest.mark.parametrize(
    ("name", "skip", "first", "count", "bad"),
    [
        ("messy-csvkit/examples/bad.csv", 0, "column_a", 3, 2),
        ("messy-csvkit/examples/null_byte.csv", 0, "a", 1, 1),
        ("messy-csvkit/examples/mac_newlines.csv", 0, "a", 2, 0),
        ("messy-csvkit/examples/test_utf8_bom.csv", 0, "foo", 2, 0),
        ("messy-csvkit/examples/test_utf16_big.csv", 0, "a", 2, 0),
        ("messy-csvkit/examples/test_utf16_little.csv", 0, "a", 2, 0),
        ("messy-csvkit/examples/test_skip_lines.csv", 3, "a", 1, 0),
        ("messy-csvkit/examples/dummy.csv.gz", 0, "a", 1, 0),
        ("messy-tabulator/table.csv.zip", 0, "id", 2, 0),
        ("messy-tabulator/special/skip-rows.csv", 1, "id", 3, 1),
    ],
)
def test_messy_files(shared: Path, name: str, skip: int, first: str, count: int, bad: int) -> None:
    seen = scan(landed(shared / name, "csv"), source("csv", skip=skip), [first])
    assert (seen.rows, seen.malformed) == (count, bad)


@pytest.mark.parametrize("size", range(2, 40))
def test_no_newline_of_two_characters_is_cut_between_blocks(size: int) -> None:
    """And no byte is lost or added but the sentinel, which begins a line of its own."""
    text = "头\r\n\r\r\n玄武,x\r\n\r\r\r\nend".encode() * 3
    for begun in (0, 5, len(text)):
        stream = io.BufferedReader(io.BytesIO(text[begun:]), 7)  # type: ignore[arg-type]
        tail = delimited_parse.Tail(text[:begun], stream, b"sentinel\n")
        blocks = list(iter(lambda tail=tail: tail.read(size), b""))
        assert b"".join(blocks) == text + b"\nsentinel\n"
        assert not any(a.endswith(b"\r") and b.startswith(b"\n") for a, b in pairwise(blocks))
        assert all(size - 1 <= len(block) <= size for block in blocks[:-1])
