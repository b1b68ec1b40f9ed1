"""Commands of the grants: which there are, and the tables of those that have their own."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.common import AsJson, open_context

app = typer.Typer(no_args_is_help=True, help="授权 Grants, and the tables of those that have their own.")


@app.command("list")
def list_grants(
    every: Annotated[bool, typer.Option("--all", help="those too that have ended")] = False,
    as_json: AsJson = False,
) -> None:
    """Every grant: who may read what, of which columns and rows, until when, and the rows of its own table."""
    import json
    from dataclasses import asdict

    from pipelines.publishing.granting import grants

    found = [each for each in grants(open_context()) if every or each.lasts]
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=1))
        return
    from pipelines.console.exchanged import show_grants

    show_grants(found)


@app.command("refresh")
def refresh_grants(
    datasets: Annotated[list[str] | None, typer.Argument(help="default: all")] = None,
) -> None:
    """Make the own tables of grants as the curated tables are now; take away those of grants that have ended."""
    from pipelines.console.showing import shown
    from pipelines.publishing.granting import refresh

    with shown():
        for published in refresh(open_context(), datasets):
            state = "stood" if published.reused else "published"
            typer.echo(f"{published.table}  {published.rows_out:,} rows  {state}")
