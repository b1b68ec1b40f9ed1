"""The way of one batch, stage by stage: each is begun in the ledger, done, written down and balanced.

A stage is a pure step; this is the only place that knows their order. Rerunning a stage reads the record that the
stage before it left, so that any stage can be killed and run again (law 5).
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import copy_context
from importlib import import_module
from typing import Final, cast

from lake import balance, decisions, erasures, landing, memory, progress, recordstore, store
from lake.batch import Batch
from lake.records import STAGES, Checked, Landed, Record, Stage, Standardised
from pipelines import lineage, loading
from pipelines.context import Context
from pipelines.contracts.using import use
from pipelines.proof import certifying
from pipelines.proof.attesting import attest_changed
from schemas.errors import CommitConflict, LakeError, XuanwuError
from schemas.model import Engine, Entry
from schemas.policy import ZONES, policies, written

log = logging.getLogger(__name__)

LITTLE: Final = 32 << 20
"""Bytes landed up to which a batch's zones are published abreast: publishing much takes much memory, and both twice."""
_BEFORE: dict[Stage, Stage] = dict(zip(STAGES[1:], STAGES[:-1], strict=True))


def parts(entry: Entry, stage: Stage) -> tuple[str, ...]:
    """The parts a stage runs in: publication has one for each zone and policy, `share/default`; others one."""
    if stage != "publish":
        return ("",)
    return tuple(f"{zone}/{name}" for zone in ZONES for name in policies(entry, zone))


def run_stage(ctx: Context, stage: Stage, batch: Batch, part: str = "") -> Record:
    """Run one stage of one batch and return its record.

    Raises XuanwuError with the batch in its place; the attempt is then failed in the ledger with the same message.
    """
    entry = ctx.catalogue.entry(batch.dataset)
    with _placed(batch, stage):
        attempt = ctx.ledger.begin(batch, stage, part)
    turn = lineage.Turn(batch, stage, part, attempt)
    lineage.tell(ctx, turn)
    try:
        with _placed(batch, stage), ctx.ledger.holding(attempt):
            use(ctx, entry, batch)
            record = _step(ctx, entry, stage, batch, part)
            recordstore.save(ctx.settings, record, stage, part)
            certifying.judged(ctx, batch, stage, record)
            attest_changed(ctx, batch.dataset, stage)
            ctx.ledger.finish(attempt, record)
            decisions.release(ctx.settings, batch, stage)
        lineage.tell(ctx, turn, record)
    except BaseException as error:
        with suppress(LakeError):  # where the ledger cannot be written the first error says more
            ctx.ledger.fail(attempt, _reason(error))
        certifying.stopped(ctx, batch, stage, part, error)
        lineage.tell(ctx, turn, _reason(error))
        raise
    finally:
        memory.give_back()
    log.info("%s %s %s: %s", batch.dataset, batch.id, f"{stage} {part}".strip(), balance.told(record))
    return record


@contextmanager
def _placed(batch: Batch, stage: Stage) -> Iterator[None]:
    """Errors that leave this block name the batch, and where another run was first the command to go on. What the
    system refused (a right, a folder that is a file, a disk without space where no room of ours expected it) becomes
    ours. Those with a number hold a path and no value; what a library says of others is left out."""
    try:
        yield
    except XuanwuError as error:
        error.place.setdefault("dataset", batch.dataset)
        error.place.setdefault("batch", batch.id)
        if isinstance(error, CommitConflict):
            error.next_step = f"xuanwu run {batch.dataset} --batch {batch.id} --from {stage}"
        raise
    except OSError as error:
        ours = store.refused(error)
        ours.place |= {"dataset": batch.dataset, "batch": batch.id}
        raise ours from (error if error.errno else None)


def _reason(error: BaseException) -> str:
    """What the ledger may hold of an error: our own messages, which never carry a value, and of others the kind."""
    return str(error) if isinstance(error, XuanwuError) else type(error).__name__


def _step(ctx: Context, entry: Entry, stage: Stage, batch: Batch, part: str) -> Record:
    with progress.going(" ".join(filter(None, (batch.dataset, stage, part)))):
        return _taken(ctx, entry, stage, batch, part)


def _taken(ctx: Context, entry: Entry, stage: Stage, batch: Batch, part: str) -> Record:
    if stage in ("collect", "standardise"):
        landing.require_originals(ctx.settings, batch)
    if stage == "collect":
        return _collected(ctx, entry, batch)
    before = recordstore.load(ctx.settings, batch, _BEFORE[stage])
    progress.expect(before.rows if isinstance(before, Landed) else balance.FLOW[_BEFORE[stage]](before)[1])
    if isinstance(before, Standardised | Checked):
        _require_typed(before)
    work = _work(engine_of(ctx, entry), stage)
    if stage == "publish":
        zone, _, policy = part.partition("/")
        return work(ctx, entry, before, zone, policy)
    return work(ctx, entry, before)


