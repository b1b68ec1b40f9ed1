"""A published table as a reader elsewhere is shown it: under names of the exchange, without the lake's own places.

Iceberg's metadata names every file by its place in the lake: a path of the local disk, a bucket of the city's. A reader
gets the same metadata, manifests and delete files with `s3://xuanwu/<zone>/<table>/…` in their stead; data files are as
they are. Nobody is shown a file that no snapshot of the table names: what a publication has written and not yet
committed is nobody's to read.

Readers that know no delete files are given plain Parquet files: where rows of a data file are deleted, one that holds
what is left. What is made for readers lies in `shown/` of the table's folder, is made again when it is not there, ends
with the table's life (`lake.renewal`), and is an orphan to upkeep.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.avro.file import AvroFile, AvroOutputFile
from pyiceberg.conversions import from_bytes
from pyiceberg.io import InputFile, OutputFile
from pyiceberg.manifest import DataFile, DataFileContent, ManifestEntryStatus
from pyiceberg.table import Table
from pyiceberg.typedef import Record

from lake import commits, datafiles, deletes, parquet, store
from lake.commits import arrow_schema
from lake.deletes import Part
from lake.hints import Hint, expression
from lake.tables import Tables
from lake.zones import Identifier
from schemas.errors import LakeError

BUCKET: Final = "xuanwu"
FOLDER: Final = "shown"
_PLAIN: Final = re.compile(r"plain-[0-9a-f]{40}\.parquet")
Kind = Literal["data", "deletes", "manifest", "list", "metadata"]
_CONTENT, _PATH, _SIZE, _LOWER, _UPPER = 134, 100, 104, 125, 128
_STATUS, _DATA_FILE = 0, 2
_MANIFEST_PATH, _MANIFEST_LENGTH = 500, 501
"""Field ids of manifests and manifest lists (Iceberg table spec, Manifests)."""


# ── versions ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Version:
    """A snapshot with the number by which versions count up (its sequence number), and its time in milliseconds."""

    snapshot: int
    number: int
    at: int


def versions(tables: Tables, table: Identifier) -> list[Version]:
    """The versions that can be read, the newest first; none where nothing was published."""
    opened = tables.open(table)
    if opened is None:
        return []
    history = commits.history(opened.table)
    return [
        Version(each.snapshot_id, int(each.sequence_number or 0), int(each.timestamp_ms)) for each in history
    ]


def table_id(tables: Tables, table: Identifier) -> str:
    """The table's own id, which stays while its rows come and go."""
    return str(tables._opened(table).table.metadata.table_uuid)


# ── plain files ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Plain:
    """A Parquet file that holds rows of a snapshot and no deleted one. `least` and `most` are bounds of columns whose
    values are not private; `nulls` is empty where rows were left out."""

    id: str
    path: str
    size: int
    rows: int
    least: Mapping[str, Any]
    most: Mapping[str, Any]
    nulls: Mapping[str, int]


def plain_files(
    tables: Tables, table: Identifier, snapshot: int, hint: Hint | None = None
) -> Iterator[Plain]:
    """The files of a snapshot by path, without those that cannot hold a row for which the hint holds."""
    loaded = tables._opened(table).table
    scan = loaded.scan(expression(loaded.schema(), hint), snapshot_id=snapshot)
    parts = [deletes.part_of(task) for task in scan.plan_files()]
    for part in sorted(parts, key=lambda each: each.path):
        if part.rows:
            yield _plain_file(loaded, part)


def _plain_file(table: Table, part: Part) -> Plain:
    path, size = part.path, part.file.file_size_in_bytes
    if part.deletes:
        path = _made(table, "plain", [part.path, *part.deleting], lambda uri: _write_left(table, part, uri))
        size = store.size_of(path)
    least, most = (_bounds(table, bounds) for bounds in (part.file.lower_bounds, part.file.upper_bounds))
    nulls = {} if part.deletes else _named(table, part.file.null_value_counts)
    ident = hashlib.sha256(path.encode()).hexdigest()[:32]
    return Plain(ident, path, size, part.rows, least, most, nulls)


def _write_left(table: Table, part: Part, uri: str) -> None:
    schema = arrow_schema(table)
    read, gone, first = datafiles.read(part.path, schema, schema.names), part.gone, 0
    public = [field.name for field in schema if datafiles.PRIVATE not in (field.metadata or {})]
    with store.output(uri) as stream, parquet.Writer(stream, schema, statistics=public) as writer:
        for batch in read:
            left, _ = deletes.left(batch, first, gone)
            first += batch.num_rows
            writer.write_table(pa.Table.from_batches([datafiles.conform(left, schema)]))


def _named(table: Table, by_id: Mapping[int, Any] | None) -> dict[str, Any]:
    names = {field.field_id: field.name for field in table.schema().fields}
    return {names[number]: value for number, value in (by_id or {}).items() if number in names}


