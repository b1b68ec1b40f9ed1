"""The ledger: every attempt at every stage of every batch, with its rows in and out. None is ever overwritten.

SQLite by default (write-ahead log, so that many task processes write at once), PostgreSQL in production. An
attempt begins as `running` and ends once, as `done` or `failed`. Its process holds a lease of the stage (`lake.lease`):
while that counts no other process begins it. An attempt that was killed reads as `stuck`, and is `lost` as soon as
another has begun in its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from lake import balance, lease
from lake.batch import Batch
from lake.database import connected_engine, made_tables
from lake.records import STAGES, Published, Record, Stage
from schemas.errors import LakeError, StageHeld, Unbalanced

State = Literal["running", "stuck", "done", "failed", "lost"]
TRIES = 20
MESSAGE_LENGTH = 4000
STUCK = "its process has ended without a word: xuanwu resume"
LEFT = "its process had ended without a word when another took its place"

METADATA = sa.MetaData()
ATTEMPTS = sa.Table(
    "attempts",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("batch_id", sa.String(64), nullable=False),
    sa.Column("dataset", sa.String(100), nullable=False),
    sa.Column("interval_start", sa.String(32), nullable=False),
    sa.Column("interval_end", sa.String(32), nullable=False),
    sa.Column("pins", sa.Text, nullable=False),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("part", sa.String(100), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("started", sa.String(32), nullable=False),
    sa.Column("finished", sa.String(32)),
    sa.Column("rows_in", sa.BigInteger),
    sa.Column("rows_out", sa.BigInteger),
    sa.Column("counts", sa.JSON, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("owner", sa.String(200)),
    sa.Column("lease", sa.String(32)),
    sa.UniqueConstraint("dataset", "batch_id", "stage", "part", "number"),
)
ERASED = sa.Table(
    "erased",
    METADATA,
    sa.Column("dataset", sa.String(100), primary_key=True),
    sa.Column("batch_id", sa.String(64), primary_key=True),
    sa.Column("erasure", sa.String(64), primary_key=True),
    sa.Column("after", sa.Integer, nullable=False),
    *(sa.Column(stage, sa.BigInteger, nullable=False) for stage in ("collect", "standardise", "check")),
)
"""Rows that an erasure took out of what a stage had put out, where `after` was the newest attempt: a later run of the
next stage finds so many fewer."""


@dataclass(frozen=True)
class Attempt:
    """One row of the ledger. `counts` holds every number of the stage's record by its name."""

    id: int
    batch: Batch
    stage: Stage
    part: str
    number: int
    state: State
    started: datetime
    finished: datetime | None
    rows_in: int | None
    rows_out: int | None
    counts: dict[str, int]
    message: str


@dataclass(frozen=True)
class BatchSum:
    """One sum between two stages of a batch; `part` names the publication, else it is empty."""

    batch: Batch
    stage: Stage
    part: str
    sum: balance.Sum


