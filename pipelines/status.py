"""Where every dataset stands: the ledger read as one line a batch, with how fresh the newest one is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from lake import decisions
from lake.batch import Batch
from lake.ledger import Attempt
from lake.records import Stage
from pipelines.context import Context
from pipelines.intervals import latest_interval
from pipelines.outcome import decisive, still_wanted
from pipelines.resuming import stuck
from schemas.model import Entry


@dataclass(frozen=True)
class BatchStatus:
    """One batch in rows. A number is None where its stage has not been done. `state` is done, running, stuck, failed,
    held (for a decision), lost or nothing new; `reason` says why it failed or is stuck, `warning` what is odd of a
    dataset's newest batch although it is done. `day` is the data's, in the zone of the schedule, as `xuanwu run --date`
    takes it; with the hour where a day has several batches."""

    dataset: str
    title_zh: str
    title_en: str
    batch: str
    interval_start: str
    interval_end: str
    day: str
    state: str
    stage: str
    collected: int | None
    quarantined: int | None
    inserted: int | None
    updated: int | None
    unchanged: int | None
    superseded: int | None
    deleted: int | None
    total: int | None
    shared: dict[str, int]
    opened: int | None
    reason: str
    warning: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def batch_statuses(ctx: Context, datasets: Iterable[str] | None = None) -> list[BatchStatus]:
    """Every batch of the named datasets (default: all), by dataset and interval."""
    chosen = set(datasets) if datasets is not None else set(ctx.catalogue.entries)
    groups: dict[tuple[str, str], list[Attempt]] = {}
    attempts = still_wanted(ctx, ctx.ledger.runs())
    for attempt in attempts:
        if attempt.batch.dataset in chosen:
            groups.setdefault((attempt.batch.dataset, attempt.batch.id), []).append(attempt)
    at = {(batch.dataset, batch.id): stage for batch, stage in stuck(ctx, chosen, attempts)}
    found = [
        _status(ctx.catalogue.entries.get(key[0]), each, at.get(key)) for key, each in sorted(groups.items())
    ]
    newest = {row.dataset: row.batch for row in found}
    brought = {row.dataset for row in found if row.collected}
    told = [_warned(ctx, row, brought) if newest[row.dataset] == row.batch else row for row in found]
    return [_held(ctx, row, decisive(groups[row.dataset, row.batch])) for row in told]


def _warned(ctx: Context, row: BatchStatus, brought: Collection[str]) -> BatchStatus:
    """The newest batch, with a warning where the source or its clock may have gone back: every row of it is an older
    version than the table's (a late batch may be so, but the newest is not), or, of a dataset that `brought` rows
    before, not even the row is there at which its cursor stands."""
    entry = ctx.catalogue.entries.get(row.dataset)
    if entry is None:
        return row
    changed = row.inserted or row.updated or row.unchanged
    if entry.merge.order_by is not None and row.superseded and not changed:
        warning = (
            f"all {row.superseded:,} rows are older than the table's, by {entry.merge.order_by}: "
            f"nothing changed; ask {entry.owner} whether the source or its clock went back"
        )
        return replace(row, warning=warning)
    if getattr(entry.source, "cursor", None) and row.collected == 0 and row.dataset in brought:
        warning = (
            "no row is at the cursor's last position or after it: the newest was deleted, or the source went back; "
            f"ask {entry.owner}, and see xuanwu drift {entry.id}"
        )
        return replace(row, warning=warning)
    return row


def _held(ctx: Context, row: BatchStatus, last: Attempt) -> BatchStatus:
    """The row, as held where its failed stage waits for a person's decision."""
    waits = last.state == "failed" and decisions.held(ctx.settings, last.batch, last.stage) is not None
    return replace(row, state="held") if waits else row


