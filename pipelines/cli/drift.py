"""Commands on what changed at the sources, and on who would feel a change."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pipelines.cli.common import AsJson, iso, open_context


def drift(
    datasets: Annotated[list[str] | None, typer.Argument(help="default: all")] = None, as_json: AsJson = False
) -> None:
    """来源变化 What changed at the sources: columns, types, codes that no list has; what to do about it, until when."""
    from dataclasses import asdict

    from pipelines.drift.clocks import Clocks
    from pipelines.drift.told import told

    ctx = open_context()
    names = [ctx.catalogue.entry(name).id for name in datasets] if datasets else list(ctx.catalogue.entries)
    clocks = Clocks(ctx)
    told_of = (told(ctx, ctx.catalogue.entry(name), clocks) for name in names)
    found = [drifted for drifted in told_of if drifted is not None]
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=1, default=iso))
        return
    for each in found:
        typer.secho(
            f"{each.dataset} {each.batch}" + (f", beside {each.before}" if each.before else ""), bold=True
        )
        for sentence in each.sentences:
            typer.echo(f"  {sentence}")
        for clock in each.due:
            late = typer.style("  逾期 late", fg="red") if clock.late else ""
            said = f"目录应于 {clock.due} 前更新 {clock.owner} updates the catalogue until {clock.due}"
            more = f"，{' '.join(clock.more)}" if clock.extended else ""
            typer.echo(f"  {' '.join(clock.words)}: {said}{more}{late}")
    if not found:
        typer.echo("nothing changed at the sources", err=True)


def impact(
    name: Annotated[str, typer.Argument(help="department.dataset, or department.dataset.field")],
    as_json: AsJson = False,
) -> None:
    """影响分析 Who would feel a change of a dataset or field: derived data, `from:` columns, tables, downloads."""
    from dataclasses import asdict

    from schemas.impact import impact as found_of
    from schemas.load import load_catalogue
    from schemas.settings import Settings

    department, _, rest = name.partition(".")
    dataset, _, field = rest.partition(".")
    found = found_of(load_catalogue(Settings().catalogue), f"{department}.{dataset}", field or None)
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=1))
        return
    for title, readers in (
        ("派生数据集 derived by SQL", found.derived),
        ("共享取得 obtained by from:", found.shared),
    ):
        if readers:
            typer.secho(title, bold=True)
        for each in readers:
            typer.echo(
                f"  {each.column.dataset}.{each.column.field}  {each.how.lower()}, {each.steps} step(s) away"
            )
    tables = (("策略表 policy tables", found.policies), ("下载 downloads", found.downloads))
    for title, named in tables:
        if named:
            typer.secho(title, bold=True)
        for table, what in named.items():
            typer.echo(f"  {table}: {', '.join(what)}")
    if found.uses:
        typer.secho("规则与结构 rules and structure", bold=True)
    for use in found.uses:
        typer.echo(f"  {use}")
    typer.echo(f"in all: {found.summary}")