def _now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """`url` is a SQLAlchemy URL; `clock` gives aware times and is fixed in tests."""

    def __init__(self, url: str, clock: Callable[[], datetime] = _now) -> None:
        self._url = url
        self._clock = clock

    @cached_property
    def _engine(self) -> sa.Engine:
        return made_tables(connected_engine(self._url), METADATA, _add_columns)

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        """A transaction; the driver's own messages are not passed on, since they quote values."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise LakeError(
                f"the ledger cannot be reached or written ({type(error).__name__})",
                next_step="see XUANWU_DATABASE, and whether its disk is full",
            ) from None

    def _time(self) -> str:
        return self._clock().astimezone(UTC).isoformat(timespec="microseconds")

    def begin(self, batch: Batch, stage: Stage, part: str = "") -> int:
        """Write down that an attempt begins; returns its id. Attempts of one stage are numbered from 1.

        StageHeld while another process is at the same stage of the same batch."""
        for _ in range(TRIES):
            try:
                return self._insert(batch, stage, part)
            except IntegrityError:
                time.sleep(0.01)
        raise LakeError("too many attempts at once", dataset=batch.dataset, batch=batch.id)

    def _insert(self, batch: Batch, stage: Stage, part: str) -> int:
        """The number follows those that were looked at: where another process was quicker it is taken, and that
        one's lease will be seen at the next try."""
        row = {
            "batch_id": batch.id,
            "dataset": batch.dataset,
            "interval_start": batch.start.isoformat(),
            "interval_end": batch.end.isoformat(),
            "pins": batch.pins,
            "stage": stage,
            "part": part,
            "state": "running",
            "started": self._time(),
            "counts": {},
            "message": "",
            **self._lease(),
        }
        with self._begin() as connection:
            number = self._take_over(connection, batch, stage, part) + 1
            result = connection.execute(sa.insert(ATTEMPTS).values(number=number, **row))
            return int(cast(Any, result.inserted_primary_key)[0])

    def _take_over(self, connection: sa.Connection, batch: Batch, stage: Stage, part: str) -> int:
        """Mark what killed processes left of a stage as lost; returns how many attempts there were."""
        c = ATTEMPTS.c
        same = (c.dataset == batch.dataset, c.batch_id == batch.id, c.stage == stage, c.part == part)
        found = connection.execute(sa.select(c.number, c.state, c.owner, c.lease).where(*same)).all()
        running = [each for each in found if each.state == "running"]
        for each in running:
            if each.owner != lease.holder() and self._alive(each.owner, each.lease):
                raise StageHeld(
                    f"{f'{stage} {part}'.strip()} is just being done by {lease.said(each.owner)}",
                    dataset=batch.dataset,
                    batch=batch.id,
                    next_step=f"wait for it; its lease is renewed while it lives, and ends at {each.lease}",
                )
        if running:
            left = sa.update(ATTEMPTS).where(*same, c.state == "running")
            connection.execute(left.values(state="lost", finished=self._time(), message=LEFT))
        return max((each.number for each in found), default=0)

    def _lease(self) -> dict[str, str]:
        until = self._clock().astimezone(UTC) + lease.LEASE
        return {"owner": lease.holder(), "lease": until.isoformat(timespec="microseconds")}

    def _alive(self, owner: str | None, until: str | None) -> bool:
        return lease.alive(owner, until, self._clock())

    @contextmanager
    def holding(self, attempt: int) -> Iterator[None]:
        """Keep the lease of a running attempt for as long as the block runs."""
        with lease.renewing(lambda: self._renew(attempt)):
            yield

    def _renew(self, attempt: int) -> bool:
        """Whether the attempt is still ours."""
        ours = (ATTEMPTS.c.id == attempt, ATTEMPTS.c.state == "running", ATTEMPTS.c.owner == lease.holder())
        with self._begin() as connection:
            return bool(connection.execute(sa.update(ATTEMPTS).where(*ours).values(**self._lease())).rowcount)

    def leave(self) -> None:
        """End the leases of this process, which is about to end: what it was at is stuck from now on."""
        ours = (ATTEMPTS.c.state == "running", ATTEMPTS.c.owner == lease.holder())
        with self._begin() as connection:
            connection.execute(sa.update(ATTEMPTS).where(*ours).values(lease=None))

    def finish(self, attempt: int, record: Record) -> None:
        """Close the attempt as done, if its rows balance: within the record, and with the stage before.

        Unbalanced otherwise, with every sum that does not hold; the attempt is then closed as failed."""
        begun = self._attempt(attempt)
        try:
            if record.batch != begun.batch:
                raise LakeError(
                    "the record is another batch's", dataset=begun.batch.dataset, batch=begun.batch.id
                )
            sums = [*balance.within(record), *self._between(begun, record)]
            balance.require(sums, begun.stage, record)
        except LakeError as error:
            self.fail(attempt, str(error))
            raise
        rows_in, rows_out = balance.FLOW[begun.stage](record)
        self._close(attempt, "done", rows_in=rows_in, rows_out=rows_out, counts=dict(balance.counts(record)))

    def fail(self, attempt: int, message: str) -> None:
        """Close a running attempt as failed, with the reason in plain words. A closed one stays as it is."""
        self._close(attempt, "failed", message=message[:MESSAGE_LENGTH])

    def _close(self, attempt: int, state: State, **values: Any) -> None:
        c = ATTEMPTS.c
        change = sa.update(ATTEMPTS).where(c.id == attempt, c.state == "running")
        with self._begin() as connection:
            closed = connection.execute(change.values(state=state, finished=self._time(), **values)).rowcount
        if state == "done" and not closed:
            raise LakeError(
                f"attempt {attempt} was closed before: its lease had expired and another process took its place",
                next_step="see how the other one ended; if it failed, run it again",
            )

    def _between(self, begun: Attempt, record: Record) -> list[balance.Sum]:
        before = balance.previous(begun.stage)
        if before is None or (begun.batch.erasure and begun.stage == "merge"):
            return []
        source = self._merge_of(record) if isinstance(record, Published) else self._done(begun.batch, before)
        if source is None or source.rows_out is None:
            raise Unbalanced(
                f"{before} is not in the ledger as done, so the rows of {begun.stage} have no origin",
                dataset=begun.batch.dataset,
                batch=begun.batch.id,
                next_step=f"run {before} first",
            )
        gone = self.erased_rows(begun.batch.dataset).gone(source, begun)
        return [balance.between(begun.stage, source.rows_out, balance.FLOW[begun.stage](record)[0], gone)]

    def erased(self, batch: Batch, erasure: str, rows: Mapping[str, int]) -> None:
        """Write down how many rows of each stage's output an erasure took out; said again, it counts once."""
        c = ERASED.c
        same = (c.dataset == batch.dataset, c.batch_id == batch.id, c.erasure == erasure)
        newest = sa.select(sa.func.coalesce(sa.func.max(ATTEMPTS.c.id), 0)).scalar_subquery()
        row = {"dataset": batch.dataset, "batch_id": batch.id, "erasure": erasure, **rows}
        with self._begin() as connection:
            if connection.execute(sa.select(c.after).where(*same)).first() is None:
                connection.execute(sa.insert(ERASED).values(after=newest, **row))

    def erased_rows(self, dataset: str | None) -> ErasedRows:
        """What erasures took out of the batches of one dataset, or of all."""
        query = sa.select(ERASED)
        with self._begin() as connection:
            rows = connection.execute(query if dataset is None else query.where(ERASED.c.dataset == dataset))
            return ErasedRows([dict(row) for row in rows.mappings()])

    def _done(self, batch: Batch, stage: Stage) -> Attempt | None:
        rows = self._select(batch.dataset, batch_id=batch.id, stage=stage, state="done")
        return rows[-1] if rows else None

    def _merge_of(self, record: Published) -> Attempt | None:
        """The merge, of this batch or a later one, that made the curated snapshot which was published."""
        own = self._done(record.batch, "merge")
        if own is not None and own.counts.get("snapshot") == record.curated_snapshot:
            return own
        merges = self._select(record.batch.dataset, stage="merge", state="done")
        return next(
            (m for m in reversed(merges) if m.counts.get("snapshot") == record.curated_snapshot), None
        )

    def _attempt(self, attempt: int) -> Attempt:
        rows = self._select(None, id=attempt)
        if not rows:
            raise LakeError(f"the ledger has no attempt {attempt}")
        return rows[0]

    def _select(self, dataset: str | None, **equal: Any) -> list[Attempt]:
        if dataset is not None:
            equal["dataset"] = dataset
        query = sa.select(ATTEMPTS).where(*(ATTEMPTS.c[name] == value for name, value in equal.items()))
        with self._begin() as connection:
            found = connection.execute(query.order_by(ATTEMPTS.c.id)).mappings().all()
        return [self._attempt_of(dict(row)) for row in found]

    def _attempt_of(self, row: dict[str, Any]) -> Attempt:
        if not self._alive(row.pop("owner"), row.pop("lease")) and row["state"] == "running":
            row |= {"state": "stuck", "message": STUCK}
        return _attempt(row)

    def attempts(self, batch: str, dataset: str) -> list[Attempt]:
        """Every attempt of one batch, in the order they began."""
        return self._select(dataset, batch_id=batch)

    def runs(self, dataset: str | None = None) -> list[Attempt]:
        """Every attempt, of one dataset or of all, in the order they began."""
        found = self._select(dataset)
        last = {(a.batch.dataset, a.batch.id, a.stage, a.part): a.id for a in found}
        return [
            a
            if a.state not in {"running", "stuck"}
            or last[(a.batch.dataset, a.batch.id, a.stage, a.part)] == a.id
            else Attempt(**{**vars(a), "state": "lost"})
            for a in found
        ]

    def done(self, dataset: str | None = None) -> list[Attempt]:
        """The latest done attempt of each stage and part of each batch: by dataset, interval and stage."""
        latest = {
            (a.batch.dataset, a.batch.id, a.stage, a.part): a for a in self.runs(dataset) if a.state == "done"
        }
        return sorted(latest.values(), key=_by_stage)

    def latest(self, dataset: str) -> list[Attempt]:
        """The last attempt of each stage and part of the dataset's newest batch, done or not, by stage."""
        found = self.runs(dataset)
        newest = max((a.batch.id for a in found if not a.batch.erasure), default=None)
        last = {(a.stage, a.part): a for a in found if a.batch.id == newest}
        return sorted(last.values(), key=_by_stage)

    def sums(self, dataset: str | None = None) -> list[BatchSum]:
        """The sums between the stages of every batch, from what the ledger itself holds, for status and report."""
        done, erased = self.done(dataset), self.erased_rows(dataset)
        sources: dict[tuple[str, str, Stage | None], Attempt] = {
            (a.batch.dataset, a.batch.id, a.stage): a for a in done
        }
        by_snapshot = {
            (a.batch.dataset, a.counts.get("snapshot")): a.rows_out or 0 for a in done if a.stage == "merge"
        }
        found = []
        for a in done:
            source = sources.get((a.batch.dataset, a.batch.id, balance.previous(a.stage)))
            rows, gone = (source.rows_out or 0, erased.gone(source, a)) if source else (None, 0)
            if a.stage == "publish":
                rows, gone = by_snapshot.get((a.batch.dataset, a.counts.get("curated_snapshot"))), 0
            if rows is not None:
                each = balance.between(a.stage, rows, a.rows_in or 0, gone)
                found.append(BatchSum(a.batch, a.stage, a.part, each))
        return found


