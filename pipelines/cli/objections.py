"""Commands of the objections: which there are, and which are late."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.common import After, AsJson, open_context, tell_more

app = typer.Typer(no_args_is_help=True, help="校核异议 Objections to shared and open data.")


@app.command("list")
def list_objections(
    every: Annotated[bool, typer.Option("--all", help="those too that are closed")] = False,
    after: After = 0,
    as_json: AsJson = False,
) -> None:
    """Objections, 500 at a time: to what, by whom, where it stands, what is due and what is late; no text that somebody
    wrote."""
    import json
    from dataclasses import asdict
    from itertools import islice

    from exchange.cases import MOST
    from pipelines.objected import objected

    found = list(islice(objected(open_context(), after, over=every), MOST))
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=1))
    elif found:
        from pipelines.console.objections import show_objections

        show_objections(found)
    else:
        typer.echo(
            "没有异议 no objection is listed" + ("" if every else ": --all lists those too that are closed"),
            err=True,
        )
    if len(found) == MOST:
        tell_more(f"--after {found[-1].number}", err=as_json)
