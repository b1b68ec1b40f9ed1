"""What spreadsheet programs, and people in them, do to a workbook: it is taken as it was meant, or refused by its row."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from lake import handling
from pipelines.correcting.book import ABOUT, SHEET
from schemas.errors import SourceError, XuanwuError
from tests.pipelines.correcting.desk import (
    KEY,
    VISIT,
    Desk,
    column_of,
    csv_of,
    fill,
    good,
    line_of,
    sheet_of,
)

Edit = Callable[[Worksheet, Callable[[str], int]], object]


def edited(path: Path, change: Edit) -> Path:
    """The workbook after somebody took the sheet's protection off and changed it."""
    book = openpyxl.load_workbook(path)
    change(book[SHEET], lambda name: column_of(path, name))
    book.save(path)
    return path


def refused(desk: Desk, path: Path, error: type[XuanwuError] = XuanwuError) -> str:
    before = handling.acts(desk.settings, VISIT, desk.batch(1).id)
    with pytest.raises(error) as caught:
        desk.take(path)
    assert handling.acts(desk.settings, VISIT, desk.batch(1).id) == before
    return str(caught.value)


def taken(desk: Desk, path: Path) -> list[Any]:
    """The values that came of it; the desk is as it was before."""
    done = desk.take(path)
    found = [
        value for act in done.acts for value in handling.rows_of(desk.settings, act)["value"].to_pylist()
    ]
    for act in done.acts:
        handling.remove(desk.settings, act)
    return found


# ── rows and columns ──────────────────────────────────────────────────────────────────────────────────────


def _sort_the_first_columns_alone(sheet: Worksheet, _: Callable[[str], int]) -> None:
    """What a sort by the filter did while that covered the first columns only."""
    lead = [[sheet.cell(row, at).value for at in range(1, 6)] for row in (5, 4, 3)]
    for row, cells in enumerate(lead, 3):
        for at, cell in enumerate(cells, 1):
            sheet.cell(row, at).value = cell


def test_a_sort_moves_whole_rows(first: Desk, book: Path) -> None:
    """The filter's buttons sort what the filter covers: all columns, so that a value stays with its row."""
    reference = openpyxl.load_workbook(book)[SHEET].auto_filter.ref
    assert reference == "A2:R6"
    wide = fill(book, {(13, "费用"): "100", (13, "性别"): "女"})

    def turn(sheet: Worksheet, _: Callable[[str], int]) -> None:
        rows = [[cell.value for cell in sheet[row]] for row in (6, 5, 4, 3)]
        for row, cells in enumerate(rows, 3):
            for at, cell in enumerate(cells, 1):
                sheet.cell(row, at).value = cell

    assert sorted(taken(first, edited(wide, turn))) == ["100", "女"]


def test_values_that_were_sorted_apart_from_their_rows(first: Desk, book: Path) -> None:
    """Otherwise one row's value would be written into another."""
    sorted_apart = edited(fill(book, {(12, "日期"): "20260301"}), _sort_the_first_columns_alone)
    assert "row 3: it is not the row that was exported" in refused(first, sorted_apart)


def test_a_grey_cell_that_was_changed(first: Desk, book: Path) -> None:
    said = refused(first, fill(book, {(12, "日期"): "20260301", (12, "received 电话"): "13800000000"}))
    assert "row 3: it is not the row that was exported: its grey cells" in said and "1380000" not in said


def test_grey_cells_that_are_written_otherwise_and_say_the_same(tmp_path: Path, monkeypatch: Any) -> None:
    """Line breaks, blanks, control characters, what looks like an escape, and texts that became numbers."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    desk = Desk(tmp_path)
    desk.people(*range(5))
    odd = [
        ("V90", "P0", "男", '"2026\r\n 0231"', "12.5", "13900000090"),
        ("V91", "P1", "男", "x_x000D_\x07", "7", " 139 "),
    ]
    (desk.box / "visit_2026-03-01.csv").write_bytes(csv_of([*good(1), *odd]))
    desk.run(1)
    desk.assign()
    path = desk.export()
    lines = [int(cells[2]) for cells in sheet_of(path)]
    assert len(lines) == 2
    written: dict[tuple[int, str], Any] = {(line, "日期"): "20260301" for line in lines}
    fill(path, written | {(lines[0], "received 费用"): 12.5})
    assert taken(desk, path) == ["20260301", "20260301"]


def _insert(sheet: Worksheet, at: Callable[[str], int]) -> None:
    sheet.insert_cols(at("received 性别"))


def _delete(sheet: Worksheet, at: Callable[[str], int]) -> None:
    sheet.delete_cols(at("received 人员"), 2)


def _swap(sheet: Worksheet, at: Callable[[str], int]) -> None:
    for row in range(1, 7):
        one, other = sheet.cell(row, at("电话")), sheet.cell(row, at("人员"))
        one.value, other.value = other.value, one.value


def _above(sheet: Worksheet, _: Callable[[str], int]) -> None:
    sheet.insert_rows(1)


@pytest.mark.parametrize("change", [_insert, _delete, _swap, _above])
def test_columns_that_were_moved(first: Desk, book: Path, change: Edit) -> None:
    """The value stands where another column's would be looked for, and may well convert there."""
    said = refused(first, edited(fill(book, {(14, "电话"): "13900000092"}), change), SourceError)
    assert "its columns are not where they were" in said and "13900000092" not in said


