"""The `xuanwu` command: every step of the way, without Airflow."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from schemas.errors import CatalogueError, XuanwuError

if TYPE_CHECKING:
    from lake.records import Stage
    from pipelines.context import Context

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
quarantine_app = typer.Typer(no_args_is_help=True, help="隔离区 Rows that were set aside, and why.")
app.add_typer(quarantine_app, name="quarantine")

Datasets = Annotated[list[str], typer.Argument(help="department.dataset; several may be named")]
AsJson = Annotated[bool, typer.Option("--json", help="as JSON, for programs")]


def main() -> None:
    """Run a command. An error of ours is one message on standard error and exit code 1, never a traceback."""
    try:
        app()
    except CatalogueError as error:
        _problems(error)
        sys.exit(1)
    except XuanwuError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
    except OSError as error:
        from lake.store import refused

        typer.secho(f"error: {refused(error)}", fg="red", err=True)
        sys.exit(1)


def _problems(error: CatalogueError) -> None:
    for problem in error.problems:
        typer.echo(str(problem), err=True)
    typer.secho(f"{len(error.problems)} problem(s) in the catalogue", fg="red", err=True)


def _context() -> Context:
    from pipelines.context import open_context

    return open_context()


def _day(value: str) -> date:
    try:
        return datetime.strptime(value, "%Y-%m-%d").date()
    except ValueError:
        raise typer.BadParameter("a day such as 2026-03-02") from None


@app.command()
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


@app.command()
def run(
    datasets: Datasets,
    day: Annotated[
        date | None,
        typer.Option("--date", parser=_day, metavar="DAY", help="the data's day; default the newest"),
    ] = None,
    start: Annotated[
        str, typer.Option("--from", help="first stage to run: collect, standardise, check, merge, publish")
    ] = "collect",
) -> None:
    """运行 Run datasets from their source to the share and open zones, without Airflow."""
    from lake.records import STAGES
    from pipelines.batches import batch_for, newest_batch
    from pipelines.stages import run_batch

    if start not in STAGES:
        raise typer.BadParameter(f"one of {', '.join(STAGES)}", param_hint="--from")
    ctx = _context()
    wanted = {ctx.catalogue.entry(name).id for name in datasets}
    for dataset in (name for name in ctx.catalogue.order() if name in wanted):
        entry = ctx.catalogue.entry(dataset)
        later = start != "collect" and day is None
        batch = newest_batch(ctx, entry, start) if later else batch_for(ctx, entry, day)
        typer.secho(f"{dataset} {batch.id}", bold=True)
        for stage, part, record in run_batch(ctx, batch, start):
            typer.echo(f"  {f'{stage} {part}'.strip():<28}{_counts(record)}")


def _counts(record: Any) -> str:
    from lake.balance import counts

    hidden = ("snapshot", "curated_snapshot", "total_before", "reused")
    return "  ".join(
        f"{name.replace('_', ' ')} {value:,}" for name, value in counts(record).items() if name not in hidden
    )


@app.command()
def status(
    datasets: Annotated[list[str] | None, typer.Argument(help="default: all")] = None,
    as_json: AsJson = False,
    every: Annotated[bool, typer.Option("--all", help="every batch, not just each dataset's newest")] = False,
    stages: Annotated[bool, typer.Option("--stages", help="a line for every stage of each batch")] = False,
) -> None:
    """状态 Rows in and out of every stage of every batch; what failed and why; what is late."""
    from pipelines.status import batch_statuses, late_datasets, stage_statuses

    ctx = _context()
    rows = batch_statuses(ctx, [ctx.catalogue.entry(name).id for name in datasets] if datasets else None)
    shown = rows if every else list({row.dataset: row for row in rows}.values())
    late = late_datasets(ctx)
    if as_json:
        body = {
            "batches": [row.as_json() for row in rows],
            "stages": [row.as_json() for row in stage_statuses(ctx, rows)],
            "late": [{"dataset": item.dataset, "expected": item.expected.isoformat()} for item in late],
        }
        typer.echo(json.dumps(body, ensure_ascii=False, indent=1))
        return
    from pipelines.show import show_stages, show_status

    if stages:
        show_stages(stage_statuses(ctx, shown))
    else:
        show_status(shown, late)


@app.command()
def report(
    output: Annotated[Path | None, typer.Option(help="where to write it; default <home>/report.html")] = None,
) -> None:
    """质量报告 Write the quality report for auditors: one HTML page that needs nothing else."""
    from pipelines.report import write_report

    ctx = _context()
    path = write_report(ctx, output or ctx.settings.home / "report.html")
    typer.echo(str(path))


@app.command()
def verify(
    lake: Annotated[str | None, typer.Argument(help="a lake or a copy of one; default XUANWU_LAKE")] = None,
    keys: Annotated[
        list[Path] | None, typer.Option("--key", help="public key that you trust (PEM); may be repeated")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="proof/log/head.json as you kept it on another day")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="everything that is wrong, not just the first")
    ] = False,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="compare XUANWU_DATABASE with the certificates too")
    ] = False,
) -> None:
    """核验 Check a lake from its files alone: log, certificates, digests, balances. Exit code 1 if wrong."""
    from pipelines.verifying import verify_lake

    if not verify_lake(lake, keys or [], checkpoint, every=every, with_ledger=ledger):
        raise typer.Exit(1)


@quarantine_app.command("list")
def quarantine_list(
    datasets: Annotated[list[str] | None, typer.Argument(help="default: all")] = None, as_json: AsJson = False
) -> None:
    """Rows set aside, counted by dataset, batch, stage, field and rule."""
    from lake.quarantine import summary

    ctx = _context()
    names = [ctx.catalogue.entry(name).id for name in datasets] if datasets else list(ctx.catalogue.entries)
    found = [(name, row) for name in names for row in summary(ctx.tables, name)]
    if as_json:
        from dataclasses import asdict

        typer.echo(
            json.dumps(
                [{"dataset": name, **asdict(row)} for name, row in found], ensure_ascii=False, indent=1
            )
        )
        return
    from pipelines.show import show_quarantine

    show_quarantine(found)


@quarantine_app.command("show")
def quarantine_show(
    dataset: Annotated[str, typer.Argument(help="department.dataset")],
    batch: Annotated[str | None, typer.Option(help="one batch, by its id; default all")] = None,
    stage: Annotated[str | None, typer.Option(help="standardise, check or merge; default all")] = None,
    limit: Annotated[int, typer.Option(min=1, help="rows at most")] = 20,
    as_json: AsJson = False,
) -> None:
    """查看隔离行 Rows set aside: where, why, and their data, of which fields graded 3 or more are digests only.

    `#0123456789ab (18)` is a keyed digest and the number of characters; `(18)` alone stands for what cannot be read.
    """
    from itertools import islice

    from pipelines.aside import asides

    if stage not in (None, "standardise", "check", "merge"):
        raise typer.BadParameter("one of standardise, check, merge", param_hint="--stage")
    ctx = _context()
    found = asides(ctx, ctx.catalogue.entry(dataset), batch, cast("Stage | None", stage))
    rows = list(islice(found, limit))
    if as_json:
        from dataclasses import asdict

        typer.echo(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1))
        return
    from pipelines.show import show_asides

    show_asides(rows)
    if next(found, None) is not None:
        typer.echo(f"… only the first {limit} rows: --limit shows more", err=True)
    elif not rows:
        typer.echo("no rows are set aside", err=True)


@app.command()
def mask(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, Parquet or XLSX with the dataset's columns")],
    *,
    dataset: Annotated[str, typer.Option(help="department.dataset: whose masks")],
    output: Annotated[Path, typer.Option("-o", "--output", help="CSV, JSON Lines or Parquet to write")],
    zone: Annotated[str, typer.Option(help="share or open")],
    policy: Annotated[str | None, typer.Option(help="of the share zone; default `default`")] = None,
    encoding: Annotated[str | None, typer.Option(help="of a text file; default a guess")] = None,
) -> None:
    """文件脱敏 Mask a file as its dataset would be published. Its rows keep their order and pass no gate."""
    from pipelines.maskfile import mask_file
    from schemas.policy import ZONES

    if zone not in ZONES:
        raise typer.BadParameter("one of share, open", param_hint="--zone")
    ctx, chosen = _context(), policy or ("open" if zone == "open" else "default")
    entry = ctx.catalogue.entry(dataset)
    done = mask_file(ctx, file, output, entry=entry, zone=zone, policy=chosen, encoding=encoding)
    typer.echo(f"{done.rows:,} rows of {', '.join(done.fields)} → {output}")
    if done.absent:
        typer.echo(f"not in the file: {', '.join(done.absent)}", err=True)


@app.command()
def upkeep() -> None:
    """日常维护 Remove what is granted no more, old snapshots, and what killed runs left; safe beside other runs."""
    from dataclasses import asdict

    from pipelines.upkeep import upkeep

    done = upkeep(_context())
    for name, count in {**asdict(done.removed), "withdrawn tables": len(done.withdrawn)}.items():
        typer.echo(f"removed {name:<18}{count:>8,}")


@app.command()
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


@app.command()
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


if __name__ == "__main__":
    main()
