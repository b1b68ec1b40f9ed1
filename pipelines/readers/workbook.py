"""Excel (.xlsx, .xlsb, .xls) and ODS by calamine. A sheet has at most 1,048,576 rows and is read whole.

A column keeps its type where all its cells agree: whole numbers are int64 (Excel stores 1 as 1.0), other
numbers float64, dates date32, dates with times timestamps without a zone, truth values bool. A column of
mixed cells becomes text as a person sees it: 1.0 is `1`, a date is `2026-03-01`. Whole numbers beyond
Excel's 15 digits stay float64: their last digits are not what was typed. As text they are written so that a field of
text can refuse them (`casting.text.typed`).
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import IO, Any

import numpy as np
import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

from pipelines.readers import malformed
from pipelines.readers.header import joined, locate
from pipelines.readers.seen import Seen
from pipelines.readers.workbook_errors import error_cells
from pipelines.readers.workbook_extent import MOST_CELLS, too_wide
from schemas.errors import SourceError
from schemas.model import FileSource

LIMIT = 128 << 20
"""Bytes of a workbook file."""
EXPANDED = 1 << 30
"""Bytes that a workbook, itself a zip, may expand to."""
CHUNK = 1 << 15
EXACT = 10**15
INT, FLOAT = pa.int64(), pa.float64()
Row = list[Any]


@dataclass
class Chunk:
    """Some rows of a sheet as columns, each in the narrowest type that holds them, and rows set aside."""

    numbers: np.ndarray
    cells: list[pa.Array]
    bad: list[malformed.Bad]


def rows(
    stream: IO[bytes], source: FileSource, columns: Sequence[str], seen: Seen
) -> Iterator[pa.RecordBatch]:
    """Batches of the columns; `_row` is the row's number in the sheet. Blank rows and footers are left out and
    noted; a row with an error cell (`#DIV/0!`) in a column asked for is malformed.

    SourceError for an encrypted, damaged or unknown workbook, a missing sheet, a sheet without its header."""
    sheet = _sheet(open_workbook(stream, seen.name), source, seen.name)
    grid = enumerate(sheet.iter_rows(), start=1)
    at = dict(zip(columns, locate(_names(grid, sheet, source, seen.name), columns, seen), strict=True))
    faulty = error_cells(stream, sheet.name)
    chunks = [_chunk(part, at, source, faulty) for part in _parts(grid, source, faulty, seen)]
    types = [_common({chunk.cells[i].type for chunk in chunks}) for i in range(len(columns))]
    for chunk in chunks:
        cells = [_as(cell, kind) for cell, kind in zip(chunk.cells, types, strict=True)]
        batch = malformed.with_markers(pa.RecordBatch.from_arrays(cells, list(columns)), chunk.numbers)
        yield malformed.insert(malformed.marked(batch), chunk.bad)


def _parts(
    grid: Iterator[tuple[int, Row]], source: FileSource, faulty: set[tuple[int, int]], seen: Seen
) -> Iterator[list[tuple[int, Row]]]:
    """The sheet's rows that are data, some at a time; a footer by count is known only at the end."""
    left_out = Counter[str]()
    filled = {row for row, _ in faulty}
    held: list[tuple[int, Row]] = []
    while part := list(islice(grid, CHUNK)):
        held += _kept(part, source, filled, left_out)
        ready = max(0, len(held) - source.footer)
        if ready:
            yield held[:ready]
        held = held[ready:]
    for what, count in left_out.items():
        seen.note(f"{count} {what} left out")


def open_workbook(stream: IO[bytes], file: str) -> CalamineWorkbook:
    """SourceError for one that is encrypted, damaged, or would expand beyond all bounds."""
    try:
        if stream.read(4) == b"PK\x03\x04":
            _refuse_bomb(stream, file)
        stream.seek(0)
        return CalamineWorkbook.from_filelike(stream)
    except PasswordError:
        pass
    except (CalamineError, zipfile.BadZipFile, OSError, ValueError):
        if not _is_encrypted(stream):
            raise _damaged(file) from None
    raise SourceError(
        "the workbook is protected by a password", file=file, next_step="have the source send it without one"
    )


def _is_encrypted(stream: IO[bytes]) -> bool:
    """An encrypted .xlsx is a compound file with a stream of this name ([MS-OFFCRYPTO], section 2.3.4.4)."""
    stream.seek(0)
    data = stream.read(LIMIT)
    return data.startswith(b"\xd0\xcf\x11\xe0") and "EncryptedPackage".encode("utf-16-le") in data


def _damaged(file: str) -> SourceError:
    return SourceError(
        "the workbook is damaged, or is no workbook",
        file=file,
        expected=".xlsx, .xls, .xlsb or .ods",
        next_step="open it in Excel to see; have the source send it again",
    )


def _refuse_bomb(stream: IO[bytes], file: str) -> None:
    expanded = sum(info.file_size for info in zipfile.ZipFile(stream).infolist())
    if expanded > EXPANDED:
        raise SourceError(
            f"the workbook expands to {expanded} bytes",
            file=file,
            expected=f"at most {EXPANDED}",
            next_step="ask the source for CSV, JSON Lines or Parquet, or for smaller files",
        )
    stream.seek(0)
    if too_wide(stream):
        raise SourceError(
            "the cells of a sheet lie too far apart: it is read whole, with all that is empty between them",
            file=file,
            expected=f"at most {MOST_CELLS} cells from A1 to the last one that holds something",
            next_step="have the source remove what stands far outside the table, or send CSV",
        )


