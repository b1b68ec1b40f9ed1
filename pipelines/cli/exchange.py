"""Commands of the exchange: its server, its accounts, its tokens."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import AsJson

if TYPE_CHECKING:
    from exchange.state import State

token_app = typer.Typer(no_args_is_help=True, help="令牌 Personal tokens: shown once, kept hashed.")
account_app = typer.Typer(no_args_is_help=True, help="账户 Accounts of people and systems.")


def serve(
    host: Annotated[
        str, typer.Option(help="address to listen on; put TLS before any but loopback")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8329,
    per_minute: Annotated[int, typer.Option(min=1, help="requests of one caller in a minute")] = 600,
) -> None:
    """交换平台 Serve the exchange: share requests, and the rows of shared tables, over HTTP."""
    import uvicorn

    from exchange.requests import Desk
    from exchange.state import State
    from exchange.web.app import make_app
    from exchange.web.house import House
    from pipelines.certifying import open_log
    from pipelines.context import open_context

    ctx = open_context()
    desk = Desk(State(ctx.settings), ctx.catalogue, open_log(ctx)[0], ctx.clock)
    app = make_app(House(desk, ctx.tables, per_minute))
    typer.echo(f"http://{host}:{port}/openapi.json", err=True)
    uvicorn.run(app, host=host, port=port, server_header=False, log_level="warning", timeout_keep_alive=15)


def _state() -> State:
    from exchange.state import State
    from schemas.settings import Settings

    return State(Settings())


@account_app.command("create")
def account_create(
    name: Annotated[str, typer.Argument(help="small letters, digits and . _ @ -")],
    roles: Annotated[
        list[str],
        typer.Option("--role", help="requester, provider, approver, authority, data_centre, auditor"),
    ],
    department: Annotated[
        str, typer.Option(help="a key of departments.yaml; empty for the authority's own")
    ] = "",
    password: Annotated[bool, typer.Option("--password", help="ask for one; a system needs none")] = False,
) -> None:
    """Open an account. Its tokens are made by `xuanwu token create`."""
    from exchange.accounts import open_account
    from schemas.findings import near
    from schemas.load import load_catalogue
    from schemas.settings import Settings

    known = load_catalogue(Settings().catalogue).departments
    if department and department not in known:
        raise typer.BadParameter(
            f"no department `{department}`{near(department, known)}", param_hint="--department"
        )
    said = typer.prompt("password", hide_input=True, confirmation_prompt=True) if password else None
    open_account(_state(), name, department, roles, said)
    typer.echo(f"{name}: {', '.join(roles)}" + (f" of {department}" if department else ""))


@account_app.command("close")
def account_close(name: Annotated[str, typer.Argument()]) -> None:
    """Close an account; its tokens end with it, at once."""
    from datetime import UTC, datetime

    from exchange.accounts import close_account

    close_account(_state(), name, datetime.now(UTC))
    typer.echo(f"{name} is closed")


@token_app.command("create")
def token_create(
    account: Annotated[str, typer.Argument(help="whose")],
    scopes: Annotated[list[str], typer.Option("--scope", help="read, request")] = ["read", "request"],  # noqa: B006
    days: Annotated[int, typer.Option(min=1, max=366, help="how long it lasts")] = 90,
    note: Annotated[str, typer.Option(help="where it is used")] = "",
) -> None:
    """Make a token and show it, this once."""
    from datetime import UTC, datetime

    from exchange.accounts import make_token

    text, kept = make_token(
        _state(), account, note, scopes, now=datetime.now(UTC), lasts=timedelta(days=days)
    )
    typer.echo(text)
    typer.echo(f"{kept.id}, until {kept.expires:%Y-%m-%d}: keep it now, it is not shown again", err=True)


@token_app.command("list")
def token_list(
    account: Annotated[str | None, typer.Argument(help="default: all")] = None, as_json: AsJson = False
) -> None:
    """Tokens, ended ones too; never their secrets."""
    from exchange.accounts import tokens

    found = tokens(_state(), account)
    if as_json:
        body = [
            {
                "id": each.id,
                "account": each.account,
                "note": each.note,
                "scopes": each.scopes,
                "expires": each.expires.isoformat(),
                "revoked": each.revoked.isoformat() if each.revoked else None,
            }
            for each in found
        ]
        typer.echo(json.dumps(body, ensure_ascii=False, indent=1))
        return
    from pipelines.show import show_tokens

    show_tokens(found)


@token_app.command("revoke")
def token_revoke(
    ident: Annotated[str, typer.Argument(help="its id, as `xuanwu token list` shows it")],
) -> None:
    """End a token at once."""
    from datetime import UTC, datetime

    from exchange.accounts import revoke_token

    revoke_token(_state(), ident, datetime.now(UTC))
    typer.echo(f"{ident} is revoked")
