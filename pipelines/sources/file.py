"""Files of a department become the same bytes in the landing zone, once.

What was loaded before is known by its sha256 and skipped; a known name with other bytes is an error unless
the entry allows a revision. Of a snapshot, which deletes what it does not hold, the files that are the whole land
together as soon as one of them is new (`_whole`). A file that is still being written is left alone. Every file is read
once before the batch counts as landed, text while it is copied, so that a file that cannot be read stops the batch
here: its bytes then stay in the batch's folder, beside a `rejected.json` that says why, until the batch is run again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from lake import landing, store, zones
from lake.batch import Batch
from lake.passing import teed
from lake.records import Landed, LandedFile, SourceColumn
from pipelines.context import Context
from pipelines.drift.judge import judged
from pipelines.readers import Scan, members
from pipelines.sources.placeholders import filled, is_dated
from pipelines.sources.places import ChangedError, Found, Place, absent, chunks, find, outside, place
from pipelines.sources.scanned import columns_of, notes_on, scanned, scanned_passing, seen_columns
from pipelines.telling import file_name
from schemas.errors import LakeError, SourceError
from schemas.model import Entry, FileSource

REJECTED = "rejected.json"


@dataclass
class Known:
    """What the dataset has landed before: digests, the latest digest of each name, all sizes (a file of
    a new size need not be hashed to be known as new), and the digests of the newest batch that brought a file."""

    digests: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    sizes: set[int] = field(default_factory=set)
    newest: set[str] = field(default_factory=set)

    def add(self, file: LandedFile) -> None:
        """As the file came: what was erased from it since, the source does not know."""
        came = file.received or file
        self.digests.add(came.sha256)
        self.names[file.origin] = came.sha256
        self.sizes.add(came.size)

    def is_old(self, name: str, digest: str, *, revise: bool) -> bool:
        """Whether these bytes were loaded. A revision that goes back to earlier bytes is a revision all the
        same."""
        return digest in self.digests and not (revise and self.names.get(name, digest) != digest)


@dataclass
class Taken:
    """What became of the files that were found; `seen` is what reading text showed while it was copied."""

    known: Known
    columns: tuple[str, ...]
    files: list[LandedFile] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    seen: dict[str, tuple[LandedFile, Scan]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def digest(self, where: Place, file: Found) -> str:
        """The sha256 of a file that was found, read once."""
        if file.name not in self.digests:
            self.digests[file.name] = _sha256(where, file)
        return self.digests[file.name]


def collect_file(ctx: Context, entry: Entry, batch: Batch) -> Landed:
    """Land the files that match the entry's path, as they are. Where all of them are known, `Landed.files`
    is empty: there is nothing new, and a batch ends there (a snapshot must not take nothing new for an empty
    table).

    SourceError where no file matches, a known name has other bytes, a file that belongs to this interval is
    still being written, or a file cannot be read; SettingsError where the connection is missing."""
    if (done := landing.landed(ctx.settings, batch)) is not None:
        return done
    declared = entry.source
    assert isinstance(declared, FileSource)  # noqa: S101
    source = declared.model_copy(update={"path": filled(declared.path, entry, batch)})
    with landing.open_landing(ctx.settings, batch) as writer:
        taken = _take(ctx, entry, source, writer, dated=is_dated(declared.path))
        with _rejected(ctx, batch):
            files, notes, columns = _read_once(source, taken)
        landed = Landed(
            batch=batch,
            files=files,
            rows=sum(file.rows for file in files),
            skipped=tuple(taken.skipped),
            notes=notes + tuple(f"{name}: still being written, left alone" for name in taken.unsettled),
            columns=columns,
            collected_at=ctx.clock(),
        )
        return writer.commit(judged(ctx, entry, landed))


def _take(
    ctx: Context, entry: Entry, source: FileSource, writer: landing.LandingWriter, *, dated: bool
) -> Taken:
    """Copy what is new. SourceError where nothing could be taken that had to be."""
    where, pattern = _where(ctx, source)
    found = find(where, pattern)
    if not found and absent(where):
        raise SourceError(
            "the folder of the connection is not there",
            file=where.root,
            expected="a folder that the pipeline's user may list",
            next_step=f"correct the connection {source.connection!r}, or mount the folder, then run again",
        )
    if not found:
        raise SourceError(
            "no file matches",
            file=pattern,
            expected="the file of this interval" if dated else "a file to load",
            next_step="the source may be late: run again when the file has come; or correct source.path",
        )
    taken = Taken(_known(ctx, entry), columns_of(entry))
    settled = [file for file in found if not source.settle or ctx.clock() - file.modified >= source.settle]
    taken.unsettled += [file_name(file.name) for file in found if file not in settled]
    is_whole = entry.merge.kind == "snapshot"
    again = _whole(where, settled, source, taken) if is_whole else ()
    for file in settled:
        with _left_alone_if_changed(taken):
            _take_one(where, file, source, taken, writer, again=file in again)
    partly = is_whole and bool(taken.files)
    if taken.unsettled and (dated or partly or not (taken.files or taken.skipped)):
        raise SourceError(
            f"{len(taken.unsettled)} file(s) are still being written",
            file=taken.unsettled[0],
            rule="source.settle",
            next_step="run the batch again when the source has finished",
        )
    return taken


def _where(ctx: Context, source: FileSource) -> tuple[Place, str]:
    """The folder, and the glob in it."""
    return (place(ctx.connect(source.connection)), source.path) if source.connection else outside(source.path)


@contextmanager
def _left_alone_if_changed(taken: Taken) -> Iterator[None]:
    try:
        yield
    except ChangedError as error:
        if str(error) not in taken.unsettled:
            taken.unsettled.append(str(error))


def _whole(where: Place, found: Sequence[Found], source: FileSource, taken: Taken) -> Sequence[Found]:
    """The files that land together because they are a snapshot's whole, known ones among them. None where nothing is
    new beside the newest batch.

    All of them where files are revised in place. Else those of names that were not loaded yet: what stays in the
    folder under its name is an earlier whole."""
    known, fresh = taken.known, list[Found]()
    for file in found:
        with _left_alone_if_changed(taken):
            if file.size not in known.sizes or known.names.get(file.name) != taken.digest(where, file):
                fresh.append(file)
    if all(file.size in known.sizes and taken.digest(where, file) in known.newest for file in fresh):
        return ()
    return found if source.revise else fresh


def _take_one(
    where: Place, file: Found, source: FileSource, taken: Taken, writer: landing.LandingWriter, *, again: bool
) -> None:
    """Land the file if it is new, or comes `again` with others; the same bytes once in a batch."""
    known = taken.known
    if file.size in known.sizes:
        digest = taken.digest(where, file)
        twice = digest in {each.sha256 for each in taken.files}
        if twice or (not again and known.is_old(file.name, digest, revise=source.revise)):
            taken.skipped.append(file_name(file.name))
            return
    if file.name in known.names and not source.revise:
        raise SourceError(
            "a file of this name was loaded before, with other bytes",
            file=file_name(file.name),
            rule="source.revise",
            expected="the same bytes, or a new name",
            next_step="ask the source which is right; if it may revise its files, set source.revise: true",
        )
    _copy(where, file, source, taken, writer)


def _copy(where: Place, file: Found, source: FileSource, taken: Taken, writer: landing.LandingWriter) -> None:
    """Land the file's bytes, under a name that may be told; text is looked at meanwhile."""
    coming = LandedFile(path="", origin=file.name, sha256="", size=file.size, rows=0, format=source.format)
    look = partial(scanned_passing, coming, source, taken.columns)
    with teed(chunks(where, file), look) as (passed, looked):
        path, sha256, size = writer.add_stream(file_name(file.name.rpartition("/")[2]), passed)
    came = {"path": path, "sha256": sha256, "size": size}
    landed = coming.model_copy(update=came)
    taken.known.add(landed)
    taken.files.append(landed)
    if (seen := looked.result()) is not None:
        taken.seen[path] = (seen[0].model_copy(update=came), seen[1])


