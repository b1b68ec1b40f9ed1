"""Commands on the catalogue's history, and of the authority (主管部门) that reviews it and gives more time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.catalogue import app
from pipelines.cli.common import AsJson, iso, open_context
from pipelines.cli.decisions import decider

if TYPE_CHECKING:
    from pipelines.contracts.reviewing import Form

By = Annotated[
    str | None,
    typer.Option(help="who says it for the authority, a position; default the user of this machine"),
]


@app.command("history")
def show_history(
    dataset: Annotated[str | None, typer.Argument(help="department.dataset; default: all")] = None,
    as_json: AsJson = False,
) -> None:
    """目录变更 Which form of an entry was in use since when, what changed, who reviewed it; the newest first, from the
    audit log."""
    from datetime import UTC, datetime

    from pipelines.contracts.reviewing import forms
    from schemas.errors import XuanwuError
    from schemas.numbers import numbers_at
    from schemas.settings import Settings

    settings = Settings()
    within = numbers_at(settings.catalogue).catalogue.review_within
    found = forms(settings.lake_root, within, datetime.now(UTC), dataset)
    if dataset and not found:
        known = "`xuanwu catalogue history` without a name shows all; `xuanwu catalogue list` the datasets"
        raise XuanwuError(f"no contract of `{dataset}` was in use in this lake", next_step=known)
    if as_json:
        typer.echo(json.dumps([_plain(each) for each in found], ensure_ascii=False, indent=1, default=iso))
        return
    for each in found:
        _show(each)
    if not found:
        typer.echo("尚无记录 no contract was in use in this lake", err=True)


def _plain(form: Form) -> dict[str, Any]:
    from dataclasses import asdict

    used = form.used
    said: dict[str, Any] = asdict(used) | {"changes": [change.model_dump() for change in used.changes]}
    review = form.review and {key: getattr(form.review, key) for key in ("number", "at", "by", "document")}
    return said | {
        "assessed": used.assessed.model_dump(mode="json") if used.assessed else None,
        "outdated": [
            {"kind": each.kind, "day": each.day, "change": each.change.number} for each in form.outdated
        ],
        "review": review,
        "review_due": form.due,
        "review_late": form.late,
    }


def _show(form: Form) -> None:
    from schemas.workdays import HERE

    used = form.used
    since = f"{used.since.astimezone(HERE):%Y-%m-%d %H:%M}"
    typer.secho(f"{used.dataset} #{used.number}  {since}  {used.batch}", bold=True)
    for each in form.outdated:
        typer.secho(f"  {' '.join(each.words)}", fg="red")
    late = typer.style("  逾期 late", fg="red") if form.late else ""
    if form.review:
        day = f"{form.review.at.astimezone(HERE):%Y-%m-%d}"
        told = " ".join(filter(None, (day, form.review.by, form.review.document)))
        typer.echo(f"  已审核 reviewed {told}{late}")
    elif form.waits:
        typer.echo(f"  待审核，期限 {form.due} to be reviewed until {form.due}{late}")
    for change in used.changes:
        looser = typer.style("  放宽 looser", fg="red") if change.loosens else ""
        typer.echo(f"  {change.zh}  {change.en}{looser}")
    if not used.changes:
        typer.echo(f"  {' '.join(used.unchanged)}")


@app.command()
def review(
    dataset: Annotated[str | None, typer.Argument(help="department.dataset")] = None,
    every: Annotated[bool, typer.Option("--all", help="all that wait for their review")] = False,
    document: Annotated[
        str, typer.Option(help="number of the document that says so, for the audit log")
    ] = "",
    by: By = None,
) -> None:
    """审核目录 Note that the authority has reviewed the form of an entry that is in use (Decree 809, Art. 17)."""
    from pipelines.contracts.reviewing import review as reviewed

    if (dataset is None) != every:
        raise typer.BadParameter("name a dataset, or say --all", param_hint="DATASET")
    done = reviewed(open_context(), dataset, by=decider(by), document=document)
    for used in done:
        typer.echo(f"已审核 reviewed: {used.dataset} #{used.number}")
    if not done:
        typer.echo("没有待审核的目录变更 nothing waits for a review", err=True)


@app.command()
def extend(
    dataset: Annotated[str, typer.Argument(help="department.dataset")],
    days: Annotated[int, typer.Option(help="working days more")],
    reason_document: Annotated[
        str, typer.Option(help="number of the document that gives consent and reason")
    ],
    by: By = None,
) -> None:
    """延长时限 Note that the authority gives a department more time to update an entry (Decree 809, Art. 17)."""
    from pipelines.drift.extending import extend as extended

    ctx = open_context()
    for clock in extended(ctx, ctx.catalogue.entry(dataset), days, by=decider(by), document=reason_document):
        typer.echo(
            f"延长 extended: {dataset}, {' '.join(clock.words)}: 目录应于 {clock.due} 前更新 until {clock.due}"
        )
