"""Commands for auditors: the report, and the proof that needs no database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import AsJson, open_context


def report(
    output: Annotated[Path | None, typer.Option(help="where to write it; default <home>/report.html")] = None,
) -> None:
    """质量报告 Write the quality report for auditors: one HTML page that needs nothing else."""
    from pipelines.console.showing import shown
    from pipelines.report import write_report

    ctx = open_context()
    with shown():
        path = write_report(ctx, output or ctx.settings.home / "report.html")
    typer.echo(str(path))


def departments(as_json: AsJson = False) -> None:
    """部门评价 How each department does its part in collecting, sharing and opening: indicators, and no total."""
    import json

    from pipelines.console.showing import shown
    from pipelines.report.departments import departments as evaluated
    from pipelines.report.facts import gather

    ctx = open_context()
    with shown():
        found = evaluated(ctx, gather(ctx))
    if as_json:
        typer.echo(json.dumps([each.as_json() for each in found], ensure_ascii=False, indent=1))
        return
    from pipelines.console.departments import show_departments

    show_departments(found, ctx.catalogue)


def evaluation(
    datasets: Annotated[list[str] | None, typer.Argument(help="datasets; default: all of them")] = None,
    output: Annotated[
        Path | None, typer.Option(help="folder to write them to; default <home>/evaluation")
    ] = None,
) -> None:
    """去标识化评估 Write the five documents of GB/T 42460 for each publication that the disclosure gate judges."""
    from pipelines.report import write_evaluations

    ctx = open_context()
    for path in write_evaluations(ctx, output or ctx.settings.home / "evaluation", datasets or ()):
        typer.echo(str(path))


def verify(
    lake: Annotated[str | None, typer.Argument(help="a lake or a copy of one; default XUANWU_LAKE")] = None,
    keys: Annotated[
        list[Path] | None,
        typer.Option(
            "--key", exists=True, dir_okay=False, help="public key that you trust (PEM); may be repeated"
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="proof/log/head.json as you kept it on another day"),
    ] = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="everything that is wrong, not just the first")
    ] = False,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="compare XUANWU_DATABASE, XUANWU_ICEBERG and XUANWU_EXCHANGE too")
    ] = False,
    site: Annotated[
        str, typer.Option("--site", help="a public site, or a copy of one: its downloads are compared too")
    ] = "",
) -> None:
    """核验 Check a lake from its files alone: log, certificates, digests, balances. Exit code 1 if wrong."""
    from pipelines.console.verifying import verify_lake

    if not verify_lake(lake, keys or [], checkpoint, every=every, with_ledger=ledger, site=site):
        raise typer.Exit(1)
