"""Commands on the rows that were set aside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pipelines.cli.common import AsJson, open_context

if TYPE_CHECKING:
    from lake.records import Stage

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="隔离区 Rows that were set aside, and why."
)


@app.command("list")
def quarantine_list(
    datasets: Annotated[list[str] | None, typer.Argument(help="default: all")] = None, as_json: AsJson = False
) -> None:
    """Rows set aside, counted by dataset, batch, stage, field and rule."""
    from lake.quarantine import summary

    ctx = open_context(datasets or None)
    names = [ctx.catalogue.entry(name).id for name in datasets] if datasets else list(ctx.catalogue.entries)
    found = [(name, row) for name in names for row in summary(ctx.tables, name)]
    if as_json:
        from dataclasses import asdict

        typer.echo(
            json.dumps(
                [{"dataset": name, **asdict(row)} for name, row in found], ensure_ascii=False, indent=1
            )
        )
        return
    from pipelines.show import show_quarantine

    show_quarantine(found)


@app.command("show")
def quarantine_show(
    dataset: Annotated[str, typer.Argument(help="department.dataset")],
    batch: Annotated[str | None, typer.Option(help="one batch, by its id; default all")] = None,
    stage: Annotated[str | None, typer.Option(help="standardise, check or merge; default all")] = None,
    limit: Annotated[int, typer.Option(min=1, help="rows at most")] = 20,
    as_json: AsJson = False,
) -> None:
    """查看隔离行 Rows set aside: where, why, and their data, of which fields graded 3 or more are digests only.

    `#0123456789ab (18)` is a keyed digest and the number of characters; `(18)` alone stands for what cannot be read.
    """
    from itertools import islice

    from pipelines.aside import asides

    if stage not in (None, "standardise", "check", "merge"):
        raise typer.BadParameter("one of standardise, check, merge", param_hint="--stage")
    ctx = open_context([dataset])
    found = asides(ctx, ctx.catalogue.entry(dataset), batch, cast("Stage | None", stage))
    rows = list(islice(found, limit))
    if as_json:
        from dataclasses import asdict

        typer.echo(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1))
        return
    from pipelines.show import show_asides

    show_asides(rows)
    if next(found, None) is not None:
        typer.echo(f"… only the first {limit} rows: --limit shows more", err=True)
    elif not rows:
        typer.echo("no rows are set aside", err=True)
