"""Upkeep of the whole lake, once a day: what is granted no more, what is old, what killed runs left behind."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from functools import partial

from lake.reporting import unreported
from lake.upkeep import Removed, clean
from pipelines.context import Context
from pipelines.proof.attesting import attest_table
from pipelines.publishing.withdrawal import withdraw
from pipelines.quarantine.casework import loads
from pipelines.upkeep.compaction import Compacted, compact_all
from pipelines.upkeep.retention import Expired, expire

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upkeep:
    """What was removed: names of the tables that the catalogue grants no more, and counts of the rest; what was
    compacted; how many rows of the quarantine are overdue, by department; what retention has removed; and how many
    reports of security incidents are overdue."""

    withdrawn: tuple[str, ...]
    removed: Removed
    compacted: Compacted
    overdue: dict[str, int]
    expired: Expired
    unreported: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Every number by its name, for people and for Airflow."""
        return {
            **{f"removed {name}": count for name, count in asdict(self.removed).items()},
            "removed withdrawn tables": len(self.withdrawn),
            "compacted files": self.compacted.files,
            "compacted into": self.compacted.into,
            "compacted rows": self.compacted.rows,
            "expired originals": self.expired.originals,
            "expired typed batches": self.expired.typed,
            "expired dismissed rows": self.expired.dismissed,
            "overdue in quarantine": sum(self.overdue.values()),
            "overdue reports": self.unreported,
        }


def upkeep(ctx: Context) -> Upkeep:
    """Withdraw first, so that nothing ungranted is tidied instead of removed; compact; remove what was kept
    long enough; then clean the lake. Beside
    other runs, and after a kill, it can be run at any time. LakeError where the catalogue holds nothing."""
    withdrawn = tuple(withdraw(ctx))
    compacted = compact_all(ctx)
    expired = expire(ctx)
    keep = ctx.catalogue.numbers.retention
    removed = clean(ctx.settings, ctx.tables, ctx.clock(), partial(attest_table, ctx), keep)
    overdue = {load.department: load.overdue for load in loads(ctx) if load.overdue}
    for department, rows in overdue.items():
        log.warning(
            "隔离逾期 %s has %s rows in quarantine that are overdue: xuanwu quarantine list", department, rows
        )
    late = unreported(ctx.settings.lake_root, ctx.catalogue.numbers.incidents, ctx.clock())
    for number, due in late:
        log.warning("报告逾期 %s of incident %s is overdue: xuanwu incident show", due.title.en, number)
    return Upkeep(withdrawn, removed, compacted, overdue, expired, len(late))
