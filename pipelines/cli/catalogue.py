"""Commands on the catalogue itself."""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import AsJson

_READERS = 3
"""Processes at most that read the files of a large catalogue: more would wait for the one that judges them."""


def check(
    catalogue: Annotated[
        Path | None, typer.Argument(help="catalogue folder; default XUANWU_CATALOGUE")
    ] = None,
) -> None:
    """目录校验 Check the whole catalogue; print every problem with file, line, key and the form expected.

    Of a valid one it prints which open tables join with others by their tokens, and which masking key is needed and
    whether it is set here."""
    from pipelines.connections import from_environment
    from pipelines.keys import missing
    from schemas.joins import joined
    from schemas.load import load_catalogue
    from schemas.policy import keyed
    from schemas.settings import Settings

    gc.disable()  # a second for ten thousand entries, and the process ends when it has answered
    settings = Settings()
    processes = min(_READERS, os.cpu_count() or 1)
    loaded = load_catalogue(catalogue or settings.catalogue, processes=processes)
    owners = {entry.owner for entry in loaded.entries.values()}
    typer.echo(f"the catalogue is valid: {len(loaded.entries)} datasets of {len(owners)} departments")
    for each in joined(loaded):
        typer.echo(str(each))
    needing = sum(bool(keyed(entry)) for entry in loaded.entries.values())
    if needing:
        version, what = settings.key_version, f"the tokens of {needing} dataset(s)"
        is_set = f"脱敏密钥 the masking key of version {version} is set 已设置: for {what}"
        typer.echo(missing([what], version, from_environment) or is_set)


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
    from pipelines.console.show import show_lineage

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


app = typer.Typer(no_args_is_help=True, help="目录条目 Entries of the catalogue.")


@app.command("list")
def list_entries() -> None:
    """列出数据集 Every dataset of the catalogue, with its title."""
    from schemas.load import load_catalogue
    from schemas.settings import Settings

    for name, entry in sorted(load_catalogue(Settings().catalogue).entries.items()):
        typer.echo(f"{name:<40}{entry.title.zh} {entry.title.en}")


@app.command("import")
def import_entry(
    dataset: Annotated[str, typer.Argument(help="as the other platform names it: department.dataset")],
    *,
    connection: Annotated[
        str, typer.Option("--from", help="the connection of the other platform's exchange")
    ],
    owner: Annotated[str, typer.Option(help="our department that obtains it")],
    policy: Annotated[str, typer.Option(help="the policy that we are granted")] = "default",
    name: Annotated[str | None, typer.Option("--as", help="our name of the dataset; default theirs")] = None,
    output: Annotated[Path | None, typer.Option(help="write it there; default print it")] = None,
) -> None:
    """平台对平台 Draft the entry of a table that another platform shares with us, from its own."""
    from pipelines.borrowing import Wanted, borrowed
    from pipelines.cli.common import open_context
    from schemas.findings import near

    ctx = open_context()
    if owner not in ctx.catalogue.departments:
        known = ctx.catalogue.departments
        raise typer.BadParameter(f"no department `{owner}`{near(owner, known)}", param_hint="--owner")
    text = borrowed(ctx, Wanted(connection, dataset, policy, owner, name))
    if output is None:
        typer.echo(text, nl=False)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("x", encoding="utf-8") as file:
        file.write(text)
    typer.echo(str(output))


@app.command("export")
def export_lists(
    folder: Annotated[Path, typer.Argument(help="where the lists are written")],
    base: Annotated[
        str, typer.Option(help="address at which the lake's downloads/ is served; default relative to it")
    ] = "",
) -> None:
    """清单 Write the city's lists: resources, items, what is open (CSV), and DCAT (JSON-LD) for other catalogues."""
    from pipelines.cli.common import open_context
    from pipelines.listing import export

    for path in export(open_context(), folder, base=base):
        typer.echo(str(path))
