"""The workbook that goes to a department and comes back. Only the yellow and white cells of the second column of each
pair, and the last one, are to be written in; the sheet is protected against slips, and the digests against the rest.

    更正 corrections     batch, file, row, code │ what is wrong │ of each column: received, corrected │ why not
    说明 read me         what to do, in Chinese and English
    代码 codes           the code lists of its columns
    xuanwu (hidden)      what the workbook is, with a keyed digest

Text stays text: nothing received becomes a formula, a link or 3.2E+17.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import IO, Any, Final

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from pipelines.correcting.rows import Place, Received, Source
from pipelines.downloads.workbook import LONGEST_TEXT, OPTIONS
from pipelines.readers.workbook import EXACT, LIMIT, open_workbook, text
from pipelines.readers.workbook_errors import error_cells, formula_cells
from schemas.errors import SourceError
from schemas.model import Code

SHEET: Final = "更正 corrections"
README: Final = "说明 read me"
CODES: Final = "代码 codes"
ABOUT: Final = "xuanwu"
VERSION: Final = 1
EMPTY: Final = ("(空)", "（空）")
"""What is written where a value is to be removed: an empty cell leaves it as it is."""
LEAD: Final = (
    ("批次", "batch", 26),
    ("文件", "file", 20),
    ("行", "row", 6),
    ("校验码", "code", 8),
    ("问题", "what is wrong", 56),
)
FIRST: Final = 2
"""The first row of data, counted from 0, below two rows of headings."""
Written = str | date | None
LISTED: Final = 500
"""Codes of a list that is offered in its cells."""


@dataclass(frozen=True)
class About:
    """What a workbook says of itself. `columns` are the source's that are shown, in pairs from `len(LEAD)` on."""

    dataset: str
    department: str
    columns: tuple[str, ...]
    correctable: bool
    exported_at: str
    version: int = VERSION

    @property
    def json(self) -> str:
        return json.dumps(vars(self), ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True)
class Line:
    """A row of the workbook: `wrong` says in Chinese and English what is, `failing` names the source's columns that
    broke a rule, `fixed` those that are not to be corrected."""

    row: Received
    code: str
    wrong: str
    failing: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Looks:
    """The formats of one workbook."""

    head: Format
    sub: Format
    place: Format
    seen: Format
    write: Format
    wanted: Format

    @staticmethod
    def of(book: xlsxwriter.Workbook) -> Looks:
        plain = {"font_name": "Microsoft YaHei", "font_size": 10, "valign": "top", "border": 1}
        plain |= {"border_color": "#c8cdd4", "num_format": "@", "text_wrap": True}
        grey = plain | {"bg_color": "#f1f3f6", "font_color": "#444b55"}
        head = plain | {"bold": True, "bg_color": "#1f3a5f", "font_color": "#ffffff", "valign": "vcenter"}
        return Looks(
            book.add_format(head),
            book.add_format(head | {"bold": False, "font_size": 8, "bg_color": "#37577f"}),
            book.add_format(grey | {"text_wrap": False, "font_color": "#7a828d"}),
            book.add_format(grey),
            book.add_format(plain | {"locked": False}),
            book.add_format(plain | {"locked": False, "bg_color": "#fff2b3", "bold": True}),
        )


# ── writing ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Book:
    """All that a workbook holds. `codes` are the lists of its columns by source column, `readme` says what to do."""

    about: About
    seal: str
    columns: tuple[Source, ...]
    lines: Sequence[Line]
    codes: Mapping[str, tuple[Code, ...]]
    readme: Sequence[tuple[str, str]]


def write(path: Path, book: Book) -> None:
    """Write the workbook."""
    with xlsxwriter.Workbook(path, OPTIONS | {"constant_memory": False}) as file:
        file.set_properties({"title": f"{book.about.dataset} {book.about.department}"})
        looks = Looks.of(file)
        sheet = file.add_worksheet(SHEET)
        _readme(file.add_worksheet(README), book.readme, looks)
        ranges = _codes(file.add_worksheet(CODES), book.codes, looks) if book.codes else {}
        _head(sheet, book.about, book.columns, looks)
        for at, line in enumerate(book.lines, FIRST):
            _line(sheet, at, line, book.about, looks)
        _frame(sheet, book, ranges)
        hidden = file.add_worksheet(ABOUT)
        hidden.write_string(0, 0, book.about.json)
        hidden.write_string(1, 0, book.seal)
        hidden.very_hidden()


