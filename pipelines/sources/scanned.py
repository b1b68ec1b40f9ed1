"""What is landed is read once before it counts, text while it is copied: its rows, its encoding, and whether the
columns are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Final, cast

from lake.passing import Passing
from lake.records import LandedFile, SourceColumn
from pipelines.readers import Opening, Scan, encoding_of, is_packed, open_bytes, scan
from pipelines.readers.header import locate
from pipelines.readers.seen import Seen
from pipelines.telling import file_name, identifying
from schemas.errors import ColumnsMissing, SourceError
from schemas.model import Entry, Source

WHOLE: Final = {"csv", "tsv", "jsonl"}
"""Formats of text that a scan reads to the last byte: it finds out by itself that they are UTF-8, as most files are."""


def columns_of(entry: Entry) -> tuple[str, ...]:
    """The source columns that the entry collects, each once."""
    return tuple(dict.fromkeys(field.source or name for name, field in entry.collected.items()))


def scanned(file: LandedFile, source: Source, columns: Sequence[str]) -> tuple[LandedFile, Scan]:
    """The file with its encoding and rows filled in, and what the scan saw. SourceError if it cannot be
    read."""
    if file.encoding is None and file.format in WHOLE and getattr(source, "encoding", None) is None:
        with suppress(SourceError):  # it may be in another encoding; if not, it is said again below
            return _scanned(file.model_copy(update={"encoding": "utf-8"}), source, columns)
    if file.encoding is None:
        encoding, guessed = encoding_of(file, source)
        file = file.model_copy(update={"encoding": encoding, "encoding_guessed": guessed})
    return _scanned(file, source, columns)


def scanned_passing(
    file: LandedFile, source: Source, columns: Sequence[str], passing: Passing
) -> tuple[LandedFile, Scan] | None:
    """The same of a file of text whose bytes are passing. None where the landed file has to be looked at: it is no text
    or packed, its encoding must be found out, or it cannot be read, which is said there."""
    if file.format not in WHOLE or is_packed(passing.peek(4)):
        return None
    passes = iter([passing])

    @contextmanager
    def once(*_: object) -> Iterator[IO[bytes]]:
        if (stream := next(passes, None)) is None:
            raise SourceError("what passes is read once", file=file_name(file.origin))
        yield cast(IO[bytes], stream)

    with suppress(SourceError):
        encoding = encoding_of(file, source)[0] if getattr(source, "encoding", None) else "utf-8"
        return _scanned(file.model_copy(update={"encoding": encoding}), source, columns, once)
    return None


def _scanned(
    file: LandedFile, source: Source, columns: Sequence[str], opened: Opening = open_bytes
) -> tuple[LandedFile, Scan]:
    try:
        seen = scan(file, source, columns, opened)
    except ColumnsMissing as error:
        error.landed = file
        raise
    return file.model_copy(update={"rows": seen.rows}), seen


def seen_columns(scans: Sequence[Scan], columns: Sequence[str]) -> tuple[SourceColumn, ...]:
    """The columns of all files, each once, in the order in which they are met; of JSON its keys, by name. Those that
    are not collected are left out where an identifier is among them."""
    found: dict[str, str] = {}
    for one in scans:
        found |= dict.fromkeys(sorted(one.keys), "") if one.keys is not None else dict(one.columns)
    wanted = {*columns, *(name.split(".")[0] for name in columns)}
    all_told = not identifying([name for name in found if name not in wanted])
    return tuple(
        SourceColumn(name=name, type=kind) for name, kind in found.items() if all_told or name in wanted
    )


def notes_on(scans: Sequence[Scan], columns: Sequence[str], where: str) -> tuple[str, ...]:
    """The notes of all files. SourceError for a JSON key that no record of any file has: in one record it
    may be absent, in none it is a changed form."""
    seen = Seen(where, [note for one in scans for note in one.notes])
    keys = sorted({key for one in scans for key in one.keys or ()})
    if keys:
        parents = {name.split(".")[0] for name in columns} - set(columns)
        locate([key for key in keys if key not in parents], columns, seen)
    if bad := sum(one.malformed for one in scans):
        seen.note(f"{bad} malformed row(s)")
    return tuple(seen.notes)
