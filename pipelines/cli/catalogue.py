"""Commands on the catalogue itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def check(
    catalogue: Annotated[
        Path | None, typer.Argument(help="catalogue folder; default XUANWU_CATALOGUE")
    ] = None,
) -> None:
    """目录校验 Check the whole catalogue; print every problem with file, line, key and the form expected."""
    from schemas.load import load_catalogue
    from schemas.settings import Settings

    loaded = load_catalogue(catalogue or Settings().catalogue)
    owners = {entry.owner for entry in loaded.entries.values()}
    typer.echo(f"the catalogue is valid: {len(loaded.entries)} datasets of {len(owners)} departments")


def pools() -> None:
    """Airflow's pools, one for each department, as JSON for `airflow pools import`."""
    from schemas.load import load_catalogue
    from schemas.settings import Settings

    departments = load_catalogue(Settings().catalogue).departments
    body = {
        name: {"slots": item.limit, "description": item.title.zh, "include_deferred": False}
        for name, item in departments.items()
    }
    typer.echo(json.dumps(body, ensure_ascii=False, indent=1))
