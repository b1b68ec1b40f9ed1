"""Commands on the rows that were set aside: who has them, what is wrong, and how they come back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pipelines.cli.common import AsJson, open_context
from pipelines.cli.decisions import By, decider

if TYPE_CHECKING:
    from lake.records import Stage
    from pipelines.context import Context
    from pipelines.quarantine.assigning import Selection
    from pipelines.quarantine.casework import Case

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="隔离区 Rows that were set aside, why, and who works on them.",
)
STAGES = (None, "standardise", "check", "merge")
Dataset = Annotated[str, typer.Argument(help="department.dataset")]
Datasets = Annotated[list[str] | None, typer.Argument(help="default: all")]
OneBatch = Annotated[str | None, typer.Option("--batch", help="one batch, by its id; default all")]
OneStage = Annotated[str | None, typer.Option("--stage", help="standardise, check or merge; default all")]
OneRule = Annotated[str | None, typer.Option("--rule", help="only rows that broke this rule")]
OneFile = Annotated[
    str | None, typer.Option("--file", help="only rows of this file, by its name or as it is shown")
]
Rows = Annotated[list[int] | None, typer.Option("--row", help="only rows of this number; may be repeated")]
Why = Annotated[str, typer.Option(help="the reason, for the audit log: no number of a person in it")]


@app.command("list")
def quarantine_list(datasets: Datasets = None, as_json: AsJson = False) -> None:
    """Rows set aside, by dataset, batch, stage, field and rule: whose they are, since when, and what is overdue."""
    ctx = open_context(datasets or None)
    found = [case for name in _names(ctx, datasets) for case in _cases(ctx, name)]
    if as_json:
        from dataclasses import asdict

        now = ctx.clock()
        body = [asdict(case) | {"working_days": case.age(now)} for case in found]
        typer.echo(json.dumps(body, ensure_ascii=False, indent=1, default=str))
        return
    from pipelines.console.show import show_cases

    show_cases(found, ctx.clock())


def _names(ctx: Context, datasets: list[str] | None) -> list[str]:
    if datasets:
        return [ctx.catalogue.entry(name).id for name in datasets]
    from lake.quarantine import datasets as set_aside

    return set_aside(ctx.tables)


def _cases(ctx: Context, dataset: str) -> list[Case]:
    from pipelines.quarantine.casework import cases

    return cases(ctx, dataset)


@app.command("show")
def quarantine_show(
    dataset: Dataset,
    batch: OneBatch = None,
    stage: OneStage = None,
    limit: Annotated[int, typer.Option(min=1, help="rows at most")] = 20,
    as_json: AsJson = False,
) -> None:
    """查看隔离行 Rows set aside: where, why, and their data, of which fields graded 3 or more are digests only.

    `#0123456789ab (18)` is a keyed digest and the number of characters; `(18)` alone stands for what cannot be read.
    """
    from itertools import islice

    from pipelines.quarantine.aside import asides

    ctx = open_context([dataset])
    found = asides(ctx, ctx.catalogue.entry(dataset), batch, cast("Stage | None", _stage(stage)))
    rows = list(islice(found, limit))
    if as_json:
        from dataclasses import asdict

        typer.echo(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1))
    else:
        from pipelines.console.show import show_asides

        show_asides(rows)
    if next(found, None) is not None:
        typer.echo(f"… only the first {limit} rows: --limit shows more", err=True)
    elif not rows and not as_json:
        typer.echo("no rows are set aside", err=True)


def _stage(stage: str | None) -> str | None:
    if stage not in STAGES:
        raise typer.BadParameter("one of standardise, check, merge", param_hint="--stage")
    return stage


@app.command("assign")
def quarantine_assign(
    dataset: Dataset,
    *,
    department: Annotated[
        str | None,
        typer.Option(
            "--department", help="default: the dataset's owner; of `from:` fields where they come from"
        ),
    ] = None,
    batch: OneBatch = None,
    stage: OneStage = None,
    rule: OneRule = None,
    file: OneFile = None,
    row: Rows = None,
    again: Annotated[
        bool, typer.Option("--again", help="rows too that somebody has, or that were dismissed")
    ] = False,
    why: Why = "",
    by: By = None,
) -> None:
    """交办 Assign rows to the department that answers for them; its time to correct them runs from now."""
    from pipelines.quarantine.assigning import assign

    ctx = open_context([dataset])
    entry = ctx.catalogue.entry(dataset)
    chosen = _chosen(
        batch, stage, rule, file, row, states=("open", "assigned", "dismissed") if again else ("open",)
    )
    acts = assign(ctx, entry, chosen, department, by=decider(by), why=why)
    for act in acts:
        typer.echo(f"交办 assigned: {act.rows:,} rows of {act.batch} to {act.department}")
    for name in dict.fromkeys(str(act.department) for act in acts):
        typer.echo(f"next: xuanwu quarantine export {dataset} --department {name}")
    if not acts:
        typer.echo("no such row waits to be assigned", err=True)


def _chosen(
    batch: str | None,
    stage: str | None,
    rule: str | None,
    file: str | None,
    row: list[int] | None,
    *,
    states: tuple[str, ...],
) -> Selection:
    from pipelines.quarantine.assigning import Selection

    return Selection(batch, _stage(stage), rule, file, frozenset(row or ()), frozenset(states))  # type: ignore[arg-type]


@app.command("dismiss")
def quarantine_dismiss(
    dataset: Dataset,
    *,
    why: Why,
    batch: OneBatch = None,
    stage: OneStage = None,
    rule: OneRule = None,
    file: OneFile = None,
    row: Rows = None,
    by: By = None,
) -> None:
    """不予更正 Say that rows stay out, and why: name what they have in common, at least a batch, rule, file or row."""
    from pipelines.quarantine.assigning import dismiss

    if not any((batch, stage, rule, file, row)):
        raise typer.BadParameter("say which rows: --batch, --stage, --rule, --file or --row")
    ctx = open_context([dataset])
    chosen = _chosen(batch, stage, rule, file, row, states=("open", "assigned", "corrected"))
    acts = dismiss(ctx, ctx.catalogue.entry(dataset), chosen, by=decider(by), why=why)
    for act in acts:
        typer.echo(f"不予更正 dismissed: {act.rows:,} rows of {act.batch}")
    if not acts:
        typer.echo("no such row is set aside", err=True)


@app.command("export")
def quarantine_export(
    dataset: Dataset,
    department: Annotated[
        str | None, typer.Option("--department", help="default: the dataset's owner")
    ] = None,
    batch: OneBatch = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="the workbook, .xlsx")] = None,
    by: By = None,
) -> None:
    """导出 Write the rows assigned to a department as a workbook that it can correct; it holds data as received."""
    from pipelines.correcting.exporting import export

    ctx = open_context([dataset])
    entry = ctx.catalogue.entry(dataset)
    name = department or entry.owner
    path = output or Path(f"quarantine_{entry.id}_{name}_{ctx.clock():%Y%m%d}.xlsx")
    done = export(ctx, entry, name, path, by=decider(by), batch=batch)
    typer.echo(f"导出 exported: {done.rows:,} rows to {done.path}, for you only (0600)")
    if done.left:
        typer.echo(
            f"at least {done.left:,} more rows are left: export again when these have come back", err=True
        )
    typer.echo("next: xuanwu quarantine import FILE, when it comes back corrected")


@app.command("import")
def quarantine_import(
    file: Annotated[
        Path, typer.Argument(help="the corrected workbook", exists=True, dir_okay=False, readable=True)
    ],
    by: By = None,
) -> None:
    """导入 Take a corrected workbook in: all of it or nothing. The rows come back when their batches are replayed."""
    from pipelines.correcting.importing import import_workbook

    done = import_workbook(open_context(), file, by=decider(by))
    for act in done.acts:
        what = f"更正 corrected: {act.values:,} values of" if act.kind == "correct" else "不予更正 dismissed:"
        typer.echo(f"{what} {act.rows:,} rows of {act.batch}")
    if done.unchanged:
        typer.echo(f"{done.unchanged:,} rows hold what they held before", err=True)
    if done.before:
        typer.echo(f"此前已导入 {done.before:,} rows were imported from this workbook before", err=True)
    if done.batches:
        typer.echo(f"next: xuanwu quarantine replay {done.dataset}")


@app.command("replay")
def quarantine_replay(
    datasets: Datasets = None,
    batch: OneBatch = None,
    every: Annotated[
        bool, typer.Option("--all", help="every batch with rows set aside, as after a changed rule")
    ] = False,
) -> None:
    """重放 Run batches again from standardise: those with new corrections, one, or all with rows set aside."""
    from pipelines.cli.way import follow
    from pipelines.quarantine.replaying import to_replay

    ctx = open_context()
    found = 0
    for dataset in (name for name in ctx.catalogue.order() if name in _wanted(ctx, datasets)):
        for each in to_replay(ctx, ctx.catalogue.entry(dataset), batch, every=every):
            found += 1
            follow(ctx, each, "standardise")
    if not found:
        typer.echo("没有待重放的批次 no batch has new corrections: --all or --batch replays others", err=True)


def _wanted(ctx: Context, datasets: list[str] | None) -> set[str]:
    names = [ctx.catalogue.entry(name).id for name in datasets] if datasets else list(ctx.catalogue.entries)
    return set(names)
