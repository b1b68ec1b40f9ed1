"""Check a standardised batch against its entry's expectations: a verdict, and the rows to set aside.

    stop         a failed check stops the batch before the curated table; nothing is set aside
    quarantine   the failing rows of a row-level check are set aside, whether or not `mostly` is met
    warn         recorded

The verdict is written in each case, for later comparison, and says which rows are set aside: those lie there by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import duckdb
import numpy as np
import pyarrow as pa

from expectations.known import Known, referenced_datasets
from expectations.sqltables import BATCH, dataset_view
from expectations.wording import expected
from lake import quarantine, store, zones
from lake.batch import Batch
from lake.records import REJECTS, Checked, Rejects, Standardised, Verdict
from lake.zones import identifier
from pipelines import checksql as sql
from pipelines.context import Context
from pipelines.engine import confine, engine, engine_errors
from pipelines.proof.certifying import open_log
from pipelines.sqlrows import AT, FILE, left, parquet
from pipelines.telling import file_name
from schemas.errors import CheckFailed
from schemas.model import Entry
from schemas.sql import quote
from schemas.verdict import CheckResult

BATCH_ROWS = 16_384
SALT = "salt of a verdict"
PLACES = 5
"""Rows that a message names by file and number, so that a person can look at them."""


class Judgement(Protocol):
    """What an engine found of a batch. Checks are named by their number, from 1."""

    results: tuple[CheckResult, ...]
    rows: int

    def count_rejects(self, numbers: Sequence[int]) -> int:
        """Rows that failed one of these checks, each counted once."""

    def rejects(self, numbers: Sequence[int]) -> pa.RecordBatchReader:
        """Their `_seq` (int64), each once, rising."""

    def aside(self, numbers: Sequence[int]) -> pa.RecordBatchReader:
        """The rows themselves: the columns of `checksql.set_aside`."""

    def places(self, number: int, most: int) -> list[tuple[str, int]]:
        """File and row of the first rows that failed a check."""


def check(ctx: Context, entry: Entry, standardised: Standardised) -> Checked:
    """Run every check of the entry; returns the record that names the rows set aside.

    Raises CheckFailed where a check with `on_fail: stop` failed (the verdict is saved by then), EngineError
    where the engine failed, which says nothing about the data.
    """
    so, batch = "; the data are not judged", standardised.batch.id
    failing = engine_errors("check the batch", "check", so, dataset=entry.id, batch=batch)
    with engine(ctx.settings) as db, failing:
        db.execute("SET preserve_insertion_order = false")  # what asks for an order says so
        return conclude(ctx, entry, standardised, _Local(ctx, db, entry, standardised))


def conclude(ctx: Context, entry: Entry, standardised: Standardised, found: Judgement) -> Checked:
    """What comes of a judgement: the verdict, the rejects, the quarantine, or the batch's stop."""
    stopped = [result for result in found.results if result.on_fail == "stop" and not result.success]
    chosen = [] if stopped else _quarantining(found.results)
    rejects = _rejects(ctx, standardised, found, chosen)
    verdict = _verdict(ctx, standardised, found, rejects)
    address = _address(ctx, standardised, "verdict.json")
    store.write_atomic(address, verdict.model_dump_json(indent=1).encode())
    quarantined = _set_aside(ctx, entry, standardised, found, chosen if rejects else [])
    if stopped:
        raise _check_failed(found, standardised, verdict, stopped)
    return Checked(
        batch=standardised.batch,
        path=standardised.path,
        rejects=_address(ctx, standardised, REJECTS) if rejects else None,
        verdict=address,
        rows_in=verdict.rows,
        rows_out=verdict.rows - found.count_rejects(chosen),
        quarantined=quarantined,
        warnings=sum(result.on_fail == "warn" and not result.success for result in found.results),
    )


