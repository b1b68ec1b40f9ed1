"""What passed time and killed runs leave behind: old snapshots, files that no snapshot names, half-written files.

Whatever is removed here has not changed for a day: a writer at work has files that no snapshot names yet. What is
younger waits for the next upkeep.

**How long snapshots stay.** The current one always, and where that is a compaction the batch's that it was made of, by
which publications know what they stand on; others for as long as `retention:` of policy.yaml says of the zone. Those of
curated tables stay 90 days at least: a merge finds a batch that it has merged by its snapshot, and derived batches are
pinned to theirs. An older batch run again is merged again, which changes no row, since all that it brings is stored or
superseded (`pipelines.merge`). They go from the oldest on, never from the middle, so that the history stays a chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, get_args

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table

from lake import commits, incidents, progress, scratch, store
from lake.catalogue import TRIES, reachable, wait
from lake.properties import said
from lake.tables import Tables
from lake.zones import FileZone, Identifier, TableZone
from schemas.errors import CommitConflict, LakeError
from schemas.model import Retention
from schemas.numbers import default_numbers
from schemas.settings import Settings

AGE: Final = timedelta(days=1)


@dataclass(frozen=True)
class Removed:
    """How many of each were removed: scratch folders of killed processes, half-written files of the file zones,
    snapshots of tables, files of tables (data and metadata) that no snapshot names."""

    scratch: int
    unfinished: int
    snapshots: int
    files: int


def clean(
    settings: Settings,
    tables: Tables,
    now: datetime,
    attest: Callable[[Identifier], None] = lambda _: None,
    keep: Retention | None = None,
) -> Removed:
    """Remove everything that is old and needed by nobody. May be killed and run again at any time, beside others.
    `keep` says how long old snapshots stay; default the policy of this house.
    `attest` is called for each table between forgetting its snapshots and removing their files, since its proof names
    its metadata.

    LakeError, with nothing of that table removed, where a table names files outside its own folder."""
    snapshots = files = 0
    keep = keep or default_numbers().retention
    found = [table for zone in get_args(TableZone) for table in tables.identifiers(zone)]
    with progress.going("clean", len(found), "tables"):
        for table in found:
            snapshots += expire(tables, table, now - getattr(keep, table[0]))
            attest(table)
            files += remove_orphans(tables, table, now - AGE)
            progress.passed(1)
    return Removed(scratch.sweep(settings, now - AGE), _unfinished(settings, now - AGE), snapshots, files)


def expire(tables: Tables, table: Identifier, before: datetime | None) -> int:
    """Forget the snapshots made before this moment (None: all), but never the current one; returns how many. Their
    files are orphans from then on."""
    for _ in range(TRIES):
        loaded = tables._load(table)
        old = _expired(loaded, before)
        if not old:
            return 0
        try:
            with reachable():
                loaded.maintenance.expire_snapshots().by_ids(old).commit()
            return len(old)
        except (CommitFailedException, ValueError):  # ValueError: another process has expired some of them
            wait()
    raise CommitConflict(f"others keep committing to {'.'.join(table)}", next_step="run upkeep again later")


def _expired(table: Table, before: datetime | None) -> list[int]:
    moment = before.timestamp() * 1000 if before else float("inf")
    kept = {ref.snapshot_id for ref in table.metadata.refs.values()}
    batch_kept = before is None  # all means all: what an erasure took away must not lie in an older snapshot
    for snapshot in commits.history(table):
        if snapshot.timestamp_ms < moment and batch_kept:
            break
        kept.add(snapshot.snapshot_id)
        batch_kept = batch_kept or said(commits.summary(snapshot), "compacted") is None
    return [
        each.snapshot_id
        for each in table.metadata.snapshots
        if each.timestamp_ms < moment and each.snapshot_id not in kept
    ]


def remove_orphans(tables: Tables, table: Identifier, before: datetime) -> int:
    """Remove the files below the table's folder that no snapshot names and that have not changed since `before`;
    returns how many. Files are listed first and snapshots read then, so that a commit in between counts."""
    home = tables.location(table)
    found = store.files_unchanged_since(home, before)
    kept = leads_to(tables, table)
    if elsewhere := sum(not path.startswith(f"{home}/") for path in kept):
        raise LakeError(
            f"{'.'.join(table)} names {elsewhere} files outside its folder, so none were removed",
            file=home,
            next_step="see whether XUANWU_LAKE is the path that the table was made with",
        )
    orphans = [path for path in found if path not in kept]
    for path in orphans:
        store.remove_file(path)
    return len(orphans)


def leads_to(tables: Tables, table: Identifier) -> frozenset[str]:
    """Every file that the table's metadata leads to, itself included."""
    return frozenset(_named(tables._load(table)))


def _named(table: Table) -> Iterator[str]:
    metadata = table.metadata
    yield from (_plain(path) for path in (table.metadata_location, *_of_metadata(table)))
    manifests: dict[str, ManifestFile] = {}
    for snapshot in metadata.snapshots:
        yield _plain(snapshot.manifest_list)
        manifests |= {manifest.manifest_path: manifest for manifest in snapshot.manifests(table.io)}
    for path, manifest in manifests.items():
        yield _plain(path)
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            yield _plain(entry.data_file.file_path)


def _of_metadata(table: Table) -> Iterator[str]:
    yield from (entry.metadata_file for entry in table.metadata.metadata_log)
    yield from (each.statistics_path for each in table.metadata.statistics)
    yield from (each.statistics_path for each in table.metadata.partition_statistics)


def _plain(path: str) -> str:
    return path.removeprefix("file://")


def _unfinished(settings: Settings, before: datetime) -> int:
    """Files that were being written when their process was killed. A table's own are among its orphans."""
    folders = [
        store.join(settings.lake_root, zone) for zone in (*get_args(FileZone), "proof", incidents.FOLDER)
    ]
    files = [path for folder in folders for path in store.files_unchanged_since(folder, before)]
    unfinished = [path for path in files if store.is_unfinished(path)]
    for path in unfinished:
        store.remove_file(path)
    return len(unfinished)
