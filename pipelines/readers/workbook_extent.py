"""How far out an .xlsx places its cells. calamine keeps room for every cell from the first to the last one: two cells
at opposite corners of a sheet, a file of a kilobyte, would take half a terabyte and the process with it.

Where all cells stand in the usual form, near enough, a regular expression tells so. Any other sheet is parsed, and only
cells that hold something count: a format may reach to the sheet's edge. A sheet is any part that has the element
`sheetData`, whatever its name. .xls and .xlsb are binary and are not looked into.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from typing import IO, Any, Final
from xml.parsers import expat

MOST_CELLS: Final = 1 << 26
"""From A1 to the last one: more than a gigabyte of XML has cells, and 2 GiB in calamine."""
CHUNK: Final = 1 << 20
_SHEET: Final = b"sheetData"
_CELL: Final = rb"<(?:[^<>\s:/]+:)?c(?=[\s/>])"
_REST: Final = rb'"(?: [a-qs-z]\w*="\w*")* ?/?>'
_UNLIKE: Final = (
    re.compile(_CELL + rb'(?! r="(?:A?[A-Z]|B[A-L])\d{1,6}' + _REST + rb")"),  # 64 columns of 999,999 rows
    re.compile(_CELL + rb'(?! r="[A-X]?[A-Z]\d{1,5}' + _REST + rb")"),  # 650 columns of 99,999 rows
)
"""Cells that do not stand as `<c r="B12" s="1">`, or further out than so: fewer than `MOST_CELLS` either way."""
_PLACE: Final = re.compile(r"\s*([A-Za-z]*)(\d*)")
_HELD: Final = ("v", "is")
"""What a cell has that is not empty (ECMA-376, part 1, 18.3.1.4)."""


def too_wide(stream: IO[bytes]) -> bool:
    """Whether some sheet of a zipped workbook has more cells than `MOST_CELLS` from A1 to its last ones. ValueError for
    one of which that cannot be told: it cannot be unpacked, or is no XML."""
    with zipfile.ZipFile(stream) as archive:
        try:
            return any(
                all(_holds(form, archive, part) for form in _UNLIKE) and _is_wide(archive, part)
                for part in archive.infolist()
            )
        except (zlib.error, NotImplementedError, RuntimeError, EOFError, expat.ExpatError):
            raise ValueError("a part cannot be read") from None


def _holds(cell: re.Pattern[bytes], archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """Whether it is a sheet that holds such a cell."""
    sheet, held = False, b""
    with archive.open(part) as xml:
        while chunk := xml.read(CHUNK):
            whole, mark, cut = (held + chunk).rpartition(b"<")
            held = mark + cut  # a tag is looked at whole
            sheet = sheet or _SHEET in whole
            if sheet and cell.search(whole):
                return True
            if len(held) > CHUNK:
                if sheet:
                    raise ValueError("a tag without an end")
                held = held[-len(_SHEET) :]
    return False


def _is_wide(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """Whether cells that hold something lie too far out. A row or a cell that does not say where it is comes after the
    one before it."""
    row = column = 0
    place = last = (0, 0)

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal row, column, place, last
        kind = name.rpartition(":")[2]
        if kind in _HELD:
            last = max(last[0], place[0]), max(last[1], place[1])
        elif kind in ("row", "c"):
            letters, digits = _PLACE.match(attributes.get("r", "")).groups()  # type: ignore[union-attr]
            if kind == "row":
                row, column = int(digits or row + 1), 0
            else:
                column = _number(letters) or column + 1
                place = int(digits or row), column

    parser: Any = expat.ParserCreate()
    parser.StartElementHandler = begin
    with archive.open(part) as xml:
        parser.ParseFile(xml)
    return last[0] * last[1] > MOST_CELLS


def _number(letters: str) -> int:
    """A column's, from 1; 0 for none. Eight letters are further out than any limit."""
    number = 0
    for letter in letters.upper()[:8]:
        number = number * 26 + ord(letter) - 64
    return number
