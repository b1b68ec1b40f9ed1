"""Commands of the applications for what is opened on conditions: which there are, and which are late."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.common import AsJson, open_context

app = typer.Typer(no_args_is_help=True, help="开放申请 Applications for what is opened on conditions.")


@app.command("list")
def list_applications(
    every: Annotated[bool, typer.Option("--all", help="those too that are over")] = False,
    as_json: AsJson = False,
) -> None:
    """Every application: for what, where it stands, what is due and what is late; no text that somebody wrote, and not
    who applies."""
    import json
    from dataclasses import asdict

    from pipelines.applied import applied

    found = [each for each in applied(open_context()) if every or each.state not in ("ended", "declined")]
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=1))
        return
    from pipelines.console.applications import show_applications

    show_applications(found)