def test_merged_cells(first: Desk, book: Path) -> None:
    """One value over three rows is that of the first alone: the others would be lost without a word."""
    written = fill(book, {(12, "电话"): "13900000090"})
    at, top = column_of(written, "电话"), line_of(written, 12)

    def merge(sheet: Worksheet, _: Callable[[str], int]) -> None:
        sheet.merge_cells(start_row=top, end_row=top + 2, start_column=at, end_column=at)

    said = refused(first, edited(written, merge))
    assert "3 problem(s)" in said and "row 4: column Q is merged with others" in said


# ── cells ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "written",
    ["2026-03-01", "2026-3-1", "2026/3/1", "2026年3月1日", "20260301", datetime(2026, 3, 1), 20260301],
)
def test_a_day_as_people_write_it(first: Desk, book: Path, written: Any) -> None:
    """The cell is a text one, so that what is typed there is no date to the spreadsheet."""
    assert taken(first, fill(book, {(12, "日期"): written})) == ["20260301"]


@pytest.mark.parametrize("written", ["2026-02-31", "3/1/2026", "1.3.26", 46082, "2026-03-01x"])
def test_a_day_that_is_none(first: Desk, book: Path, written: Any) -> None:
    assert "row 3: 日期 would fail again" in refused(first, fill(book, {(12, "日期"): written}))


@pytest.mark.parametrize("written", ["3.2E+17", "3.20102E+17", "1E+11"])
def test_a_long_number_that_has_become_a_short_text(first: Desk, book: Path, written: str) -> None:
    said = refused(first, fill(book, {(14, "电话"): written}))
    assert "row 5: 电话: the number may have lost digits" in said


def test_a_number_where_text_is_asked_for_may_have_lost_its_zeros(first: Desk, book: Path) -> None:
    said = refused(first, fill(book, {(14, "电话"): 2584000000}))
    assert "row 5: 电话: the number may have lost zeros" in said and "258400" not in said
    assert taken(first, fill(book, {(14, "电话"): "02584000000", (13, "费用"): 100, (13, "性别"): 2})) == [
        "2",
        "100",
        "02584000000",
    ]


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_text_file_is_no_workbook(first: Desk, tmp_path: Path) -> None:
    path = tmp_path / "back.csv"
    path.write_bytes("批次,文件,行\nb,f,12\n".encode("gb18030"))
    said = refused(first, path, SourceError)
    assert "is no .xlsx workbook" in said and "save it as .xlsx" in said


def test_a_workbook_of_another_kind(first: Desk, tmp_path: Path) -> None:
    """Which of its cells hold formulas or errors cannot be seen there: 7 may be what a formula came to."""
    path = tmp_path / "back.ods"
    space = "urn:oasis:names:tc:opendocument:xmlns"
    cell = '<table:table-cell office:value-type="float" office:value="7" table:formula="of:=3+4"/>'
    row = f"<table:table-row>{cell}</table:table-row>"
    sheets = "".join(f'<table:table table:name="{name}">{row}</table:table>' for name in (SHEET, ABOUT))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        file.writestr(
            "content.xml",
            f'<office:document-content xmlns:office="{space}:office:1.0" xmlns:table="{space}:table:1.0">'
            f"<office:body><office:spreadsheet>{sheets}</office:spreadsheet></office:body>"
            "</office:document-content>",
        )
    assert "is no .xlsx workbook" in refused(first, path, SourceError)


def test_a_formula_in_a_strict_workbook(first: Desk, book: Path, tmp_path: Path) -> None:
    """Excel saves as `Strict Open XML` too (ISO/IEC 29500-1), whose namespaces are others."""
    names = {
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships": (
            b"http://purl.oclc.org/ooxml/officeDocument/relationships"
        ),
        b"http://schemas.openxmlformats.org/spreadsheetml/2006/main": b"http://purl.oclc.org/ooxml/spreadsheetml/main",
    }
    path = tmp_path / "strict.xlsx"
    written = fill(book, {(12, "日期"): "20260301", (14, "电话"): "=13900000000+92"})
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            for before, after in names.items():
                data = data.replace(before, after)
            new.writestr(name, data)
    assert "row 5: column Q holds a formula" in refused(first, path)
