"""What a lake holds, as content that two lakes can be compared by: no snapshot ids, no names of files."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pyarrow.parquet as pq
from pyarrow import fs

from lake import store
from lake.properties import said
from lake.records import Landed
from lake.verify import Copy, verify
from lake.zones import Identifier
from pipelines.context import Context
from schemas.policy import ZONES

State = dict[str, Any]
CHANCE: Final = {"snapshot", "curated_snapshot", "reused", "downloads", "files"}
"""Numbers of a record that no two runs share: ids of snapshots, and whether the work was found done."""
ORPHAN: Final = "no certificate names this file"


def content(ctx: Context) -> State:
    """Everything that a run without faults would have left, by name."""
    return {
        **dict(_tables(ctx)),
        **dict(_downloads(ctx)),
        **dict(_landing(ctx)),
        **dict(_records(ctx)),
        **dict(_ledger(ctx)),
        "proof": [str(each) for each in findings(ctx) if ORPHAN not in each.what],
    }


def differences(found: State, expected: State) -> list[str]:
    """The names under which two lakes differ, and how much of lists."""
    return [
        f"{name}: {_how(found.get(name), expected.get(name))}"
        for name in sorted(found.keys() | expected.keys())
        if found.get(name) != expected.get(name)
    ]


def _how(found: Any, expected: Any) -> str:
    if found is None or expected is None:
        return "there is more than expected" if expected is None else "is missing"
    if found and not expected and isinstance(found, list):
        return "; ".join(map(str, found[:3]))
    if isinstance(found, list) and isinstance(expected, list):
        more, less = Counter(map(str, found)), Counter(map(str, expected))
        return f"{(more - less).total()} more and {(less - more).total()} less of {len(expected)}"
    return "is another"


def findings(ctx: Context) -> Iterator[Any]:
    """What `xuanwu verify` finds; nothing where nothing was ever logged."""
    copy = Copy(ctx.settings.lake_root)
    return verify(copy) if copy.exists("proof/log") else iter(())


# ── the parts ─────────────────────────────────────────────────────────────────────────────────────────────


def rows(ctx: Context, table: Identifier) -> list[str]:
    """Read once as long as the table's metadata is the same and no file below it was written."""
    opened = ctx.tables.open(table)
    assert opened is not None, table
    key = opened.table.metadata_location, *_stamps(opened.table.location())
    if key not in _READ:
        _READ[key] = sorted(str(row) for batch in ctx.tables.scan(table) for row in batch.to_pylist())
    return _READ[key]


def _stamps(uri: str) -> list[tuple[str, int, int]]:
    """Every file below a folder, its bytes, and when it was last written."""
    filesystem, inner = store.filesystem(uri)
    found = filesystem.get_file_info(fs.FileSelector(inner, recursive=True, allow_not_found=True))
    return sorted((each.path, each.size, each.mtime_ns) for each in found if each.is_file)


_READ: Final[dict[tuple[object, ...], list[str]]] = {}


def _tables(ctx: Context) -> Iterator[tuple[str, Any]]:
    """Rows, and of all but the quarantine (which a run again replaces by the same) the batches committed."""
    for zone in ("curated", "share", "open", "quarantine"):
        for table in ctx.tables.identifiers(zone):  # type: ignore[arg-type]
            if found := rows(ctx, table):
                yield f"rows of {'.'.join(table)}", found
            if zone != "quarantine" and (
                batches := [said(s, "batch") for _, s in ctx.tables.snapshots(table)]
            ):
                yield f"commits to {'.'.join(table)}", batches


def _downloads(ctx: Context) -> Iterator[tuple[str, Any]]:
    """The files of the release that people are sent to; its index and workbook name a snapshot."""
    root = store.join(ctx.settings.lake_root, "downloads")
    for uri in store.list_files(root):
        if uri.endswith("/latest.json"):
            folder = uri.removesuffix("latest.json") + json.loads(store.read_bytes(uri))["release"]
            for path in store.list_files(folder):
                if path.endswith((".csv", ".jsonl", ".parquet")):
                    yield f"download {path.rsplit('/', 1)[-1]}", store.sha256_of(path)


def _landing(ctx: Context) -> Iterator[tuple[str, Any]]:
    """Each manifest, the files as they lie there, and files beside them. The rows of a query come in any order."""
    root = store.join(ctx.settings.lake_root, "landing")
    for uri in store.list_files(root):
        if not uri.endswith("/manifest.json"):
            continue
        landed = Landed.model_validate_json(store.read_bytes(uri))
        there = store.list_files(store.join(uri.rpartition("/")[0], "files"))
        name = f"landing {landed.batch.dataset} {landed.batch.end:%d}"
        yield name, [landed.rows, landed.counted, landed.position, landed.inputs, landed.skipped]
        yield (
            f"{name} is what its manifest says",
            all(store.sha256_of(f.path) == f.sha256 for f in landed.files),
        )
        for path in there:
            yield f"{name} {path.rsplit('/', 1)[-1]}", _landed(path)


def _landed(path: str) -> Any:
    if not path.endswith(".parquet"):
        return store.sha256_of(path)
    filesystem, inner = store.filesystem(path)
    return sorted(map(str, pq.read_table(inner, filesystem=filesystem).to_pylist()))


def _records(ctx: Context) -> Iterator[tuple[str, Any]]:
    for uri in store.list_files(store.join(ctx.settings.lake_root, "records")):
        record = json.loads(store.read_bytes(uri))
        of = "/".join(uri.rsplit("/", 3)[-3:])
        yield f"record {of}", {name: value for name, value in record.items() if name not in CHANCE}


def _ledger(ctx: Context) -> Iterator[tuple[str, Any]]:
    for each in ctx.ledger.done():
        counts = {name: value for name, value in each.counts.items() if name not in CHANCE}
        name = f"ledger {each.batch.dataset} {each.batch.end:%d} {each.stage} {each.part}"
        yield name.rstrip(), [each.rows_in, each.rows_out, counts]
    yield "sums that do not hold", [str(each.sum) for each in ctx.ledger.sums() if not each.sum.holds]


# ── for readers ───────────────────────────────────────────────────────────────────────────────────────────


def readable(ctx: Context) -> State:
    """What readers see of every table and every download; at any moment it is that of before or after a stage."""
    seen = {**dict(_tables(ctx)), **dict(_downloads(ctx))}
    return {name: value for name, value in seen.items() if not name.startswith("rows of quarantine")}


def uncertified(ctx: Context) -> list[str]:
    """Published snapshots that can be read and have no certificate."""
    root = ctx.settings.lake_root
    return [
        ".".join(table)
        for zone in ZONES
        for table in ctx.tables.identifiers(zone)
        for _, summary in ctx.tables.snapshots(table)
        if not (path := said(summary, "certificate")) or not store.exists(store.join(root, path))
    ]


def digest(state: State) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True, default=str).encode()).hexdigest()[:12]
