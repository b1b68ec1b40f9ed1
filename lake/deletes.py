"""Rows that are gone while their data file stays: Iceberg's position deletes (table spec, version 2).

A merge that changes one row in a hundred of a large file does not write the other ninety-nine again: it names the
places of the old rows in a delete file, and every reader of Iceberg leaves them out. We write one delete file for a
data file at most; who deletes more of its rows writes that one anew. Delete files of other engines, which may name
many data files, are read the same; equality deletes are refused.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriterV2,
)
from pyiceberg.table import FileScanTask, Table
from pyiceberg.table.update.snapshot import _OverwriteFiles
from pyiceberg.typedef import Record

from lake import live, store
from lake.live import NOWHERE, Positions, left
from schemas.errors import LakeError

__all__ = ["NOWHERE", "Delta", "Part", "Positions", "RowDelta", "left", "part_of", "plan", "rewritten"]
_PATH_ID, _POS_ID = 2147483546, 2147483545
"""Reserved field ids of the table spec."""
SCHEMA: Final = pa.schema(
    [
        pa.field("file_path", pa.string(), nullable=False, metadata={"PARQUET:field_id": str(_PATH_ID)}),
        pa.field("pos", pa.int64(), nullable=False, metadata={"PARQUET:field_id": str(_POS_ID)}),
    ]
)
SMALL_ROWS: Final = 100_000
SMALL_FILES: Final = 64
DEAD: Final = 0.2
"""Of a data file's rows, the share that may be marked as deleted before it is written anew."""


@dataclass(frozen=True)
class Part:
    """A data file of a snapshot, and the files that delete rows of it."""

    file: DataFile
    deletes: tuple[DataFile, ...] = ()

    @property
    def path(self) -> str:
        return self.file.file_path

    @property
    def deleting(self) -> list[str]:
        return [each.file_path for each in self.deletes]

    @property
    def gone(self) -> Positions:
        """Places of the deleted rows in the file, rising."""
        found = [_positions(each, self.path) for each in self.deletes]
        return np.unique(np.concatenate(found)) if found else NOWHERE

    @property
    def rows(self) -> int:
        """Rows that are left."""
        if len(self.deletes) == 1 and _only(self.deletes[0]) == self.path:
            return self.file.record_count - self.deletes[0].record_count
        return self.file.record_count - len(self.gone)


def part_of(task: FileScanTask) -> Part:
    if any(each.content != DataFileContent.POSITION_DELETES for each in task.delete_files):
        raise LakeError(
            "the table has equality deletes, written by another engine",
            file=task.file.file_path,
            next_step="rewrite the table copy-on-write",
        )
    return Part(task.file, tuple(sorted(task.delete_files, key=lambda each: each.file_path)))


def rewritten(parts: Iterable[Part], going: Mapping[str, int]) -> list[Part]:
    """The data files that a change writes anew, `going` being the rows that go from each. Large ones of which little
    is gone stay. Small ones all go once they are many, so that a table which gets a few rows every hour does not become
    thousands of files."""
    listed = list(parts)
    small = {part.path for part in listed if part.rows < SMALL_ROWS}
    many = small if len(small) >= SMALL_FILES else set()
    return [part for part in listed if part.path in many or _is_eaten(part, going.get(part.path, 0))]


def _is_eaten(part: Part, going: int) -> bool:
    whole = part.file.record_count
    return going > 0 and (whole < SMALL_ROWS or whole - part.rows + going > DEAD * whole)


def _positions(file: DataFile, path: str) -> Positions:
    return live.positions(file.file_path, path, only=_only(file) == path)


def _only(file: DataFile) -> str | None:
    """The one data file that a delete file is about, as its bounds tell."""
    lower, upper = (bounds or {} for bounds in (file.lower_bounds, file.upper_bounds))
    low, high = lower.get(_PATH_ID), upper.get(_PATH_ID)
    return low.decode() if low is not None and low == high else None


# ── writing ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Delta:
    """Delete files that a commit adds, and those that it takes away (by path)."""

    added: list[DataFile] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)

    @property
    def written(self) -> list[str]:
        return [each.file_path for each in self.added]


