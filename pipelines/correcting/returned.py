"""A workbook that came back, as it was read: what stands in it, and which cells cannot be taken.

Columns are looked for where they were, so their headings have to be there; the grey cells are read too, for whoever
compares them with what was received. A value that a spreadsheet may have made another one is not taken.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import IO, Any, Final

from python_calamine import CalamineSheet, CalamineWorkbook
from xlsxwriter.utility import xl_col_to_name

from pipelines.correcting.book import ABOUT, FIRST, LEAD, SHEET, VERSION, About, short
from pipelines.correcting.rows import Place
from pipelines.readers.workbook import EXACT, LIMIT, open_workbook, text
from pipelines.readers.workbook_errors import error_cells, formula_cells, is_xlsx
from schemas.errors import SourceError

EMPTY: Final = ("(空)", "（空）")
"""What is written where a value is to be removed: an empty cell leaves it as it is."""
Written = str | date | None
DIGITS_LOST: Final = "the number may have lost digits: format the cell as text, and type it again"
_FORMULA: Final = "holds a formula: write the value itself"
_ERROR: Final = "holds an error: write the value itself"
_MERGED: Final = "is merged with others: split the cells, and write each value into its own row"
_SHORTENED: Final = re.compile(r"\d(\.\d+)?E\+\d{2}")
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
"""How a workbook holds characters that XML does not (ECMA-376, part 1, 22.9.2.19)."""
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How a zip begins, and the compound file that an encrypted workbook is."""
Odd = Mapping[int, Mapping[int, str]]
"""Cells that are no plain values, by row (from 1) and column (from 0), and why they are not."""


@dataclass(frozen=True)
class Answer:
    """What a department wrote in one row; `number` is the row as the person sees it, `seen` are its grey cells in the
    order of the columns. A value of None is to be removed, a date is one that the spreadsheet knows as such, `numbers`
    are the columns in which it knows a number. `wrong` says what cannot be taken, without a value."""

    number: int
    place: Place
    code: str
    values: Mapping[str, Written] = field(default_factory=dict)
    why: str = ""
    wrong: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    numbers: frozenset[str] = frozenset()

    def shows(self, received: Sequence[str | None]) -> bool:
        """Whether its grey cells are these, as they went out."""
        return list(map(_bare, self.seen)) == [_bare(short(each or "")) for each in received]


@dataclass(frozen=True)
class Returned:
    """A workbook that came back: what it says of itself, the digest of that, its second headings, and the rows that
    somebody wrote in."""

    about: About
    seal: str
    heads: tuple[str, ...]
    answers: tuple[Answer, ...]

    def require_heads(self, name: str) -> None:
        """SourceError unless every column is where it was."""
        for at, head in enumerate(self.about.heads):
            if at >= len(self.heads) or not _bare(self.heads[at]).endswith(_bare(head)):
                raise SourceError(
                    f"its columns are not where they were: column {xl_col_to_name(at)} is another one",
                    file=name,
                    expected=f"the headings in rows 1 and 2, that of column {xl_col_to_name(at)} ending in `{head}`",
                    next_step="write into the workbook as it was exported: no columns or headings moved, put in or out",
                )


def _bare(text: str) -> str:
    """What is left of a text when what programs write otherwise is taken off: blanks, line breaks, escapes."""
    whole = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return "".join(char for char in whole if char.isprintable() and not char.isspace())


def read(stream: IO[bytes], name: str) -> Returned:
    """Read a workbook. SourceError where it is none of ours, of another kind, too large, damaged or encrypted."""
    if stream.seek(0, 2) > LIMIT:
        raise SourceError("the workbook is too large", file=name, expected=f"at most {LIMIT} bytes")
    book = _opened(stream, name)
    if not {SHEET, ABOUT} <= set(book.sheet_names):
        raise _foreign(name)
    hidden = book.get_sheet_by_name(ABOUT).to_python()
    about, seal = _about(hidden, name)
    sheet = book.get_sheet_by_name(SHEET)
    rows = list(enumerate(sheet.to_python(skip_empty_area=False), 1))
    heads = tuple(text(cell) or "" for _, cells in rows[FIRST - 1 : FIRST] for cell in cells)
    odd = _odd(stream, sheet, (len(rows), len(about.heads)))
    found = (_answer(number, cells, about, odd.get(number, {})) for number, cells in rows[FIRST:])
    return Returned(about, seal, heads, tuple(each for each in found if each is not None))


