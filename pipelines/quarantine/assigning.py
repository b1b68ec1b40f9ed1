"""Rows set aside are assigned to the department that answers for them, or dismissed: each an act of its own, by a
person, in the audit log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake import handling
from lake.handling import Act, Said
from pipelines.context import Context
from pipelines.deciding import official, plain
from pipelines.proof.certifying import open_log
from pipelines.quarantine.casework import STATES, State, Stood, stood
from pipelines.telling import file_name
from schemas.buffers import Flags
from schemas.errors import XuanwuError
from schemas.model import Entry


@dataclass(frozen=True)
class Selection:
    """Which rows an act is about; what is None leaves none out. `file` is its name, or what is told of that."""

    batch: str | None = None
    stage: str | None = None
    rule: str | None = None
    file: str | None = None
    rows: frozenset[int] = frozenset()
    states: frozenset[State] = frozenset(STATES)
    department: str | None = None


def selected(ctx: Context, dataset: str, chosen: Selection) -> Iterator[Stood]:
    """Stream the rows that are chosen."""
    for part in stood(ctx, dataset, chosen.batch):
        mask = pc.is_in(part.state, pa.array(sorted(chosen.states)))
        if chosen.stage is not None:
            mask = pc.and_(mask, pc.equal(part.rows["stage"], chosen.stage))
        if chosen.file is not None:
            mask = pc.and_(mask, _of_file(part.rows["file"], chosen.file))
        if chosen.rows:
            mask = pc.and_(mask, pc.is_in(part.rows["row"], pa.array(sorted(chosen.rows), pa.int64())))
        if chosen.department is not None:
            mask = pc.and_(mask, pc.equal(part.department, chosen.department))
        if chosen.rule is not None:
            mask = pc.and_(mask, pa.array(_broke(part.rows, chosen.rule)))
        if pc.any(mask).as_py():
            yield part.filter(mask)


def _of_file(names: pa.Array, wanted: str) -> pa.Array:
    """Which rows are of a file of this name, or of one that is shown so, since it is called after a person."""
    distinct = pc.unique(names).to_pylist()
    return pc.is_in(names, pa.array([n for n in distinct if wanted in (n, file_name(n))], pa.string()))


def _broke(rows: pa.RecordBatch, rule: str) -> Flags:
    failed = pc.equal(rows["failures"].flatten().field("rule"), rule)
    found = np.zeros(rows.num_rows, np.bool_)
    found[pc.list_parent_indices(rows["failures"]).filter(failed).to_numpy()] = True
    return found


def assign(
    ctx: Context, entry: Entry, chosen: Selection, department: str | None, *, by: str, why: str = ""
) -> list[Act]:
    """Assign the rows to a department, or, where none is named, each to the one that answers for what failed.

    XuanwuError where there is no such department."""
    if department is not None and department not in ctx.catalogue.departments:
        raise XuanwuError(
            f"there is no department `{department}`",
            dataset=entry.id,
            expected=", ".join(sorted(ctx.catalogue.departments)),
        )
    wanted = responsible(ctx, entry) if department is None else None
    rows: dict[tuple[str, str], list[pa.RecordBatch]] = defaultdict(list)
    for part in selected(ctx, entry.id, chosen):
        whose = pa.repeat(department, part.rows.num_rows) if wanted is None else _whose(part.rows, *wanted)
        for name in pc.unique(whose).to_pylist():
            rows[part.batch, name].append(_places(part.rows.filter(pc.equal(whose, name))))
    who, reason = official(by, "--by"), plain(why, "--why") if why else ""
    return [
        handling.record(
            ctx.settings,
            open_log(ctx)[0],
            (entry.id, batch),
            "assign",
            pa.Table.from_batches(found),
            said=Said(who, ctx.clock(), reason, name),
        )
        for (batch, name), found in rows.items()
    ]


def dismiss(ctx: Context, entry: Entry, chosen: Selection, *, by: str, why: str) -> list[Act]:
    """Say that the rows stay out, and why. XuanwuError without a reason, or with one that names a person."""
    said = Said(official(by, "--by"), ctx.clock(), plain(why, "--why"))
    rows: dict[str, list[pa.RecordBatch]] = defaultdict(list)
    for part in selected(ctx, entry.id, chosen):
        rows[part.batch].append(_places(part.rows))
    return [
        handling.record(
            ctx.settings,
            open_log(ctx)[0],
            (entry.id, batch),
            "dismiss",
            pa.Table.from_batches(found),
            said=said,
        )
        for batch, found in rows.items()
    ]


def _places(rows: pa.RecordBatch) -> pa.RecordBatch:
    return rows.select(handling.PLACES.names).cast(handling.PLACES)


def responsible(ctx: Context, entry: Entry) -> tuple[str, dict[str, str]]:
    """The department that answers for the dataset, and by field the others: a field obtained by sharing is its
    originating department's to correct."""
    others = {
        name: ctx.catalogue.entry(field.shared_from.dataset).owner
        for name, field in entry.fields.items()
        if field.shared_from is not None
    }
    return entry.owner, others


def _whose(rows: pa.RecordBatch, owner: str, others: Mapping[str, str]) -> pa.Array:
    """Whose each row is: another department's where nothing failed but what it originates, else the owner's."""
    names = [owner, *sorted(set(others.values()) - {owner})]
    failures = rows["failures"].flatten()
    fields = pc.fill_null(failures.field("field"), "").to_pylist()
    of = np.array([names.index(others.get(each, owner)) for each in fields], np.int64)
    lists, parents = rows["failures"], pc.list_parent_indices(rows["failures"]).to_numpy()
    least, most = (np.full(len(lists), start, np.int64) for start in (len(names), -1))
    np.minimum.at(least, parents, of)
    np.maximum.at(most, parents, of)
    return pa.array(names).take(pa.array(np.where(least == most, least, 0)))
