"""pyarrow's streaming CSV parser, with what it needs around it to lose nothing."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.csv as pa_csv

from pipelines.readers import malformed
from pipelines.readers.delimited_head import Table, delimiter
from schemas.errors import SourceError
from schemas.model import FileSource

MANY = 100_000
"""Malformed rows without a good one between them: the form is wrong, not the rows."""
_CR = ord("\r")


class TooLongError(Exception):
    """A row is longer than a block."""


class Tail(io.RawIOBase):
    """What follows the header, with a sentinel row behind the end: whole blocks, as the parser asks for them."""

    def __init__(self, rest: bytes, stream: io.BufferedReader, sentinel: bytes) -> None:
        self._held, self._stream, self._sentinel = rest, stream, sentinel
        self._last = rest[-1:] or b"\n"
        self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, at most one fewer before the end: the parser loses a newline in a cell whose two characters it
        gets in two blocks."""
        parts, missing = [self._held], size - len(self._held)
        while missing > 0 and not self._ended:
            parts.append(self._more(missing))
            missing -= len(parts[-1])
        data = b"".join(parts)
        count = min(size, len(data))
        if count > 1 and data[count - 1] == _CR:
            count -= 1
        self._held = data[count:]
        return data[:count]

    def _more(self, size: int) -> bytes:
        more = self._stream.read1(size)
        self._last = more[-1:] or self._last
        if more:
            return more
        self._ended = True
        return (b"" if self._last in b"\r\n" else b"\n") + self._sentinel


@dataclass
class Ragged:
    """Holds the malformed rows that the parser meets, on a thread of its own, until their place comes.

    `width` is the header's, `before` the rows above the data, `token` the sentinel's cell."""

    width: int
    before: int
    token: str
    name: str
    found: deque[malformed.Bad] = field(default_factory=deque, repr=False)
    unclosed: int | None = None
    hopeless: bool = False
    last: int = 0
    together: int = 0
    """Malformed rows up to the last one without a good one between them."""

    def __call__(self, row: pa_csv.InvalidRow) -> str:
        """Never raises: an exception here would not reach us, but be printed."""
        number = self.before + (row.number or 0)
        self.together = self.together + 1 if number == self.last + 1 else 1
        self.last, self.hopeless = number, self.together > MANY
        if self.hopeless:
            return "error"
        if self.token in row.text:
            self.unclosed = number
        else:
            cells = f"{row.actual_columns} cell{'s' * (row.actual_columns != 1)} instead of {self.width}"
            self.found.append((number, cells, malformed.shortened(row.text)))
        return "skip"

    def take(self, last: int) -> list[malformed.Bad]:
        """The malformed rows up to row `last`, which are then no longer held."""
        taken = []
        while self.found and self.found[0][0] <= last:
            taken.append(self.found.popleft())
        return taken


def parsed(table: Table, source: FileSource, ragged: Ragged, block: int) -> Iterator[pa.RecordBatch]:
    """The parser's batches, none of them empty; the last row of the last one is the sentinel.

    TooLongError for a row that does not fit into a block; SourceError where all rows are malformed."""
    names = [str(i) for i in range(len(table.names))]
    sentinel = delimiter(source).join([ragged.token] * len(names)) + "\n"
    try:
        reader = pa_csv.open_csv(
            Tail(table.rest, table.stream, sentinel.encode()),
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=block, column_names=names),
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
        if not ragged.hopeless:
            raise TooLongError from None
        raise SourceError(
            f"{MANY} rows in a row do not have {ragged.width} cells",
            file=ragged.name,
            row=ragged.last - MANY,
            next_step="check source.delimiter, source.quote and source.header against the file",
        ) from None
