"""Commands of the applications for what is opened on conditions: which there are, and which are late."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.common import After, AsJson, open_context, tell_more

app = typer.Typer(no_args_is_help=True, help="开放申请 Applications for what is opened on conditions.")


@app.command("list")
def list_applications(
    every: Annotated[bool, typer.Option("--all", help="those too that are over")] = False,
    after: After = 0,
    as_json: AsJson = False,
) -> None:
    """Applications, 500 at a time: for what, where it stands, what is due and what is late; no text that somebody
    wrote, and not who applies."""
    import json
    from dataclasses import asdict
    from itertools import islice

    from exchange.cases import MOST
    from pipelines.applied import applied

    found = list(islice(applied(open_context(), after, over=every), MOST))
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=1))
    elif found:
        from pipelines.console.applications import show_applications

        show_applications(found)
    else:
        typer.echo(
            "没有申请 no application is listed" + ("" if every else ": --all lists those too that are over"),
            err=True,
        )
    if len(found) == MOST:
        tell_more(f"--after {found[-1].number}", err=as_json)