def _sha256(where: Place, file: Found) -> str:
    digest = hashlib.sha256()
    for chunk in chunks(where, file):
        digest.update(chunk)
    return digest.hexdigest()


def _known(ctx: Context, entry: Entry) -> Known:
    known = Known()
    for earlier in reversed(list(landing.history(ctx.settings, entry.id))):
        for file in earlier.files:
            known.add(file)
        if earlier.files:
            known.newest = {(file.received or file).sha256 for file in earlier.files}
    return known


def _read_once(
    source: FileSource, taken: Taken
) -> tuple[tuple[LandedFile, ...], tuple[str, ...], tuple[SourceColumn, ...]]:
    """The files with their rows and encoding, one for each member of an archive, the notes on them, their columns."""
    read: list[tuple[LandedFile, Scan]] = []
    for file in taken.files:
        names = members(file.path, file.origin, file.format, source.member) or (None,)
        if (seen := taken.seen.get(file.path)) is not None:
            read.append(seen)
            continue
        each = (file.model_copy(update={"member": name}) for name in names)
        read.extend(scanned(one, source, taken.columns) for one in each)
    scans = [seen for _, seen in read]
    files = tuple(file for file, _ in read)
    return files, notes_on(scans, taken.columns, source.path), seen_columns(scans, taken.columns)


@contextmanager
def _rejected(ctx: Context, batch: Batch) -> Iterator[None]:
    """Where the landed bytes cannot be read they stay, with the reason beside them. A rerun sweeps both."""
    try:
        yield
    except SourceError as error:
        folder = zones.folder(ctx.settings, "landing", batch.dataset, batch.id)
        reason = json.dumps({"reason": str(error), "at": ctx.clock().isoformat()}, ensure_ascii=False)
        with suppress(LakeError):
            store.write_atomic(store.join(folder, "files", REJECTED), reason.encode())
        raise
