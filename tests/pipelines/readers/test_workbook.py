"""Excel and ODS, against openpyxl and by hand."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from pathlib import Path
from typing import Any

import msoffcrypto
import openpyxl
import pyarrow as pa
import pytest
from msoffcrypto.format.ooxml import OOXMLFile

from pipelines.casting.casts import cast
from pipelines.readers import workbook, workbook_extent
from schemas.errors import SourceError
from tests.pipelines.building import entry_of
from tests.pipelines.readers.files import good, numbers, rows


def write(path: Path, grid: list[list[Any]], *, merge: tuple[str, ...] = (), title: str = "一") -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in grid:
        sheet.append(row)
    for area in merge:
        sheet.merge_cells(area)
    book.save(path)
    return path


def test_types_by_column(tmp_path: Path) -> None:
    day, moment = dt.date(2026, 3, 1), dt.datetime(2026, 3, 1, 12, 30)
    grid = [
        ["whole", "part", "day", "moment", "flag", "text", "mixed", "none"],
        [1.0, 1.5, day, moment, True, "01", 1.0, None],
        [2, 2, None, day, False, "x", "A", None],
        [None, 3, day, None, None, None, day, None],
        [9, 1, day, moment, True, "y", 2.5, None],
    ]
    path = write(tmp_path / "a.xlsx", grid)
    found = good(path, "excel", grid[0])
    assert found[0] == (1, 1.5, day, moment, True, "01", "1", None)
    assert found[1] == (2, 2.0, None, dt.datetime(2026, 3, 1), False, "x", "A", None)
    assert found[2] == (None, 3.0, day, None, None, None, "2026-03-01", None)
    assert found[3][6] == "2.5"
    assert all(isinstance(row[0], int | None) for row in found)


def test_one_type_over_many_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "CHUNK", 2)
    path = write(tmp_path / "a.xlsx", [["a", "b", "c"], *([i, i, i] for i in range(1, 6)), [6.5, "x", None]])
    assert good(path, "excel", ["a", "b", "c"])[-2:] == [(5.0, "5", 5), (6.5, "x", None)]


def test_long_numbers_are_not_made_up(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [["id"], [320102199001011234]])
    assert isinstance(good(path, "excel", ["id"])[0][0], float)


def test_long_numbers_are_told_from_text_beside_text(tmp_path: Path) -> None:
    """As text they would be digits that nobody typed; `casting` knows this form, and no field of text takes it."""
    path = write(
        tmp_path / "a.xlsx", [["id"], ["001"], [2], [320102199001011234], [1234567890123456], [-(10**15)]]
    )
    written = [row[0] for row in good(path, "excel", ["id"])]
    assert written[:2] == ["001", "2"]
    assert [float(each) for each in written[2:]] == pytest.approx(
        [320102199001011234, 1234567890123456, -(10**15)]
    )
    field = entry_of("a.b", {"kind": "file", "path": "a", "format": "excel"}, {"id": "string"}).fields["id"]
    found = cast(pa.array(written), field, excel=True)
    assert found.failed.to_pylist() == [False, False, True, True, True]
    assert "more than 15 digits" in found.expected
    assert not any(cast(pa.array(written), field).failed.to_pylist()), "a text of a CSV file is what it is"
    number = field.model_copy(update={"type": "number"})
    assert cast(pa.array(written), number, excel=True).values.to_pylist()[2] == float(written[2])


def test_a_span_of_time_is_written_as_a_person_sees_it(tmp_path: Path) -> None:
    grid = [["span"], ["x"], [dt.timedelta(hours=26, minutes=5)], [dt.time(7, 30)]]
    path = write(tmp_path / "a.xlsx", grid)
    assert [row[0] for row in good(path, "excel", ["span"])] == ["x", "26:05:00", "07:30:00"]


def test_merged_headers_blank_rows_and_footers(tmp_path: Path) -> None:
    grid = [
        ["某某登记表", None, None, None],
        [None] * 4,
        ["登记号", "住址", None, None],
        [None, "区", "街道", "电话"],
        ["J1", "玄武", "后宰门", "1"],
        [None] * 4,
        ["J2", "秦淮", "夫子庙", "2"],
        ["合计", 2, None, None],
    ]
    path = write(tmp_path / "a.xlsx", grid, merge=("A1:D1", "A3:A4", "B3:C3"))
    columns = ["登记号", "住址/区", "住址/街道", "电话"]
    notes: list[str] = []
    found = rows(path, "excel", columns, notes, skip=2, header_rows=2, footer_pattern="^合计")
    assert numbers(found) == [5, 7]
    assert found[1]["住址/街道"] == "夫子庙"
    assert notes == ["a.xlsx: 1 blank row(s) left out", "a.xlsx: 1 footer row(s) left out"]
    assert numbers(rows(path, "excel", columns, skip=2, header_rows=2, footer=1)) == [5, 7]


def test_error_cells_set_their_row_aside(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [["a", "b"], [1, "#DIV/0!"], [2, 3], ["z", 4], [None, "#N/A"]])
    found = rows(path, "excel", ["a", "b"])
    assert [(row["_row"], row["_error"]) for row in found] == [
        (2, "an error cell in b"),
        (3, None),
        (4, None),
        (5, "an error cell in b"),
    ]
    assert found[0]["_raw"] == '{"a": "1", "b": null}'
    assert [row["_row"] for row in rows(path, "excel", ["a"]) if row["_error"]] == []


def test_sheets(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for name, value in (("一月", 1), ("二月", 2)):
        sheet = book.create_sheet(name)
        sheet.append(["a"])
        sheet.append([value])
    del book["Sheet"]
    path = tmp_path / "a.xlsx"
    book.save(path)
    assert good(path, "excel", ["a"]) == [(1,)]
    assert good(path, "excel", ["a"], sheet=2) == good(path, "excel", ["a"], sheet="二月") == [(2,)]
    for wanted in ("三月", 3, 0):
        with pytest.raises(SourceError, match="the workbook has 2;") as caught:
            rows(path, "excel", ["a"], sheet=wanted)
        assert "二月" not in str(caught.value), "a sheet may be called after a person"


def test_no_header_and_no_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [[1, 2], [3, 4]])
    assert good(path, "excel", ["y"], header=None, columns=["x", "y"]) == [(2,), (4,)]
    assert good(write(path, [["a"]]), "excel", ["a"]) == []
    with pytest.raises(SourceError, match="before its header"):
        rows(path, "excel", ["a"], skip=3)


def test_encrypted_damaged_and_other(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.xlsx", [["a"], [1]])
    locked = tmp_path / "locked.xlsx"
    with plain.open("rb") as file, locked.open("wb") as out:
        OOXMLFile(file).encrypt("secret", out)
    assert msoffcrypto.OfficeFile(locked.open("rb")).is_encrypted()
    with pytest.raises(SourceError, match="protected by a password") as caught:
        rows(locked, "excel", ["a"])
    assert caught.value.next_step
    data = plain.read_bytes()
    for broken in (b"", data[: len(data) // 2], b"a,b\n1,2\n", b"\xd0\xcf\x11\xe0" + b"\0" * 600):
        (tmp_path / "b.xlsx").write_bytes(broken)
        with pytest.raises(SourceError, match="damaged, or is no workbook"):
            rows(tmp_path / "b.xlsx", "excel", ["a"])


def test_a_workbook_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.xlsx", [["a"], [1]])
    monkeypatch.setattr(workbook, "EXPANDED", 1000)
    with pytest.raises(SourceError, match="the workbook expands to"):
        rows(path, "excel", ["a"])
    monkeypatch.setattr(workbook, "LIMIT", 1000)
    with pytest.raises(SourceError, match="read whole, up to 1000 bytes"):
        rows(path, "excel", ["a"])


def expected(path: Path, skip: int, count: int) -> tuple[list[str], list[tuple[Any, ...]]]:
    book = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=True)
    grid = list(book.worksheets[0].iter_rows(values_only=True))
    names = [str(cell) for cell in grid[skip]]
    return names, [tuple(row) for row in grid[skip + 1 : skip + 1 + count]]


def plain(value: Any) -> Any:
    return value.date() if isinstance(value, dt.datetime) else value


def far_out(path: Path, cells: str) -> Path:
    """A workbook of one sheet with this XML in the place of its cells."""
    write(path, [["a", "b"], [1, 2]])
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    parts["xl/worksheets/sheet1.xml"] = sheet.replace("</sheetData>", f"{cells}</sheetData>").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "cells",
    [
        '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        '<row r="3"><c r="A1048576"><v>1</v></c></row><row r="4"><c r="XFD4"><v>1</v></c></row>',
        "<row r='9'><c x='>' r =\n' XFD1048576' t='inlineStr'><is><t>1</t></is></c></row>",
        f'<row r="9"><c r{" " * 100_000}="XFD1048576"><v>1</v></c></row>',
        '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row><&>',
    ],
)
def test_two_cells_far_apart_are_not_read_with_all_between(tmp_path: Path, cells: str) -> None:
    with pytest.raises(SourceError, match=r"too far apart|damaged"):
        rows(far_out(tmp_path / "a.xlsx", cells), "excel", ["a"])


WIDE = {
    "by their rows": f'<row r="1048576">{"<c><v>1</v></c>" * 16384}</row>',
    "beyond XFD": '<row r="9"><c r="AAAAB1048576"><v>1</v></c></row>',
    "behind zeros": '<row r="9"><c r="XFD00001048576"><v>1</v></c></row>',
    "far down": '<row r="9"><c r="A99999999"><v>1</v></c></row>',
    "one beside the other": f'<row r="999999"><c r="BL999999"/>{"<c><v>1</v></c>" * 9}</row>',
    "with a prefix": '<x:row r="9"><x:c r="XFD1048576"><x:v>1</x:v></x:c></x:row>',
}


@pytest.mark.parametrize("cells", WIDE.values(), ids=WIDE)
def test_cells_that_are_far_out_in_another_way(tmp_path: Path, cells: str) -> None:
    """Looked at alone: where it is not seen, the reader would take all memory."""
    with far_out(tmp_path / "a.xlsx", cells).open("rb") as stream:
        assert workbook_extent.too_wide(stream)


def test_a_cell_over_the_end_of_a_piece() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        blank = " " * (workbook_extent.CHUNK - len("<sheetData><"))
        archive.writestr("a", f'<sheetData>{blank}<c r="XFD1048576"><v>1</v></c></sheetData>')
    assert workbook_extent.too_wide(stream)


def test_a_place_that_is_given_twice(tmp_path: Path) -> None:
    """calamine takes the last one."""
    cells = '<row r="9"><c r="A9" r="XFD1048576"><v>1</v></c></row>'
    with far_out(tmp_path / "a.xlsx", cells).open("rb") as stream, pytest.raises(ValueError, match="part"):
        workbook_extent.too_wide(stream)


def test_a_picture_is_no_sheet(tmp_path: Path) -> None:
    """Whatever its bytes happen to say, and however long it goes on without a `<`."""
    path = far_out(tmp_path / "a.xlsx", "")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/media/image1.png", b'\x89PNG<c r="XFD1048576"><v>' + bytes(3 << 20))
    assert good(path, "excel", ["a", "b"]) == [(1, 2)]


def test_a_format_that_reaches_to_the_edge_is_no_cell(tmp_path: Path) -> None:
    edge = '<row r="1048576"><c r="XFD1048576" s="0"/></row>'
    assert good(far_out(tmp_path / "a.xlsx", edge), "excel", ["a", "b"]) == [(1, 2)]


def test_a_long_table_beside_a_wide_one_is_read(tmp_path: Path) -> None:
    cells = '<row r="3"><c r="XFD3"><v>3</v></c></row><row r="4000"><c r="A4000"><v>4</v></c></row>'
    assert good(far_out(tmp_path / "a.xlsx", cells), "excel", ["a"])[-1] == (4,)


def test_deaths(shared: Path) -> None:
    """A title block of four rows above, notes below; Excel 2007 and 97."""
    names, answer = expected(shared / "messy-readxl" / "deaths.xlsx", 4, 10)
    for name in ("deaths.xlsx", "deaths.xls"):
        found = good(shared / "messy-readxl" / name, "excel", names, skip=4, footer=4)
        assert [tuple(map(plain, row)) for row in found] == [tuple(map(plain, row)) for row in answer]


def test_datasets(shared: Path) -> None:
    names, answer = expected(shared / "messy-readxl" / "datasets.xlsx", 0, 10_000)
    found = good(shared / "messy-readxl" / "datasets.xlsx", "excel", names)
    assert found == answer
    assert good(shared / "messy-readxl" / "datasets.xls", "excel", names) == answer


def test_multiline_header(shared: Path) -> None:
    path = shared / "messy-tabulator" / "special" / "multiline-headers.xlsx"
    title = "Cumulative impact of changes on cost of food basket"
    columns = [
        "Region",
        "Caloric contribution/(%)",
        f"{title}/from previous quarter",
        f"{title}/from baseline (%)",
    ]
    assert good(path, "excel", columns, header_rows=5) == [("A", "B", "C", "D")]
