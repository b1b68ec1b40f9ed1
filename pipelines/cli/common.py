"""What every command shares: arguments that recur, and the context, opened late so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from exchange.operating import Shell
    from exchange.state import State
    from lake.auditlog import AuditLog
    from pipelines.context import Context

Datasets = Annotated[list[str], typer.Argument(help="department.dataset; several may be named")]
AsJson = Annotated[bool, typer.Option("--json", help="as JSON, for programs")]
COUNTED = 2**31 - 1
"""As far as the exchange counts."""
After = Annotated[
    int, typer.Option(min=0, max=COUNTED, help="those that follow this number: what is listed is 500 at most")
]
Before = Annotated[
    int | None,
    typer.Option(min=1, max=COUNTED, help="those that come after this number, further down the list"),
]


def open_context(datasets: Collection[str] | None = None) -> Context:
    """The context of the environment's settings; its catalogue may hold no more than these datasets need. A home that
    is made for it is told where its path is relative, as `.xuanwu`: it is another one in every directory."""
    from pipelines.context import open_context as opened
    from schemas.settings import Settings

    settings = Settings()
    new = not settings.home.is_absolute() and not settings.home.exists()
    ctx = opened(settings=settings, datasets=datasets)
    if new:
        typer.echo(
            f"新建 a new home is made: {settings.home.resolve()} (XUANWU_HOME chooses another)", err=True
        )
    return ctx


def tell_more(on: str, *, err: bool) -> None:
    """By which option a list goes on that was cut. With `--json` on standard error: standard output is JSON."""
    typer.echo(f"还有 there may be more: {on}", err=err)


def day(value: str) -> date:
    """A day of an option. BadParameter where it is none."""
    try:
        return datetime.strptime(value, "%Y-%m-%d").date()
    except ValueError:
        raise typer.BadParameter("a day such as 2026-03-02") from None


def iso(moment: date) -> str:
    """A day or a time as JSON has it."""
    return moment.isoformat()


def open_shell() -> tuple[Context, Shell]:
    """What the machine's user does with the exchange by its commands, which the audit log tells."""
    from exchange.state import State
    from pipelines.proof.certifying import open_log

    ctx = open_context(())
    return ctx, shell_of(ctx, State(ctx.settings), open_log(ctx)[0])


def shell_of(ctx: Context, state: State, log: AuditLog) -> Shell:
    """The same, of what is open already."""
    import getpass

    from exchange.operating import Shell

    return Shell(state, log, ctx.clock, getpass.getuser())
