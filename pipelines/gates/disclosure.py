"""The disclosure gate of the open zone: nobody is singled out by what the public gets of persons (GB/T 42460).

For entries with `subject: person`. A record's risk is 1/f, f the size of its class over the published quasi-
identifiers, as they are after masking; in public release the risk of the release is the greatest of any record and
must be below 0.05, so that every class has 21 rows or more. Rows of smaller classes, and of classes where a sensitive
field has one value only, are left out (local suppression), up to the share `open.suppress_up_to`. Beyond it nothing
is published, and the error says which coarser masks would do.

Who has an earlier release can subtract it. Rows that are not in one of the last `EARLIER` releases under the same
masks are held to the same classes among themselves, and wait where they are too few. Rows that an earlier release had
and this one has not cannot be hidden any more; where they are few in their class they count against the share.

The open zone has no door: what is opened on conditions is held to the same limit as what is opened to all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from lake.records import Disclosure
from pipelines.engine import engine
from pipelines.gates.classes import Places, Release
from pipelines.gates.lattice import Proposal, ladder, search
from schemas.errors import DisclosureRisk
from schemas.model import Entry, Mask, Risk, Zone
from schemas.settings import Settings

RULES = 1
"""Raised whenever this gate lets less through, so that what was released is released anew."""
LIMIT = 21
"""Rows of a class at least: risk 1/f below 0.05 (GB/T 42460, public release)."""
EARLIER = 3
"""Earlier releases that a new one is held against: as many as stay for download."""
_HIDDEN = ("hmac", "constant")
"""A token is no identifier without the key; a constant tells nothing."""
Rows = Iterable[pa.RecordBatch]
_NOBODY: Places = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Judged:
    """What the gate decided: which rows stay out (places in the masked rows), and what it measured, if it had to."""

    record: Disclosure | None = None
    gone: Places = field(default_factory=lambda: _NOBODY)

    def passed(self, rows: Rows) -> Iterator[pa.RecordBatch]:
        """The rows but for those left out, which must come in the order in which they were judged."""
        start = 0
        for batch in rows:
            first, last = np.searchsorted(self.gone, (start, start + batch.num_rows))
            if first == last:
                yield batch
            else:
                stay = np.ones(batch.num_rows, dtype=np.bool_)
                stay[self.gone[first:last] - start] = False
                yield batch.filter(pa.array(stay))
            start += batch.num_rows

    @property
    def certified(self) -> dict[str, str | int | bool | None] | None:
        """The record as a certificate holds it."""
        if self.record is None:
            return None
        return {**self.record.model_dump(exclude={"quasi"}), "quasi": ", ".join(self.record.quasi)}


@dataclass(frozen=True)
class Opening:
    """A release that is to be judged. `rows` gives its masked rows, each time in the same order; `earlier` the
    releases before it under the same masks, the newest first."""

    settings: Settings
    entry: Entry
    zone: Zone
    plan: Mapping[str, Mask]
    schema: pa.Schema
    rows: Callable[[], Rows]
    earlier: Sequence[Callable[[], Rows]] = ()


def quasi_identifiers(entry: Entry, plan: Mapping[str, Mask]) -> list[str]:
    """Published fields by which a row can be compared with what is known of a person: quasi-identifiers, those of
    which nobody said anything, and what masking left of direct identifiers."""

    def tells(risk: Risk | None, kind: str) -> bool:
        return kind not in _HIDDEN if risk == "direct" else kind != "constant" and risk in {None, "quasi"}

    return [name for name, mask in plan.items() if tells(entry.fields[name].risk, mask.kind)]


def rules(entry: Entry, zone: Zone, plan: Mapping[str, Mask]) -> dict[str, Any] | None:
    """All that decides what the gate lets through; None where it has nothing to judge."""
    if zone != "open" or entry.subject != "person":
        return None
    shown = [name for name, mask in plan.items() if mask.kind not in _HIDDEN]
    return {
        "rules": RULES,
        "limit": LIMIT,
        "quasi": quasi_identifiers(entry, plan),
        "sensitive": [name for name in shown if entry.fields[name].risk == "sensitive"],
        "suppress_up_to": entry.open.suppress_up_to,
    }


def judge(opening: Opening) -> Judged:
    """Which rows of a release stay out; none, and no record, where it is not of persons or not for the public.

    DisclosureRisk where a direct identifier is published as it is, or more rows would stay out than may."""
    entry, ruled = opening.entry, rules(opening.entry, opening.zone, opening.plan)
    if ruled is None:
        return Judged()
    _no_direct(entry, opening.plan)
    with engine(opening.settings) as connection:
        release = Release(connection, opening.schema, ruled["quasi"], ruled["sensitive"], LIMIT)
        release.load(opening.rows())
        for before in opening.earlier[:EARLIER]:
            release.load_earlier(before(), opening.schema)
        k, small = release.measure().k, release.small()
        release.suppress()
        gone = release.gone()
        record = _record(release, ruled["quasi"], small, len(gone))
        if record.suppressed + record.departed > entry.open.suppress_up_to * release.rows:
            raise _too_many(opening, k, record, release.rows, _coarser(connection, release, opening))
        return Judged(record, gone)


def _no_direct(entry: Entry, plan: Mapping[str, Mask]) -> None:
    for name, mask in plan.items():
        if entry.fields[name].risk == "direct" and mask.kind == "keep":
            raise DisclosureRisk(
                f"{name} identifies a person directly and would be opened as it is: level 1 of GB/T 42460",
                dataset=entry.id,
                field=name,
                rule="GB/T 42460",
                expected="a mask, or the field left out",
                next_step=f"see `open:` in {entry.file}",
            )


def _record(release: Release, quasi: list[str], small: int, suppressed: int) -> Disclosure:
    """Level 3: quasi-identifiers only, and the risk is below the limit. Above it nothing is published at all."""
    left = release.measure()
    return Disclosure(
        quasi=tuple(quasi),
        k=left.k,
        classes=left.classes,
        risk=f"{1 / left.k:.4f}" if left.k else "0",
        mean_risk=f"{left.classes / left.rows:.4f}" if left.rows else "0",
        level=3,
        l=left.l,
        t=None if left.t is None else f"{left.t:.4f}",
        small=small,
        suppressed=suppressed,
        departed=release.departed(),
        compared=release.compared,
    )


# ── what would do ─────────────────────────────────────────────────────────────────────────────────────────


def _coarser(connection: duckdb.DuckDBPyConnection, release: Release, opening: Opening) -> Proposal | None:
    """Coarser masks under which few enough rows would be left out, the earlier releases apart."""
    entry, plan = opening.entry, opening.plan
    names = quasi_identifiers(entry, plan)
    if not names or release.rows < LIMIT:
        return None
    release.counted_combinations()
    ladders = {
        name: ladder(connection, entry.fields[name], plan[name], opening.schema.field(name).type)
        for name in names
    }
    return search(connection, ladders, LIMIT, int(entry.open.suppress_up_to * release.rows))


def _too_many(
    opening: Opening, k: int | None, record: Disclosure, rows: int, proposal: Proposal | None
) -> DisclosureRisk:
    """`k` and `record.small` are those before anything was left out."""
    entry = opening.entry
    told = [f"k is {k} over {', '.join(record.quasi) or 'no quasi-identifier'}"]
    told.append(
        f"{record.small} of {rows} rows are in classes that are too small (below {LIMIT}) or all alike"
    )
    if record.suppressed > record.small:
        told.append(f"{record.suppressed - record.small} more would stand out against an earlier release")
    if record.departed:
        told.append(f"{record.departed} that an earlier release had can be told by their absence")
    if proposal is None:
        step = f"wait until a class has {LIMIT} rows, or close it (`open.type: none`)"
    elif proposal.masks:
        step = (
            f"write `open.mask: {proposal}` in {entry.file} (drop: leave the field out of `open.fields`): "
            f"{proposal.suppressed} rows would stay out, and {proposal.kept:.0%} of the columns' information would stay"
        )
    else:
        step = "wait until more rows change together, or raise `open.suppress_up_to`"
    return DisclosureRisk(
        f"the open release would single persons out and was not published: {'; '.join(told)}",
        dataset=entry.id,
        rule="risk below 0.05 (GB/T 42460)",
        expected=f"at most {entry.open.suppress_up_to:.0%} of the rows left out (`open.suppress_up_to`)",
        next_step=step,
    )
