"""The rows of a publication: read, masked, put into an order that tells nothing, and seen by the leak gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lake import datafiles, progress
from lake.ahead import ahead
from lake.deletes import NOWHERE, Part, Positions
from pipelines.gates import disclosure, leak
from pipelines.masks import masked_rows
from pipelines.masks.arrays import plain
from pipelines.masks.fpe import unfit
from pipelines.masks.tokens import Tokens, canonical
from pipelines.publishing import counting, increments
from pipelines.publishing.job import (
    Job,
    Masked,
    Watch,
    form,
    hides,
    origins_of,
    outside_of,
    unbalanced,
)
from pipelines.publishing.ordering import ordered, shuffled
from pipelines.publishing.origins import Origins
from pipelines.publishing.territory import with_territory, within
from schemas.model import Fpe


def mask_rows(job: Job, rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches of the plan's curated columns, masked. Where there is noise they must be all, in the snapshot's order."""
    tokens, start = job.work.tokens(), 0
    with _pool(job) as pool, closing(ahead(rows)) as read:
        for batch in read:
            yield _mask(job, batch, tokens, pool, start)
            start += batch.num_rows


def _pool(job: Job) -> ThreadPoolExecutor:
    """Threads that mask the columns of a batch: Arrow and NumPy let go of Python's lock while they work."""
    return ThreadPoolExecutor(job.ctx.settings.threads, "mask")


def _mask(
    job: Job, batch: pa.RecordBatch, tokens: Tokens | None, pool: Executor, start: int = 0
) -> pa.RecordBatch:
    """The batch masked; `start` is its first row's place in the snapshot, for columns with noise."""
    plan = {name: mask for name, mask in job.plan.items() if name not in job.noise}
    masked = masked_rows(batch, plan, job.entry.fields, tokens, pool)
    columns = [
        job.noise[name].at(start, batch.column(name)) if name in job.noise else masked.column(name)
        for name in job.plan
    ]
    return pa.RecordBatch.from_arrays(columns, schema=job.schema)


@contextmanager
def local(job: Job, source: int) -> Iterator[Masked]:
    yield _Local(job, source)


@dataclass(frozen=True)
class _Local:
    """Masked as they are read, and again for each who asks."""

    job: Job
    source: int

    def rows(self) -> Iterator[pa.RecordBatch]:
        return mask_rows(self.job, within_territory(self.job, list(self.job.plan), self.source))

    def final(self, judged: disclosure.Judged, watched: Watch) -> datafiles.Rows:
        job, settings = self.job, self.job.ctx.settings
        if job.zone == "share" and not job.limits:
            parts, origins = job.ctx.tables.parts(job.curated, self.source), origins_of(job, self.source)
            rows = with_origin(job, parts, origins)
            return origins.writer(
                watched(shuffled(settings, form(job), rows, sum(part.rows for part in parts)))
            )
        return judged_rows(job, self.rows(), judged, watched)


def judged_rows(
    job: Job, rows: Iterable[pa.RecordBatch], judged: disclosure.Judged, watched: Watch
) -> datafiles.Rows:
    """Of masked rows, in the order in which they were judged, those to write, sorted if anything is hidden. Of rows
    that were counted, which repeat, millions take little room: they are one file, that is the download too."""
    if judged.counted is not None:
        return datafiles.as_one(watched([judged.counted]))
    passed = judged.passed(rows)
    return watched(ordered(job.ctx.settings, job.schema, passed, job.entry.id) if hides(job) else passed)


def within_territory(job: Job, names: list[str], source: int) -> Iterator[pa.RecordBatch]:
    """Curated rows of the territory, or all."""
    for batch in job.ctx.tables.scan(job.curated, with_territory(names, job.territory), source):
        inside = within(batch, job.territory)
        yield (batch if inside is None else batch.filter(inside)).select(names)


def unfit_of(job: Job, source: int) -> dict[str, int]:
    """How many values of each enciphered column are not of its form, so that the mask empties them; where there are
    any. Counted by themselves, before anything is committed, of all rows but those outside a grant's territory."""
    masks = {name: mask for name, mask in job.plan.items() if isinstance(mask, Fpe)}
    found: Counter[str] = Counter()
    for batch in within_territory(job, list(masks), source) if masks else ():
        for name, mask in masks.items():
            found[name] += unfit(canonical(plain(batch.column(name))).cast(pa.string()), mask)
    return {name: count for name, count in found.items() if count}


def with_origin(job: Job, parts: Sequence[Part], origins: Origins) -> Iterator[pa.RecordBatch]:
    """The rows of these curated files, masked, with where they lie."""
    tokens = job.work.tokens(sum(part.rows for part in parts))
    with _pool(job) as pool, closing(ahead(_read(job, parts))) as read:
        for batch, path, places in read:
            inside = within(batch, job.territory)
            kept = batch if inside is None else batch.filter(inside)
            there = places if inside is None else places[inside.to_numpy(zero_copy_only=False)]
            yield origins.added(_mask(job, kept, tokens, pool), path, there)


def _read(job: Job, parts: Iterable[Part]) -> Iterator[tuple[pa.RecordBatch, str, Positions]]:
    """Curated rows, the path of their file, and their places in it."""
    names = with_territory(list(job.plan), job.territory)
    for part in parts:
        for batch, places in job.ctx.tables.read_places(job.curated, part, names):
            yield batch, part.path, places


def staying(job: Job, step: increments.Increment, origins: Origins) -> Iterator[pa.RecordBatch]:
    """What stays of published files that are written anew: masked and looked through before."""
    for part in step.anew:
        going, origin = step.going.get(part.path, NOWHERE), origins.read(part.path)
        for batch, places in job.ctx.tables.read_places(job.table, part, job.schema.names):
            stay = np.isin(places, going, invert=True)
            if origin is not None:
                yield origins.carried(batch.filter(pa.array(stay)), origin, places[stay])


def watched(
    job: Job, source: int, judged: disclosure.Judged, rows: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The rows to write, seen by the leak gate: of rows that were judged counted each distinct one, once. Unbalanced at
    their end, before the commit, if they are not as many as were read from."""
    curated = job.ctx.tables.row_count(job.curated, source)
    expected = curated - len(judged.gone) - outside_of(job, source)
    if judged.counted is None:
        seen = looked(job, source, rows)
    else:
        distinct = looked(job, source, rows, counting.TIMES)
        seen = (batch for several in distinct for batch in counting.repeated(several, encoded=True))
    return counted(job, seen, expected, len(judged.gone))


def looked(
    job: Job, source: int, rows: Iterable[pa.RecordBatch], times: str | None = None
) -> Iterator[pa.RecordBatch]:
    publication = leak.Watched(job.ctx, job.entry, job.zone, job.policy, job.plan, source)
    with closing(ahead(rows)) as masked:
        yield from leak.watch(publication, masked, times)


def counted(
    job: Job, rows: Iterable[pa.RecordBatch], expected: int, suppressed: int = 0
) -> Iterator[pa.RecordBatch]:
    written = 0
    for batch in rows:
        written += batch.num_rows
        progress.passed(batch.num_rows)
        yield batch
    if written != expected:
        raise unbalanced(job, expected, written, suppressed)
