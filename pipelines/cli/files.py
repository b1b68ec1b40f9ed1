"""Commands on files beside the lake: a file masked, a city invented."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import open_context


def mask(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, Parquet or XLSX with the dataset's columns")],
    *,
    dataset: Annotated[str, typer.Option(help="department.dataset: whose masks")],
    output: Annotated[Path, typer.Option("-o", "--output", help="CSV, JSON Lines or Parquet to write")],
    zone: Annotated[str, typer.Option(help="share or open")],
    policy: Annotated[str | None, typer.Option(help="of the share zone; default `default`")] = None,
    encoding: Annotated[str | None, typer.Option(help="of a text file; default a guess")] = None,
    key_version: Annotated[str | None, typer.Option(help="of an older key; default the one in use")] = None,
) -> None:
    """文件脱敏 Mask a file as its dataset would be published. Its rows keep their order and pass no gate."""
    from pipelines.maskfile import mask_file
    from schemas.policy import ZONES

    if zone not in ZONES:
        raise typer.BadParameter("one of share, open", param_hint="--zone")
    ctx, chosen = open_context([dataset]), policy or ("open" if zone == "open" else "default")
    entry = ctx.catalogue.entry(dataset)
    done = mask_file(
        *(ctx, file, output),
        entry=entry,
        zone=zone,
        policy=chosen,
        encoding=encoding,
        key_version=key_version,
    )
    typer.echo(f"{done.rows:,} rows of {', '.join(done.fields)} → {output}")
    if done.absent:
        typer.echo(f"not in the file: {', '.join(done.absent)}", err=True)


def sample(
    folder: Annotated[Path, typer.Argument(help="where to write the city's sources")] = Path(".xuanwu/city"),
    day: Annotated[int, typer.Option(min=1, max=3, help="the sources as they stand on day 1, 2 or 3")] = 1,
    rows: Annotated[int, typer.Option(min=50, help="residents; the other datasets in proportion")] = 2000,
    serve: Annotated[bool, typer.Option(help="then serve the city's HTTP source until interrupted")] = False,
) -> None:
    """样例城市 Write the sample city: realistic sources of several departments, with no real person in them."""
    from sample.city import write_city

    connections = write_city(folder, day, rows)
    for name in sorted(connections):
        typer.echo(f"export XUANWU_CONN_{name.upper()}='{connections[name]}'")
    typer.echo(f"# the same lines are in {folder / 'connections.env'}", err=True)
    if serve:
        from sample.server import serve_forever

        serve_forever(folder)