def _bounds(table: Table, bounds: Mapping[int, bytes] | None) -> dict[str, Any]:
    kinds = {field.name: field.field_type for field in table.schema().fields}
    return {name: from_bytes(kinds[name], raw) for name, raw in _named(table, bounds).items()}  # type: ignore[arg-type]


# ── Iceberg's own files ───────────────────────────────────────────────────────────────────────────────────


def prefix(table: Identifier) -> str:
    """What the key of every file of a table begins with."""
    return "/".join(table) + "/"


def metadata(tables: Tables, table: Identifier) -> tuple[str, dict[str, Any]]:
    """Where a reader finds the table's metadata, and the metadata. What it leads to is made by then, since readers
    do not wait long for a file. LakeError where there is no such table."""
    loaded = tables._opened(table).table
    found = _metadata(tables, table, loaded)
    _files_at(loaded.metadata_location, _Held(loaded))
    if (current := loaded.current_snapshot()) is not None:
        _shown(tables, table, loaded, current.manifest_list, "list")
    return _outside(tables, table, loaded.metadata_location), found


@dataclass(frozen=True)
class File:
    """A file as a reader is shown it; `rows` of a data file, None of others."""

    path: str
    rows: int | None


def file_of(tables: Tables, table: Identifier, key: str) -> File | None:
    """The file that a reader is shown under this key; None where no snapshot of the table names one."""
    path, loaded = _inside(tables, table, key), tables._opened(table).table
    kinds, rows = _files_at(loaded.metadata_location, _Held(loaded))
    kind = kinds.get(path)
    if kind is not None:
        return File(_shown(tables, table, loaded, path, kind), rows.get(path))
    folder, _, name = path.rpartition("/")
    made = folder == f"{loaded.location()}/{FOLDER}" and _PLAIN.fullmatch(name) and store.exists(path)
    return File(path, _parquet_rows(path)) if made else None


def _parquet_rows(path: str) -> int:
    filesystem, inner = store.filesystem(path)
    return int(pq.read_metadata(inner, filesystem=filesystem).num_rows)


def _shown(tables: Tables, table: Identifier, loaded: Table, path: str, kind: Kind) -> str:
    if kind == "data":
        return path

    def write(uri: str) -> None:
        if kind == "metadata":
            store.write_atomic(uri, json.dumps(_metadata(tables, table, loaded)).encode())
        elif kind == "deletes":
            _write_deletes(tables, table, path, uri)
        else:
            change = _change_list if kind == "list" else _change_manifest
            _write_avro(loaded, path, uri, lambda record, ids: change(tables, table, loaded, record, ids))

    return _made(loaded, kind, [path], write)


def _metadata(tables: Tables, table: Identifier, loaded: Table) -> dict[str, Any]:
    """The metadata without what readers have no use for: earlier metadata files, statistics of other engines."""
    found: dict[str, Any] = json.loads(store.read_bytes(loaded.metadata_location))
    gone: dict[str, Any] = {"metadata-log": [], "statistics": [], "partition-statistics": []}
    snapshots = [
        each | {"manifest-list": _outside(tables, table, each["manifest-list"])}
        for each in found.get("snapshots", [])
    ]
    place = _outside(tables, table, loaded.location() + "/").rstrip("/")
    return found | gone | {"snapshots": snapshots, "location": place}


def _change_list(tables: Tables, table: Identifier, loaded: Table, record: Record, ids: list[int]) -> None:
    path, length = ids.index(_MANIFEST_PATH), ids.index(_MANIFEST_LENGTH)
    record[length] = store.size_of(_shown(tables, table, loaded, record[path], "manifest"))
    record[path] = _outside(tables, table, record[path])


def _change_manifest(
    tables: Tables, table: Identifier, loaded: Table, record: Record, ids: list[int]
) -> None:
    inner = ids[ids.index(_DATA_FILE) + 1 :]
    file, status = record[ids.index(_DATA_FILE)], record[ids.index(_STATUS)]
    path, content = inner.index(_PATH), DataFileContent(file[inner.index(_CONTENT)])
    if content == DataFileContent.POSITION_DELETES:
        if status != ManifestEntryStatus.DELETED:
            shown = _shown(tables, table, loaded, file[path], "deletes")
            file[inner.index(_SIZE)] = store.size_of(shown)
        for bounds in (inner.index(_LOWER), inner.index(_UPPER)):
            file[bounds] = _bounds_outside(tables, table, file[bounds])
    file[path] = _outside(tables, table, file[path])


def _bounds_outside(
    tables: Tables, table: Identifier, bounds: Mapping[int, bytes] | None
) -> dict[int, bytes] | None:
    """A delete file's bounds name the data file that it is about. Bounds that are cut short are left out."""
    if bounds is None:
        return None
    names = {deletes._PATH_ID: bounds[deletes._PATH_ID]} if deletes._PATH_ID in bounds else {}
    home = f"{tables.location(table)}/".encode()
    whole = {number: raw for number, raw in names.items() if raw.startswith(home)}
    changed = {number: _outside(tables, table, raw.decode()).encode() for number, raw in whole.items()}
    return {number: raw for number, raw in bounds.items() if number not in names} | changed


