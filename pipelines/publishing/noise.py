"""Noise of differential privacy on the numbers of aggregates, drawn once for the same data (OpenDP).

The Laplace mechanism: discrete for whole numbers and decimals (in units of their last place), continuous for others.
One draw is one column of one state of the data: its digest goes over keys and values, in the order of the keys. The
same data, published again, have the same noise and spend nothing, whatever run, batch or snapshot brings them; new data
spend epsilon from the dataset's budget (`lake.budget`) before they are drawn.

What was drawn lies in `released/noise/<dataset>/`, with no true value in it: noisy values in the order of the keys. The
digest of few true numbers can be guessed, so it stands in the ledger's database alone: the audit log has a keyed one.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake import store
from lake.budget import Budget, Draw
from lake.zones import identifier
from pipelines.context import Context
from pipelines.engine import engine
from pipelines.masks import check_fit
from pipelines.proof import certifying
from schemas.arrow import field_type
from schemas.errors import EngineError, LakeError, MaskError, XuanwuError
from schemas.model import Entry, Field, Mask, Noise
from schemas.sql import quote

BATCH_ROWS = 64 * 1024
Measure: TypeAlias = Any
"""OpenDP's measurement: called with numbers it gives as many with noise, and its `map` what that spends."""


@dataclass(frozen=True)
class Noised:
    """A column with noise, by the rows' places in the curated snapshot."""

    values: pa.Array

    def at(self, start: int, true: pa.Array) -> pa.Array:
        """The rows from a place on, as many as there are true values. No value stays none."""
        noisy = self.values.slice(start, len(true))
        return pc.if_else(true.is_valid(), noisy, pa.scalar(None, noisy.type))


@dataclass(frozen=True)
class _Work:
    """What every column of one snapshot is given; `connection` holds the table `truth`."""

    connection: duckdb.DuckDBPyConnection
    ctx: Context
    entry: Entry

    @property
    def by(self) -> str:
        """The order of the keys."""
        return ", ".join(f"k_{name}" for name in self.entry.key)

    def uri(self, file: str) -> str:
        return store.join(self.ctx.settings.lake_root, "released", "noise", self.entry.id, file)


def drawn(ctx: Context, entry: Entry, plan: Mapping[str, Mask], source: int) -> dict[str, Noised]:
    """The noisy columns of a plan, of one curated snapshot. BudgetSpent where the dataset's budget does not do;
    MaskError and EngineError as of `_column`."""
    masks = {name: mask for name, mask in plan.items() if isinstance(mask, Noise)}
    if not masks:
        return {}
    with engine(ctx.settings) as connection:
        work = _Work(connection, ctx, entry)
        _load(work, list(masks), source)
        places = connection.execute(f"SELECT place FROM truth ORDER BY {work.by}").fetchnumpy()["place"]
        found = {name: _column(work, name, mask) for name, mask in masks.items()}
    rank = np.empty(len(places), dtype=np.int64)
    rank[places] = np.arange(len(places))
    return {
        name: Noised(_typed(noisy.take(pa.array(rank)), entry.fields[name], masks[name]))
        for name, noisy in found.items()
    }


def _load(work: _Work, names: list[str], source: int) -> None:
    """A table `truth` of the rows' places, keys and values in units: whole numbers as they are, decimals in their last
    place."""
    connection, entry = work.connection, work.entry
    units = ", ".join(f"{_units(entry.fields[name])} AS u_{name}" for name in names)
    keys = ", ".join(f"{quote(name)} AS k_{name}" for name in entry.key)
    columns = list(dict.fromkeys((*entry.key, *names)))
    start, made = 0, False
    for batch in work.ctx.tables.scan(identifier("curated", entry.id), columns, source):
        places = pa.array(np.arange(start, start + batch.num_rows))
        connection.register("batch", pa.Table.from_batches([batch.append_column("_place", places)]))
        sql = f"SELECT _place AS place, {keys}, {units} FROM batch"
        connection.execute(f"INSERT INTO truth {sql}" if made else f"CREATE TABLE truth AS {sql}")
        start, made = start + batch.num_rows, True
    if not made:
        kinds = {**{f"k_{n}": pa.string() for n in entry.key}, **{f"u_{n}": pa.int64() for n in names}}
        empty = pa.schema([("place", pa.int64()), *kinds.items()]).empty_table()
        connection.register("batch", empty)
        connection.execute("CREATE TABLE truth AS SELECT * FROM batch")


