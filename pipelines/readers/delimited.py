"""CSV and TSV by pyarrow's streaming parser, every cell as a string.

Row numbers count records from 1, the skipped rows, the header and blank rows among them: what a spreadsheet
shows. (A record with newlines in a cell is one row.) A row without a value in any column is left out and
noted. A row of another width than the header is malformed. A quotation mark that is never closed is an error
of the whole file, because what stands behind it cannot be told apart: a sentinel row behind the file's end
shows whether the parser was still inside a cell there.
"""

from __future__ import annotations

import csv
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from io import BufferedReader

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.ahead import ahead
from pipelines.readers import malformed
from pipelines.readers.delimited_head import Table, dialect, open_table
from pipelines.readers.delimited_parse import Ragged, TooLongError, parsed
from pipelines.readers.header import locate
from pipelines.readers.seen import Seen
from schemas.errors import SourceError
from schemas.model import FileSource

BLOCKS = (2 << 20, 16 << 20)
"""Bytes parsed at a time, and so the longest row. The parser reads 32 blocks ahead, so the large block is
taken only for a file in which the small one proved too small."""


def rows(
    open_text: Callable[[], AbstractContextManager[BufferedReader]],
    source: FileSource,
    columns: Sequence[str],
    seen: Seen,
) -> Iterator[pa.RecordBatch]:
    """Batches of the columns, with `_row`, `_error` and `_raw`, from UTF-8 text that can be opened twice.

    SourceError for a quotation mark that is never closed, and for a row longer than the larger block."""
    done = 0
    for block in BLOCKS:
        given = done
        try:
            with open_text() as stream:
                table = open_table(stream, source, seen.name)
                at = dict(zip(columns, locate(table.names, columns, seen), strict=True))
                for batch in _rows(table, source, at, seen, block):
                    fresh = batch.filter(pc.greater(batch["_row"], given)) if given else batch
                    if fresh.num_rows:
                        yield fresh
                        done = fresh["_row"][-1].as_py()
        except TooLongError:
            continue
        return
    raise SourceError(
        f"a row is longer than {BLOCKS[-1]} bytes, or a quotation mark is opened and never closed",
        file=seen.name,
        rule="quoting",
        expected=f"rows like those up to row {done}",
        next_step="have the file repaired; or set source.quote to '' if the file does not quote",
    )


def _rows(
    table: Table, source: FileSource, columns: Mapping[str, int], seen: Seen, block: int
) -> Iterator[pa.RecordBatch]:
    """Every row in its place: the good ones, the malformed ones between them, and none of those left out. The parser is
    a batch or two ahead, in a thread of its own."""
    ragged = Ragged(len(table.names), table.before, f"end-{secrets.token_hex(16)}", seen.name)
    position, left_out, ended = table.before, Counter[str](), False
    with closing(ahead(parsed(table, source, ragged, block))) as batches:
        for batch in batches:
            numbers = _numbers(position, batch.num_rows, [bad[0] for bad in list(ragged.found)])
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