@dataclass(frozen=True)
class ErasedRows:
    """What erasures took out of batches, as rows of the table."""

    rows: list[dict[str, Any]]

    def gone(self, source: Attempt, of: Attempt) -> int:
        """The rows that `source` had put out and `of`, a later attempt of the next stage, could not find."""
        return sum(
            row.get(source.stage, 0)
            for row in self.rows
            if (row["dataset"], row["batch_id"]) == (source.batch.dataset, source.batch.id)
            and source.id <= row["after"] < of.id
        )


def _add_columns(connection: sa.Connection) -> None:
    """What a ledger from before leases lacks. Two processes may both add it: the loser looks again."""
    there = {column["name"] for column in sa.inspect(connection).get_columns(ATTEMPTS.name)}
    for column in (ATTEMPTS.c.owner, ATTEMPTS.c.lease):
        if column.name not in there:
            kind = column.type.compile(connection.dialect)
            connection.execute(sa.text(f"ALTER TABLE {ATTEMPTS.name} ADD COLUMN {column.name} {kind}"))


def _by_stage(attempt: Attempt) -> tuple[str, str, int, str]:
    return (attempt.batch.dataset, attempt.batch.id, STAGES.index(attempt.stage), attempt.part)


def _attempt(row: dict[str, Any]) -> Attempt:
    batch = Batch(
        dataset=row.pop("dataset"),
        start=datetime.fromisoformat(row.pop("interval_start")),
        end=datetime.fromisoformat(row.pop("interval_end")),
        pins=row.pop("pins"),
    )
    row.pop("batch_id")
    finished = row.pop("finished")
    return Attempt(
        batch=batch,
        started=datetime.fromisoformat(row.pop("started")),
        finished=None if finished is None else datetime.fromisoformat(finished),
        **row,
    )