def _head(sheet: Worksheet, about: About, columns: Sequence[Source], looks: Looks) -> None:
    for at, (zh, en, width) in enumerate(LEAD):
        sheet.set_column(at, at, width)
        sheet.write_string(0, at, zh, looks.head)
        sheet.write_string(1, at, en, looks.sub)
    at = len(LEAD)
    for column in columns:
        title, name = column.field.title, column.name
        pair = (("收到", "received"), ("更正", "corrected")) if about.correctable else (("收到", "received"),)
        for zh, en in pair:
            sheet.set_column(at, at, 18)
            sheet.write_string(0, at, f"{title.zh}\n{zh}", looks.head)
            sheet.write_string(1, at, f"{title.en}: {en} [{name}]", looks.sub)
            at += 1
    sheet.set_column(at, at, 30)
    sheet.write_string(0, at, "不更正的理由", looks.head)
    sheet.write_string(1, at, "reason not to correct", looks.sub)
    sheet.set_row(0, 32)
    sheet.set_row(1, 26)
    sheet.freeze_panes(FIRST, 3)


def _line(sheet: Worksheet, at: int, line: Line, about: About, looks: Looks) -> None:
    batch, file, row = line.row.place
    sheet.set_row(at, 15 * _height(line.wrong))
    for column, said in enumerate((batch, file, str(row), line.code)):
        sheet.write_string(at, column, _short(said), looks.place)
    sheet.write_string(at, len(LEAD) - 1, _short(line.wrong), looks.seen)
    column = len(LEAD)
    for name in about.columns:
        sheet.write_string(at, column, _short(line.row.values[name] or ""), looks.seen)
        column += 1
        if about.correctable:
            looked = looks.wanted if name in line.failing else looks.write
            sheet.write_blank(at, column, None, looks.seen if name in line.fixed else looked)
            column += 1
    sheet.write_blank(at, column, None, looks.write)


