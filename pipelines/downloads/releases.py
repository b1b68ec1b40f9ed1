"""Releases: what lies in the open zone for download, and which of it holds.

    downloads/<department>/<dataset>/latest.json                     the release that holds
    downloads/<department>/<dataset>/<release>/<dataset>.csv …       CSV, JSON Lines, Parquet, XLSX
                                               data_dictionary.csv, .json
                                               SHA256SUMS
                                               index.json            written last

A release is written to a folder of its own and holds once `latest.json` names it: one small file, replaced
whole on a disk and on S3 alike. A process killed before leaves the release before in place, and the next run
writes its folder anew. Earlier releases stay for whoever is in the middle of one, unless masks or key have
changed since: then they are removed at once. Files are made from the published table, or from the counted rows that
it was just written of, never from the curated one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from lake import progress, properties, store, zones
from lake.records import Download, Published
from lake.tables import identifier
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
from schemas.model import Entry, Mask
from schemas.settings import Settings

RULES = 1
"""Raised whenever the files' form changes, so that what was released is released anew."""
KEPT = 3
POINTER, INDEX, SUMS = "latest.json", "index.json", "SHA256SUMS"
Json = dict[str, Any]
T = TypeVar("T")


def release(
    ctx: Context,
    entry: Entry,
    published: Published,
    plan: dict[str, Mask],
    counted: pa.RecordBatch | None = None,
) -> tuple[Download, ...]:
    """The files of the published table's snapshot: those that stand already, or new ones, switched in at
    once. `counted` are the snapshot's rows (`counting`), where they are at hand: the table is not read then.

    Unbalanced, with the release before left in place, if a file holds more or fewer rows than the table.
    """
    home = zones.folder(ctx.settings, "downloads", entry.id)
    name = _name(ctx, entry, published)
    index = _read(store.join(home, name, INDEX))
    if index is None:
        store.remove_tree(store.join(home, name))
        index = _write(ctx, entry, published, plan, store.join(home, name), counted=counted)
    kept = _switch(home, name, index, alone=published.batch.erasure is not None)
    for folder in store.list_folders(home):
        if folder.rsplit("/", 1)[-1] not in kept:
            store.remove_tree(folder)
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


def withdraw(settings: Settings, dataset: str) -> None:
    """Remove every release of a dataset; `latest.json` first, so that nobody is sent to what is going."""
    home = zones.folder(settings, "downloads", dataset)
    store.remove_file(store.join(home, POINTER))
    store.remove_tree(home)


def datasets(settings: Settings) -> list[str]:
    """The datasets that have releases."""
    departments = store.list_folders(store.join(settings.lake_root, "downloads"))
    folders = [folder for department in departments for folder in store.list_folders(department)]
    return [".".join(folder.rsplit("/", 2)[-2:]) for folder in folders]


def _name(ctx: Context, entry: Entry, published: Published) -> str:
    """`<batch>-<digest>`: the same table, entry and rules have the same release."""
    _, summary = next(ctx.tables.snapshots(identifier("open", entry.id)))
    made_of = [RULES, published.snapshot, entry.model_dump_json(exclude={"file", "engine"})]
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]
    return f"{properties.said(summary, 'batch') or published.batch.id}-{digest}"


def _write(
    ctx: Context,
    entry: Entry,
    published: Published,
    plan: dict[str, Mask],
    folder: str,
    *,
    counted: pa.RecordBatch | None,
) -> Json:
    """Write everything of a release but the pointer, several files at a time; returns its index."""
    words = dictionary(ctx.catalogue, entry, plan, published.key_version)
    xlsx = partial(write_xlsx, words=words, count=published.rows_out, settings=ctx.settings, now=ctx.clock())
    writers: dict[str, Callable[[str, pa.RecordBatchReader], tuple[str, int]]] = {
        "csv": write_csv,
        "jsonl": write_jsonl,
        "parquet": write_parquet,
        "xlsx": xlsx,
    }

    def write(kind: str) -> Json:
        uri = store.join(folder, f"{entry.name}.{kind}")
        try:
            if kind == "csv" and counted is not None:
                distinct, often = counted.drop_columns([TIMES]), counted.column(TIMES).to_pylist()
                made = write_repeated(uri, distinct, _balanced(entry, published, often, int))
            else:
                made = writers[kind](uri, _rows(ctx, entry, published, plan, counted))
        except Unfit as reason:
            return {"format": kind, "reason": {"zh": reason.zh, "en": reason.en}}
        return _file(uri, kind, published.rows_out, made)

    kinds = entry.open.downloads
    with (
        progress.going(f"{entry.id} {' '.join(kinds)}", len(kinds) * published.rows_out),
        ThreadPoolExecutor(ctx.settings.threads, "download") as pool,
    ):
        every = list(pool.map(write, kinds))
    files = [file for file in every if "reason" not in file]
    left_out = [file for file in every if "reason" in file]
    uri = store.join(folder, "data_dictionary")
    files.append(_file(f"{uri}.csv", "csv", None, write_csv(f"{uri}.csv", flat(words).to_reader())))
    files.append(_file(f"{uri}.json", "json", None, store.write_stream(f"{uri}.json", [_json(words)])))
    sums = "".join(f"{file['sha256']}  {file['name']}\n" for file in files)
    store.write_atomic(store.join(folder, SUMS), sums.encode())
    index = _index(ctx, entry, published) | {"files": files, "left_out": left_out}
    store.write_atomic(store.join(folder, INDEX), _json(index))
    return index


def _rows(
    ctx: Context,
    entry: Entry,
    published: Published,
    plan: dict[str, Mask],
    counted: pa.RecordBatch | None,
) -> pa.RecordBatchReader:
    schema = published_schema(entry, plan)
    rows: Iterable[pa.RecordBatch]
    if counted is None:
        rows = ctx.tables.scan(identifier("open", entry.id), schema.names, published.snapshot)
    else:
        rows = counting.repeated(counted)
    balanced = _balanced(entry, published, rows, lambda batch: batch.num_rows)
    return pa.RecordBatchReader.from_batches(schema, balanced)


def _balanced(
    entry: Entry, published: Published, given: Iterable[T], rows: Callable[[T], int]
) -> Iterator[T]:
    """Unbalanced at the end, before the file is moved into place, if there were other rows than the table says that it
    has. `rows` says how many each is."""
    total = 0
    for each in given:
        total += rows(each)
        progress.passed(rows(each))
        yield each
    if total != published.rows_out:
        raise Unbalanced(
            f"published rows {published.rows_out} ≠ rows for download {total}",
            dataset=entry.id,
            batch=published.batch.id,
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
    under = {"masks": index["masks"], "key_version": index["key_version"]}
    before = _read(store.join(home, POINTER)) or {}
    earlier = [before["release"], *before["earlier"]] if before.items() >= under.items() else []
    earlier = [] if alone else [each for each in earlier if each != name][: KEPT - 1]
    if before.get("release") != name or before.get("earlier") != earlier:
        pointer = {"release": name, "index": f"{name}/{INDEX}", **under, "earlier": earlier}
        store.write_atomic(store.join(home, POINTER), _json(pointer))
    return [name, *earlier]


def _read(uri: str) -> Json | None:
    return json.loads(store.read_bytes(uri)) if store.exists(uri) else None


def _json(value: Json) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
