"""The inner tables of a dataset, attested after whatever may have changed them (`lake.attestations`). Iceberg's
libraries are imported where a table is looked at: a collection changes none."""

from __future__ import annotations

from lake.records import Stage
from lake.zones import Identifier, TableZone, identifier
from pipelines.context import Context
from pipelines.proof.certifying import attest as complete
from pipelines.proof.certifying import open_log
from schemas.policy import ZONES

_CHANGED: dict[Stage, tuple[TableZone, ...]] = {
    "standardise": ("quarantine",),
    "check": ("quarantine",),
    "merge": ("quarantine", "curated"),
}


def attest_changed(ctx: Context, dataset: str, stage: Stage) -> None:
    """Attest what a stage may have changed; what it left as it was costs a look at the catalogue."""
    if stage not in _CHANGED:
        return
    from lake.attestations import attest

    for zone in _CHANGED[stage]:
        table = identifier(zone, dataset)
        if ctx.tables.exists(table):
            attest(ctx.tables, open_log(ctx)[0], table)


def attest_table(ctx: Context, table: Identifier) -> None:
    """After snapshots were forgotten, before their files are removed: say in the audit log what the table is now. Of a
    published one its certificate says so."""
    from lake.attestations import attest
    from lake.upkeep import leads_to

    if table[0] in ZONES:
        complete(ctx, table)
    else:
        attest(ctx.tables, open_log(ctx)[0], table, leads_to(ctx.tables, table))