def _units(field: Field) -> str:
    column = quote(field.name)
    if field.type == "decimal":
        return f"({column}::DECIMAL(38, {field.scale}) * {10**field.scale})::BIGINT"
    return column


# ── one column ────────────────────────────────────────────────────────────────────────────────────────────


def _column(work: _Work, name: str, mask: Noise) -> pa.Array:
    """The column in the order of the keys, with the noise that was drawn for it once.

    MaskError where OpenDP makes no such noise, and nothing was spent; EngineError where it could not draw it, and what
    was spent stays spent for it."""
    check_fit(mask, work.entry.fields[name])
    draw = Draw(name, _digest(work, name, mask), mask.epsilon)
    budget = Budget(work.ctx.settings.database_url, work.entry.id, work.ctx.clock)
    known = budget.find(draw.draw)
    if known is None or not known.file:
        measure = _mechanism(work.entry, work.entry.fields[name], mask)  # tried before anything is spent
        if known is None:
            _spend(work, budget, draw)
        _draw(work, budget, draw, measure)
    return _read(work, budget.find(draw.draw) or draw)


def _digest(work: _Work, name: str, mask: Noise) -> str:
    """Of all that the noise is for: field, mask (but for what is done to the result), keys and values."""
    field = work.entry.fields[name]
    about = [work.entry.id, name, mask.epsilon, mask.sensitivity, field.type, field.scale]
    digest = hashlib.sha256(json.dumps(about).encode())
    keys = ", ".join(f"coalesce(k_{key}::VARCHAR, '')" for key in work.entry.key)
    text = f"concat_ws(chr(31), {keys}, coalesce(u_{name}::VARCHAR, '')) || chr(30)"
    rows = work.connection.execute(f"SELECT {text} AS text FROM truth ORDER BY {work.by}")
    for batch in rows.to_arrow_reader(BATCH_ROWS):
        digest.update("".join(batch.column(0).to_pylist()).encode())
    return digest.hexdigest()


def _spend(work: _Work, budget: Budget, draw: Draw) -> None:
    """Spend, and say so in the audit log; where it cannot be written nothing is drawn."""
    log, signer = certifying.open_log(work.ctx)
    allowed = work.entry.open.budget or 0.0
    said = {"action": "noise", "dataset": work.entry.id, "field": draw.field}
    said["draw"] = signer.secret("noise", draw.draw)
    said |= {"epsilon": f"{draw.epsilon:g}", "budget": f"{allowed:g}"}
    log.append({**said, "phase": "attempt"})
    if budget.spend(draw, allowed):
        log.append({**said, "phase": "outcome", "spent": f"{budget.spent:g}"})


def _draw(work: _Work, budget: Budget, draw: Draw, measure: Measure) -> None:
    """Draw into a file of its own. Of two runs the first to name its file has drawn; the other's is removed unseen."""
    field = work.entry.fields[draw.field]
    file = f"{uuid.uuid4().hex}.parquet"
    uri, kind = work.uri(file), pa.float64() if field.type == "number" else pa.int64()
    schema = pa.schema([("noisy", kind)])
    rows = work.connection.execute(f"SELECT u_{draw.field} AS u FROM truth ORDER BY {work.by}")
    numbers = (_filled(batch.column(0), kind).to_pylist() for batch in rows.to_arrow_reader(BATCH_ROWS))
    drawn = (
        pa.table([pa.array(_measured(work, draw, measure, each), kind)], schema=schema) for each in numbers
    )
    sha256, _ = store.write_parquet(uri, drawn, schema)
    if not budget.settle(draw.draw, file, sha256):
        store.remove_file(uri)