def _opened(stream: IO[bytes], name: str) -> CalamineWorkbook:
    """Of other kinds of workbooks nobody could tell which cells hold a formula or an error. One that is encrypted is no
    zip; that it is, or that it is damaged, is said as of any workbook."""
    stream.seek(0)
    zipped = zipfile.is_zipfile(stream)
    stream.seek(0)
    known = is_xlsx(stream) if zipped else stream.read(4) in _WORKBOOKS
    stream.seek(0)
    book = open_workbook(stream, name) if known else None
    if book is None or not zipped:
        raise SourceError(
            "this is no .xlsx workbook",
            file=name,
            expected="the workbook that was exported, with its sheets",
            next_step="open the workbook that was exported, write the corrections into it, and save it as .xlsx",
        )
    return book


def _foreign(name: str) -> SourceError:
    return SourceError(
        "this is not a workbook that was exported here, or its sheets were renamed",
        file=name,
        expected=f"the sheets {SHEET} and {ABOUT}, as exported",
        next_step="write the corrections into the workbook as it was exported, and save it as .xlsx",
    )


def _about(hidden: list[list[Any]], name: str) -> tuple[About, str]:
    try:
        said = json.loads(hidden[0][0])
        about = About(**{**said, "columns": tuple(map(str, said["columns"]))})
        seal = str(hidden[1][0])
    except (ValueError, KeyError, TypeError, IndexError):
        raise _foreign(name) from None
    if about.version != VERSION:
        raise SourceError("the workbook is of another version", file=name, next_step="export it again")
    return about, seal


def _odd(stream: IO[bytes], sheet: CalamineSheet, size: tuple[int, int]) -> Odd:
    """Cells of the sheet's first rows and columns (`size`) that are no plain values."""
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or []:
        for row in range(top + 1, min(bottom + 1, size[0]) + 1):
            found[row] |= dict.fromkeys(range(left, min(right + 1, size[1])), _MERGED)
    for kind, cells in ((_ERROR, error_cells(stream, SHEET)), (_FORMULA, formula_cells(stream, SHEET))):
        for row, column in cells:
            if column < size[1]:
                found[row][column] = kind
    return found


def _answer(number: int, cells: list[Any], about: About, odd: Mapping[int, str]) -> Answer | None:
    """What was written in a row; None where nothing was."""
    step = 2 if about.correctable else 1
    wrong = [f"column {xl_col_to_name(at)} {what}" for at, what in sorted(odd.items())]
    values: dict[str, Written] = {}
    numbers = set()
    for at, column in enumerate(about.columns if about.correctable else ()):
        cell = _cell(cells, len(LEAD) + 2 * at + 1)
        if cell is None:
            continue
        if isinstance(cell, int | float) and not isinstance(cell, bool):
            numbers.add(column)
            if abs(cell) >= EXACT:
                wrong.append(f"{column}: {DIGITS_LOST}")
        said = cell if isinstance(cell, date) else text(cell)
        values[column] = None if said in EMPTY else said
    why = text(_cell(cells, len(about.heads) - 1)) or ""
    if not (values or why or wrong):
        return None
    lead = [text(_cell(cells, at)) or "" for at in range(4)]
    row = int(lead[2]) if lead[2].isdecimal() and len(lead[2]) < 19 else -1
    seen = tuple(text(_cell(cells, len(LEAD) + step * at)) or "" for at in range(len(about.columns)))
    place = (lead[0], lead[1], row)
    return Answer(number, place, lead[3], values, why, tuple(wrong), seen, frozenset(numbers))


def shortened(value: Written) -> bool:
    """Whether a text is a long number as spreadsheets show it: `3.2E+17`, whose last digits are gone."""
    return isinstance(value, str) and _SHORTENED.fullmatch(value) is not None


def _cell(cells: list[Any], at: int) -> Any:
    """A cell, blanks at its ends taken off; None where it is empty."""
    cell = cells[at] if at < len(cells) else ""
    if isinstance(cell, str):
        return cell.strip() or None
    if isinstance(cell, datetime) and cell.time() == time():
        return date(cell.year, cell.month, cell.day)
    return cell
