"""The quarantine: rows that failed, each once, with every rule it failed and the place it came from.

One Iceberg table per dataset. A batch's rows of one stage are replaced as a whole, so that a rerun leaves no trace of
the first try. `data` holds the row as it was, values included: it is for the owning department and its engineers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake import properties
from lake.records import Stage
from lake.rejected import FAILURE, SCHEMA
from lake.tables import Tables
from lake.zones import Identifier, identifier

__all__ = ["FAILURE", "PLACE", "SCHEMA", "Summary"]
SINCE = pa.field("since", pa.timestamp("us", "UTC"))
"""When the row was set aside first: it stays when the batch is run again and the row is set aside again, at whichever
stage."""
STORED = SCHEMA.append(SINCE)
PLACE = ("batch", "stage", "file", "row")
Moments = dict[str, tuple["np.ndarray", "np.ndarray"]]
"""Of each file the numbers of rows, rising, and their `since` in microseconds: 16 bytes for a row of one batch."""


@dataclass(frozen=True, order=True)
class Summary:
    """How many rows of a batch failed a rule of a field at a stage. A row that failed two rules counts in both."""

    batch: str
    stage: str
    field: str
    rule: str
    rows: int


def table_of(dataset: str) -> Identifier:
    return identifier("quarantine", dataset)


def datasets(tables: Tables) -> list[str]:
    """The datasets of which rows were ever set aside."""
    return [name.replace("__", ".") for _, name in tables.identifiers("quarantine")]


def put(tables: Tables, dataset: str, batch_id: str, stage: Stage, rows: pa.RecordBatchReader) -> int:
    """Replace what the batch set aside at this stage by `rows` (in `SCHEMA`), in one commit; returns their count.

    Where there is nothing to set aside and nothing was, no table is made and no commit."""
    name = table_of(dataset)
    new = _Counted(rows)
    first = next(new, None)
    old = _files_of(tables, name, batch_id, stage)
    if first is None and not old:
        return 0
    tables.ensure(name, STORED, private=("data",))
    known = _moments(tables, name, batch_id)
    fresh = (_dated(batch.select(SCHEMA.names), known) for batch in _chain(first, new))
    batches = _chain(None, fresh, _others(tables, name, old, batch_id, stage))
    reader = pa.RecordBatchReader.from_batches(STORED, (batch.select(STORED.names) for batch in batches))
    tables.replace(name, reader, old, properties.named(batch=batch_id, stage=stage))
    return new.rows


def _moments(tables: Tables, name: Identifier, batch_id: str) -> Moments:
    """Since when the batch's rows have been set aside, at any stage."""
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for path in tables.data_files(name, batch=batch_id):
        for part in tables.read_file(name, path, ["batch", "file", "row", "at", "since"]):
            own = part.filter(pc.equal(part["batch"], batch_id))
            since = _micros(pc.coalesce(own["since"], own["at"]))
            for file in pc.unique(own["file"]).to_pylist():
                here = pc.equal(own["file"], file).to_numpy(zero_copy_only=False)
                found[file].append((own["row"].to_numpy(zero_copy_only=False)[here], since[here]))
    return {file: _earliest(parts) for file, parts in found.items()}


def _micros(moments: pa.Array) -> np.ndarray:
    return np.asarray(moments.cast(pa.int64()).to_numpy(zero_copy_only=False))


