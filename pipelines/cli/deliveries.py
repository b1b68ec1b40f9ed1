"""Commands of the deliveries: what goes where, with its receipts; delivering by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import AsJson, Before, open_context, shell_of, tell_more

if TYPE_CHECKING:
    from exchange.desk import Desk
    from exchange.people import Principal
    from pipelines.context import Context

app = typer.Typer(no_args_is_help=True, help="交付 Deliveries into departments' own tables and folders.")
Number = Annotated[int, typer.Argument(help="as `xuanwu deliveries list` shows it")]


@app.command("list")
def list_deliveries(as_json: AsJson = False) -> None:
    """Every delivery: of what, to whom, how, and what became of the newest."""
    import json

    from exchange.receipts import newest
    from exchange.subscriptions import subscriptions
    from exchange.web.deliveries import told

    _, desk = _opened()
    found, last = subscriptions(desk), newest(desk)
    if as_json:
        body = [told(each, last.get(each.number)) for each in found]
        typer.echo(json.dumps(body, ensure_ascii=False, indent=1))
        return
    from pipelines.console.deliveries import show_deliveries

    show_deliveries(found, last)


@app.command("show")
def show_delivery(number: Number, before: Before = None, as_json: AsJson = False) -> None:
    """One delivery's receipts, the newest first, 100 at a time."""
    import json

    from exchange.receipts import MOST, receipts
    from exchange.subscriptions import find_one
    from exchange.web.deliveries import receipt_told

    _, desk = _opened()
    find_one(desk, number)
    found = receipts(desk, number, before)
    if as_json:
        typer.echo(json.dumps([receipt_told(each) for each in found], ensure_ascii=False, indent=1))
    else:
        from pipelines.console.deliveries import show_receipts

        show_receipts(found)
    if len(found) == MOST:
        tell_more(f"--before {found[-1].number}", err=as_json)


@app.command("declare")
def declare_delivery(
    *,
    dataset: Annotated[str, typer.Argument(help="one that is shared without conditions")],
    to: Annotated[str, typer.Option(help="the department that receives it, a key of departments.yaml")],
    place: Annotated[str, typer.Option(help="[schema.]table, or a folder below the connection's")],
    method: Annotated[str, typer.Option(help="batch: into a table; file: as files")] = "file",
    policy: Annotated[str, typer.Option()] = "default",
    connection: Annotated[str, typer.Option(help="where the department has several")] = "",
    mode: Annotated[str, typer.Option(help="of a table: swap or upsert")] = "swap",
    form: Annotated[str, typer.Option("--format", help="of files: parquet or csv")] = "parquet",
    keep: Annotated[int, typer.Option(min=1, help="of files: how many deliveries stay")] = 3,
) -> None:
    """Have a dataset delivered to a department that has asked you to; what is shared by request declares its delivery
    in the request."""
    from exchange.subscriptions import declare
    from schemas.findings import near

    ctx, desk = _opened(new=True)
    if to not in (known := ctx.catalogue.departments):
        raise typer.BadParameter(f"no department `{to}`{near(to, known)}", param_hint="--to")
    asked = {"dataset": dataset, "policy": policy, "method": method, "place": place, "connection": connection}
    found = declare(desk, _on_behalf_of(to), asked | {"mode": mode, "format": form, "keep": keep})
    typer.echo(f"delivery {found.number}: {found.dataset} to {found.connection_name}, {found.place}")


@app.command("stop")
def stop_delivery(number: Number) -> None:
    """Deliver no more of one; what was delivered stays where it is."""
    from exchange.subscriptions import find_one, stop

    _, desk = _opened()
    stop(desk, _on_behalf_of(find_one(desk, number).department), number)
    typer.echo(f"delivery {number} is stopped")


@app.command("run")
def run_deliveries() -> None:
    """Deliver what is due, as Airflow does; exit 1 where one failed."""
    from exchange.receipts import Receipt, due
    from pipelines.delivering.deliver import deliver_due

    ctx, desk = _opened()
    failed = False
    if numbers := [each.number for each in due(desk, ctx.tables)]:
        shell_of(ctx, desk.state, desk.log).deliver(numbers)
    else:
        typer.echo("没有到期的交付 no delivery is due", err=True)
    for each, result in deliver_due(ctx, desk):
        done = isinstance(result, Receipt)
        failed = failed or not done
        said = f"{result.counts.found:,} rows" if isinstance(result, Receipt) else f"error: {result}"
        typer.echo(f"{each.number:>5}  {each.dataset} to {each.department}  {said}", err=not done)
    raise typer.Exit(int(failed))


@app.command("retry")
def retry_delivery(number: Number) -> None:
    """Deliver one now, however often it has failed."""
    from exchange.receipts import soon
    from exchange.subscriptions import find_one
    from pipelines.delivering.deliver import deliver

    ctx, desk = _opened()
    find_one(desk, number)
    shell_of(ctx, desk.state, desk.log).deliver([number])
    soon(desk, number)
    done = deliver(ctx, desk, number).counts
    typer.echo(f"{done.sent:,} rows sent, {done.found:,} of {done.rows:,} found there")


def _on_behalf_of(department: str) -> Principal:
    """The machine's user, for a department that has no login."""
    import getpass

    from exchange.people import Principal

    return Principal(f"{getpass.getuser()} (shell)", department, frozenset(("requester",)))


def _opened(*, new: bool = False) -> tuple[Context, Desk]:
    """What is there; with `new`, made where it is not."""
    from exchange.state import State
    from pipelines.delivering.deliver import open_desk
    from schemas.errors import SettingsError

    ctx = open_context()
    if new:
        with State(ctx.settings).begin():
            pass
    desk = open_desk(ctx)
    if desk is None:
        raise SettingsError("there is no exchange here", next_step="`xuanwu serve`, or see XUANWU_EXCHANGE")
    return ctx, desk