def _sheet(workbook: CalamineWorkbook, source: FileSource, file: str) -> CalamineSheet:
    names = workbook.sheet_names
    wanted = source.sheet if source.sheet is not None else 1
    found = wanted in names if isinstance(wanted, str) else 1 <= wanted <= len(names)
    if not found:
        raise SourceError(
            f"there is no sheet {wanted!r}",
            file=file,
            rule="source.sheet",
            expected="the name of a sheet, or its number: the workbook has " + str(len(names)),
            next_step="correct source.sheet, or ask the source why it changed",
        )
    try:
        return workbook.get_sheet_by_name(wanted if isinstance(wanted, str) else names[wanted - 1])
    except (CalamineError, OSError):
        raise _damaged(file) from None


def _above(source: FileSource) -> int:
    return source.skip + (source.header + source.header_rows - 1 if source.header else 0)


def _names(grid: Iterator[tuple[int, Row]], sheet: CalamineSheet, source: FileSource, file: str) -> list[str]:
    above = [[text(cell) or "" for cell in row] for _, row in islice(grid, _above(source))]
    if not source.header:
        return list(source.columns or ())
    if len(above) < _above(source):
        raise SourceError(
            f"the sheet ends at row {len(above)}, before its header" if above else "the sheet is empty",
            file=file,
            expected=f"a header row at row {_above(source)}",
            next_step="correct source.skip and source.header, or have the source send the file again",
        )
    merged = sheet.merged_cell_ranges
    for (top, left), (bottom, right) in merged or []:
        if top < len(above) and top >= _above(source) - source.header_rows:
            _spread(above, (top, left), (min(bottom, len(above) - 1), right))
    return joined(above[-source.header_rows :], guess=merged is None)


def _spread(above: list[list[str]], first: tuple[int, int], last: tuple[int, int]) -> None:
    """A merged cell's text in each of its cells: the header rows that it spans say the same."""
    for row in above[first[0] : last[0] + 1]:
        row[first[1] : last[1] + 1] = [above[first[0]][first[1]]] * len(row[first[1] : last[1] + 1])


def _kept(
    part: list[tuple[int, Row]], source: FileSource, faulty: set[int], left_out: Counter[str]
) -> list[tuple[int, Row]]:
    """Rows that are data: neither blank (an error cell is not blank) nor, by their first cell, a footer."""
    filled = [(number, row) for number, row in part if number in faulty or any(cell != "" for cell in row)]
    first = pa.array([text(row[0]) for _, row in filled], pa.string())
    footer = malformed.footers(first, source.footer_pattern)
    counts = {"blank row(s)": len(part) - len(filled), "footer row(s)": int(footer.sum())}
    left_out.update({what: count for what, count in counts.items() if count})
    return [row for row, out in zip(filled, footer, strict=True) if not out]


def _chunk(
    part: list[tuple[int, Row]], at: dict[str, int], source: FileSource, faulty: set[tuple[int, int]]
) -> Chunk:
    nulls = {"", *source.null_values}
    good, numbers, bad = [], [], []
    for number, row in part:
        cells = [row[i] if i < len(row) and row[i] not in nulls else None for i in at.values()]
        if wrong := [name for name, i in at.items() if (number, i) in faulty]:
            shown = json.dumps(dict(zip(at, map(text, cells), strict=True)), ensure_ascii=False)
            bad.append((number, f"an error cell in {', '.join(wrong)}", shown))
        else:
            good.append(cells)
            numbers.append(number)
    columns = [_array([row[i] for row in good]) for i in range(len(at))]
    return Chunk(np.array(numbers, np.int64), columns, bad)


def text(cell: Any) -> str | None:
    """A cell as a person sees it, when its column is not of one type."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int | float):
        return _number(cell)
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    return cell.isoformat(" ") if isinstance(cell, datetime) else str(cell)


def _number(cell: float) -> str:
    if abs(cell) >= EXACT:
        return f"{cell:.16e}"
    return str(int(cell)) if float(cell).is_integer() else str(cell)


def _array(cells: list[Any]) -> pa.Array:
    """The narrowest type that holds these cells; null type where none holds anything."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if not kinds:
        return pa.nulls(len(cells))
    if kinds <= {int, float}:
        whole = all(cell is None or (float(cell).is_integer() and abs(cell) < EXACT) for cell in cells)
        return pa.array(
            [cell if cell is None else int(cell) for cell in cells] if whole else cells,
            INT if whole else FLOAT,
        )
    if kinds == {bool}:
        return pa.array(cells, pa.bool_())
    if kinds == {date}:
        return pa.array(cells, pa.date32())
    if kinds <= {date, datetime}:
        moments = [datetime.combine(cell, time()) if type(cell) is date else cell for cell in cells]
        return pa.array(moments, pa.timestamp("us"))
    return pa.array([text(cell) for cell in cells], pa.string())


def _common(types: set[pa.DataType]) -> pa.DataType:
    """The type of a whole column, from those of its chunks."""
    found = types - {pa.null()}
    if len(found) <= 1:
        return found.pop() if found else pa.string()
    if found == {INT, FLOAT}:
        return FLOAT
    return pa.timestamp("us") if found == {pa.date32(), pa.timestamp("us")} else pa.string()


def _as(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    if cells.type == kind or kind != pa.string():
        return cells.cast(kind)
    return pa.array([text(cell) for cell in cells.to_pylist()], pa.string())
