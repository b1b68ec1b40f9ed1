"""Commands on the catalogue itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import AsJson


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


def lineage(
    dataset: Annotated[str, typer.Argument(help="department.dataset")], as_json: AsJson = False
) -> None:
    """血缘 What each field is made from, and which fields of other datasets are made from it."""
    from dataclasses import asdict

    from schemas.lineage import origins, readers
    from schemas.load import load_catalogue
    from schemas.settings import Settings

    loaded = load_catalogue(Settings().catalogue)
    made, read_by = origins(loaded, loaded.entry(dataset)), readers(loaded, dataset)
    if as_json:
        body = {
            "made_from": {name: [asdict(each) for each in given] for name, given in made.items()},
            "read_by": [asdict(each) for each in read_by],
        }
        typer.echo(json.dumps(body, ensure_ascii=False, indent=1))
        return
    from pipelines.show import show_lineage

    show_lineage(loaded.entry(dataset), made, read_by)


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
