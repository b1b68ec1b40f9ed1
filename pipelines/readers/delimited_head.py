"""What stands above the data of a delimited file: skipped rows and the header, read record by record."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

from pipelines.readers.header import joined
from schemas.errors import SourceError
from schemas.model import FileSource

HEAD = 1 << 20
"""Bytes that the skipped rows and the header may take."""
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r(?=[^\n]))")


class Head:
    """The first lines of a stream, one at a time; `rest` is what they leave of the stream."""

    def __init__(self, stream: BufferedReader, name: str) -> None:
        self._stream, self._name = stream, name
        self._buffer, self._at, self._read = b"", 0, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while not (match := _LINE.match(self._buffer, self._at)):
            more = self._stream.read(1 << 16)
            self._read += len(more)
            if not more:
                return self._last()
            if self._read > HEAD:
                raise SourceError(
                    f"the header does not end within {HEAD} bytes",
                    file=self._name,
                    expected="a header row; a quotation mark may be left open above it",
                    next_step="correct source.quote and source.skip, or have the source send the file again",
                )
            self._buffer, self._at = self._buffer[self._at :] + more, 0
        self._at = match.end()
        return match.group().decode()

    def _last(self) -> str:
        line, self._buffer, self._at = self._buffer[self._at :], b"", 0
        if not line:
            raise StopIteration
        return line.decode()

    @property
    def rest(self) -> bytes:
        return self._buffer[self._at :]


@dataclass(frozen=True)
class Table:
    """A parsed header: the columns' names, the rows above the data, and the text that follows."""

    names: list[str]
    before: int
    rest: bytes
    stream: BufferedReader


def open_table(stream: BufferedReader, source: FileSource, name: str) -> Table:
    """Read past the skipped rows and the header of UTF-8 text.

    SourceError for a file that ends before its header."""
    head = Head(stream, name)
    rows = csv.reader(head, **dialect(source), strict=False)
    above = source.skip + (source.header + source.header_rows - 1 if source.header else 0)
    taken = []
    try:
        for _ in range(above):
            taken.append(next(rows))
    except StopIteration:
        raise SourceError(
            f"the file ends at row {len(taken)}, before its header" if taken else "the file is empty",
            file=name,
            expected=f"a header row at row {above}",
            next_step="have the source send the file again",
        ) from None
    except csv.Error:
        raise SourceError(
            "the header row cannot be read",
            file=name,
            row=len(taken) + 1,
            expected="names, delimiters and quotes",
            next_step="have the source send the file again, or correct source.delimiter and source.quote",
        ) from None
    names = joined(taken[-source.header_rows :]) if source.header else list(source.columns or ())
    if not names:
        raise SourceError(
            "no column names",
            file=name,
            expected="source.header, or source.columns for a file without",
            next_step="add one of them to the entry",
        )
    return Table(names, above, head.rest, stream)


def dialect(source: FileSource) -> dict[str, Any]:
    if source.quote:
        return {"delimiter": delimiter(source), "quotechar": source.quote}
    return {"delimiter": delimiter(source), "quoting": csv.QUOTE_NONE}


def delimiter(source: FileSource) -> str:
    return source.delimiter or ("\t" if source.format == "tsv" else ",")