def _filled(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Numbers without gaps: what is none, or no number, gets noise like others and is emptied afterwards."""
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_finite(values), values, None)
    return pc.fill_null(values.cast(kind), 0)


def _measured(work: _Work, draw: Draw, measure: Measure, numbers: list[Any]) -> Any:
    with _opendp_errors(
        "draw the noise",
        EngineError,
        work.entry,
        draw.field,
        next_step="run publish again: what this draw spent of the budget is not spent a second time",
    ):
        return measure(numbers)


def _mechanism(entry: Entry, field: Field, mask: Noise) -> Measure:
    """OpenDP's measurement over a vector whose L1 sensitivity is the mask's; its epsilon is no more than the mask's."""
    with _opendp_errors(
        "make such noise",
        MaskError,
        entry,
        field.name,
        expected="epsilon and sensitivity of which the noise has fewer than 19 digits, decimal places too",
        next_step=f"correct the mask in {entry.file}; nothing was spent for it",
    ):
        measure, sensitivity = _laplace(field, mask)
        spends = measure.map(sensitivity)
    if spends > mask.epsilon:
        raise MaskError(
            "the noise would spend more than its epsilon",
            field=field.name,
            rule="noise",
            expected="a larger epsilon",
        )
    return measure


def _laplace(field: Field, mask: Noise) -> tuple[Measure, float]:
    """The measurement, and the sensitivity in its units."""
    import opendp.prelude as dp

    dp.enable_features("contrib")
    if field.type == "number":
        space = dp.vector_domain(dp.atom_domain(T=float, nan=False)), dp.l1_distance(T=float)
        sensitivity: float = mask.sensitivity
    else:
        space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
        sensitivity = math.ceil(mask.sensitivity * 10 ** (field.scale if field.type == "decimal" else 0))
    # a hair more noise, so that rounding up inside the proof does not exceed epsilon
    return dp.m.make_laplace(*space, scale=sensitivity / mask.epsilon * (1 + 1e-9)), sensitivity


@contextmanager
def _opendp_errors(
    doing: str,
    kind: type[XuanwuError],
    entry: Entry,
    field: str,
    *,
    next_step: str,
    expected: str | None = None,
) -> Iterator[None]:
    """OpenDP's messages, and those of its binding to Python, may quote values: ours names the kind of failure."""
    from opendp.mod import OpenDPException, UnknownTypeException

    try:
        yield
    except (OpenDPException, UnknownTypeException, ArithmeticError, TypeError, ValueError) as error:
        raise kind(
            f"OpenDP could not {doing} ({getattr(error, 'variant', type(error).__name__)})",
            dataset=entry.id,
            field=field,
            rule="noise",
            expected=expected,
            next_step=next_step,
        ) from None


def _read(work: _Work, draw: Draw) -> pa.Array:
    uri = work.uri(draw.file or "-")
    if not store.exists(uri) or store.sha256_of(uri) != draw.sha256:
        raise LakeError(
            "the noise that was drawn for these data is missing or was changed",
            dataset=work.entry.id,
            field=draw.field,
            file=uri,
            next_step="restore the file: drawn again it would tell the true numbers to whoever has both",
        )
    files, path = store.filesystem(uri)
    with files.open_input_file(path) as file:
        return pq.ParquetFile(file).read().column("noisy").combine_chunks()


def _typed(noisy: pa.Array, field: Field, mask: Noise) -> pa.Array:
    """In the field's type, no lower than the mask's minimum; beyond what a decimal holds it is its greatest or least.
    What is done to the result spends nothing (Dwork & Roth 2014, proposition 2.1: post-processing)."""
    kind = field_type(field)
    if field.type == "decimal":
        units = _clamped(noisy, 10**field.precision - 1).cast(pa.decimal128(38, 0))
        noisy = pa.Array.from_buffers(pa.decimal128(38, field.scale), len(units), units.buffers()).cast(kind)
    if mask.min is None:
        return noisy
    return pc.max_element_wise(noisy, pa.scalar(mask.min).cast(kind), skip_nulls=False)


def _clamped(numbers: pa.Array, most: int) -> pa.Array:
    """The numbers from `-most` to `most`, those beyond as the nearest of the two."""
    return pc.min_element_wise(pc.max_element_wise(numbers, -most), most)
