"""Before a stage begins: which form of its dataset's contract it uses, written down where that is another than before.

A form that is in use already costs its digest, and a look into one folder.
"""

from __future__ import annotations

from lake import contracts
from lake.batch import Batch
from lake.contracts import Contract
from pipelines.context import Context
from pipelines.contracts.form import contract_hash, facts_of, identity
from schemas.model import Entry


def use(ctx: Context, entry: Entry, batch: Batch) -> None:
    """Note in the audit log that a batch uses this entry, with what changed since the form before. LakeError where it
    cannot be written: then the stage is not begun."""
    digest = identity(ctx.catalogue, entry)
    if contracts.in_use(ctx.settings, entry.id, digest):
        return
    from pipelines.contracts.compare import changes
    from pipelines.proof.certifying import open_log

    log, signer = open_log(ctx)
    now = Contract(
        dataset=entry.id,
        digest=digest,
        contract=contract_hash(entry),
        key=signer.id,
        facts=facts_of(ctx.catalogue, entry, log.digest),
    )
    contracts.use(ctx.settings, log, batch, now, changes)