class _Local:
    """The judgement of Great Expectations on DuckDB."""

    def __init__(
        self, ctx: Context, db: duckdb.DuckDBPyConnection, entry: Entry, standardised: Standardised
    ) -> None:
        from expectations.run import run

        self._db, self._entry = db, entry
        self.results = run(entry, db, _prepare(ctx, db, entry, standardised))
        self.rows = self._number(f"SELECT count(*) FROM {BATCH}")

    def _number(self, query: str) -> int:
        return int((self._db.execute(query).fetchone() or (0,))[0])

    def count_rejects(self, numbers: Sequence[int]) -> int:
        return self._number(sql.count_rejects(numbers))

    def rejects(self, numbers: Sequence[int]) -> pa.RecordBatchReader:
        return self._db.execute(sql.rejects(numbers)).to_arrow_reader(store.ROW_GROUP_ROWS)

    def aside(self, numbers: Sequence[int]) -> pa.RecordBatchReader:
        return self._db.execute(sql.set_aside(self._entry, numbers)).to_arrow_reader(BATCH_ROWS)

    def places(self, number: int, most: int) -> list[tuple[str, int]]:
        return self._db.execute(sql.places(number, most)).fetchall()


# ── what a check may know ─────────────────────────────────────────────────────────────────────────────────


def _prepare(ctx: Context, db: duckdb.DuckDBPyConnection, entry: Entry, standardised: Standardised) -> Known:
    """The batch and the datasets that it refers to as views. A row condition is SQL of the entry's: it reads nothing
    else."""
    files = store.parts(standardised.path)
    db.execute(f"CREATE VIEW {BATCH} AS SELECT * FROM {parquet(files)}")
    there = frozenset(name for name in referenced_datasets(entry) if _view(ctx, db, name))
    for name in there:
        for part in ctx.tables.parts(identifier("curated", name)):
            files += [part.path, *part.deleting]
    confine(db, [path.removeprefix("file://") for path in files])
    return known(ctx, standardised, there)


def known(ctx: Context, standardised: Standardised, there: frozenset[str]) -> Known:
    """What the checks may know; `there` are the datasets that can be looked into."""
    codes = {name: [code.code for code in listed] for name, listed in ctx.catalogue.codes.items()}
    return Known(standardised.batch.end, previous_rows(ctx, standardised), codes, there)


def _view(ctx: Context, db: duckdb.DuckDBPyConnection, dataset: str) -> bool:
    """A view of the dataset's curated rows; False if it has no table."""
    table = identifier("curated", dataset)
    if not ctx.tables.exists(table):
        return False
    parts = ctx.tables.parts(table)
    empty = f"{quote(dataset_view(dataset))} form"
    db.register(empty, ctx.tables.schema(table).empty_table())
    rows = f" UNION ALL BY NAME SELECT * EXCLUDE ({FILE}, {AT}) FROM ({left(parts)})" if parts else ""
    db.execute(f"CREATE TEMP VIEW {quote(dataset_view(dataset))} AS SELECT * FROM {quote(empty)}{rows}")
    return True


def previous_rows(ctx: Context, standardised: Standardised) -> int | None:
    """Rows that the check of the batch before took in: the newest earlier interval that passed its checks."""
    batch = standardised.batch
    earlier = [
        attempt
        for attempt in ctx.ledger.done(batch.dataset)
        if attempt.stage == "check" and attempt.batch.end < batch.end and attempt.rows_in is not None
    ]
    return max(earlier, key=lambda attempt: attempt.batch.end).rows_in if earlier else None


# ── what comes of it ──────────────────────────────────────────────────────────────────────────────────────


def _address(ctx: Context, standardised: Standardised, name: str) -> str:
    batch = standardised.batch
    return store.join(zones.folder(ctx.settings, "verdicts", batch.dataset, batch.id), name)


def _quarantining(results: Sequence[CheckResult]) -> list[int]:
    return [result.number for result in results if result.on_fail == "quarantine" and result.row_level]


def _rejects(
    ctx: Context, standardised: Standardised, found: Judgement, chosen: Sequence[int]
) -> Rejects | None:
    """Write the `_seq` of the rows to set aside, each once and rising; None (and no file) if there are
    none."""
    address = _address(ctx, standardised, REJECTS)
    if not any(result.failed for result in found.results if result.number in chosen):
        store.remove_file(address)
        return None
    reader = found.rejects(chosen)
    groups = store.row_groups(reader, reader.schema)
    sha256, size = store.write_parquet(address, groups, reader.schema)
    return Rejects(sha256=sha256, size=size)


