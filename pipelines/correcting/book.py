"""The workbook that goes to a department. Only the yellow and white cells of the second column of each
pair, and the last one, are to be written in; the sheet is protected against slips, and the digests against the rest.

    更正 corrections     batch, file, row, code │ what is wrong │ of each column: received, corrected │ why not
    说明 read me         what to do, in Chinese and English
    代码 codes           the code lists of its columns
    xuanwu (hidden)      what the workbook is, with a keyed digest

Text stays text: nothing received becomes a formula, a link or 3.2E+17.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from pipelines.correcting.rows import Received, Source
from pipelines.downloads.workbook import LONGEST_TEXT, OPTIONS
from schemas.model import Code

SHEET: Final = "更正 corrections"
README: Final = "说明 read me"
CODES: Final = "代码 codes"
ABOUT: Final = "xuanwu"
VERSION: Final = 1
LEAD: Final = (
    ("批次", "batch", 26),
    ("文件", "file", 20),
    ("行", "row", 6),
    ("校验码", "code", 8),
    ("问题", "what is wrong", 56),
)
WHY: Final = "reason not to correct"
FIRST: Final = 2
"""The first row of data, counted from 0, below two rows of headings."""
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

    @property
    def heads(self) -> tuple[str, ...]:
        """How the second heading of each column of the sheet ends."""
        pair = ("received", "corrected") if self.correctable else ("received",)
        own = (f"{what} [{name}]" for name in self.columns for what in pair)
        return (*(en for _, en, _ in LEAD), *own, WHY)


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
    heads = about.heads
    for at, (zh, en, width) in enumerate(LEAD):
        sheet.set_column(at, at, width)
        sheet.write_string(0, at, zh, looks.head)
        sheet.write_string(1, at, en, looks.sub)
    at = len(LEAD)
    for column in columns:
        title = column.field.title
        for zh in ("收到", "更正") if about.correctable else ("收到",):
            sheet.set_column(at, at, 18)
            sheet.write_string(0, at, f"{title.zh}\n{zh}", looks.head)
            sheet.write_string(1, at, f"{title.en}: {heads[at]}", looks.sub)
            at += 1
    sheet.set_column(at, at, 30)
    sheet.write_string(0, at, "不更正的理由", looks.head)
    sheet.write_string(1, at, heads[at], looks.sub)
    sheet.set_row(0, 32)
    sheet.set_row(1, 26)
    sheet.freeze_panes(FIRST, 3)


def _line(sheet: Worksheet, at: int, line: Line, about: About, looks: Looks) -> None:
    batch, file, row = line.row.place
    sheet.set_row(at, 15 * _height(line.wrong))
    for column, said in enumerate((batch, file, str(row), line.code)):
        sheet.write_string(at, column, short(said), looks.place)
    sheet.write_string(at, len(LEAD) - 1, short(line.wrong), looks.seen)
    column = len(LEAD)
    for name in about.columns:
        sheet.write_string(at, column, short(line.row.values[name] or ""), looks.seen)
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


def short(said: str) -> str:
    """What fits into a cell: the digest is of the whole."""
    return said if len(said) <= LONGEST_TEXT // 2 else f"{said[: LONGEST_TEXT // 2 - 1]}…"


def _frame(sheet: Worksheet, book: Book, ranges: Mapping[str, str]) -> None:
    """Protection against slips (without a password: it is the digests that hold), and lists of codes. The filter is of
    all columns: a sort by it moves what it covers, and a value is to stay with its row."""
    last = FIRST + max(len(book.lines), 1) - 1
    sheet.protect("", {"format_columns": True, "format_rows": True, "autofilter": True})
    sheet.autofilter(1, 0, last, len(book.about.heads) - 1)
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
