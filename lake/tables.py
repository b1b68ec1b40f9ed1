"""The Iceberg tables of the lake: one commit, one snapshot, or nothing at all.

Every change of a table is `replace`: new files in, named files out, in one atomic commit whose snapshot says in its
properties what it was for. Nothing here writes delete files, so a table is just the Parquet files of its snapshot.
The catalogue is pyiceberg's `SqlCatalog` (SQLite, or PostgreSQL in production), shared by many task processes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from types import MappingProxyType
from typing import Final, Literal

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
    ValidationException,
)
from pyiceberg.expressions import AlwaysTrue, And, EqualTo
from pyiceberg.io.pyarrow import parquet_files_to_data_files, schema_to_pyarrow
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot, ancestors_of
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from lake import datafiles, evolution, store, zones
from lake.database import BUSY_SECONDS, database_url, prepare_sqlite
from lake.zones import TableZone
from schemas.errors import CommitConflict, LakeError
from schemas.settings import Settings

Identifier = tuple[str, str]
Base = int | Literal["current"] | None
CATALOGUE: Final = "xuanwu"
TRIES: Final = 10
PROPERTIES: Final = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.previous-versions-max": "20",
    "write.metadata.delete-after-commit.enabled": "true",
    "commit.manifest-merge.enabled": "true",
    "commit.retry.num-retries": "0",
}
"""Old metadata files are bounded; a lost race is not retried by pyiceberg, since only the planner may plan again."""


def identifier(zone: TableZone, dataset: str, policy: str | None = None) -> Identifier:
    """`("share", "civil_affairs__marriage__default")`: a dot is not a name's character in every engine."""
    return zone, "__".join((*zones.split(dataset), *([policy] if policy else [])))


