"""Which cells of an .xlsx sheet hold an error (`#DIV/0!`): calamine gives them as blank, and a blank is a value. And
which hold a formula: calamine gives what it came to when the workbook was saved.

.xls and .xlsb are binary and are not looked into: there an error cell is read as a blank one.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from posixpath import join, normpath
from typing import IO
from xml.etree import ElementTree

CHUNK = 1 << 20
_CELL = re.compile(rb"<(?:\w+:)?c\s([^<>]*\bt=[\"']e[\"'][^<>]*)>")
_FORMULA = re.compile(rb"<(?:\w+:)?c\s([^<>]*)>\s*<(?:\w+:)?f[\s/>]")
_TAGS = 1 << 12
"""Bytes of a cell's tag at most; it may lie over the end of a chunk."""
_PLACE = re.compile(rb"\br=[\"']([A-Z]+)(\d+)[\"']")
_ID = (
    "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id",
    "{http://purl.oclc.org/ooxml/officeDocument/relationships}id",
)
"""Of a workbook as Excel saves it by default, and of a strict one (ISO/IEC 29500-1)."""
_BOOK = "xl/workbook.xml"


def error_cells(stream: IO[bytes], sheet: str) -> set[tuple[int, int]]:
    """Row (from 1) and column (from 0) of every error cell; nothing for other formats than .xlsx."""
    return _cells(stream, sheet, _CELL)


def formula_cells(stream: IO[bytes], sheet: str) -> set[tuple[int, int]]:
    """The same of every cell that holds a formula."""
    return _cells(stream, sheet, _FORMULA)


def is_xlsx(stream: IO[bytes]) -> bool:
    """Whether it is a workbook that can be looked into here."""
    stream.seek(0)
    if not zipfile.is_zipfile(stream):
        return False
    with zipfile.ZipFile(stream) as archive:
        return _BOOK in archive.namelist()


def _cells(stream: IO[bytes], sheet: str, pattern: re.Pattern[bytes]) -> set[tuple[int, int]]:
    if not is_xlsx(stream):
        return set()
    with zipfile.ZipFile(stream) as archive:
        path = _part(archive, sheet)
        if path not in archive.namelist():
            return set()
        with archive.open(path) as xml:
            return set(_places(xml, pattern))


def _part(archive: zipfile.ZipFile, sheet: str) -> str:
    """The part that holds a sheet (ECMA-376, part 1, 18.2.19 and 18.3.1.99); '' where there is none."""
    try:
        book = _parsed(archive, _BOOK)
        links = {
            node.get("Id"): node.get("Target", "") for node in _parsed(archive, "xl/_rels/workbook.xml.rels")
        }
    except (KeyError, ElementTree.ParseError):
        return ""
    named = (node for node in book.iter() if node.tag.endswith("}sheet") and node.get("name") == sheet)
    ids = [node.get(name) for node in named for name in _ID if node.get(name)]
    target = links.get(ids[0], "") if ids else ""
    return target.lstrip("/") if target.startswith("/") else normpath(join("xl", target))


def _parsed(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(archive.read(name))  # noqa: S314 - expat bounds entities; calamine read it before


def _places(xml: IO[bytes], pattern: re.Pattern[bytes]) -> Iterator[tuple[int, int]]:
    held = b""
    while chunk := xml.read(CHUNK):
        text = held + chunk
        for cell in pattern.finditer(text):
            if place := _PLACE.search(cell[1]):
                yield int(place[2]), _column(place[1])
        held = text[-_TAGS:]


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1