def _verdict(ctx: Context, standardised: Standardised, found: Judgement, rejects: Rejects | None) -> Verdict:
    """Its salt is made with the signing key, and so is the same when the same is found again. SettingsError where that
    key cannot be read."""
    plain = Verdict(
        batch=standardised.batch,
        rows=found.rows,
        results=found.results,
        checked_at=ctx.clock(),
        rejects=rejects,
    )
    return plain.model_copy(update={"salt": open_log(ctx)[0].digest([SALT, plain.model_dump_json()])})


def _set_aside(
    ctx: Context, entry: Entry, standardised: Standardised, found: Judgement, chosen: Sequence[int]
) -> int:
    """Put the failing rows into quarantine, in place of an earlier attempt's; returns their count."""
    batch, at = standardised.batch, ctx.clock()
    reasons = pa.array(
        [
            {"field": r.column or "", "rule": r.expect, "expected": expected(r.expect, r.arguments)}
            for r in found.results
            if r.number in chosen
        ],
        quarantine.FAILURE,
    )

    def rows() -> Iterator[pa.RecordBatch]:
        for part in found.aside(chosen):
            columns = {
                "batch": pa.repeat(batch.id, part.num_rows),
                "stage": pa.repeat("check", part.num_rows),
                "file": part.column("file"),
                "row": part.column("row"),
                "failures": _failures(part, reasons),
                "data": part.column("data"),
                "at": pa.repeat(pa.scalar(at, quarantine.SCHEMA.field("at").type), part.num_rows),
            }
            yield pa.record_batch(list(columns.values()), schema=quarantine.SCHEMA)

    stream = rows() if chosen else iter(())
    return quarantine.put(
        ctx.tables, entry.id, batch.id, "check", pa.RecordBatchReader.from_batches(quarantine.SCHEMA, stream)
    )


def _failures(part: pa.RecordBatch, reasons: pa.Array) -> pa.Array:
    """Each row's list of failures, from its bits: place n of `reasons` is bit n."""
    words = [part.column(f"bits{n // sql.BITS}").to_numpy() >> n % sql.BITS & 1 for n in range(len(reasons))]
    failed = np.stack(words, axis=1).astype(np.bool_)
    offsets = np.concatenate(([0], np.cumsum(failed.sum(axis=1)))).astype(np.int32)
    _, places = np.nonzero(failed)
    wanted = quarantine.SCHEMA.field("failures").type
    return pa.ListArray.from_arrays(pa.array(offsets), reasons.take(pa.array(places)), type=wanted)


def _check_failed(
    found: Judgement, standardised: Standardised, verdict: Verdict, stopped: list[CheckResult]
) -> CheckFailed:
    """The reason in plain words: which checks, how many rows of how many, where to look, and what was
    expected."""
    sentences = [_sentence(found, result, verdict.rows) for result in stopped]
    return CheckFailed(
        f"{len(stopped)} of {len(verdict.results)} checks stop the batch before the curated table: "
        + "; ".join(sentences),
        dataset=standardised.batch.dataset,
        batch=standardised.batch.id,
        field=", ".join(dict.fromkeys(result.column for result in stopped if result.column)) or None,
        rule=", ".join(dict.fromkeys(result.expect for result in stopped)),
        expected="; ".join(expected(result.expect, result.arguments) for result in stopped),
        next_step="mended at the source, the rows come with the next batch, for what landed is not collected again; "
        f"or correct the check and replay: {_replay(standardised.batch)}",
    )


def _replay(batch: Batch) -> str:
    return f"xuanwu run {batch.dataset} --batch {batch.id} --from check"


def _sentence(found: Judgement, result: CheckResult, rows: int) -> str:
    where = f"check {result.number}, {result.expect}" + (f" on {result.column}" if result.column else "")
    if not result.row_level:
        seen = f" (it is {result.observed})" if result.observed is not None else ""
        return f"{where}: does not hold for the {rows} rows{seen}"
    places = found.places(result.number, PLACES)
    first = ", ".join(f"{file_name(file)} row {row}" for file, row in places)
    return f"{where}: {result.failed} of {result.evaluated} rows failed, the first at {first}"
