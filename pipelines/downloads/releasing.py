"""Making a release (`lake.releases` has its form): CSV, JSON Lines, Parquet, XLSX, dictionary and sums, and the index
last.

A release is written to a folder of its own and holds once `latest.json` names it: one small file, replaced
whole on a disk and on S3 alike. A process killed before leaves the release before in place, and the next run
writes its folder anew. Earlier releases stay for whoever is in the middle of one, unless masks or key have
changed since: then they are removed at once. Files are made from the published table, or from the counted rows that
it was just written of, never from the curated one; Parquet is a copy of the table's data file where there is one only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from lake import progress, properties, store
from lake.ahead import abreast
from lake.records import Download, Published
from lake.releases import (
    DICTIONARY,
    INDEX,
    POINTER,
    SUMS,
    Json,
    as_json,
    home_of,
    pointer,
    read,
    sums,
    under,
    withdraw_misplaced,
)
from lake.zones import identifier
from pipelines.context import Context
from pipelines.downloads.delimited import write_csv, write_repeated
from pipelines.downloads.dictionary import dictionary, flat
from pipelines.downloads.lines import write_jsonl
from pipelines.downloads.parquet import write_parquet
from pipelines.downloads.workbook import Unfit, write_xlsx
from pipelines.publishing import counting
from pipelines.publishing.counting import TIMES
from schemas.arrow import published_schema
from schemas.errors import Unbalanced
from schemas.model import BESIDE, Entry, Mask

RULES = 1
"""Raised whenever the files' form changes, so that what was released is released anew."""
KEPT = 3
T = TypeVar("T")


def release(
    ctx: Context,
    entry: Entry,
    published: Published,
    plan: dict[str, Mask],
    counted: pa.RecordBatch | None = None,
) -> tuple[Download, ...]:
    """The files of the published table's snapshot: those that stand already, or new ones, switched in at once; then
    what lies elsewhere, of an entry that was opened in another way, is removed. `counted` are the snapshot's rows
    (`counting`), where they are at hand: the table is not read then.

    Unbalanced, with the release before left in place, if a file holds more or fewer rows than the table.
    """
    home = home_of(ctx.settings.lake_root, entry)
    name = _name(ctx, entry, published)
    index = read(store.join(home, name, INDEX))
    if index is None:
        store.remove_tree(store.join(home, name))
        index = _write(_Table(ctx, entry, published, plan, counted), store.join(home, name))
    kept = _switch(home, name, index, alone=ctx.erasing or published.batch.erasure is not None)
    for folder in store.list_folders(home):
        if folder.rsplit("/", 1)[-1] not in kept:
            store.remove_tree(folder)
    withdraw_misplaced(ctx.settings.lake_root, entry)
    return tuple(
        Download(
            format=file["format"],
            path=store.join(home, name, file["name"]),
            sha256=file["sha256"],
            size=file["size"],
            rows=file["rows"],
        )
        for file in index["files"]
        if file["rows"] is not None
    )


def _name(ctx: Context, entry: Entry, published: Published) -> str:
    """`<batch>-<digest>`: the same table, entry and rules have the same release. Its files do not tell the licence,
    which may change without them."""
    _, summary = next(ctx.tables.snapshots(identifier("open", entry.id)))
    told = entry.model_dump_json(exclude={**dict.fromkeys(BESIDE, True), "open": {"licence"}})
    made_of = [RULES, published.snapshot, told]
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]
    return f"{properties.said(summary, 'batch') or published.batch.id}-{digest}"


@dataclass(frozen=True)
class _Table:
    """The published table that is released, with its rows counted where they are."""

    ctx: Context
    entry: Entry
    published: Published
    plan: dict[str, Mask]
    counted: pa.RecordBatch | None

    @property
    def schema(self) -> pa.Schema:
        return published_schema(self.entry, self.plan)


def _write(table: _Table, folder: str) -> Json:
    """Write everything of a release but the pointer, several files at a time; returns its index."""
    entry, published = table.entry, table.published
    words = dictionary(table.ctx.catalogue, entry, table.plan, published.key_version)
    writers: dict[str, Callable[[_Table, str], tuple[str, int]]]
    writers = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet, "xlsx": partial(_xlsx, words)}

    def write(kind: str) -> Json:
        uri = store.join(folder, f"{entry.name}.{kind}")
        try:
            return _file(uri, kind, published.rows_out, writers[kind](table, uri))
        except Unfit as reason:
            return {"format": kind, "reason": {"zh": reason.zh, "en": reason.en}}

    kinds = entry.open.downloads
    with progress.going(f"{entry.id} {' '.join(kinds)}", len(kinds) * published.rows_out):
        made = list(abreast(write, kinds, table.ctx.settings.threads))
    files = [file for file in made if "reason" not in file]
    left_out = [file for file in made if "reason" in file]
    uri = store.join(folder, DICTIONARY)
    files.append(_file(f"{uri}.csv", "csv", None, write_csv(f"{uri}.csv", flat(words).to_reader())))
    files.append(_file(f"{uri}.json", "json", None, store.write_stream(f"{uri}.json", [as_json(words)])))
    store.write_atomic(store.join(folder, SUMS), sums(files).encode())
    index = _index(table.ctx, entry, published) | {"files": files, "left_out": left_out}
    store.write_atomic(store.join(folder, INDEX), as_json(index))
    return index