class Tables:
    """The tables below `settings.lake_root`. Opening reads nothing; the catalogue is made at the first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @staticmethod
    def identifier(zone: TableZone, dataset: str, policy: str | None = None) -> Identifier:
        return identifier(zone, dataset, policy)

    @cached_property
    def _catalogue(self) -> SqlCatalog:
        url = database_url(self._settings.iceberg_url)
        prepare_sqlite(url)
        if url.get_backend_name() == "sqlite":
            url = url.update_query_dict({"timeout": str(BUSY_SECONDS)})
        if store.is_local(self._settings.lake_root):
            store.make_folder(self._settings.lake_root)
        properties = {
            "uri": url.render_as_string(hide_password=False),
            "warehouse": self._settings.lake_root,
            "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
            **_s3_properties(),
        }
        return _open_catalogue(properties)

    def location(self, table: Identifier) -> str:
        """The folder of the table: `<lake>/<zone>/<table>`, all its data and metadata and nothing else's."""
        return store.join(self._settings.lake_root, *table)

    def _load(self, table: Identifier) -> Table:
        try:
            return self._catalogue.load_table(table)
        except NoSuchTableError:
            raise LakeError(f"there is no table {'.'.join(table)}") from None
        except SQLAlchemyError as error:
            raise _unreachable(error) from None

    def exists(self, table: Identifier) -> bool:
        try:
            return bool(self._catalogue.table_exists(table))
        except SQLAlchemyError as error:
            raise _unreachable(error) from None

    def identifiers(self, zone: TableZone) -> list[Identifier]:
        """Every table of a zone, by name."""
        try:
            return sorted((zone, found[-1]) for found in self._catalogue.list_tables(zone))
        except NoSuchNamespaceError:
            return []

    # ── schema ───────────────────────────────────────────────────────────────────────────────────────────

    def ensure(self, table: Identifier, schema: pa.Schema) -> None:
        """Create the table, or add the columns and widen the types that it lacks. Safe against a second process.

        All columns are optional: what is required is the checks' business, and a required column can never be added
        to a table that has rows. Columns that `schema` no longer has stay. LakeError where a type would lose values.
        """
        wanted = pa.schema([pa.field(f.name, f.type) for f in schema])
        for _ in range(TRIES):
            try:
                found = self._create(table, wanted)
                evolution.evolve(found, wanted)
                return
            except (CommitFailedException, TableAlreadyExistsError):
                _wait()
        raise CommitConflict(
            f"the schema of {'.'.join(table)} is being changed by others", next_step="run it again"
        )

    def _create(self, table: Identifier, schema: pa.Schema) -> Table:
        with suppress(NoSuchTableError):
            return self._catalogue.load_table(table)
        with suppress(NamespaceAlreadyExistsError, IntegrityError):
            self._catalogue.create_namespace(table[0])
        return self._catalogue.create_table(
            table, schema, location=self.location(table), properties=PROPERTIES
        )

    def schema(self, table: Identifier) -> pa.Schema:
        """The table's columns in Arrow types, without field ids."""
        return pa.schema([datafiles.plain(f, ids=False) for f in _arrow_schema(self._load(table))])

    def drop(self, table: Identifier) -> None:
        """The table and every byte of it are gone afterwards, whether or not it was there."""
        with suppress(NoSuchTableError):
            self._catalogue.drop_table(table)
        store.remove_tree(self.location(table))

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────

    def current_snapshot(self, table: Identifier) -> int | None:
        """The id of the snapshot that readers see; None for a table that was never committed to, or is not there."""
        if not self.exists(table):
            return None
        snapshot = self._load(table).current_snapshot()
        return None if snapshot is None else snapshot.snapshot_id

    def data_files(self, table: Identifier, snapshot: int | None = None, **equal: str) -> list[str]:
        """The Parquet files that are the table, sorted; by default of the current snapshot. `equal` leaves out files
        whose statistics say that they hold no row with such values of string columns."""
        return sorted(_files(self._load(table), snapshot, equal))

    def read_file(
        self, table: Identifier, path: str, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Stream one data file in the table's types."""
        schema = _arrow_schema(self._load(table))
        return datafiles.read(path, schema, schema.names if columns is None else columns)

    def file_rows(self, table: Identifier, snapshot: int | None = None) -> dict[str, int]:
        """Rows of each data file by its own footer, as the manifests hold them."""
        return {path: file.record_count for path, file in _files(self._load(table), snapshot).items()}

    def row_count(self, table: Identifier, snapshot: int | None = None) -> int:
        """Rows of the whole table."""
        return sum(self.file_rows(table, snapshot).values())

    def snapshots(self, table: Identifier) -> Iterator[tuple[int, dict[str, str]]]:
        """Id and summary of the snapshots that led to the current one, the newest first; rolled-back ones are not
        among them."""
        for snapshot in _history(self._load(table)) if self.exists(table) else ():
            yield snapshot.snapshot_id, _summary(snapshot)

    def find_snapshot(self, table: Identifier, **properties: str) -> tuple[int, dict[str, str]] | None:
        """The newest snapshot whose properties are these, `**{"xuanwu.batch": id}`; id and whole summary."""
        for found, summary in self.snapshots(table):
            if properties.items() <= summary.items():
                return found, summary
        return None

    def scan(
        self, table: Identifier, columns: Sequence[str] | None = None, snapshot: int | None = None
    ) -> pa.RecordBatchReader:
        """Stream rows in the table's types, file by file in bounded memory. LakeError for an unknown column."""
        loaded = self._load(table)
        schema = _arrow_schema(loaded)
        names = schema.names if columns is None else list(columns)
        if unknown := sorted(set(names) - set(schema.names)):
            raise LakeError(
                f"{'.'.join(table)} has no column {', '.join(unknown)}", expected=", ".join(schema.names)
            )
        paths = sorted(_files(loaded, snapshot))
        batches = (batch for path in paths for batch in datafiles.read(path, schema, names))
        target = pa.schema([datafiles.plain(schema.field(name), ids=False) for name in names])
        return pa.RecordBatchReader.from_batches(target, batches)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────

    def replace(
        self,
        table: Identifier,
        rows: pa.RecordBatchReader | None,
        remove: Collection[str] | Literal["all"],
        properties: Mapping[str, str],
        base: Base = "current",
    ) -> int:
        """Add `rows` as new files and remove the named files in one commit with one snapshot; returns its id.

        There is a snapshot even when nothing changes, so that `properties` can be found again. `base` is the snapshot
        that the change was planned on (None: a table without one): CommitConflict if the table has moved on since. By
        default only the files to remove must still be there. Files of a failed commit are deleted.
        """
        loaded = self._load(table)
        _require_base(loaded, base)
        written: list[str] = []
        try:
            for path in datafiles.write(f"{loaded.location()}/data", _arrow_schema(loaded), rows or ()):
                written.append(path)
            return _commit(loaded, written, remove, dict(properties), TRIES if base == "current" else 1)
        except _Unknown as unknown:
            raise _unreachable(unknown.cause) from None
        except BaseException:
            _delete(written)
            raise


def _commit(
    table: Table,
    written: list[str],
    remove: Collection[str] | Literal["all"],
    properties: dict[str, str],
    tries: int,
) -> int:
    added = list(parquet_files_to_data_files(table.io, table.metadata, iter(written)))
    for _ in range(tries):
        try:
            return _swap(table, added, _chosen(table, remove), properties)
        except (CommitFailedException, ValidationException):
            _wait()
            table.refresh()
    raise CommitConflict(f"another run committed to {'.'.join(table.name())} first", next_step="plan again")


class _Unknown(Exception):
    """The catalogue failed while committing: the commit may stand, so its files must not be deleted."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


def _swap(
    table: Table, added: Iterable[DataFile], removed: Iterable[DataFile], properties: dict[str, str]
) -> int:
    removed = list(removed)
    transaction = table.transaction()
    update = transaction.update_snapshot(snapshot_properties=properties)
    with update.overwrite() if removed else update.merge_append() as producer:
        for file in added:
            producer.append_data_file(file)
        for file in removed:
            producer.delete_data_file(file)
    try:
        transaction.commit_transaction()
    except (SQLAlchemyError, OSError) as error:
        raise _Unknown(error) from None
    return int(producer.snapshot_id)


def _chosen(table: Table, remove: Collection[str] | Literal["all"]) -> list[DataFile]:
    files = _files(table, None)
    if remove == "all":
        return list(files.values())
    if not set(remove) <= files.keys():
        raise CommitConflict(
            f"{'.'.join(table.name())} no longer has the files to be replaced", next_step="plan again"
        )
    return [files[path] for path in remove]


def _require_base(table: Table, base: Base) -> None:
    current = table.current_snapshot()
    if base not in {"current", None if current is None else current.snapshot_id}:
        raise CommitConflict(
            f"{'.'.join(table.name())} has moved on since the plan was made", next_step="plan again"
        )


def _files(
    table: Table, snapshot: int | None, equal: Mapping[str, str] = MappingProxyType({})
) -> dict[str, DataFile]:
    if table.current_snapshot() is None:
        return {}
    if snapshot is not None and table.snapshot_by_id(snapshot) is None:
        raise LakeError(f"{'.'.join(table.name())} has no snapshot {snapshot}")
    where = (
        AlwaysTrue()
        if not equal
        else And(AlwaysTrue(), *(EqualTo(term=name, value=value) for name, value in equal.items()))
    )
    tasks = list(table.scan(where, snapshot_id=snapshot).plan_files())
    if any(task.delete_files for task in tasks):
        raise LakeError(
            f"{'.'.join(table.name())} has delete files, written by another engine",
            next_step="rewrite the table copy-on-write",
        )
    return {task.file.file_path: task.file for task in tasks}


def _history(table: Table) -> Iterator[Snapshot]:
    return iter(ancestors_of(table.current_snapshot(), table.metadata))


def _summary(snapshot: Snapshot) -> dict[str, str]:
    summary = snapshot.summary
    return {} if summary is None else {"operation": summary.operation.value, **summary.additional_properties}


def _arrow_schema(table: Table) -> pa.Schema:
    return pa.schema([datafiles.plain(field) for field in schema_to_pyarrow(table.schema())])


def _delete(paths: Iterable[str]) -> None:
    for path in paths:
        with suppress(OSError):
            store.remove_file(path)


def _wait() -> None:
    time.sleep(random.uniform(0.01, 0.1))  # noqa: S311  spreads competing processes, no secret


def _unreachable(error: Exception) -> LakeError:
    return LakeError(
        f"Iceberg's catalogue cannot be reached or written ({type(error).__name__})",
        next_step="see XUANWU_ICEBERG, and whether its disk is full; then run it again",
    )


def _open_catalogue(properties: dict[str, str]) -> SqlCatalog:
    """Two processes may both find the catalogue empty and both make its tables: the loser looks again."""
    for _ in range(TRIES):
        with suppress(DBAPIError):
            return SqlCatalog(CATALOGUE, **properties)
        _wait()
    raise LakeError("Iceberg's catalogue cannot be opened", next_step="see XUANWU_ICEBERG")


def _s3_properties() -> dict[str, str]:
    options = store.s3_options()
    endpoint = options.get("endpoint_override")
    return {"s3.region": options["region"]} | ({"s3.endpoint": endpoint} if endpoint else {})
