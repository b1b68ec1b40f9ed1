"""One commit of an Iceberg table: files in, files out, one snapshot. And what a table's metadata says of its files."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.expressions import AlwaysTrue, And, EqualTo
from pyiceberg.io.pyarrow import parquet_files_to_data_files, schema_to_pyarrow
from pyiceberg.manifest import DataFile, DataFileContent
from pyiceberg.table import Table, Transaction
from pyiceberg.table.snapshots import Operation, Snapshot, ancestors_of

from lake import catalogue, datafiles, deletes, store
from lake.deletes import Part, Positions
from schemas.errors import CommitConflict, LakeError
from schemas.policy import ZONES

Base = int | Literal["current"] | None
Removal = Collection[str] | Literal["all"]
TRIES: Final = 10


def _of_use(record: logging.LogRecord) -> bool:
    """Whether it is not a warning that a column has no statistics: nested ones have none, and nobody asks for them."""
    return not str(record.msg).startswith("PyArrow statistics missing")


logging.getLogger("pyiceberg.io.pyarrow").addFilter(_of_use)


@dataclass(frozen=True)
class Staged:
    """A snapshot with all its files; one that is about to be committed nobody reads yet. `files` gives
    the rows of each data file, and of a delete file those that it takes away, as a negative number."""

    snapshot: int
    manifest_list: str
    manifests: tuple[str, ...]
    files: Mapping[str, int]


class Seal(Protocol):
    """What a snapshot must have before it is committed (law 4). Where `issue` raises nothing is committed."""

    def properties(self, snapshot: int) -> Mapping[str, str]:
        """What the snapshot says of its certificate."""

    def issue(self, staged: Staged) -> None:
        """Certify it."""


def require_seal(table: tuple[str, str], seal: Seal | None) -> None:
    """LakeError where a published table would get a snapshot without a certificate (law 4)."""
    if table[0] in ZONES and seal is None:
        raise LakeError(f"{'.'.join(table)} is published: a snapshot of it needs its certificate")


class Unsealed(Exception):
    """No certificate, no commit: nothing was committed and nothing will be. Its cause says why."""


def named(producer: Any, seal: Seal | None) -> None:
    """Let the snapshot that is being made name its certificate."""
    if seal is not None:
        producer.snapshot_properties = {
            **producer.snapshot_properties,
            **seal.properties(producer.snapshot_id),
        }


def sealed(transaction: Transaction, snapshot: int, seal: Seal | None) -> None:
    """Certify the snapshot of a transaction that is whole but for its commit. Unsealed, with its manifests removed,
    where that fails."""
    if seal is None:
        return
    table = transaction._table
    made = transaction.table_metadata.snapshot_by_id(snapshot)
    if made is None:
        raise LakeError(f"{name_of(table)} has no snapshot to certify")
    try:
        seal.issue(staged(table, made))
    except BaseException as error:
        own = [each.manifest_path for each in made.manifests(table.io) if each.added_snapshot_id == snapshot]
        store.remove_files([made.manifest_list, *own])
        raise Unsealed from error


def staged(table: Table, snapshot: Snapshot) -> Staged:
    """A snapshot of the table with all its files."""
    manifests = snapshot.manifests(table.io)
    entries = [entry for manifest in manifests for entry in manifest.fetch_manifest_entry(table.io)]
    files = {entry.data_file.file_path: _rows(entry.data_file) for entry in entries}
    paths = tuple(manifest.manifest_path for manifest in manifests)
    return Staged(snapshot.snapshot_id, snapshot.manifest_list, paths, files)


def _rows(file: DataFile) -> int:
    """What a file does to the table's rows: a delete file takes some away."""
    return file.record_count if file.content == DataFileContent.DATA else -file.record_count


def _forget(table: Table, snapshot: int) -> None:
    """Remove the metadata that a lost commit had written: nobody was ever led to it."""
    for uri in store.list_files(store.join(table.location(), "metadata")):
        if uri.endswith(
            ".metadata.json"
        ) and f'"current-snapshot-id":{snapshot},'.encode() in store.read_bytes(uri):
            store.remove_files([uri])


def name_of(table: Table) -> str:
    return ".".join(table.name())


def arrow_schema(table: Table) -> pa.Schema:
    """The table's columns in Arrow types, with field ids, the private ones marked; and whether its files get a salt,
    which a public table's do not: they are downloads too, the same bytes of the same rows."""
    fields = [_marked(table, datafiles.plain(field)) for field in schema_to_pyarrow(table.schema())]
    return pa.schema(fields, None if table.name()[0] == "open" else {datafiles.SALTED: b"1"})


