"""The tables of grants (授权专表): what a grant of some columns, or of a territory's rows, becomes of its dataset.

Which grants there are the exchange knows, and is asked each time: a table is made with every new batch, and by
`refresh` as soon as it is granted; it is taken away when its grant has ended, even in the middle of a run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NoReturn, cast

from exchange.narrowing import OF_GRANT, name_of, policies_of
from exchange.process import LASTING, Request
from exchange.requests import ever_granted, lasting
from exchange.state import State
from lake.batch import Batch
from lake.records import Published, Record
from lake.zones import identifier
from pipelines.context import Context
from schemas.errors import XuanwuError
from schemas.model import Narrowed
from schemas.policy import narrowed

log = logging.getLogger(__name__)


def with_grants(ctx: Context, dataset: str | None = None) -> Context:
    """The context in which entries know the tables of the grants that last now: of one dataset, or of all. Busy where
    the exchange's database does not answer: then it is not known what may stay, and nothing is taken away."""
    state = State(ctx.settings)
    grants = lasting(state, ctx.clock(), dataset) if state.begun else []
    entries = {
        name: narrowed(entry, policies_of(entry, grants)) if dataset in (None, name) else entry
        for name, entry in ctx.catalogue.entries.items()
    }
    return replace(ctx, catalogue=replace(ctx.catalogue, entries=entries))


def own_tables(ctx: Context, dataset: str) -> list[str]:
    """The parts of publication that are tables of grants, in a context that knows them."""
    policies = ctx.catalogue.entry(dataset).share.policies
    return [f"share/{name}" for name, policy in policies.items() if isinstance(policy, Narrowed)]


def publish_granted(
    ctx: Context, batch: Batch, run: Callable[..., Record] | None = None
) -> Iterator[tuple[str, Record]]:
    """Publish the batch for every grant of its dataset that has a table of its own. A grant that ends meanwhile loses
    its table right after, or the stage its commit, and the batch goes on. `run` runs a stage, where it is
    not to run here."""
    from pipelines.stages import run_stage, withdraw_ungranted

    granted = with_grants(ctx, batch.dataset)
    for part in own_tables(granted, batch.dataset):
        try:
            record: Record | None = (run or run_stage)(granted, "publish", batch, part)
        except XuanwuError:  # its table may have been taken away under it
            if _lasts(ctx, batch.dataset, part):
                raise
            record = None
        if not _lasts(ctx, batch.dataset, part):
            withdraw_ungranted(ctx, ctx.catalogue.entry(batch.dataset))
        if record is not None:
            yield part, record


def _lasts(ctx: Context, dataset: str, part: str) -> bool:
    return part in own_tables(with_grants(ctx, dataset), dataset)


def refresh(ctx: Context, datasets: Iterable[str] | None = None) -> Iterator[Published]:
    """Make the tables of grants as the curated tables are now, those that are missing and those that are behind, and
    take away what has ended."""
    from pipelines.batches import newest_batch

    granted = with_grants(ctx)
    for dataset in granted.catalogue.entries if datasets is None else datasets:
        entry = granted.catalogue.entry(dataset)
        if own_tables(granted, dataset) and _is_curated(ctx, dataset):
            for _, record in publish_granted(ctx, newest_batch(ctx, entry, "publish")):
                yield cast(Published, record)
    sweep(ctx)


def _is_curated(ctx: Context, dataset: str) -> bool:
    return ctx.tables.current_snapshot(identifier("curated", dataset)) is not None


def taking_away(ctx: Context) -> Callable[[Request], None]:
    """What is done when a grant ends by a step that somebody takes: its table goes at once. Where that fails the step
    has been taken all the same, and `sweep` does it."""

    def ended(request: Request) -> None:
        try:
            sweep(ctx)
        except XuanwuError as error:
            log.warning("the table of request %s is not taken away yet: %s", request.number, error)

    return ended


def sweeping(ctx: Context, *, seconds: float = 60.0) -> NoReturn:
    """Sweep for ever: where the exchange is served a table goes within a minute of its grant's time limit."""
    while True:
        time.sleep(seconds)
        try:
            sweep(ctx)
        except XuanwuError as error:
            log.warning("tables of grants are not swept: %s", error)


def sweep(ctx: Context) -> list[str]:
    """Take away the tables of grants that have ended, by a step or by their time limit; their names."""
    from pipelines.publishing.withdrawal import withdraw

    standing = {name for _, name in ctx.tables.identifiers("share") if OF_GRANT in name}
    datasets = {".".join(name.split("__")[:2]) for name in standing}
    entries = [ctx.catalogue.entries[each] for each in sorted(datasets & ctx.catalogue.entries.keys())]
    return [table for entry in entries for table in withdraw(ctx, entry)]


@dataclass(frozen=True)
class Grant:
    """A grant for people to look at. `rows` are those of its own table, None where it has none (yet)."""

    number: int
    dataset: str
    policy: str
    department: str
    columns: tuple[str, ...]
    division: str
    until: str
    state: str
    lasts: bool
    table: str
    rows: int | None


def grants(ctx: Context) -> Iterator[Grant]:
    """Every request that was ever granted, by its number."""
    state = State(ctx.settings)
    for each in ever_granted(state) if state.begun else ():
        terms, table = each.terms, identifier("share", each.terms.dataset, name_of(each))
        past = terms.until <= ctx.clock()
        yield Grant(
            number=each.number,
            dataset=terms.dataset,
            policy=terms.policy,
            department=terms.department,
            columns=terms.columns,
            division=terms.division,
            until=terms.until.isoformat(),
            state="expired" if past and each.state in LASTING else each.state,
            lasts=each.state in LASTING and not past,
            table=".".join(table),
            rows=ctx.tables.row_count(table) if ctx.tables.current_snapshot(table) is not None else None,
        )
