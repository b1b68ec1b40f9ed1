"""Law 2, nothing lost: the sums that must hold within a stage's record and between one stage and the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lake.records import STAGES, Checked, Landed, Merged, Published, Record, Stage, Standardised
from schemas.errors import Unbalanced

Term = tuple[str, int]
_NO_ROWS: Final = ("snapshot", "curated_snapshot", "total_before", "reused")


@dataclass(frozen=True)
class Sum:
    """One equation over rows, in words and numbers: the left terms and the right terms add up to the same."""

    left: tuple[Term, ...]
    right: tuple[Term, ...]

    @property
    def holds(self) -> bool:
        return sum(rows for _, rows in self.left) == sum(rows for _, rows in self.right)

    def __str__(self) -> str:
        sides = (" + ".join(f"{words} {rows}" for words, rows in side) for side in (self.left, self.right))
        return (" = " if self.holds else " ≠ ").join(sides)


def _terms(record: Record, *names: str) -> tuple[Term, ...]:
    return tuple((name.replace("_", " "), getattr(record, name)) for name in names)


def _landed(record: Landed) -> list[Sum]:
    landed: tuple[Term, ...] = (("landed", record.rows),)
    sums = [Sum(landed, (("rows of its files", sum(file.rows for file in record.files)),))]
    erased: tuple[Term, ...] = (("erased", record.erased),) if record.erased else ()
    if record.counted is not None:
        sums.append(Sum((("counted at the source", record.counted),), landed + erased))
    return sums


def _set_aside(record: Standardised | Checked) -> list[Sum]:
    return [Sum(_terms(record, "rows_in"), _terms(record, "rows_out", "quarantined"))]


def _merged(record: Merged) -> list[Sum]:
    kinds = ("inserted", "updated", "unchanged", "superseded", "quarantined")
    return [
        Sum(_terms(record, "rows_in"), _terms(record, *kinds)),
        Sum(_terms(record, "total", "deleted"), _terms(record, "total_before", "inserted")),
    ]


def _published(record: Published) -> list[Sum]:
    files = [
        Sum(_terms(record, "rows_out"), ((f"{file.format} download", file.rows),))
        for file in record.downloads
    ]
    outside = _terms(record, "outside") if record.outside else ()
    return [Sum(_terms(record, "rows_in"), _terms(record, "rows_out", "suppressed") + outside), *files]


_WITHIN: Final[dict[type[Record], Callable[[Any], list[Sum]]]] = {
    Landed: _landed,
    Standardised: _set_aside,
    Checked: _set_aside,
    Merged: _merged,
    Published: _published,
}
FLOW: Final[dict[Stage, Callable[[Any], tuple[int, int]]]] = {
    "collect": lambda landed: (landed.rows if landed.counted is None else landed.counted, landed.rows),
    "standardise": lambda record: (record.rows_in, record.rows_out),
    "check": lambda record: (record.rows_in, record.rows_out),
    "merge": lambda record: (record.rows_in, record.total),
    "publish": lambda record: (record.rows_in, record.rows_out),
}
"""Rows in and rows out of a stage's record. A merge gives the whole curated table, which publication takes in."""


def previous(stage: Stage) -> Stage | None:
    """The stage whose rows out are this one's rows in."""
    return None if stage == "collect" else STAGES[STAGES.index(stage) - 1]


def within(record: Record) -> list[Sum]:
    """The sums of one record."""
    return _WITHIN[type(record)](record)


def between(stage: Stage, rows_out_before: int, rows_in: int, erased: int = 0) -> Sum:
    """What the stage before put out is what this one took in, but for the rows that were erased in between."""
    gone: tuple[Term, ...] = (("erased since", erased),) if erased else ()
    return Sum(
        ((f"rows out of {previous(stage)}", rows_out_before),), ((f"rows into {stage}", rows_in), *gone)
    )


def counts(record: Record) -> Mapping[str, int]:
    """Every number of a record by its name, to be kept beside the attempt."""
    numbers = {name: value for name, value in record.model_dump().items() if isinstance(value, int)}
    if isinstance(record, Landed):
        numbers |= {"files": len(record.files), "skipped": len(record.skipped)}
        numbers |= {"erased": record.erased} if record.erased else {}
    if isinstance(record, Published):
        numbers |= {f"unfit_{name}": count for name, count in record.unfit.items()}
    if isinstance(record, Published) and (risk := record.disclosure):
        numbers |= {"emptied": risk.emptied} if risk.emptied else {}
        numbers |= {"for_earlier_releases": risk.for_earlier} if risk.for_earlier else {}
    return {name: int(value) for name, value in numbers.items()}


def told(record: Record) -> str:
    """A record's numbers of rows on one line."""
    return "  ".join(
        f"{name.replace('_', ' ')} {value:,}"
        for name, value in counts(record).items()
        if name not in _NO_ROWS
    )


def require(sums: list[Sum], stage: Stage, record: Record) -> None:
    """Unbalanced, with every sum that does not hold spelt out."""
    wrong = [str(each) for each in sums if not each.holds]
    if wrong:
        raise Unbalanced(
            f"the rows of {stage} do not balance: " + "; ".join(wrong),
            dataset=record.batch.dataset,
            batch=record.batch.id,
            rule="nothing lost (law 2)",
            next_step="nothing more is done with this batch; run it again from its first stage",
        )
