"""One way in: the columns of a landed file, or what there is to know about it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from lake.records import LandedFile
from pipelines.readers import columnar, delimited, encodings, malformed
from pipelines.readers.opening import open_bytes, open_seekable
from pipelines.readers.seen import Seen
from pipelines.telling import file_name
from schemas.errors import SourceError
from schemas.model import FileSource, HttpSource, Source

Opening = Callable[[LandedFile, str | None], AbstractContextManager[IO[bytes]]]
"""Opens a file's bytes, as `open_bytes` does."""


@dataclass(frozen=True)
class Scan:
    """What reading a file once showed: all rows, those of them that are malformed, and notes on drift.
    `keys` are the JSON keys that some record has; None for formats whose columns are the same in every
    row: those are in `columns`, with their types where the file declares any."""

    rows: int
    malformed: int
    notes: tuple[str, ...]
    keys: frozenset[str] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


def read(
    file: LandedFile,
    source: Source,
    columns: Sequence[str],
    notes: list[str] | None = None,
    *,
    groups: Sequence[int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """The requested source columns of a landed file, in that order, then three of ours.

    CSV, TSV and JSON give strings; Parquet and Excel their own types, and string for a column of mixed
    cells; text of few values that a Parquet file holds in dictionaries comes as numbers in one. A column's type is the
    same in every batch of a file. Then `_row` int64, the row's number in the
    file as a person sees it in a spreadsheet or editor, counting skipped, header and blank rows (JSON: the
    record's place in its list; Parquet: counted from 1); `_error` string, null unless the row is malformed
    (ragged, a NUL byte, an oversized cell, not a JSON object, a JSON key twice), and `_raw` string, the malformed row's
    text. A malformed row's cells are null. At most 131,072 rows a batch, never an empty one.

    `notes` gains columns that are not collected, and rows that were left out. SourceError for a missing
    column with its near misses, and for a file that cannot be read; an absent JSON key is null, and `scan`
    tells if no record has it. Of a Parquet file `groups` are the row groups to read, neighbours and rising; default
    all."""
    seen = Seen(_name(file), notes if notes is not None else [])
    yield from _there(file, malformed.sliced(_batches(file, source, columns, seen, groups=groups)))


def _there(file: LandedFile, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows but those that were erased: their places are empty."""
    erased = pa.array(file.erased, pa.int64())
    for batch in batches:
        left = batch.filter(pc.invert(pc.is_in(batch["_row"], erased))) if file.erased else batch
        if left.num_rows:
            yield left


def scan(file: LandedFile, source: Source, columns: Sequence[str], opened: Opening = open_bytes) -> Scan:
    """Read a file once, keeping nothing: an unreadable file fails here, before it is landed. `opened` gives the bytes
    of a file of text where it has not landed yet."""
    seen = Seen(_name(file))
    rows = bad = 0
    for batch in _there(file, malformed.sliced(_batches(file, source, columns, seen, opened=opened))):
        rows += batch.num_rows
        bad += batch.num_rows - batch["_error"].null_count
    is_json = file.format in {"json", "jsonl"}
    keys = frozenset(seen.keys) if is_json else None
    return Scan(rows, bad, tuple(seen.notes), keys, dict(seen.columns))


def _name(file: LandedFile) -> str:
    """For messages and notes: a file may be called after a person."""
    return file_name(file.name)


def _batches(
    file: LandedFile,
    source: Source,
    columns: Sequence[str],
    seen: Seen,
    *,
    groups: Sequence[int] | None = None,
    opened: Opening = open_bytes,
) -> Iterator[pa.RecordBatch]:
    if file.format == "parquet":
        with open_seekable(file, member_of(source)) as stream:
            yield from columnar.rows(stream, columns, seen, groups)
    elif file.format == "excel":
        from pipelines.readers import workbook

        with open_seekable(file, member_of(source), workbook.LIMIT) as stream:
            yield from workbook.rows(stream, _as_file(source), columns, seen)
    else:
        yield from _text(file, source, columns, seen, opened)


def _text(
    file: LandedFile, source: Source, columns: Sequence[str], seen: Seen, opened: Opening
) -> Iterator[pa.RecordBatch]:
    if file.format in {"csv", "tsv"}:
        declared = _as_file(source)
        found = delimited.rows(lambda: open_text(file, source, opened), declared, columns, seen)
        yield from malformed.without_last(found, declared.footer)
        return
    from pipelines.readers import jsontext

    with open_text(file, source, opened) as stream:
        if file.format == "jsonl":
            yield from jsontext.lines(stream, columns, seen)
        else:
            yield from jsontext.document(stream, columns, _records(source), seen)


@contextmanager
def open_text(
    file: LandedFile, source: Source, opened: Opening = open_bytes
) -> Iterator[io.BufferedReader[Any]]:
    """The file's text as UTF-8."""
    encoding = file.encoding or encoding_of(file, source)[0] or "utf-8"
    with (
        opened(file, member_of(source)) as raw,
        io.BufferedReader(encodings.Utf8(raw, encoding, _name(file)), encodings.CHUNK) as text,
    ):
        yield text


def encoding_of(file: LandedFile, source: Source) -> tuple[str | None, bool]:
    """(encoding, whether it is a guess): declared, or detected by reading a text file; None for other
    files."""
    if file.format in {"parquet", "excel"}:
        return None, False
    if declared := getattr(source, "encoding", None):
        return encodings.canonical(declared, _name(file)), False
    with open_bytes(file, member_of(source)) as raw:
        return encodings.detect(raw, _name(file))


def member_of(source: Source) -> str | None:
    return source.member if isinstance(source, FileSource) else None


def _records(source: Source) -> str | None:
    return source.records if isinstance(source, FileSource | HttpSource) else None


def _as_file(source: Source) -> FileSource:
    if not isinstance(source, FileSource):
        raise SourceError(f"a {source.kind} source lands no such file", expected="a file source")
    return source