def _csv(table: _Table, uri: str) -> tuple[str, int]:
    if table.counted is None:
        return write_csv(uri, _rows(table))
    rows, often = table.counted.drop_columns([TIMES]), table.counted.column(TIMES).to_pylist()
    return write_repeated(uri, rows, _balanced(table, often, int))


def _jsonl(table: _Table, uri: str) -> tuple[str, int]:
    return write_jsonl(uri, _rows(table))


def _parquet(table: _Table, uri: str) -> tuple[str, int]:
    """The table's own data file, where it is all there is and holds these very columns."""
    parts = table.ctx.tables.parts(identifier("open", table.entry.id), table.published.snapshot)
    if len(parts) == 1 and not parts[0].deletes:
        filesystem, inner = store.filesystem(parts[0].path)
        footer = pq.read_metadata(inner, filesystem=filesystem)
        if footer.schema.to_arrow_schema().equals(table.schema):
            _require_all(table, footer.num_rows)
            progress.passed(footer.num_rows)
            return store.write_stream(uri, store.blocks(parts[0].path))
    return write_parquet(uri, _rows(table))


def _xlsx(words: Json, table: _Table, uri: str) -> tuple[str, int]:
    count, ctx = table.published.rows_out, table.ctx
    return write_xlsx(uri, _rows(table), words=words, count=count, settings=ctx.settings, now=ctx.clock())


def _rows(table: _Table) -> pa.RecordBatchReader:
    tables, schema = table.ctx.tables, table.schema
    rows: Iterable[pa.RecordBatch]
    if table.counted is None:
        rows = tables.scan(identifier("open", table.entry.id), schema.names, table.published.snapshot)
    else:
        rows = counting.repeated(table.counted)
    return pa.RecordBatchReader.from_batches(schema, _balanced(table, rows, lambda batch: batch.num_rows))


def _balanced(table: _Table, given: Iterable[T], rows: Callable[[T], int]) -> Iterator[T]:
    """What is given, of which `rows` says how many rows it is; Unbalanced at the end, before the file is moved into
    place."""
    total = 0
    for each in given:
        total += rows(each)
        progress.passed(rows(each))
        yield each
    _require_all(table, total)


def _require_all(table: _Table, rows: int) -> None:
    """Unbalanced if there are other rows than the table says that it has."""
    if rows != table.published.rows_out:
        raise Unbalanced(
            f"published rows {table.published.rows_out} ≠ rows for download {rows}",
            dataset=table.entry.id,
            batch=table.published.batch.id,
            rule="nothing lost (law 2)",
        )


def _index(ctx: Context, entry: Entry, published: Published) -> Json:
    return {
        "dataset": entry.id,
        "code": entry.code,
        "title": entry.title.model_dump(),
        "summary": entry.summary.model_dump(),
        "owner": entry.owner,
        "conditions": entry.open.conditions.model_dump() if entry.open.conditions else None,
        "batch": published.batch.id,
        "snapshot": published.snapshot,
        "curated_snapshot": published.curated_snapshot,
        "masks": published.masks_hash,
        "key_version": published.key_version,
        "rows": published.rows_out,
        "released_at": ctx.clock().isoformat(),
    }


def _file(uri: str, kind: str, rows: int | None, made: tuple[str, int]) -> Json:
    sha256, size = made
    return {"name": uri.rsplit("/", 1)[-1], "format": kind, "sha256": sha256, "size": size, "rows": rows}


def _switch(home: str, name: str, index: Json, *, alone: bool) -> list[str]:
    """Make the release hold; returns the releases that stay: it, and, unless it stands alone, the ones before it
    under the same masks."""
    kept_under = under(index)
    before = read(store.join(home, POINTER)) or {}
    earlier = [before["release"], *before["earlier"]] if before.items() >= kept_under.items() else []
    earlier = [] if alone else [each for each in earlier if each != name][: KEPT - 1]
    if before.get("release") != name or before.get("earlier") != earlier:
        store.write_atomic(store.join(home, POINTER), as_json(pointer(name, index, earlier)))
    return [name, *earlier]