def _status(entry: Entry | None, attempts: list[Attempt], stuck_at: Stage | None) -> BatchStatus:
    """One batch: numbers come from each stage's latest done attempt, the state from the attempt that tells how it
    stands, unless it is stuck."""
    done = {(a.stage, a.part): a for a in attempts if a.state == "done"}
    last = decisive(attempts)
    state: str = last.state
    collected, merged = done.get(("collect", "")), done.get(("merge", ""))
    if state == "done" and last.stage == "collect" and collected and not collected.counts.get("files"):
        state = "nothing new"
    reason, stage = last.message, f"{last.stage} {last.part}".strip()
    if stuck_at is not None:
        state, stage = "stuck", stuck_at
        reason = f"no process is at it; take it up: xuanwu resume {last.batch.dataset}"
    quarantined = [a.counts.get("quarantined", 0) for (stage, _), a in done.items() if stage != "publish"]
    return BatchStatus(
        dataset=last.batch.dataset,
        title_zh=entry.title.zh if entry else "",
        title_en=entry.title.en if entry else "",
        batch=last.batch.id,
        interval_start=last.batch.start.isoformat(),
        interval_end=last.batch.end.isoformat(),
        day=_day(entry, last.batch),
        state=state,
        stage=stage,
        collected=collected.rows_out if collected else None,
        quarantined=sum(quarantined) if quarantined else None,
        shared={
            part.removeprefix("share/"): a.rows_out or 0
            for (stage, part), a in done.items()
            if stage == "publish" and part.startswith("share/")
        },
        opened=next((a.rows_out for (_, part), a in done.items() if part.startswith("open/")), None),
        reason=reason,
        warning="",
        **{
            name: merged.counts.get(name) if merged else None
            for name in ("inserted", "updated", "unchanged", "superseded", "deleted", "total")
        },
    )


def _day(entry: Entry | None, batch: Batch) -> str:
    """A derived batch spans those of its inputs, and is called by its end."""
    if entry is None or entry.schedule is None:
        return f"{batch.end:%Y-%m-%d}"
    several = batch.end - batch.start < timedelta(days=1)
    start = batch.start.astimezone(ZoneInfo(entry.schedule.timezone))
    return f"{start:%Y-%m-%d %H:%M}" if several else f"{start:%Y-%m-%d}"


@dataclass(frozen=True)
class StageStatus:
    """One stage of one batch: its latest attempt, rows in and out, and every other count of its record."""

    dataset: str
    batch: str
    stage: str
    part: str
    attempt: int
    state: str
    seconds: float | None
    rows_in: int | None
    rows_out: int | None
    counts: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def stage_statuses(ctx: Context, batches: Iterable[BatchStatus]) -> list[StageStatus]:
    """Every stage of these batches, in the order they began."""
    wanted = {(row.dataset, row.batch) for row in batches}
    last = {
        (a.batch.dataset, a.batch.id, a.stage, a.part): a
        for a in ctx.ledger.runs()
        if (a.batch.dataset, a.batch.id) in wanted
    }
    return [
        StageStatus(
            dataset=a.batch.dataset,
            batch=a.batch.id,
            stage=a.stage,
            part=a.part,
            attempt=a.number,
            state=a.state,
            seconds=(a.finished - a.started).total_seconds() if a.finished else None,
            rows_in=a.rows_in,
            rows_out=a.rows_out,
            counts=a.counts,
        )
        for a in sorted(last.values(), key=lambda a: (a.batch.dataset, a.batch.id, a.id))
    ]


@dataclass(frozen=True)
class Lateness:
    """A dataset whose newest merged interval is older than its schedule and `late_after` allow; both in the zone of its
    schedule."""

    dataset: str
    expected: datetime
    newest: datetime | None


def late_datasets(ctx: Context, datasets: Iterable[str] | None = None) -> list[Lateness]:
    """Those of the named datasets (default: all) with a schedule whose latest due interval, `late_after` ago, has not
    been merged. A rehearsal's calendar (`XUANWU_UNTIL`) ends there, so nothing is due after it."""
    merges = [a for a in ctx.ledger.done() if a.stage == "merge" and not a.batch.erasure]
    newest = {a.batch.dataset: a.batch.end for a in merges}
    if ctx.settings.until is not None and ctx.clock().date() > ctx.settings.until:
        return []
    chosen = set(datasets) if datasets is not None else set(ctx.catalogue.entries)
    found = []
    for entry in ctx.catalogue.entries.values():
        if entry.schedule is None or entry.id not in chosen:
            continue
        due = latest_interval(entry.schedule, ctx.clock() - entry.schedule.late_after)[1]
        if entry.id not in newest or newest[entry.id] < due:
            own = newest.get(entry.id)
            found.append(Lateness(entry.id, due, own and own.astimezone(due.tzinfo)))
    return found
