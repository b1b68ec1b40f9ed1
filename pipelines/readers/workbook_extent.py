"""How far out an .xlsx places its cells. calamine keeps room for every cell between the first and the last one: two
cells at opposite corners of a sheet, a file of a kilobyte, would take half a terabyte and the process with it.

The places that any part of the workbook names are looked for first, quickly and in excess. Where they lie too far apart
the part is parsed, and only cells that hold something count: a format may reach to the sheet's edge. .xls and .xlsb are
binary and are not looked into.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, Any, Final
from xml.parsers import expat

import numpy as np

MOST_CELLS: Final = 1 << 26
"""Between the first cell and the last: more than a gigabyte of XML has cells, and 2 GiB in calamine."""
CHUNK: Final = 1 << 20
_LONGEST: Final = 14
"""Bytes of a place at most, with some to spare: XFD1048576 has ten."""
_COLUMNS: Final = re.compile(rb"\br\s*=\s*[\"']\s*([A-Za-z]{1,3})\d")
_ROWS: Final = re.compile(rb"\br\s*=\s*[\"']\s*[A-Za-z]{0,3}(\d{1,10})")
_PLACE: Final = re.compile(r"\s*([A-Za-z]{1,3})(\d{1,10})\s*")
_HELD: Final = ("v", "is", "f")
"""What a cell has that is not empty (ECMA-376, part 1, 18.3.1.4)."""


def too_wide(stream: IO[bytes]) -> bool:
    """Whether some part of a zipped workbook places cells further apart than `MOST_CELLS`. ValueError for a part that
    says so and is no XML, or that cannot be unpacked."""
    with zipfile.ZipFile(stream) as archive:
        try:
            return any(_over(_named(archive, info)) and _parsed(archive, info) for info in archive.infolist())
        except (zlib.error, NotImplementedError, RuntimeError, EOFError):
            raise ValueError("a part cannot be unpacked") from None


@dataclass
class _Box:
    """Of rows and columns, counted from 1."""

    top: int = 1 << 40
    left: int = 1 << 40
    bottom: int = 0
    right: int = 0

    def take(self, row: int, column: int) -> None:
        self.top, self.bottom = min(self.top, row), max(self.bottom, row)
        self.left, self.right = min(self.left, column), max(self.right, column)


def _over(box: _Box) -> bool:
    return (box.bottom - box.top + 1) * (box.right - box.left + 1) > MOST_CELLS


def _named(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Box:
    """From the first cell of a sheet to the furthest row and column that are named, together or not."""
    box, held = _Box(1, 1), b""
    with archive.open(info) as part:
        while chunk := part.read(CHUNK):
            text = held + chunk
            box.take(*(_plainly(text) or _by_words(text)))
            held = text[max(0, text.rfind(b"<")) :]  # a tag is looked at whole
            if len(held) > CHUNK:
                raise ValueError("a tag without an end")
    return box


def _plainly(text: bytes) -> tuple[int, int] | None:
    """The greatest row and column of what stands as `r="AB12"` or `r="12"`, by whole arrays; None where anything stands
    in another way."""
    found = np.frombuffer(text + bytes(_LONGEST), np.uint8)
    blank = found[1:] <= 0x20
    blank[-_LONGEST:] = False
    if np.any(blank & ((found[:-1] == ord("r")) | (found[:-1] == ord("=")))):
        return None
    quoted = (found[2:] == ord('"')) | (found[2:] == ord("'"))
    at = np.flatnonzero((found[:-2] == ord("r")) & (found[1:-1] == ord("=")) & quoted) + 3
    if found[at].min(initial=0xFF) <= 0x20:
        return None
    row, column = np.zeros((2, len(at)), np.int64)
    open_ = np.ones(len(at), bool)
    for step in range(_LONGEST - 3):
        byte = found[at + step]
        letter, digit = (byte | 0x20) - np.uint8(ord("a")), byte - np.uint8(ord("0"))
        open_ &= (letter < 26) | (digit < 10)
        column = np.where(open_ & (letter < 26), column * 26 + letter + 1, column)
        row = np.where(open_ & (digit < 10), row * 10 + digit, row)
    return int(row.max(initial=1)), int(column.max(initial=1))


def _by_words(text: bytes) -> tuple[int, int]:
    rows, columns = set(_ROWS.findall(text)), set(_COLUMNS.findall(text))
    return max(map(int, rows), default=1), max(map(_column, columns), default=1)


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _parsed(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    """Whether cells that hold something lie too far apart. A cell that does not say where it is lies beside the one
    before it, and is no further out than there are cells."""
    box, place = _Box(), ""

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal place
        kind = name.rpartition(":")[2]
        place = attributes.get("r", "") if kind == "c" else place
        if kind in _HELD and (found := _PLACE.fullmatch(place)):
            box.take(int(found[2]), _column(found[1].encode()))

    parser: Any = expat.ParserCreate()
    parser.StartElementHandler = begin
    try:
        with archive.open(info) as part:
            parser.ParseFile(part)
    except expat.ExpatError:
        raise ValueError("no XML") from None
    return _over(box)
