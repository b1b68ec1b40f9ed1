"""Commands of the notices: sending them, and where to."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.common import open_context, open_shell

app = typer.Typer(no_args_is_help=True, help="通知 What departments are told of their requests.")
contact_app = typer.Typer(no_args_is_help=True, help="联系方式 Where notices are sent, besides the inbox.")
Department = Annotated[str, typer.Argument(help="a key of departments.yaml, or `authority`")]
Channel = Annotated[str, typer.Argument(help="email or webhook")]
Address = Annotated[str, typer.Argument(help="name@host, or https://host/path")]
AUTHORITY = "authority"


@app.command("send")
def send_notices() -> None:
    """Watch who read what, put what is due into the inboxes, and send it by e-mail (connection xuanwu_smtp) and
    webhook."""
    from pipelines.notifying import notify

    for name, count in notify(open_context()).items():
        typer.echo(f"{name:<22}{count:>8,}")


@contact_app.command("add")
def contact_add(department: Department, channel: Channel, address: Address) -> None:
    """Send the department's notices there too. An office's address, not a person's."""
    from schemas.findings import near

    ctx, shell = open_shell()
    known = ctx.catalogue.departments
    if department != AUTHORITY and department not in known:
        raise typer.BadParameter(f"no department `{department}`{near(department, known)}")
    shell.add_contact(_key(department), channel, address)
    typer.echo(f"{department}: {channel} {address}")


@contact_app.command("remove")
def contact_remove(department: Department, channel: Channel, address: Address) -> None:
    """Send nothing more there."""
    open_shell()[1].remove_contact(_key(department), channel, address)
    typer.echo(f"{department}: {channel} {address} is removed")


@contact_app.command("list")
def contact_list() -> None:
    """Every contact."""
    from exchange.contacts import contacts
    from exchange.state import State
    from schemas.settings import Settings

    for department, channel, address in contacts(State(Settings())):
        typer.echo(f"{department or AUTHORITY:<24}{channel:<9}{address}")


def _key(department: str) -> str:
    return "" if department == AUTHORITY else department
