"""Values that a department has corrected, laid over what its source gave.

A correction is of one cell: file, row, and the source's column. It is text, and is converted as a source's text is.
Landed bytes stay as they came; what is laid over them stands in the audit log, in the ledger and in the certificates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from lake import handling, recordstore
from lake.records import Landed, Standardised
from pipelines.context import Context
from pipelines.proof.certifying import open_log
from pipelines.quarantine.laid import Corrections
from schemas.buffers import Places


def corrections_of(ctx: Context, landed: Landed, columns: Collection[str]) -> Corrections:
    """The corrections of a batch's columns that are collected. LakeError where one is not as the audit log has it."""
    batch = landed.batch
    acts = [a for a in handling.acts(ctx.settings, batch.dataset, batch.id) if a.kind == "correct"]
    if not acts:
        return Corrections()
    handling.require_logged(open_log(ctx)[0], acts, ctx.settings)
    return Corrections(_cells(handling.corrections(acts, ctx.settings), columns), tuple(a.name for a in acts))


def _cells(values: pa.Table, columns: Collection[str]) -> dict[tuple[str, str], tuple[Places, pa.Array]]:
    """Corrected cells, in `handling.VALUES` and each once, by file and column."""
    cells: dict[tuple[str, str], tuple[Places, pa.Array]] = {}
    values = values.combine_chunks().sort_by("row")
    for file in pc.unique(values["file"]).to_pylist():
        of_file = values.filter(pc.equal(values["file"], file))
        for column in pc.unique(of_file["column"]).to_pylist():
            if column in columns:
                own = of_file.filter(pc.equal(of_file["column"], column)).combine_chunks()
                cells[file, column] = own["row"].to_numpy(), own["value"].combine_chunks()
    return cells


def waiting(ctx: Context, dataset: str) -> Iterator[str]:
    """The batches that have corrections which were not laid over them yet, the oldest first."""
    for batch in handling.batches(ctx.settings, dataset):
        acts = handling.acts(ctx.settings, dataset, batch)
        if {act.name for act in acts if act.kind == "correct"} - applied(ctx, dataset, batch):
            yield batch


def applied(ctx: Context, dataset: str, batch: str) -> frozenset[str]:
    """The corrections that are laid over a batch's typed rows, as its last standardisation says."""
    attempts = ctx.ledger.attempts(batch, dataset)
    if not attempts or not recordstore.exists(ctx.settings, attempts[0].batch, "standardise"):
        return frozenset()
    record = recordstore.load(ctx.settings, attempts[0].batch, "standardise")
    return frozenset(record.corrections if isinstance(record, Standardised) else ())
