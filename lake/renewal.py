"""A table that begins anew: other columns, other rows, and nothing left of what it was, in one commit.

A published table whose masks change must not keep its past. Adding and dropping columns would not do: dropped
ones stay in the old files, old snapshots can be read by anyone who may read the table, and even the manifests
of a new snapshot list the files it removed with their smallest and largest values. Dropping the table and
making it again would, for a moment, leave readers without one, and for ever if the process is killed there.

So the new rows are written below a new folder of the table's own, and one commit sets schema, location and
the only snapshot, and forgets all others: a reader sees the old table or the new one. Then the old folders
are removed whole, files that no snapshot ever named among them. `sweep` can be repeated at any time: a
process killed between the two leaves files that the next publication removes, and whoever planned on the old
table fails to commit. A reader in the middle of an old snapshot loses its files: that is the point.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io.pyarrow import parquet_files_to_data_files
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AssertRefSnapshotId,
    AssertTableUUID,
    RemoveSchemasUpdate,
    RemoveSnapshotsUpdate,
    SetCurrentSchemaUpdate,
    SetLocationUpdate,
    TableUpdate,
    update_table_metadata,
)
from sqlalchemy.exc import SQLAlchemyError

from lake import commits, datafiles, store
from lake.commits import arrow_schema
from lake.tables import Tables
from lake.zones import Identifier
from schemas.errors import CommitConflict, LakeError


def renew(
    tables: Tables,
    table: Identifier,
    schema: pa.Schema,
    rows: datafiles.Rows,
    *,
    properties: Mapping[str, str],
    base: int | None,
    seal: commits.Seal | None = None,
) -> int:
    """Make the table these columns and rows and nothing else; returns the id of its one snapshot.

    `base` is the snapshot that was current when the renewal was planned (None: there was none).
    CommitConflict if the table has moved on since; nothing is changed then, and nothing when `rows` raises.
    """
    commits.require_seal(table, seal)
    loaded = tables._load(table)
    location = store.join(tables.location(table), uuid.uuid4().hex[:12])
    begin = _begin(loaded.metadata, schema, location)
    staged = _staged(loaded, begin)
    try:
        written = datafiles.write_all(f"{location}/data", arrow_schema(staged), rows)
        snapshot, added = _append(staged, written, properties, seal)
        _commit(loaded, (*begin, *added), base)
    except _Unknown:
        raise LakeError(
            f"Iceberg's catalogue failed while {'.'.join(table)} was renewed",
            next_step="see XUANWU_ICEBERG, then run it again",
        ) from None
    except commits.Unsealed as unsealed:
        store.remove_tree(location)
        raise (unsealed.__cause__ or unsealed) from None
    except BaseException:
        store.remove_tree(location)
        raise
    sweep(tables, table)
    return snapshot


def sweep(tables: Tables, table: Identifier) -> None:
    """Remove what earlier lives of a renewed table left: every folder of it but the one it lies in now."""
    home = tables.location(table)
    kept = tables._load(table).location().rstrip("/")
    if kept.startswith(home + "/"):
        for folder in store.list_folders(home):
            if folder.rsplit("/", 1)[-1] != kept.rsplit("/", 1)[-1]:
                store.remove_tree(folder)


class _Unknown(Exception):
    """The catalogue failed while committing: the commit may stand, so its files must not be deleted."""


def _begin(metadata: TableMetadata, schema: pa.Schema, location: str) -> tuple[TableUpdate, ...]:
    """The updates that leave an empty table: no snapshot, one schema whose field ids were never used."""
    wanted = Catalog._convert_schema_if_needed(pa.schema([pa.field(f.name, f.type) for f in schema]))
    ids = itertools.count(metadata.last_column_id + 1)
    number = max(old.schema_id for old in metadata.schemas) + 1
    fresh = Schema(*assign_fresh_schema_ids(wanted, lambda: next(ids)).fields, schema_id=number)
    snapshots = [snapshot.snapshot_id for snapshot in metadata.snapshots]
    forget = (RemoveSnapshotsUpdate(snapshot_ids=snapshots),) if snapshots else ()
    return (
        *forget,
        SetLocationUpdate(location=location),
        AddSchemaUpdate(schema_=fresh),
        SetCurrentSchemaUpdate(schema_id=number),
        RemoveSchemasUpdate(schema_ids=[old.schema_id for old in metadata.schemas]),
    )


def _staged(table: Table, updates: tuple[TableUpdate, ...]) -> Table:
    """The table as it would be: its manifests are written at the new location, against the new schema."""
    metadata = update_table_metadata(table.metadata, updates)
    return Table(table.name(), metadata, table.metadata_location, table.io, table.catalog)


def _append(
    staged: Table, written: list[str], properties: Mapping[str, str], seal: commits.Seal | None
) -> tuple[int, tuple[TableUpdate, ...]]:
    transaction = staged.transaction()
    with transaction.update_snapshot(snapshot_properties=dict(properties)).fast_append() as producer:
        for file in parquet_files_to_data_files(staged.io, staged.metadata, iter(written)):
            producer.append_data_file(file)
        commits.named(producer, seal)
    commits.sealed(transaction, producer.snapshot_id, seal)
    return int(producer.snapshot_id), transaction._updates


def _commit(table: Table, updates: tuple[TableUpdate, ...], base: int | None) -> None:
    unmoved = (
        AssertTableUUID(uuid=table.metadata.table_uuid),
        AssertRefSnapshotId(ref=MAIN_BRANCH, snapshot_id=base),
    )
    try:
        table.catalog.commit_table(table, unmoved, updates)
    except CommitFailedException:
        raise CommitConflict(
            f"{'.'.join(table.name())} has moved on since the plan was made", next_step="run it again"
        ) from None
    except (SQLAlchemyError, OSError) as error:
        raise _Unknown from error