def _height(said: str) -> int:
    """Lines of the cell that says what is wrong; a Chinese character is two wide."""
    wide = [sum(1 + (char > "\u2e7f") for char in line) for line in said.split("\n")]
    return min(sum(max(1, -(-each // LEAD[-1][2])) for each in wide), 20)


def _short(said: str) -> str:
    """What fits into a cell: the digest is of the whole."""
    return said if len(said) <= LONGEST_TEXT // 2 else f"{said[: LONGEST_TEXT // 2 - 1]}…"


def _frame(sheet: Worksheet, book: Book, ranges: Mapping[str, str]) -> None:
    """Protection against slips (without a password: it is the digests that hold), and lists of codes."""
    last = FIRST + max(len(book.lines), 1) - 1
    sheet.protect("", {"format_columns": True, "format_rows": True, "autofilter": True})
    sheet.autofilter(1, 0, last, len(LEAD) - 1)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0, 1)
    for number, column in enumerate(book.columns if book.about.correctable else ()):
        if column.name in ranges:
            at = len(LEAD) + 2 * number + 1
            offered = {"validate": "list", "source": ranges[column.name], "error_type": "warning"}
            sheet.data_validation(FIRST, at, last, at, offered)


def _readme(sheet: Worksheet, said: Sequence[tuple[str, str]], looks: Looks) -> None:
    sheet.set_column(0, 1, 70)
    for at, (zh, en) in enumerate(said):
        sheet.write_string(at, 0, zh, looks.seen if at else looks.head)
        sheet.write_string(at, 1, en, looks.seen if at else looks.head)
    sheet.protect()


def _codes(sheet: Worksheet, codes: Mapping[str, tuple[Code, ...]], looks: Looks) -> dict[str, str]:
    """A pair of columns for each list, code and label; returns the range of labels by source column."""
    ranges: dict[str, str] = {}
    for number, (name, listed) in enumerate(codes.items()):
        at = 2 * number
        sheet.set_column(at, at + 1, 16)
        sheet.write_string(0, at, f"{name} 代码", looks.head)
        sheet.write_string(0, at + 1, "名称 label", looks.head)
        for row, code in enumerate(listed, 1):
            sheet.write_string(row, at, code.code, looks.seen)
            sheet.write_string(row, at + 1, f"{code.zh} {code.en}".strip(), looks.seen)
        if len(listed) <= LISTED:
            letter = xl_col_to_name(at)
            ranges[name] = f"='{CODES}'!${letter}$2:${letter}${len(listed) + 1}"
    sheet.protect()
    return ranges


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Answer:
    """What a department wrote in one row; `number` is the row as the person sees it. A value of None is to be
    removed, a date is one that the spreadsheet knows as such. `wrong` says what cannot be taken, without a value."""

    number: int
    place: Place
    code: str
    values: Mapping[str, Written] = field(default_factory=dict)
    why: str = ""
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class Returned:
    """A workbook that came back: what it says of itself, the digest of that, and the rows that somebody wrote in."""

    about: About
    seal: str
    answers: tuple[Answer, ...]


def read(stream: IO[bytes], name: str) -> Returned:
    """Read a workbook. SourceError where it is none of ours, is too large, damaged or encrypted."""
    if stream.seek(0, 2) > LIMIT:
        raise SourceError("the workbook is too large", file=name, expected=f"at most {LIMIT} bytes")
    stream.seek(0)
    book = open_workbook(stream, name)
    if not {SHEET, ABOUT} <= set(book.sheet_names):
        raise _foreign(name)
    hidden = book.get_sheet_by_name(ABOUT).to_python()
    about, seal = _about(hidden, name)
    formulas, errors = formula_cells(stream, SHEET), error_cells(stream, SHEET)
    rows = list(enumerate(book.get_sheet_by_name(SHEET).to_python(skip_empty_area=False), 1))[FIRST:]
    odd = formulas | errors
    found = (_answer(number, cells, about, odd, formulas) for number, cells in rows)
    return Returned(about, seal, tuple(each for each in found if each is not None))


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


def _answer(
    number: int,
    cells: list[Any],
    about: About,
    odd: set[tuple[int, int]],
    formulas: set[tuple[int, int]],
) -> Answer | None:
    """What was written in a row; None where nothing was."""
    step = 2 if about.correctable else 1
    end = len(LEAD) + step * len(about.columns)
    wrong = tuple(
        _what((at in formulas and "a formula") or "an error", at[1]) for at in _odd(odd, number, end)
    )
    values: dict[str, Written] = {}
    for place, column in enumerate(about.columns if about.correctable else ()):
        cell = _cell(cells, len(LEAD) + 2 * place + 1)
        if cell is None:
            continue
        if isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) >= EXACT:
            wrong = (*wrong, f"{column}: the number may have lost digits: format the cell as text")
        said = cell if isinstance(cell, date) else text(cell)
        values[column] = None if said in EMPTY else said
    why = text(_cell(cells, end)) or ""
    if not (values or why or wrong):
        return None
    lead = [text(_cell(cells, at)) or "" for at in range(4)]
    row = int(lead[2]) if lead[2].isdecimal() and len(lead[2]) < 19 else -1
    return Answer(number, (lead[0], lead[1], row), lead[3], values, why, wrong)


def _odd(odd: set[tuple[int, int]], number: int, end: int) -> Iterator[tuple[int, int]]:
    """Cells of this row that are no plain values."""
    return iter(sorted(at for at in odd if at[0] == number and at[1] <= end))


def _what(kind: str, column: int) -> str:
    return f"column {xl_col_to_name(column)} holds {kind}: write the value itself"


def _cell(cells: list[Any], at: int) -> Any:
    """A cell, blanks at its ends taken off; None where it is empty."""
    cell = cells[at] if at < len(cells) else ""
    if isinstance(cell, str):
        return cell.strip() or None
    if isinstance(cell, datetime) and cell.time() == time():
        return date(cell.year, cell.month, cell.day)
    return cell
