"""The `xuanwu` command: every step of the way, without Airflow."""

from __future__ import annotations

import os
import sys

import typer

from pipelines.cli import (
    applications,
    authority,
    catalogue,
    decisions,
    deliveries,
    drift,
    erasure,
    evidence,
    exchange,
    files,
    grants,
    incidents,
    interrupting,
    keys,
    notices,
    objections,
    portal,
    quarantine,
    way,
)
from pipelines.loading import seldom_collected
from schemas.errors import CatalogueError, XuanwuError, unforeseen

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich is two thirds of what `--help` would load
    context_settings={"max_content_width": 120},
    help=__doc__,
)
for command in (
    catalogue.check,
    way.run,
    way.resume,
    way.status,
    decisions.approve,
    decisions.refuse,
    drift.drift,
    drift.impact,
    evidence.report,
    evidence.departments,
    evidence.evaluation,
    portal.portal,
    evidence.verify,
    files.mask,
    keys.keys,
    way.upkeep,
    catalogue.lineage,
    erasure.erase,
    catalogue.pools,
    files.sample,
    exchange.serve,
    exchange.usage,
    exchange.risks,
    exchange.looked,
):
    app.command()(command)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(exchange.account_app, name="account")
app.add_typer(exchange.token_app, name="token")
app.add_typer(authority.app, name="catalogue")
app.add_typer(grants.app, name="grant")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(objections.app, name="objection")
app.add_typer(applications.app, name="application")
app.add_typer(incidents.app, name="incident")
app.add_typer(notices.app, name="notices")
app.add_typer(notices.contact_app, name="contact")


def main() -> None:
    """Run a command. An error is one message on standard error and exit code 1, never a traceback: of one that nobody
    foresaw its kind and place, since its own words may quote a value. An interruption is one message and exit code
    130."""
    if not interrupting.OTHERWISE & set(sys.argv[1:2]):
        interrupting.watch()
    seldom_collected()
    os.umask(0o077)  # as `lake.store.owner_only`, which would load pyarrow for `--help`
    try:
        app()
    except CatalogueError as error:
        _problems(error)
        sys.exit(1)
    except XuanwuError as error:
        told = "\n".join((f"error: {error}", *getattr(error, "__notes__", ())))
        typer.secho(told, fg="red", err=True)
        sys.exit(1)
    except OSError as error:
        from lake.store import refused

        typer.secho(f"error: {refused(error)}", fg="red", err=True)
        sys.exit(1)
    except Exception as error:
        typer.secho(f"error: {unforeseen(error)}", fg="red", err=True)
        sys.exit(1)


def _problems(error: CatalogueError) -> None:
    for problem in error.problems:
        typer.echo(str(problem), err=True)
    typer.secho(f"{len(error.problems)} problem(s) in the catalogue", fg="red", err=True)
