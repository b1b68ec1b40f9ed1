"""Downloads: what a person gets who opens the files, and what holds while they are made."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from lake import store
from lake.records import Published
from pipelines.downloads import delimited, releasing
from pipelines.downloads.delimited import write_csv
from pipelines.downloads.lines import write_jsonl
from pipelines.downloads.workbook import Unfit, write_xlsx
from pipelines.masks.words import words_of
from schemas.arrow import published_schema
from schemas.errors import LakeError, Unbalanced
from schemas.load import Catalogue
from schemas.model import (
    Clip,
    Constant,
    Generalise,
    Hmac,
    Keep,
    Partial,
    Redact,
    Round,
)
from schemas.settings import Settings
from tests.pipelines.publishing.making import KEY, NOW, OPEN, SECRET, City, people

HOSTILE = [
    "=1+1",
    "+86",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1",
    "a=1",
    "",
    None,
    'q"uote',
    "a,b;c",
    "line\r\nbreak",
    "\x00\x01\x1f\\",
    "𠮷👍",
    "https://example.com/?a=1",
    "320102199003070000",
    "_x0041_",
    " ",
    "</script>",
]
VALUES: dict[str, pa.Array] = {
    "text": pa.array(HOSTILE),
    "whole": pa.array([-5, 2**60, None, 0] * 5, pa.int64()),
    "money": pa.array(
        [Decimal("-12.50"), Decimal("99999999999999999.99"), None, Decimal(0)] * 5, pa.decimal128(19, 2)
    ),
    "small": pa.array([Decimal("0.00000001"), None, Decimal(0), Decimal(1)] * 5, pa.decimal128(18, 8)),
    "share": pa.array([-0.1, 1e22, None, float("nan"), float("inf")] * 4),
    "day": pa.array([date(2026, 3, 4), date(1850, 1, 1), None, date(1900, 1, 1)] * 5),
    "at": pa.array([datetime(2026, 3, 4, 5, 6, 7, 120000, UTC), None] * 10, pa.timestamp("us", "UTC")),
    "flag": pa.array([True, None, False, True] * 5),
    "bytes": pa.array([b"\x00\xff", None, b"", b"abc"] * 5, pa.binary()),
}
TABLE = pa.table(VALUES)
WORDS = {"title": {"zh": "题"}, "fields": []}


def reader(rows: int = 7) -> pa.RecordBatchReader:
    return TABLE.to_reader(max_chunksize=rows)


def read_csv(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


@pytest.fixture
def city(
    settings: Settings, make_catalogue: Callable[[dict[str, str]], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> City:
    monkeypatch.setenv(KEY, SECRET)
    return City(settings, make_catalogue)


def home_of(city: City) -> Path:
    return Path(city.settings.lake_root) / "downloads" / "health" / "visit"


def latest(city: City) -> Path:
    pointer = json.loads((home_of(city) / "latest.json").read_text())
    return home_of(city) / str(pointer["release"])


def index(city: City) -> dict[str, Any]:
    return dict(json.loads((latest(city) / "index.json").read_text()))


# ── the formats ───────────────────────────────────────────────────────────────────────────────────────────


def test_csv_is_what_excel_and_rfc_4180_want(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_csv(str(path), reader())
    data = path.read_bytes()
    assert data.startswith(b'\xef\xbb\xbf"text","whole"')
    assert data.count(b"\r\n") == TABLE.num_rows + 1 + 1  # header, rows, and the one inside a cell
    header, *rows = read_csv(path)
    assert header == TABLE.column_names
    assert len(rows) == TABLE.num_rows


def test_csv_has_no_formula_and_numbers_stay_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_csv(str(path), reader())
    columns = dict(zip(TABLE.column_names, zip(*read_csv(path)[1:], strict=True), strict=True))
    for before, after in zip(HOSTILE, columns["text"], strict=True):
        dangerous = (before or "").startswith(tuple("=+-@\t\r＝"))
        assert after == ("'" if dangerous else "") + (before or "")
    assert columns["whole"][:4] == ("-5", str(2**60), "", "0")
    assert columns["money"][:4] == ("-12.50", "99999999999999999.99", "", "0.00")
    assert columns["small"][:4] == ("0.00000001", "", "0.00000000", "1.00000000")
    assert columns["day"][:3] == ("2026-03-04", "1850-01-01", "")
    assert columns["at"][0] == "2026-03-04T05:06:07.12Z"
    assert columns["flag"][:3] == ("true", "", "false")
    assert columns["bytes"][0] == base64.b64encode(b"\x00\xff").decode()


def test_null_and_empty_text_are_told_apart(tmp_path: Path) -> None:
    write_csv(str(tmp_path / "a.csv"), pa.table({"a": ["", None], "b": [1, 1]}).to_reader())
    assert (tmp_path / "a.csv").read_bytes().endswith(b'"",1\r\n,1\r\n')


@pytest.mark.parametrize("zeros", [False, True])
def test_lines_that_repeat_are_written_once_and_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zeros: bool
) -> None:
    """The same bytes as written line by line. Floats are: of two equal zeros one may have a sign."""
    rows: dict[str, list[Any]] = {
        "text": ["甲\r\n,x", "=1", None, '"'],
        "day": [date(2026, 3, 4), None, None, date(1850, 1, 1)],
        "whole": [1, 1, None, -2],
    }
    if zeros:
        rows["float"] = [0.0, -0.0, 1.5, None]
    repeated = pa.table({name: [v for v in values for _ in range(200)] for name, values in rows.items()})
    written: list[int] = []
    real = pacsv.write_csv
    monkeypatch.setattr(
        delimited.pacsv, "write_csv", lambda row, *to: (written.append(row.num_rows), real(row, *to))
    )
    write_csv(str(tmp_path / "all.csv"), repeated.to_reader())
    assert written == ([] if zeros else [1, 1, 1, 1])
    with monkeypatch.context() as line_by_line:
        line_by_line.setattr(delimited, "REPEATED", 1 << 30)
        write_csv(str(tmp_path / "plain.csv"), repeated.to_reader())
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
    assert len(read_csv(tmp_path / "all.csv")) == 801


def test_json_lines_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_jsonl(str(path), reader())
    lines = path.read_bytes().decode().split("\n")
    assert lines.pop() == ""
    rows = [json.loads(line, parse_float=Decimal) for line in lines]
    assert [list(row) for row in rows] == [TABLE.column_names] * TABLE.num_rows
    assert [row["text"] for row in rows] == HOSTILE
    assert [row["whole"] for row in rows] == VALUES["whole"].to_pylist()
    assert [row["money"] for row in rows] == VALUES["money"].to_pylist()
    assert [row["small"] for row in rows] == VALUES["small"].to_pylist()
    assert [row["flag"] for row in rows] == VALUES["flag"].to_pylist()
    assert [row["share"] for row in rows[:5]] == [Decimal("-0.1"), Decimal("1e22"), None, None, None]
    assert rows[0]["day"] == "2026-03-04"


def test_json_lines_of_a_slice_and_of_nothing(tmp_path: Path) -> None:
    table = pa.table({"a": ["x", "y", "z"]})
    write_jsonl(str(tmp_path / "a"), table.slice(1, 1).to_reader())
    write_jsonl(str(tmp_path / "b"), table.slice(0, 0).to_reader())
    assert (tmp_path / "a").read_text() == '{"a":"y"}\n'
    assert (tmp_path / "b").read_text() == ""


def xlsx(path: Path, settings: Settings, table: pa.Table = TABLE) -> Any:
    rows = table.to_reader(max_chunksize=7)
    write_xlsx(str(path), rows, words=WORDS, count=table.num_rows, settings=settings, now=NOW)
    return openpyxl.load_workbook(path)


def test_xlsx_holds_texts_as_texts_and_numbers_as_numbers(tmp_path: Path, settings: Settings) -> None:
    header, *rows = xlsx(tmp_path / "a.xlsx", settings)["data"].iter_rows()
    assert [cell.value for cell in header] == TABLE.column_names
    assert len(rows) == TABLE.num_rows
    for row, text in zip(rows, HOSTILE, strict=True):
        assert row[0].data_type in ("s", "inlineStr", "n")
        if text and not set("\x00\r") & set(text):
            # openpyxl shows the escape by which Excel keeps a literal _x0041_
            assert row[0].value.replace("_x005F", "") == text
    assert [row[1].value for row in rows[:3]] == [-5, str(2**60), None]
    assert [row[2].value for row in rows[:2]] == [-12.5, "99999999999999999.99"]
    assert [row[5].value for row in rows[:2]] == [datetime(2026, 3, 4), "1850-01-01"]
    assert [row[7].value for row in rows[:3]] == [True, None, False]


def test_xlsx_has_no_formula_and_no_link(tmp_path: Path, settings: Settings) -> None:
    xlsx(tmp_path / "a.xlsx", settings)
    with zipfile.ZipFile(tmp_path / "a.xlsx") as book:
        sheets = [book.read(name).decode() for name in book.namelist() if "worksheets" in name]
    assert not any("<f>" in sheet or "hyperlink" in sheet.lower() for sheet in sheets)


@pytest.mark.parametrize(
    ("table", "cells", "count"),
    [
        (pa.table({"a": ["x" * 32_768]}), 10, 1),
        (pa.table({"a": ["👍" * 16_384]}), 10, 1),
        (pa.table({"a": ["x"] * 11}), 10, 11),
        (pa.table({"a": ["x"]}), 10**9, 1_048_576),
    ],
)
def test_what_excel_cannot_hold_is_not_cut_but_left_out(
    table: pa.Table, cells: int, count: int, tmp_path: Path, settings: Settings
) -> None:
    small = settings.model_copy(update={"xlsx_cells": cells})
    with pytest.raises(Unfit) as caught:
        write_xlsx(
            str(tmp_path / "a.xlsx"), table.to_reader(), words=WORDS, count=count, settings=small, now=NOW
        )
    assert caught.value.zh and caught.value.en
    assert not (tmp_path / "a.xlsx").exists()


# ── a release ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_release_holds_the_rows_in_every_format(city: City) -> None:
    published = city.publish(city.curate(1, people()), "open")
    folder = latest(city)
    assert [file.format for file in published.downloads] == ["csv", "jsonl", "parquet", "xlsx"]
    expected = city.rows(published)
    assert pq.read_table(folder / "visit.parquet").to_pylist() == expected
    lines = [json.loads(line) for line in (folder / "visit.jsonl").read_text().splitlines()]
    assert [line["memo"] for line in lines] == [row["memo"] for row in expected]
    header, *rows = read_csv(folder / "visit.csv")
    assert header == OPEN["fields"]
    assert [row[0] for row in rows] == [row["visit_no"] for row in expected]
    sheet = openpyxl.load_workbook(folder / "visit.xlsx")["data"]
    assert sheet.max_row == 1 + len(expected)


def test_sums_and_index_name_every_file(city: City) -> None:
    published = city.publish(city.curate(1, people()), "open")
    folder, found = latest(city), index(city)
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    for file in found["files"]:
        data = (folder / file["name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file["sha256"] == sums[file["name"]]
        assert len(data) == file["size"]
    assert set(sums) | {"SHA256SUMS", "index.json"} == {path.name for path in folder.iterdir()}
    assert (found["dataset"], found["rows"], found["snapshot"]) == ("health.visit", 8, published.snapshot)
    assert found["title"] == {"zh": "就诊", "en": "Visits"}
    assert {Path(file.path) for file in published.downloads} <= set(folder.iterdir())


def test_the_dictionary_says_what_was_done_to_each_field(city: City) -> None:
    city.publish(city.curate(1, people()), "open")
    words = json.loads((latest(city) / "data_dictionary.json").read_text())
    fields = {field["field"]: field for field in words["fields"]}
    assert list(fields) == OPEN["fields"]
    assert fields["born"]["mask"] == {
        "kind": "generalise",
        "zh": "概括到年代",
        "en": "generalised to the decade",
    }
    assert fields["fee"]["type"] == "decimal(12,2)"
    header, *rows = read_csv(latest(city) / "data_dictionary.csv")
    assert header[:3] == ["field", "title_zh", "title_en"]
    assert [row[0] for row in rows] == OPEN["fields"]


def test_a_format_that_does_not_fit_is_left_out_and_the_index_says_why(city: City) -> None:
    city.settings = city.settings.model_copy(update={"xlsx_cells": 10})
    city.change()
    published = city.publish(city.curate(1, people()), "open")
    assert [file.format for file in published.downloads] == ["csv", "jsonl", "parquet"]
    (left_out,) = index(city)["left_out"]
    assert left_out["format"] == "xlsx"
    assert "XUANWU_XLSX_CELLS" in left_out["reason"]["en"]


def test_only_the_formats_of_the_entry(city: City) -> None:
    merged = city.curate(1, people())
    city.publish(merged, "open")
    city.change(open={**OPEN, "downloads": ["csv"]})
    published = city.publish(merged, "open")
    assert published.reused
    assert [file.format for file in published.downloads] == ["csv"]
    assert not (latest(city) / "visit.xlsx").exists()
    assert (latest(city) / "visit.csv").exists()


def test_a_new_title_makes_a_new_release_of_the_same_table(city: City) -> None:
    merged = city.curate(1, people())
    first = city.publish(merged, "open")
    fields = {name: {**rest, "title": {"zh": "新题", "en": "New"}} for name, rest in city.fields.items()}
    city.change(fields=fields)
    again = city.publish(merged, "open")
    assert again.snapshot == first.snapshot
    assert "新题" in (latest(city) / "data_dictionary.json").read_text()


# ── while it is made ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dies_at", ["visit.parquet", "data_dictionary.json", "index.json", "latest.json"])
def test_a_killed_process_leaves_the_release_before_and_the_next_run_finishes(
    city: City, dies_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    city.publish(city.curate(1, people()), "open")
    before, merged = latest(city), city.curate(2, people(9))
    real = store.output

    def dying(uri: str, media: str = "") -> Any:
        if uri.endswith(f"/{dies_at}"):
            raise KeyboardInterrupt
        return real(uri, media)

    with monkeypatch.context() as patch:
        patch.setattr(store, "output", dying)
        with pytest.raises(KeyboardInterrupt):
            city.publish(merged, "open")
    assert latest(city) == before
    assert (before / "index.json").exists()
    again = city.publish(merged, "open")
    assert again.reused
    assert latest(city) != before
    assert index(city)["rows"] == 9
    names = {path.name for path in latest(city).iterdir()}
    assert names == {file["name"] for file in index(city)["files"]} | {"SHA256SUMS", "index.json"}


def test_published_again_the_files_are_not_written_again(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    merged = city.curate(1, people())
    first = city.publish(merged, "open")
    monkeypatch.setattr(store, "output", lambda uri, media="": pytest.fail(f"wrote {uri}"))
    assert city.publish(merged, "open").downloads == first.downloads


def test_earlier_releases_stay_for_a_while_and_only_under_the_same_masks(city: City) -> None:
    folders = []
    for day in range(1, 6):
        city.publish(city.curate(day, people(8 + day)), "open")
        folders.append(latest(city))
    assert [folder.exists() for folder in folders] == [False, False, True, True, True]
    city.change(open={**OPEN, "mask": {"memo": {"kind": "constant", "value": "略"}}})
    city.publish(city.curate(6, people()), "open")
    assert [path for path in home_of(city).iterdir() if path.is_dir()] == [latest(city)]


def test_a_full_disk_is_our_error_and_the_release_before_stands(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    city.publish(city.curate(1, people()), "open")
    before, merged = latest(city), city.curate(2, people(9))

    def full(uri: str, rows: Any) -> None:
        with store.output(uri):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(releasing, "write_jsonl", full)
    with pytest.raises(LakeError, match="disk is full"):
        city.publish(merged, "open")
    assert latest(city) == before


def test_a_table_of_one_file_is_the_download_where_it_has_the_same_columns(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    city.publish(city.curate(1, people()), "open")
    (file,) = city.ctx.tables.data_files(("open", "health__visit"))
    assert (latest(city) / "visit.parquet").read_bytes() == Path(file).read_bytes()
    other = lambda *of: pa.schema(list(published_schema(*of))[::-1])  # noqa: E731
    monkeypatch.setattr(releasing, "published_schema", other)
    city.publish(city.curate(2, people(9)), "open")
    (file,) = city.ctx.tables.data_files(("open", "health__visit"))
    found, written = pq.read_table(latest(city) / "visit.parquet"), pq.read_table(file)
    assert found.column_names == written.column_names[::-1]
    assert found.to_pylist() == written.to_pylist()


def test_a_file_with_other_rows_than_the_table_is_not_released(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    city.publish(city.curate(1, people()), "open")
    before, merged = latest(city), city.curate(2, people(9))
    footer, (old,) = pq.read_metadata, city.ctx.tables.data_files(("open", "health__visit"))
    monkeypatch.setattr(releasing.pq, "read_metadata", lambda *_, **__: footer(old))
    with pytest.raises(Unbalanced, match="rows for download"):
        city.publish(merged, "open")
    assert latest(city) == before


def test_the_record_balances(city: City) -> None:
    from lake import balance

    published = city.publish(city.curate(1, people()), "open")
    assert isinstance(published, Published)
    assert all(each.holds for each in balance.within(published))


def test_every_mask_has_words() -> None:
    masks = [Keep(), Hmac(), Partial(first=1), Generalise(to="city"), Generalise(bins=(0, 18)), Round(to=10)]
    masks += [Clip(max=5), Clip(min=0, max=5), Constant(value="x"), Redact()]
    said = [words_of(mask, "7") for mask in masks]
    assert all(zh and en and zh != en for zh, en in said)
    assert len(set(said)) == len(masks)
    assert "7" in said[1][0] and "7" in said[1][1]
