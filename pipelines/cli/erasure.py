"""The command that erases a person."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import open_context

if TYPE_CHECKING:
    from lake.erasures import Place


def erase(  # noqa: PLR0917  a command's options
    file: Annotated[
        Path | None, typer.Option(help="file of identifiers, one a line; default standard input")
    ] = None,
    element: Annotated[
        str, typer.Option(help="data element of a line that names none itself")
    ] = "resident_id",
    basis: Annotated[str, typer.Option(help="number of the order or request; no personal data")] = "",
    plan: Annotated[bool, typer.Option("--plan", help="say where rows lie, and change nothing")] = False,
    beside_runs: Annotated[
        bool, typer.Option("--beside-runs", help="though stages seem to be at work (killed ones do)")
    ] = False,
    lift: Annotated[
        str | None, typer.Option(metavar="ID", help="let the subject of this erasure be collected again")
    ] = None,
) -> None:
    """删除个人数据 Erase one person from every zone, history included, with a certificate; see docs/erasure.md."""
    from pipelines.erasure import erase as work
    from pipelines.erasure.subject import read_subject

    ctx = open_context()
    if lift is not None:
        work.lift(ctx, lift)
        typer.echo(f"已解除 lifted {lift}")
        return
    lines = file.read_text("utf-8").splitlines() if file else sys.stdin.read().splitlines()
    subject = read_subject(lines, element, ctx.catalogue)
    if plan:
        _show(work.plan(ctx, subject))
        return
    if not basis.strip():
        raise typer.BadParameter("the number of the order or request", param_hint="--basis")
    done = work.erase(ctx, subject, basis.strip(), beside_runs=beside_runs)
    _show(list(done.erasure.places))
    for table in done.withdrawn:
        typer.secho(f"已撤回 withdrawn {table}: without the subject it does not pass its gates", fg="yellow")
    looked = done.erasure.search
    if looked:
        typer.echo(
            f"检索 searched {looked.files:,} files, {looked.bytes:,} bytes, {looked.forms} forms: found {looked.found}"
        )
    typer.secho(f"证书 certificate {done.certificate}", fg="green")


def _show(places: list[Place]) -> None:
    for place in places:
        typer.echo(f"  {place.zone:<11}{place.dataset:<36}rows {place.rows:>8,}  files {place.files:>5,}")
    if not places:
        typer.echo("  没有 nothing of the subject")
