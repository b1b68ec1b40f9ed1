"""The public site."""

from __future__ import annotations

from typing import Annotated

import typer


def portal(
    folder: Annotated[
        str,
        typer.Argument(help="folder or s3:// address of the site; default XUANWU_PORTAL, else <home>/portal"),
    ] = "",
) -> None:
    """开放门户 Build the public site of what is open: pages, downloads, feeds; only what changed is written."""
    from pipelines.cli.common import open_context
    from pipelines.listing import build_site

    place, site, built = build_site(open_context(), folder)
    typer.echo(f"{place}")
    typer.echo(
        f"{len(site.newest)} of {len(site.datasets)} open datasets have a release; files: {built.copied} copied, "
        f"{built.written} written, {built.removed} removed, {built.unchanged} unchanged"
    )
