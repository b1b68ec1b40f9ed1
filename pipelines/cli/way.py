"""Commands that move data, and tell how far it has come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli import interrupting
from pipelines.cli.common import AsJson, Datasets, open_context
from pipelines.cli.common import day as as_day

if TYPE_CHECKING:
    from lake.batch import Batch
    from lake.records import Stage
    from pipelines.context import Context


def run(
    datasets: Datasets,
    day: Annotated[
        date | None,
        typer.Option(
            "--date",
            parser=as_day,
            metavar="DAY",
            help="the data's day, all its intervals; default the newest",
        ),
    ] = None,
    one: Annotated[str | None, typer.Option("--batch", help="a batch by its id, instead of a day")] = None,
    start: Annotated[
        str, typer.Option("--from", help="first stage to run: collect, standardise, check, merge, publish")
    ] = "collect",
) -> None:
    """运行 Run datasets from their source to the share and open zones, without Airflow."""
    from lake.records import STAGES
    from pipelines.batches import batch_by_id, batches_for, newest_batch

    if start not in STAGES:
        raise typer.BadParameter(f"one of {', '.join(STAGES)}", param_hint="--from")
    ctx = open_context(datasets)
    wanted = {ctx.catalogue.entry(name).id for name in datasets}
    ordered = [name for name in ctx.catalogue.order() if name in wanted]
    for place, dataset in enumerate(ordered, 1):
        entry = ctx.catalogue.entry(dataset)
        if one is not None:
            batches = [batch_by_id(ctx, entry, one)]
        elif start != "collect" and day is None:
            batches = [newest_batch(ctx, entry, start)]
        else:
            batches = batches_for(ctx, entry, day)
        for batch in batches:
            with telling(ordered[place:]):
                follow(ctx, batch, start, tuple(ordered[place:]))


@contextmanager
def telling(waiting: Sequence[str]) -> Iterator[None]:
    """Whoever named several datasets is told which had not begun when one failed."""
    try:
        yield
    except Exception:
        if waiting:
            typer.echo(f"尚未开始 not begun: {' '.join(waiting)}", err=True)
        raise


def resume(
    datasets: Annotated[list[str] | None, typer.Argument(help="default: all")] = None,
) -> None:
    """续跑 Take up every batch that is stuck because its process ended, at the stage where it stopped; name those that
    failed."""
    from pipelines.resuming import stuck
    from pipelines.status import batch_statuses

    ctx = open_context()
    wanted = {ctx.catalogue.entry(name).id for name in datasets or ctx.catalogue.entries}
    found = list(stuck(ctx, (name for name in ctx.catalogue.order() if name in wanted)))
    for batch, start in found:
        follow(ctx, batch, start)
    if not found:
        typer.echo("没有停滞的批次 no batch is stuck")
    for row in (each for each in batch_statuses(ctx, wanted) if each.state == "failed"):
        again = f"xuanwu run {row.dataset} --batch {row.batch} --from {row.stage.split()[0]}"
        typer.echo(f"失败 failed, not taken up: {row.dataset} {row.batch} {row.stage}; run it again: {again}")


def follow(ctx: Context, batch: Batch, start: Stage, then: tuple[str, ...] = ()) -> None:
    """Run a batch from a stage to its end, with a line for each record. Who interrupts it is told how it goes on, and
    which datasets were to follow."""
    from lake.records import STAGES
    from pipelines.console.showing import shown
    from pipelines.keys import missing
    from pipelines.stages import run_batch
    from schemas.policy import keyed

    typer.secho(f"{batch.dataset} {batch.id}", bold=True)
    if said := missing(keyed(ctx.catalogue.entry(batch.dataset)), ctx.settings.key_version, ctx.connect):
        typer.secho(f"  {said}", fg="yellow")
    began = ctx.clock()
    with interrupting.going(ctx, batch, start, then) as at, shown():
        for stage, part, record in run_batch(ctx, batch, start):
            at.stage = STAGES[STAGES.index(stage) :][:2][-1]
            typer.echo(line(stage, part, record, began))


def line(stage: str, part: str, record: Any, began: datetime) -> str:
    """What is printed of a stage that is done, in a run that began then: landing is write-once, so that what was
    collected before that was not asked for again."""
    from lake import balance

    said = f"  {f'{stage} {part}'.strip():<27} {balance.told(record)}"
    if stage == "collect" and record.collected_at < began:
        said += (
            f"  此前已落地 landed before, {record.collected_at:%Y-%m-%d %H:%M} UTC; the source was not asked"
        )
    return said


def status(
    datasets: Annotated[list[str] | None, typer.Argument(help="default: all")] = None,
    as_json: AsJson = False,
    every: Annotated[bool, typer.Option("--all", help="every batch, not just each dataset's newest")] = False,
    stages: Annotated[bool, typer.Option("--stages", help="a line for every stage of each batch")] = False,
) -> None:
    """状态 Rows in and out of every stage of every batch; what failed and why; what is late or overdue, reports of
    incidents too; what is left of datasets that are in the catalogue no more."""
    from lake.reporting import unreported
    from pipelines.leftover import left_over
    from pipelines.quarantine.casework import loads
    from pipelines.status import batch_statuses, late_datasets, stage_statuses

    ctx = open_context()
    wanted = [ctx.catalogue.entry(name).id for name in datasets] if datasets else None
    rows = batch_statuses(ctx, wanted)
    shown = rows if every else list({row.dataset: row for row in rows}.values())
    late = late_datasets(ctx, wanted)
    overdue = [load for load in loads(ctx, wanted) if load.overdue]
    left = [] if wanted else left_over(ctx)
    late_reports = (
        [] if wanted else unreported(ctx.settings.lake_root, ctx.catalogue.numbers.incidents, ctx.clock())
    )
    if as_json:
        body = {
            "batches": [row.as_json() for row in rows],
            "stages": [row.as_json() for row in stage_statuses(ctx, rows)],
            "late": [{"dataset": item.dataset, "expected": item.expected.isoformat()} for item in late],
            "overdue": [
                {"department": load.department, "rows": load.overdue, "due": str(load.due)}
                for load in overdue
            ],
            "removed": [each.as_json() for each in left],
            "unreported": [
                {"incident": number, "report": due.name, "to": due.to, "due": due.due.isoformat()}
                for number, due in late_reports
            ],
        }
        typer.echo(json.dumps(body, ensure_ascii=False, indent=1))
        return
    from pipelines.console.show import show_left, show_overdue, show_stages, show_status

    if stages:
        show_stages(stage_statuses(ctx, shown))
    else:
        show_status(shown, late)
        show_overdue(overdue)
        show_left(left)
    if late_reports:
        from pipelines.console.incidents import show_unreported

        show_unreported(late_reports, ctx.catalogue.numbers.incidents, ctx.clock())


def upkeep() -> None:
    """日常维护 Remove what is granted no more, compact small files, remove old snapshots and what killed runs left."""
    from pipelines.console.showing import shown
    from pipelines.upkeep import upkeep

    with shown():
        counts = upkeep(open_context()).counts
    for name, count in counts.items():
        typer.echo(f"{name:<22}{count:>14,}")
