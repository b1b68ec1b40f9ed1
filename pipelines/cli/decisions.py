"""Commands of a person who decides whether a held batch goes on."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import open_context

if TYPE_CHECKING:
    from lake.decisions import Verdict

Dataset = Annotated[str, typer.Argument(help="department.dataset")]
Why = Annotated[str, typer.Option(help="the reason, for the audit log: no number of a person in it")]
By = Annotated[str | None, typer.Option(help="who decides; default the user of this machine")]
OneBatch = Annotated[str | None, typer.Option(help="the batch, where several are held")]


def decider(by: str | None) -> str:
    """Who decides: as named, else the machine's user."""
    return by or getpass.getuser()


def approve(
    dataset: Annotated[
        str | None, typer.Argument(help="department.dataset; default: list what waits")
    ] = None,
    why: Annotated[str, typer.Option(help="the reason, for the audit log: no number of a person in it")] = "",
    batch: OneBatch = None,
    by: By = None,
) -> None:
    """批准 Let a held batch go on, for what it saw and no more; without a dataset, list what waits for a decision."""
    if dataset is None:
        _list()
    else:
        _decide("approve", dataset, why=why, batch=batch, by=by)


def refuse(dataset: Dataset, why: Why, batch: OneBatch = None, by: By = None) -> None:
    """驳回 Refuse a held batch: it stays stopped, and the tables stay as they are."""
    _decide("refuse", dataset, why=why, batch=batch, by=by)


def _decide(decision: Verdict, dataset: str, *, why: str, batch: str | None, by: str | None) -> None:
    from pipelines.deciding import decide

    ctx = open_context()
    found = decide(ctx, ctx.catalogue.entry(dataset), decision, by=decider(by), why=why, batch=batch)
    done = {"approve": "批准 approved", "refuse": "驳回 refused"}[decision]
    typer.echo(f"{done}: {dataset} {found.batch.id}, {'; '.join(found.reasons)}")
    if decision == "approve":
        typer.echo(
            f"next: xuanwu run {dataset} --batch {found.batch.id} --from {found.stage}, or clear the task in Airflow"
        )


def _list() -> None:
    from pipelines.deciding import waiting

    rows = list(waiting(open_context()))
    for found, made in rows:
        typer.secho(f"{found.batch.dataset} {found.batch.id} {found.stage}", bold=True)
        for reason in found.reasons:
            typer.echo(f"  {reason}")
        if made is not None:
            typer.echo(f"  {made.decision}d by {made.by}: {made.why}")
    if not rows:
        typer.echo("nothing waits for a decision", err=True)
