"""CSV and TSV by pyarrow's streaming parser, every cell as a string.

Row numbers count records from 1, the skipped rows, the header and blank rows among them: what a spreadsheet
shows. (A record with newlines in a cell is one row.) A row without a value in any column is left out and
noted. A row of another width than the header is malformed. A quotation mark that is never closed is an error
of the whole file, because what stands behind it cannot be told apart: a sentinel row behind the file's end
shows whether the parser was still inside a cell there.
"""

from __future__ import annotations

import csv
import io
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from typing_extensions import Buffer

from pipelines.readers import malformed
from pipelines.readers.delimited_head import Table, delimiter, dialect
from pipelines.readers.seen import Seen
from schemas.errors import SourceError
from schemas.model import FileSource

BLOCK = 16 << 20
"""Bytes parsed at a time, and so the longest row that can be read."""
MANY = 100_000
"""Malformed rows without a good one between them: the form is wrong, not the rows."""


class Tail(io.RawIOBase):
    """What follows the header, with a sentinel row behind the end."""

    def __init__(self, rest: bytes, stream: IO[bytes], sentinel: bytes) -> None:
        self._held, self._stream, self._sentinel = rest, stream, sentinel
        self._last = rest[-1:] or b"\n"
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        room = memoryview(buffer)
        if not self._held and not self._ended:
            self._held = self._stream.read(len(room))
            self._last = self._held[-1:] or self._last
            if not self._held:
                self._ended = True
                self._held = (b"" if self._last in b"\r\n" else b"\n") + self._sentinel
        count = min(len(room), len(self._held))
        room[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


@dataclass
class Ragged:
    """Collects the parser's malformed rows; `take` gives those above a row number."""

    width: int
    before: int
    token: str
    name: str
    found: list[tuple[int, str, str]] = field(default_factory=list)
    unclosed: int | None = None

    def __call__(self, row: pa_csv.InvalidRow) -> str:
        number = self.before + row.number
        if self.token in row.text:
            self.unclosed = number
        elif len(self.found) >= MANY:
            raise SourceError(
                f"{MANY} rows in a row do not have {self.width} cells",
                file=self.name,
                row=self.found[0][0],
                next_step="check source.delimiter, source.quote and source.header against the file",
            )
        else:
            cells = f"{row.actual_columns} cell{'s' * (row.actual_columns != 1)} instead of {self.width}"
            self.found.append((number, cells, row.text))
        return "skip"

    def take(self, last: int) -> list[tuple[int, str, str]]:
        count = next((i for i, bad in enumerate(self.found) if bad[0] > last), len(self.found))
        taken, self.found = self.found[:count], self.found[count:]
        return taken


def rows(
    table: Table, source: FileSource, columns: Mapping[str, int], seen: Seen
) -> Iterator[pa.RecordBatch]:
    """Batches of the columns (name to index in the file), with `_row`, `_error` and `_raw`.

    SourceError for a quotation mark that is never closed and for a row longer than `BLOCK`."""
    ragged = Ragged(len(table.names), table.before, f"end-{secrets.token_hex(16)}", seen.name)
    position, left_out, ended = table.before, Counter[str](), False
    for batch in _parsed(table, source, ragged):
        numbers = _numbers(position, batch.num_rows, [bad[0] for bad in ragged.found])
        position = int(numbers[-1])
        ended = batch.column(0)[-1].as_py() == ragged.token
        keep = _kept(batch, source.footer_pattern, left_out)
        keep[-1] &= not ended
        chosen = pa.RecordBatch.from_arrays([batch.column(i) for i in columns.values()], list(columns))
        if not keep.all():
            chosen, numbers = chosen.filter(pa.array(keep)), numbers[keep]
        bad = [row for row in ragged.take(position) if not _is_footer(row[2], source)]
        yield malformed.insert(malformed.marked(malformed.with_markers(chosen, numbers)), bad)
    if not ended:
        raise _unclosed(seen.name, ragged.unclosed or position)
    for what, count in left_out.items():
        seen.note(f"{count} {what} left out")


def _unclosed(file: str, row: int) -> SourceError:
    return SourceError(
        "a quotation mark is opened and never closed",
        file=file,
        row=row,
        rule="quoting",
        next_step="have the file repaired; or set source.quote to '' if the file does not quote",
    )


def _parsed(table: Table, source: FileSource, ragged: Ragged) -> Iterator[pa.RecordBatch]:
    """The parser's batches, none of them empty; the last row of the last one is the sentinel."""
    names = [str(i) for i in range(len(table.names))]
    sentinel = delimiter(source).join([ragged.token] * len(names)) + "\n"
    try:
        reader = pa_csv.open_csv(
            Tail(table.rest, table.stream, sentinel.encode()),
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=names),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter(source),
                quote_char=source.quote or False,
                newlines_in_values=bool(source.quote),
                ignore_empty_lines=False,
                invalid_row_handler=ragged,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=list(source.null_values),
                strings_can_be_null=True,
                check_utf8=False,
            ),
        )
        yield from (batch for batch in reader if batch.num_rows)
    except pa.ArrowInvalid:
        raise SourceError(
            f"a row is longer than {BLOCK} bytes, or a quotation mark is opened and never closed",
            file=ragged.name,
            rule="quoting",
            next_step="have the file repaired; or set source.quote to '' if the file does not quote",
        ) from None


def _numbers(position: int, count: int, bad: Sequence[int]) -> np.ndarray:
    """Numbers of the next `count` good rows after row `position`: those that no malformed row holds."""
    good = np.arange(position + 1, position + 1 + count, dtype=np.int64)
    if not bad:
        return good
    good_before_each = np.asarray(bad, np.int64) - np.arange(len(bad))
    return good + np.searchsorted(good_before_each, good, side="right")


def _kept(batch: pa.RecordBatch, pattern: str | None, left_out: Counter[str]) -> np.ndarray:
    """Which rows are data: neither blank nor, by their first cell, a footer. What is not is counted."""
    blank = np.ones(batch.num_rows, bool)
    for column in batch.columns:
        if not column.null_count:
            blank[:] = False
        if not blank.any():
            break
        blank &= column.is_null().to_numpy(zero_copy_only=False)
    footer = malformed.footers(batch.column(0), pattern) & ~blank
    left_out.update(
        {
            what: int(mask.sum())
            for what, mask in {"blank row(s)": blank, "footer row(s)": footer}.items()
            if mask.any()
        }
    )
    return ~(blank | footer)


def _is_footer(text: str, source: FileSource) -> bool:
    if source.footer_pattern is None:
        return False
    first = next(csv.reader([text], **dialect(source)), [""])
    return bool(malformed.footers(pa.array(first[:1], pa.string()), source.footer_pattern).any())