def plan(
    table: Table, parts: Mapping[str, Part], removed: Collection[str], deleted: Mapping[str, Positions]
) -> Delta:
    """Write the delete files of a commit. Delete files of removed data files go with them."""
    delta = Delta(dropped={each.file_path for path in removed for each in _own(parts[path])})
    for path, positions in deleted.items():
        if len(positions):
            part = parts[path]
            delta.added.append(_write(table, path, np.union1d(part.gone, positions)))
            delta.dropped |= {each.file_path for each in _own(part)}
    return delta


def _own(part: Part) -> Iterable[DataFile]:
    """A part's delete files but for those of other engines that are about other files too."""
    return (each for each in part.deletes if _only(each) == part.path)


def _write(table: Table, path: str, positions: Positions) -> DataFile:
    uri = store.join(f"{table.location()}/data", f"{uuid.uuid4()}-deletes.parquet")
    rows = pa.table([pa.repeat(pa.scalar(path), len(positions)), pa.array(positions)], schema=SCHEMA)
    with store.atomic_parquet(uri, SCHEMA) as writer:
        writer.write_table(rows)
    first, last = (int(each).to_bytes(8, "little", signed=True) for each in positions[[0, -1]])
    return DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=uri,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=len(positions),
        file_size_in_bytes=store.size_of(uri),
        lower_bounds={_PATH_ID: path.encode(), _POS_ID: first},
        upper_bounds={_PATH_ID: path.encode(), _POS_ID: last},
        sort_order_id=None,
        spec_id=table.metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
    )


class _DeleteManifest(ManifestWriterV2):
    """pyiceberg writes manifests of data files only."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class RowDelta(_OverwriteFiles):
    """A commit of data files in and out that adds and takes away delete files too: they have one manifest, which each
    such commit writes anew."""

    delta: Delta

    def _manifests(self) -> list[ManifestFile]:
        found = super()._manifests()
        data = [each for each in found if each.content == ManifestContent.DATA]
        return [*data, *self._of_deletes([each for each in found if each.content == ManifestContent.DELETES])]

    def _of_deletes(self, before: list[ManifestFile]) -> list[ManifestFile]:
        entries = [self._entry(each, before=True) for each in self._standing(before)]
        entries += [
            self._entry(ManifestEntry.from_args(data_file=file), before=False) for file in self.delta.added
        ]
        if not entries:
            return []
        writer = _DeleteManifest(
            self._transaction.table_metadata.spec(),
            self.schema(),
            self.new_manifest_output(),
            self._snapshot_id,
            self._compression,
        )
        with writer:
            for entry in entries:
                writer.add_entry(entry)
        return [writer.to_manifest_file()]

    def _standing(self, manifests: list[ManifestFile]) -> list[ManifestEntry]:
        return [e for each in manifests for e in each.fetch_manifest_entry(self._io, discard_deleted=True)]

    def _entry(self, entry: ManifestEntry, *, before: bool) -> ManifestEntry:
        """As the spec has it: an entry that goes names the snapshot that took it away."""
        if not before:
            status = ManifestEntryStatus.ADDED
        elif entry.data_file.file_path in self.delta.dropped:
            status = ManifestEntryStatus.DELETED
        else:
            status = ManifestEntryStatus.EXISTING
        kept = before and status == ManifestEntryStatus.EXISTING
        return ManifestEntry.from_args(
            status=status,
            snapshot_id=entry.snapshot_id if kept else self._snapshot_id,
            sequence_number=entry.sequence_number if before else None,
            file_sequence_number=entry.file_sequence_number if before else None,
            data_file=entry.data_file,
        )

    def _summary(self, snapshot_properties: dict[str, str] | None = None) -> Any:
        """Counted with the delete files. The manifests are written by now."""
        parent = self._transaction.table_metadata.snapshot_by_id(self._parent_snapshot_id or -1)
        manifests = parent.manifests(self._io) if parent else []
        deletes = [each for each in manifests if each.content == ManifestContent.DELETES]
        gone = [e.data_file for e in self._standing(deletes) if e.data_file.file_path in self.delta.dropped]
        self._added_data_files = [*self._added_data_files, *self.delta.added]
        self._deleted_data_files = {*self._deleted_data_files, *gone}
        return super()._summary(snapshot_properties or {})
