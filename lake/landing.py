"""The landing zone: exactly what the source gave, written once, with a manifest that is written last.

A batch's folder without a manifest is not landed: a run died in it, and the next one sweeps it. While a run
writes, it holds a lock on the (local) folder, so that a second run of the same batch is told so and does not sweep
what the first one writes.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa
from pydantic import BaseModel, ValidationError

from lake import progress, store, zones
from lake.ahead import ahead
from lake.batch import Batch
from lake.folderlock import locked
from lake.records import Landed
from schemas.errors import LakeError
from schemas.settings import Settings

MANIFEST = "manifest.json"
ROWS: Final = 64 * 1024
"""Of a row group: half as many as elsewhere, so that writing begins sooner, and ends sooner after the last row came."""
EXPIRED = "expired.json"
SALT = 32
"""Random bytes of a file's salt, as many as its digest has."""
_UNSAFE = re.compile(r"[\x00-\x1f/\\]+")


class Expiry(BaseModel):
    """That a batch's originals were removed after so many days."""

    at: datetime
    days: int


class LandingWriter:
    """Writes the files of one batch. Nothing counts until `commit`."""

    def __init__(self, folder: str, batch: Batch) -> None:
        self._folder = folder
        self._batch = batch
        self._added: set[str] = set()

    def _address(self, name: str) -> str:
        """A numbered name that is safe on every store and keeps what people call the file."""
        safe = _UNSAFE.sub("_", name).strip(". ")[-80:].lstrip(". ") or "file"
        path = store.join(self._folder, "files", f"{len(self._added) + 1:05d}-{safe}")
        self._added.add(path)
        return path

    def add_stream(self, name: str, chunks: Iterable[bytes]) -> tuple[str, str, int]:
        """The bytes as received → (path, sha256, size). If the chunks raise, no file appears."""
        path = self._address(name)
        with progress.going(f"{self._batch.dataset} collect", unit="bytes"):
            sha256, size = store.write_stream(path, _counted(chunks))
        return path, sha256, size

    def add_rows(self, name: str, reader: pa.RecordBatchReader) -> tuple[str, str, int, int]:
        """A query's rows as zstd Parquet → (path, sha256, size, rows). They are read in a thread of its own."""
        path = self._address(name)
        rows = 0

        def told(groups: Iterable[pa.Table]) -> Iterator[pa.Table]:
            nonlocal rows
            for table in groups:
                yield table
                rows += table.num_rows
                progress.passed(table.num_rows)

        with closing(ahead(store.row_groups(reader, reader.schema, ROWS))) as groups:
            sha256, size = store.write_parquet(path, told(groups), reader.schema, statistics=False)
        return path, sha256, size, rows

    def commit(self, landed: Landed) -> Landed:
        """Write the manifest, with a salt for each file: from here on the batch is landed. Files that it does not name
        are removed.

        LakeError if the manifest is another batch's or names a file that this writer did not write."""
        named = {file.path for file in landed.files}
        if landed.batch != self._batch or not named <= self._added:
            raise LakeError(
                "the manifest does not describe what was landed",
                dataset=self._batch.dataset,
                batch=self._batch.id,
            )
        for path in self._added - named:
            store.remove_file(path)
        for path in filter(store.is_local, named):
            Path(path).chmod(0o400)
        files = tuple(file.model_copy(update={"salt": secrets.token_hex(SALT)}) for file in landed.files)
        landed = landed.model_copy(update={"files": files})
        store.write_atomic(store.join(self._folder, MANIFEST), encode(landed))
        return landed


def encode(landed: Landed) -> bytes:
    """A manifest's bytes."""
    return landed.model_dump_json(indent=1).encode()


def _counted(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        progress.passed(len(chunk))
        yield chunk


@contextmanager
def open_landing(settings: Settings, batch: Batch) -> Iterator[LandingWriter]:
    """A writer on a swept folder. LakeError if the batch has landed (ask `landed` first) or is just being so."""
    folder = zones.folder(settings, "landing", batch.dataset, batch.id)
    with locked(folder, _taken(batch)):
        if store.exists(store.join(folder, MANIFEST)):
            raise LakeError(
                "already landed, and landed data is write-once", dataset=batch.dataset, batch=batch.id
            )
        store.remove_tree(store.join(folder, "files"))
        yield LandingWriter(folder, batch)


def _taken(batch: Batch) -> LakeError:
    return LakeError(
        "another run is collecting this batch now",
        dataset=batch.dataset,
        batch=batch.id,
        next_step="wait for it, or stop it, then run again",
    )


def landed(settings: Settings, batch: Batch) -> Landed | None:
    """The manifest of a batch, or None if it has not landed."""
    return _manifest(zones.folder(settings, "landing", batch.dataset, batch.id), batch.dataset)


def _manifest(folder: str, dataset: str) -> Landed | None:
    uri = store.join(folder, MANIFEST)
    try:
        return Landed.model_validate_json(store.read_bytes(uri))
    except FileNotFoundError:
        return None
    except ValidationError:
        raise LakeError("the landing manifest is damaged", dataset=dataset, file=uri) from None


def replace(settings: Settings, landed: Landed) -> None:
    """Another manifest for a landed batch, of which rows were erased: its new files lie there already. Files that it
    does not name are removed, those of a process that was killed here among them."""
    folder = zones.folder(settings, "landing", landed.batch.dataset, landed.batch.id)
    named = {file.path for file in landed.files}
    for path in filter(store.is_local, named):
        Path(path).chmod(0o400)
    data = encode(landed)
    if store.read_bytes(store.join(folder, MANIFEST)) != data:
        store.write_atomic(store.join(folder, MANIFEST), data)
    for path in store.list_files(store.join(folder, "files")):
        if path not in named:
            store.remove_file(path)


def history(settings: Settings, dataset: str) -> Iterator[Landed]:
    """The dataset's landed batches, the newest interval first."""
    for folder in reversed(store.list_folders(zones.folder(settings, "landing", dataset))):
        if (found := _manifest(folder, dataset)) is not None:
            yield found


def originals(settings: Settings, batch: Batch) -> str:
    """The folder of a batch's originals."""
    return store.join(zones.folder(settings, "landing", batch.dataset, batch.id), "files")


def expire(settings: Settings, batch: Batch, at: datetime, kept: timedelta) -> None:
    """Say that a batch's originals are removed by retention; the manifest stays. Whoever calls this removes them."""
    said = Expiry(at=at, days=kept.days)
    folder = zones.folder(settings, "landing", batch.dataset, batch.id)
    store.write_atomic(store.join(folder, EXPIRED), said.model_dump_json(indent=1).encode())


def expired(settings: Settings, batch: Batch) -> Expiry | None:
    """When and why a batch's originals were removed; None where they were not."""
    uri = store.join(zones.folder(settings, "landing", batch.dataset, batch.id), EXPIRED)
    return Expiry.model_validate_json(store.read_bytes(uri)) if store.exists(uri) else None


def require_originals(settings: Settings, batch: Batch) -> None:
    """LakeError where a batch's originals were removed by retention: it cannot be run again from them."""
    if (gone := expired(settings, batch)) is not None:
        raise LakeError(
            f"the originals of this batch were removed on {gone.at:%Y-%m-%d}, after {gone.days} days",
            dataset=batch.dataset,
            batch=batch.id,
            rule="retention.landing of policy.yaml, or of the entry",
            next_step="what it brought is in the curated table; where that is wrong, have the source send it again",
        )
