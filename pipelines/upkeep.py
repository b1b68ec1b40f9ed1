"""Upkeep of the whole lake, once a day: what is granted no more, what is old, what killed runs left behind."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

from lake.upkeep import Removed, clean
from pipelines.certifying import attest
from pipelines.compaction import Compacted, compact_all
from pipelines.context import Context
from pipelines.withdrawal import withdraw


@dataclass(frozen=True)
class Upkeep:
    """What was removed: names of the tables that the catalogue grants no more, and counts of the rest; and what was
    compacted."""

    withdrawn: tuple[str, ...]
    removed: Removed
    compacted: Compacted

    @property
    def counts(self) -> dict[str, int]:
        """Every number by its name, for people and for Airflow."""
        return {
            **{f"removed {name}": count for name, count in asdict(self.removed).items()},
            "removed withdrawn tables": len(self.withdrawn),
            "compacted files": self.compacted.files,
            "compacted into": self.compacted.into,
            "compacted rows": self.compacted.rows,
        }


def upkeep(ctx: Context) -> Upkeep:
    """Withdraw first, so that nothing ungranted is tidied instead of removed; compact; then clean the lake. Beside
    other runs, and after a kill, it can be run at any time. LakeError where the catalogue holds nothing."""
    withdrawn = tuple(withdraw(ctx))
    compacted = compact_all(ctx)
    removed = clean(ctx.settings, ctx.tables, ctx.clock(), partial(attest, ctx))
    return Upkeep(withdrawn, removed, compacted)