METRICS: Final = "write.metadata.metrics.column."
"""Iceberg's own property of a column: `none` keeps its bounds out of the manifests, whichever engine writes."""


def _marked(table: Table, field: pa.Field) -> pa.Field:
    if table.properties.get(METRICS + field.name) != "none":
        return field
    return field.with_metadata({**(field.metadata or {}), datafiles.PRIVATE: b"1"})


def history(table: Table) -> Iterator[Snapshot]:
    """The snapshots that led to the current one, the newest first."""
    return iter(ancestors_of(table.current_snapshot(), table.metadata))


def summary(snapshot: Snapshot) -> dict[str, str]:
    found = snapshot.summary
    return {} if found is None else {"operation": found.operation.value, **found.additional_properties}


def parts(
    table: Table, snapshot: int | None = None, equal: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Part]:
    """The data files of a snapshot by path, with what is deleted of them. `equal` leaves out those whose statistics
    exclude such values."""
    if table.current_snapshot() is None:
        return {}
    if snapshot is not None and table.snapshot_by_id(snapshot) is None:
        raise LakeError(
            f"{name_of(table)} has no snapshot {snapshot}",
            next_step="upkeep forgets old ones (`retention:` of policy.yaml): run the newest batch",
        )
    terms = [EqualTo(term=name, value=value) for name, value in equal.items()]
    where = And(AlwaysTrue(), *terms) if terms else AlwaysTrue()
    return {
        task.file.file_path: deletes.part_of(task)
        for task in table.scan(where, snapshot_id=snapshot).plan_files()
    }


def require_base(table: Table, base: Base) -> None:
    """CommitConflict unless the table still stands on the snapshot that a change was planned on."""
    current = table.current_snapshot()
    if base not in {"current", None if current is None else current.snapshot_id}:
        raise CommitConflict(
            f"{name_of(table)} has moved on since the plan was made", next_step="run it again"
        )


def commit(
    table: Table,
    written: list[str],
    remove: Removal,
    properties: dict[str, str],
    base: Base,
    *,
    deleted: Mapping[str, Positions] = MappingProxyType({}),
    seal: Seal | None = None,
) -> int:
    """Commit written files; returns the snapshot's id. `deleted` names places of rows that go from files that stay.

    CommitConflict says that nothing was committed and nothing will be. Any other exception says nothing about it:
    the commit may stand, although its answer was lost."""
    added = list(parquet_files_to_data_files(table.io, table.metadata, iter(written)))
    for _ in range(TRIES if base == "current" else 1):
        standing = parts(table)
        chosen = _chosen(table, standing, remove, deleted)
        delta = deletes.plan(table, standing, chosen, deleted)
        try:
            removed = [standing[path].file for path in chosen]
            return _swap(table, added, removed, properties, delta=delta, seal=seal)
        except (CommitFailedException, ValidationException, Unsealed) as error:
            store.remove_files(delta.written)
            if isinstance(error, Unsealed):
                raise
            catalogue.wait()
            table.refresh()
    raise CommitConflict(f"another run committed to {name_of(table)} first", next_step="run it again")


def _chosen(
    table: Table, standing: Mapping[str, Part], remove: Removal, deleted: Mapping[str, Positions]
) -> list[str]:
    if remove == "all":
        return list(standing)
    if not {*remove, *deleted} <= standing.keys():
        raise CommitConflict(
            f"{name_of(table)} no longer has the files to be replaced", next_step="run it again"
        )
    return list(remove)


def _swap(
    table: Table,
    added: list[DataFile],
    removed: list[DataFile],
    properties: dict[str, str],
    *,
    delta: deletes.Delta,
    seal: Seal | None,
) -> int:
    transaction = table.transaction()
    with _producer(transaction, properties, delta, replacing=bool(removed)) as producer:
        for file in added:
            producer.append_data_file(file)
        for file in removed:
            producer.delete_data_file(file)
        named(producer, seal)
    sealed(transaction, producer.snapshot_id, seal)
    try:
        transaction.commit_transaction()
    except (CommitFailedException, ValidationException):
        _forget(table, producer.snapshot_id)
        raise
    return int(producer.snapshot_id)


def _producer(
    transaction: Transaction, properties: dict[str, str], delta: deletes.Delta, *, replacing: bool
) -> Any:
    """What makes the snapshot: a row delta where delete files come or go, else pyiceberg's own."""
    update = transaction.update_snapshot(snapshot_properties=properties)
    if not (delta.added or delta.dropped):
        return update.overwrite() if replacing else update.merge_append()
    producer = deletes.RowDelta(
        operation=Operation.OVERWRITE,
        transaction=transaction,
        io=transaction._table.io,
        snapshot_properties=properties,
    )
    producer.delta = delta
    return producer
