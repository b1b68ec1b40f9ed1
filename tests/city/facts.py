"""What a lake holds, by content: two lakes that took in the same sources are equal in all of it, wherever they lie.

Ids of snapshots, names of files, the platform's own columns and the order of rows are left out; what was derived on
another snapshot has another batch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from lake import store
from lake.records import Landed
from lake.releases import PLACES
from pipelines.context import Context
from schemas.model import LakeSource
from tests.faults.state import CHANCE

Facts = dict[str, Any]
PLATFORM = {"batch", "file", "at"}
"""Columns of the quarantine that say where a row came from and when it was set aside."""


def facts(ctx: Context) -> Facts:
    return {**dict(_tables(ctx)), **dict(_downloads(ctx)), **dict(_landing(ctx)), **dict(_ledger(ctx))}


def different(found: Facts, expected: Facts) -> list[str]:
    """The names under which two lakes differ; never a value."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def _tables(ctx: Context) -> Iterator[tuple[str, Any]]:
    for zone in ("curated", "share", "open", "quarantine"):
        for table in ctx.tables.identifiers(zone):  # type: ignore[arg-type]
            names = [name for name in ctx.tables.schema(table).names if not _platform(zone, name)]
            rows = (row for batch in ctx.tables.scan(table, names) for row in batch.to_pylist())
            yield f"{zone} {table[1]}", sorted(map(str, rows))


def _platform(zone: str, name: str) -> bool:
    return name.startswith("_") or (zone == "quarantine" and name in PLATFORM)


def _downloads(ctx: Context) -> Iterator[tuple[str, Any]]:
    """Every file of the release that people are sent to, its rows in any order."""
    roots = [store.join(ctx.settings.lake_root, place) for place in PLACES]
    for uri in (each for root in roots for each in store.list_files(root)):
        if not uri.endswith("/latest.json"):
            continue
        folder = uri.removesuffix("latest.json") + json.loads(store.read_bytes(uri))["release"]
        for path in store.list_files(folder):
            name, _, form = path.rsplit("/", 1)[-1].rpartition(".")
            if form in {"csv", "jsonl"}:
                yield f"download {name}.{form}", sorted(store.read_bytes(path).splitlines())
            elif form == "parquet":
                yield f"download {name}.{form}", sorted(map(str, _rows(path)))
            else:
                yield f"download {name}.{form} is there", True


def _rows(uri: str) -> list[dict[str, Any]]:
    filesystem, path = store.filesystem(uri)
    return list(pq.read_table(path, filesystem=filesystem).to_pylist())


def _landing(ctx: Context) -> Iterator[tuple[str, Any]]:
    """What every source gave: bytes of files, rows of queries."""
    for uri in store.list_files(store.join(ctx.settings.lake_root, "landing")):
        if not uri.endswith("/manifest.json"):
            continue
        landed = Landed.model_validate_json(store.read_bytes(uri))
        name = f"landing {landed.batch.dataset} {landed.batch.end:%d}"
        yield name, [landed.rows, landed.counted, landed.position, landed.skipped]
        for file in landed.files:
            assert store.sha256_of(file.path) == file.sha256, name
        derived = isinstance(ctx.catalogue.entry(landed.batch.dataset).source, LakeSource)
        if not derived:
            yield f"{name} files", [_landed(file.path) for file in landed.files]


def _landed(uri: str) -> Any:
    return sorted(map(str, _rows(uri))) if uri.endswith(".parquet") else store.sha256_of(uri)


def _ledger(ctx: Context) -> Iterator[tuple[str, Any]]:
    for each in ctx.ledger.done():
        counts = {name: value for name, value in each.counts.items() if name not in CHANCE}
        name = f"ledger {each.batch.dataset} {each.batch.end:%d} {each.stage} {each.part}"
        yield name.rstrip(), [each.rows_in, each.rows_out, counts]
    yield "sums that do not hold", [str(each.sum) for each in ctx.ledger.sums() if not each.sum.holds]
