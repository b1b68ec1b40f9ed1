"""The Iceberg tables of the lake: one commit, one snapshot, or nothing at all.

Every change of a table is `replace`: new files in, named files out, rows of large files marked as deleted (`deletes`),
in one atomic commit whose snapshot says in its properties what it was for.
The catalogue is pyiceberg's `SqlCatalog` (SQLite, or PostgreSQL in production), shared by many task processes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.table import Table
from sqlalchemy.exc import IntegrityError

from lake import commits, datafiles, evolution, store
from lake.catalogue import TRIES, open_catalogue, reachable, standing, wait
from lake.commits import Base, Removal, arrow_schema
from lake.deletes import Part, Positions
from lake.opened import Kept, Opened, left
from lake.zones import Identifier, TableZone
from schemas.errors import CommitConflict, LakeError
from schemas.settings import Settings

PROPERTIES: Final = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.previous-versions-max": "20",
    "write.metadata.delete-after-commit.enabled": "true",
    "commit.manifest-merge.enabled": "true",
    "commit.retry.num-retries": "0",
}
"""Old metadata files are bounded; a lost race is not retried by pyiceberg, since only the planner may plan again."""


class Tables:
    """The tables below `settings.lake_root`. Opening reads nothing; the catalogue is made at the first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept = Kept()

    @cached_property
    def _catalogue(self) -> SqlCatalog:
        return open_catalogue(self._settings)

    @property
    def root(self) -> str:
        """The lake that they lie in."""
        return self._settings.lake_root

    def location(self, table: Identifier) -> str:
        """The folder of the table: `<lake>/<zone>/<table>`, all its data and metadata and nothing else's."""
        return store.join(self._settings.lake_root, *table)

    def _load(self, table: Identifier) -> Table:
        try:
            with reachable():
                self._require_ours(table, standing(self._catalogue, table))
                return self._catalogue.load_table(table)
        except NoSuchTableError:
            raise LakeError(f"there is no table {'.'.join(table)}") from None

    def _require_ours(self, table: Identifier, place: str | None) -> None:
        """LakeError where the table's metadata, which are at `place`, lie in another lake: of a copy, whose tables name
        the files of the original, and of a lake that was moved. A link in the old place will do."""
        path, here = (place or "").removeprefix("file://"), f"{self.root}/"
        followed = str(Path(path).resolve()) if store.is_local(path) else path
        if not path or path.startswith(here) or followed.startswith(here):
            return
        lake = path.partition("/".join(("", *table, "")))[0]
        raise LakeError(
            f"{'.'.join(table)} lies at {lake}, outside its folder in this lake, {self.root}",
            rule="tables name their files by whole paths",
            next_step="set XUANWU_LAKE to that path, or put the lake there again (a link or a mount will do): a copy "
            "elsewhere would change the original",
        )

    def exists(self, table: Identifier) -> bool:
        with reachable():
            return bool(self._catalogue.table_exists(table))

    def identifiers(self, zone: TableZone) -> list[Identifier]:
        """Every table of a zone, by name."""
        try:
            with reachable():
                return sorted((zone, found[-1]) for found in self._catalogue.list_tables(zone))
        except NoSuchNamespaceError:
            return []

    # ── schema ───────────────────────────────────────────────────────────────────────────────────────────

    def ensure(self, table: Identifier, schema: pa.Schema, private: Collection[str] = ()) -> None:
        """Create the table, or add the columns and widen the types that it lacks. Safe against a second process.

        All columns are optional: what is required is the checks' business, and a required column can never be added
        to a table that has rows. Columns that `schema` no longer has stay. Of `private` columns no bounds are kept from
        now on. LakeError where a type would lose values.
        """
        wanted = pa.schema([pa.field(f.name, f.type) for f in schema])
        for _ in range(TRIES):
            try:
                with reachable():
                    made = self._made(table, wanted)
                    evolution.evolve(made, wanted)
                    evolution.hide(made, private)
                return
            except (CommitFailedException, TableAlreadyExistsError):
                wait()
        raise CommitConflict(
            f"the schema of {'.'.join(table)} is being changed by others", next_step="run it again"
        )

    def _made(self, table: Identifier, schema: pa.Schema) -> Table:
        with suppress(NoSuchTableError):
            self._require_ours(table, standing(self._catalogue, table))
            return self._catalogue.load_table(table)
        with suppress(NamespaceAlreadyExistsError, IntegrityError):
            self._catalogue.create_namespace(table[0])
        return self._catalogue.create_table(
            table, schema, location=self.location(table), properties=PROPERTIES
        )

    def schema(self, table: Identifier) -> pa.Schema:
        """The table's columns in Arrow types, without field ids."""
        return self._opened(table).schema

    def file_schema(self, table: Identifier) -> pa.Schema:
        """The same with field ids, the private columns marked: what the table's data files are written in and read by
        (`datafiles`)."""
        return self._opened(table).file_schema

    def drop(self, table: Identifier) -> None:
        """The table and every byte of it are gone afterwards, whether or not it was there."""
        with suppress(NoSuchTableError):
            self._catalogue.drop_table(table)
        store.remove_tree(self.location(table))

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────

    def open(self, table: Identifier) -> Opened | None:
        """The table as it stands now, for who asks it several things; None where there is none."""
        try:
            with reachable():
                place = standing(self._catalogue, table)
                if place is None:
                    return None
                self._require_ours(table, place)
                return self._kept.opened(place, lambda: self._catalogue.load_table(table))
        except NoSuchTableError:
            return None

    def _opened(self, table: Identifier) -> Opened:
        found = self.open(table)
        if found is None:
            raise LakeError(f"there is no table {'.'.join(table)}")
        return found

    def current_snapshot(self, table: Identifier) -> int | None:
        """The id of the snapshot that readers see; None for a table that was never committed to, or is not there."""
        found = self.open(table)
        return found.current_snapshot if found else None

    def metadata_file(self, table: Identifier) -> str:
        """The file that holds the table's metadata now."""
        return str(self._opened(table).table.metadata_location)

    def data_files(self, table: Identifier, snapshot: int | None = None, **equal: str) -> list[str]:
        """The Parquet files that are the table, sorted; by default of the current snapshot. `equal` leaves out files
        whose statistics say that they hold no row with such values of string columns. LakeError where some of their
        rows are deleted: such a table is read with `scan`, or in SQL over its `parts`."""
        found = self.parts(table, snapshot, **equal)
        if any(part.deletes for part in found):
            raise LakeError(
                f"{'.'.join(table)} has deleted rows in its data files", expected="no delete files"
            )
        return [part.path for part in found]

    def parts(self, table: Identifier, snapshot: int | None = None, **equal: str) -> list[Part]:
        """The data files of a snapshot, sorted by path, each with the files that delete rows of it."""
        opened = self._opened(table)
        if not equal:
            return list(opened.parts(snapshot))
        found = commits.parts(opened.table, snapshot, equal)
        return [found[path] for path in sorted(found)]

    def read_file(
        self, table: Identifier, path: str, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Stream one data file in the table's types, deleted rows too."""
        schema = self._opened(table).file_schema
        return datafiles.read(path, schema, schema.names if columns is None else columns)

    def read_part(self, table: Identifier, part: Part) -> Iterator[pa.RecordBatch]:
        """Stream the rows of a part in the table's types, without those that are deleted."""
        schema = self._opened(table).file_schema
        return (rows for rows, _ in left(part, schema, schema.names))

    def row_count(self, table: Identifier, snapshot: int | None = None) -> int:
        """Rows of the whole table."""
        return sum(part.rows for part in self.parts(table, snapshot))

    def snapshots(self, table: Identifier) -> Iterator[tuple[int, dict[str, str]]]:
        """Id and summary of the snapshots that led to the current one, the newest first; rolled-back ones are not
        among them."""
        found = self.open(table)
        yield from found.snapshots() if found else ()

    def find_snapshot(self, table: Identifier, **properties: str) -> tuple[int, dict[str, str]] | None:
        """The newest snapshot whose properties are these, `**properties.named(batch=id)`; id and whole summary."""
        for found, summary in self.snapshots(table):
            if properties.items() <= summary.items():
                return found, summary
        return None

    def read_places(
        self, table: Identifier, part: Part, columns: Sequence[str]
    ) -> Iterator[tuple[pa.RecordBatch, Positions]]:
        """Stream these columns of a part's rows that are not deleted, with the rows' places in its file."""
        return left(part, self._opened(table).file_schema, columns)

    def read_at(
        self, table: Identifier, part: Part, columns: Sequence[str], places: Positions
    ) -> Iterator[pa.RecordBatch]:
        """Stream these columns of the rows at these rising places of a part's file, deleted or not."""
        return datafiles.read_at(part.path, self._opened(table).file_schema, columns, places)

    def scan(
        self,
        table: Identifier,
        columns: Sequence[str] | None = None,
        snapshot: int | None = None,
        *,
        skip: int = 0,
    ) -> pa.RecordBatchReader:
        """See `Opened.scan`."""
        return self._opened(table).scan(columns, snapshot, skip=skip)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────

    def replace(
        self,
        table: Identifier,
        rows: datafiles.Rows | None,
        remove: Removal,
        properties: Mapping[str, str],
        base: Base = "current",
        *,
        deleted: Mapping[str, Positions] = MappingProxyType({}),
        seal: commits.Seal | None = None,
    ) -> int:
        """Add `rows` as new files and remove the named files in one commit with one snapshot; returns its id. A
        `datafiles.Writer` may write the files instead. Of files that stay, the rows at the places in `deleted` go.

        There is a snapshot even when nothing changes, so that `properties` can be found again. `base` is the snapshot
        that the change was planned on (None: a table without one): CommitConflict if the table has moved on since. By
        default only the files to remove must still be there. Files of a commit that lost are deleted; where the
        outcome is unknown they stay, since the table may need them. `seal` certifies the snapshot before the commit.
        """
        commits.require_seal(table, seal)
        loaded = self._load(table)
        commits.require_base(loaded, base)
        with store.full_disk_is_ours(loaded.location()), reachable():
            written = datafiles.write_all(f"{loaded.location()}/data", arrow_schema(loaded), rows or ())
            try:
                return commits.commit(
                    loaded, written, remove, dict(properties), base, deleted=deleted, seal=seal
                )
            except CommitConflict:
                store.remove_files(written)
                raise
            except commits.Unsealed as unsealed:
                store.remove_files(written)
                raise (unsealed.__cause__ or unsealed) from None