def _collected(ctx: Context, entry: Entry, batch: Batch) -> Landed:
    """What recognises erased persons is loaded where there are any: it takes as long as collecting a small table."""
    from pipelines.collect import collect

    landed = collect(ctx, entry, batch)
    if not erasures.in_force(ctx.settings.lake_root):
        return landed
    from pipelines.erasure.suppression import suppressed

    return suppressed(ctx, entry, landed)


def _require_typed(before: Standardised | Checked) -> None:
    """LakeError where retention has removed the typed rows."""
    if not store.exists(before.path):
        raise LakeError(
            "the typed rows of this batch are not there any more",
            rule="retention.standard of policy.yaml, or of the entry",
            next_step=f"xuanwu run {before.batch.dataset} --batch {before.batch.id} --from standardise",
        )


def engine_of(ctx: Context, entry: Entry) -> Engine:
    """What runs the stages of a dataset after its collection."""
    return entry.engine or ctx.settings.engine


def _work(engine: Engine, stage: Stage) -> Callable[..., Record]:
    """The function that does a stage, imported when it runs: a check needs Great Expectations, a merge does not."""
    room = "pipelines" if engine == "local" else f"pipelines.{engine}"
    return cast(Callable[..., Record], getattr(import_module(f"{room}.{stage}"), stage))


def run_batch(ctx: Context, batch: Batch, start: Stage = "collect") -> Iterator[tuple[Stage, str, Record]]:
    """Run a batch from `start` to the last publication, giving each record as it is written; the tables of grants come
    after those of the catalogue. A batch that landed nothing new (every file known) ends after collection: nothing
    downstream has anything to do."""
    from pipelines.publishing.granting import publish_granted

    entry = written(ctx.catalogue.entry(batch.dataset))
    for stage in STAGES[STAGES.index(start) : STAGES.index("publish")]:
        with _beside(ctx, entry, stage):
            record = run_stage(ctx, stage, batch)
        yield stage, "", record
        if isinstance(record, Landed) and not record.files:
            return
    for part, record in itertools.chain(_published(ctx, entry, batch), publish_granted(ctx, batch)):
        yield "publish", part, record
    withdraw_ungranted(ctx, entry)


def _published(ctx: Context, entry: Entry, batch: Batch) -> Iterator[tuple[str, Record]]:
    """Publish the batch under every policy of the catalogue: of a little one the zones abreast, as the tasks of a DAG
    are, in each zone one policy after the other. Where one fails, the other zone is finished all the same, and its
    records are given before the error is raised; where both fail, the first zone's error notes the second's."""
    failed: dict[str, Exception] = {}

    def publish(part: str) -> tuple[str, Record]:
        return part, run_stage(ctx, "publish", batch, part)

    def tried(zone: list[str]) -> Iterator[tuple[str, Record]]:
        for part in zone:
            try:
                done = publish(part)
            except Exception as error:
                failed[part] = error
                return
            yield done

    zones = [list(of_zone) for _, of_zone in itertools.groupby(parts(entry, "publish"), _zone_of)]
    several = ctx.settings.threads > 1 and engine_of(ctx, entry) == "local"
    if len(zones) < 2 or not several or not _is_little(ctx, batch):
        yield from map(publish, itertools.chain(*zones))
        return
    share, opened = zones
    with ThreadPoolExecutor(1, "publish") as pool:
        beside = pool.submit(copy_context().run, lambda: list(tried(opened)))
        yield from tried(share)
        yield from beside.result()
    if failed:
        raise _first(batch, {part: failed[part] for part in (*share, *opened) if part in failed})


def _first(batch: Batch, failed: dict[str, Exception]) -> Exception:
    """The first of the errors, by the parts that failed. It notes the others."""
    (_, first), *others = failed.items()
    for part, error in others:
        log.error("%s %s publish %s failed too: %s", batch.dataset, batch.id, part, _reason(error))
        first.add_note(f"publish {part} failed too: {_reason(error)}")
    return first


def _is_little(ctx: Context, batch: Batch) -> bool:
    """Whether what the batch landed is little; of one whose record of that is gone nobody knows."""
    if not recordstore.exists(ctx.settings, batch, "collect"):
        return False
    landed = cast(Landed, recordstore.load(ctx.settings, batch, "collect"))
    return sum(file.size for file in landed.files) <= LITTLE


def _zone_of(part: str) -> str:
    return part.partition("/")[0]


def _beside(ctx: Context, entry: Entry, stage: Stage) -> AbstractContextManager[None]:
    """What is done beside a stage for those after it."""
    return loading.meanwhile(loading.CHECKS[engine_of(ctx, entry)]) if stage == "collect" else nullcontext()


def withdraw_ungranted(ctx: Context, entry: Entry) -> None:
    """Take away what is no longer granted: tables of dropped policies and of grants that ended, downloads of a closed
    dataset (law 3)."""
    from pipelines.publishing.withdrawal import withdraw

    withdraw(ctx, entry)