def _earliest(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    rows, since = (np.concatenate(each) for each in zip(*parts, strict=True))
    order = np.lexsort((since, rows))
    rows, first = np.unique(rows[order], return_index=True)
    return rows, since[order][first]


def _dated(batch: pa.RecordBatch, known: Moments) -> pa.RecordBatch:
    """The rows with `since`: as it was known, else now."""
    since = _micros(batch["at"]).copy()
    for file in pc.unique(batch["file"]).to_pylist() if known else ():
        if file not in known:
            continue
        rows, moments = known[file]
        here = np.flatnonzero(pc.equal(batch["file"], file).to_numpy(zero_copy_only=False))
        own = batch["row"].to_numpy(zero_copy_only=False)[here]
        at = np.minimum(np.searchsorted(rows, own), len(rows) - 1)
        same = rows[at] == own
        since[here[same]] = np.minimum(since[here[same]], moments[at[same]])
    return batch.append_column(SINCE, pa.array(since).cast(SINCE.type))


class _Counted:
    """An iterator over non-empty batches that knows how many rows have passed."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader = reader
        self.rows = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        batch = next(batch for batch in self._reader if batch.num_rows)
        self.rows += batch.num_rows
        return batch


def _chain(first: pa.RecordBatch | None, *rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if first is not None:
        yield first
    for batches in rest:
        yield from batches


def _is(batch: pa.RecordBatch, batch_id: str, stage: str) -> pa.Array:
    return pc.and_(pc.equal(batch.column("batch"), batch_id), pc.equal(batch.column("stage"), stage))


def _files_of(tables: Tables, name: Identifier, batch_id: str, stage: str) -> list[str]:
    """The files that hold a row of this batch and stage: as written here, each file holds one batch and stage."""
    if not tables.exists(name):
        return []
    return [
        path
        for path in tables.data_files(name, batch=batch_id, stage=stage)
        if any(
            pc.any(_is(b, batch_id, stage)).as_py() for b in tables.read_file(name, path, ["batch", "stage"])
        )
    ]


def _others(
    tables: Tables, name: Identifier, paths: list[str], batch_id: str, stage: str
) -> Iterator[pa.RecordBatch]:
    """Rows of other batches that lie in the files to be replaced: none, unless somebody compacted the table."""
    for path in paths:
        for batch in tables.read_file(name, path):
            yield batch.filter(pc.invert(_is(batch, batch_id, stage)))


def summary(tables: Tables, dataset: str) -> list[Summary]:
    """Rows by batch, stage, field and rule, the oldest batch first."""
    if not tables.exists(table_of(dataset)):
        return []
    found: Counter[tuple[str, str, str, str]] = Counter()
    for batch in tables.scan(table_of(dataset), ["batch", "stage", "failures"]):
        failures = batch.column("failures").flatten()
        parents = pc.list_parent_indices(batch.column("failures"))
        keys = {
            "batch": batch.column("batch").take(parents),
            "stage": batch.column("stage").take(parents),
            "field": pc.fill_null(failures.field("field"), ""),
            "rule": failures.field("rule"),
        }
        groups = pa.table(keys).group_by(list(keys)).aggregate([([], "count_all")])
        for group in groups.to_pylist():
            found[(group["batch"], group["stage"], group["field"], group["rule"])] += group["count_all"]
    return sorted(Summary(*key, rows) for key, rows in found.items())


def count(tables: Tables, dataset: str, batch_id: str | None = None) -> int:
    """Rows set aside, of one batch or of all that are still in quarantine."""
    if not tables.exists(table_of(dataset)):
        return 0
    columns = tables.scan(table_of(dataset), ["batch"])
    if batch_id is None:
        return sum(batch.num_rows for batch in columns)
    return sum(pc.sum(pc.equal(batch.column(0), batch_id)).as_py() or 0 for batch in columns)


def rows(
    tables: Tables,
    dataset: str,
    batch_id: str | None = None,
    stage: Stage | None = None,
    rule: str | None = None,
) -> Iterator[pa.RecordBatch]:
    """Stream the rows set aside, in `SCHEMA`: of a batch, a stage or a rule, or all."""
    if not tables.exists(table_of(dataset)):
        return
    for batch in tables.scan(table_of(dataset)):
        chosen = batch.select(SCHEMA.names).filter(_matches(batch, batch_id, stage, rule))
        if chosen.num_rows:
            yield chosen


def places(tables: Tables, dataset: str) -> Iterator[pa.RecordBatch]:
    """Stream where the rows stand and why, without their data: `PLACE`, `failures`, `at` and `since`."""
    if not tables.exists(table_of(dataset)):
        return
    dated = (
        "since" in tables.schema(table_of(dataset)).names
    )  # a table from before has none until it is written
    columns = [*PLACE, "failures", "at"]
    for batch in tables.scan(table_of(dataset), [*columns, "since"] if dated else columns):
        since = pc.coalesce(batch["since"], batch["at"]) if dated else batch["at"]
        yield batch.select(columns).append_column(SINCE, since)


def _matches(batch: pa.RecordBatch, batch_id: str | None, stage: str | None, rule: str | None) -> pa.Array:
    mask = pc.is_valid(batch.column("batch"))
    for name, value in (("batch", batch_id), ("stage", stage)):
        if value is not None:
            mask = pc.and_(mask, pc.equal(batch.column(name), value))
    if rule is not None:
        failures = batch.column("failures").flatten()
        parents = pc.list_parent_indices(batch.column("failures"))
        failed = parents.filter(pc.equal(failures.field("rule"), rule))
        numbers = pa.array(range(batch.num_rows), pa.int64())
        mask = pc.and_(mask, pc.is_in(numbers, pc.unique(failed)))
    return mask