def _write_avro(loaded: Table, path: str, uri: str, change: Callable[[Record, list[int]], None]) -> None:
    """The records of an Avro file, changed, under the same schema and header."""
    with AvroFile[Record](loaded.io.new_input(path)) as source:
        schema, records = source.schema, list(source)
        header = {name: text for name, text in source.header.meta.items() if name != "avro.schema"}
        name = json.loads(source.header.meta["avro.schema"])["name"]
    ids = _ids(schema)
    for record in records:
        change(record, ids)
    target = _Written()
    with AvroOutputFile[Record](target, schema, name, schema, header) as out:
        out.write_block(records)
        store.write_atomic(uri, target.buffer.getvalue())


class _Written(OutputFile):
    """A file in memory: manifests are small, and appear in the lake whole."""

    def __init__(self) -> None:
        super().__init__("memory")
        self.buffer = io.BytesIO()

    def __len__(self) -> int:
        return len(self.buffer.getvalue())

    def exists(self) -> bool:
        return False

    def to_input_file(self) -> InputFile:
        raise NotImplementedError

    def create(self, overwrite: bool = False) -> Any:
        return self.buffer


def _ids(schema: Any) -> list[int]:
    """Ids of the fields in the order of a record's places; those of a data file after its own."""
    found: list[int] = []
    for field in schema.fields:
        found.append(field.field_id)
    for field in schema.fields:
        if field.field_id == _DATA_FILE:
            at = found.index(_DATA_FILE) + 1
            found[at:at] = [inner.field_id for inner in field.field_type.fields]
    return found


def _write_deletes(tables: Tables, table: Identifier, path: str, uri: str) -> None:
    filesystem, inner = store.filesystem(path)
    found = pq.read_table(inner, filesystem=filesystem, partitioning=None)
    names = found["file_path"].combine_chunks().dictionary_encode()
    outside = pa.array([_outside(tables, table, name) for name in names.dictionary.to_pylist()], pa.string())
    paths = outside.take(names.indices)
    rows = pa.table([paths, found["pos"]], schema=deletes.SCHEMA)
    with store.atomic_parquet(uri, deletes.SCHEMA) as writer:
        writer.write_table(rows)


# ── names and files ───────────────────────────────────────────────────────────────────────────────────────


def _outside(tables: Tables, table: Identifier, path: str) -> str:
    home = tables.location(table) + "/"
    inner = path.removeprefix("file://").removeprefix(home)
    if inner == path.removeprefix("file://"):
        raise LakeError(
            f"{'.'.join(table)} names a file outside its folder, so it is shown to nobody",
            next_step="see whether XUANWU_LAKE is the path that the table was made with",
        )
    return f"s3://{BUCKET}/{prefix(table)}{inner}"


def key_of(tables: Tables, table: Identifier, path: str) -> str:
    """The key under which a reader finds a file of the table."""
    return _outside(tables, table, path).removeprefix(f"s3://{BUCKET}/")


def _inside(tables: Tables, table: Identifier, key: str) -> str:
    """The place in the lake that a key would mean; nothing is read there unless a snapshot names it."""
    return f"{tables.location(table)}/{key.removeprefix(prefix(table))}"


@dataclass(frozen=True)
class _Held:
    """A table that counts as any other: its metadata's place tells which it is."""

    table: Table

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)


@lru_cache(maxsize=64)
def _files_at(location: str, held: _Held) -> tuple[dict[str, Kind], dict[str, int]]:
    """Every file that the metadata at this place leads to, with its kind; and of data files their rows."""
    table = held.table
    kinds: dict[str, Kind] = {location: "metadata"}
    rows: dict[str, int] = {}
    for snapshot in table.metadata.snapshots:
        kinds[snapshot.manifest_list] = "list"
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in kinds:
                continue
            kinds[manifest.manifest_path] = "manifest"
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                _note(entry.data_file, kinds, rows)
    return kinds, rows


def _note(file: DataFile, kinds: dict[str, Kind], rows: dict[str, int]) -> None:
    if file.content == DataFileContent.DATA:
        kinds[file.file_path] = "data"
        rows[file.file_path] = file.record_count
    else:
        kinds[file.file_path] = "deletes"


def _made(table: Table, kind: str, sources: list[str], write: Callable[[str], None]) -> str:
    """The file that was made of these, made if it is not there. The libraries' versions are in its name, since the
    lengths that manifests tell of each other depend on them."""
    said = json.dumps([kind, pa.__version__, *sources]).encode()
    ending = ".parquet" if kind in ("plain", "deletes") else ".json" if kind == "metadata" else ".avro"
    uri = store.join(table.location(), FOLDER, f"{kind}-{hashlib.sha256(said).hexdigest()[:40]}{ending}")
    if not store.exists(uri):
        write(uri)
    return uri
