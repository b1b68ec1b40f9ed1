"""Commands of the exchange: its server, its accounts, its tokens, and who read what."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import AsJson, Before, open_shell, tell_more

if TYPE_CHECKING:
    from exchange.desk import Desk
    from pipelines.context import Context

token_app = typer.Typer(no_args_is_help=True, help="令牌 Personal tokens: shown once, kept hashed.")
account_app = typer.Typer(no_args_is_help=True, help="账户 Accounts of people and systems.")


def serve(
    *,
    host: Annotated[
        str, typer.Option(help="address to listen on; put TLS before any but loopback")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8329,
    per_minute: Annotated[int, typer.Option(min=1, help="requests of one caller in a minute")] = 600,
    at_once: Annotated[
        int, typer.Option(min=4, help="calls under way at one time; of one caller a quarter of them")
    ] = 256,
    url: Annotated[
        str, typer.Option(help="address by which readers reach it; default what they call it by")
    ] = "",
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="processes; --per-minute and --at-once are of each")
    ] = 1,
) -> None:
    """交换平台 Serve the exchange: share requests, and the rows and files of shared tables, over HTTP."""
    from pipelines.serving import Serving
    from pipelines.serving import serve as serving

    typer.echo(f"http://{host}:{port}/openapi.json", err=True)
    serving(Serving(host, port, per_minute, at_once, url, workers))


def usage(
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="first day")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="last day")] = None,
    as_json: AsJson = False,
) -> None:
    """使用情况 Who read which shared table through the exchange, how often and for what."""
    from dataclasses import asdict

    from exchange.usage import usage as used

    _, desk = _desk()
    days = {name: day.date() if day else None for name, day in (("since", since), ("until", until))}
    found = used(desk, None, **days)
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=1))
        return
    from pipelines.console.exchanged import show_usage

    show_usage(found)


def risks(
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="first day")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="last day")] = None,
    before: Before = None,
    as_json: AsJson = False,
) -> None:
    """风险提示 What is unusual of who read what, as `xuanwu notices send` has found it; the newest first, 500 at a
    time."""
    from exchange.incidents import of_risks
    from exchange.risks import MOST
    from exchange.risks import risks as found_risks
    from lake.incidents import incidents

    ctx, desk = _desk()
    days = [each.date() if each else None for each in (since, until)]
    found = found_risks(desk, None, since=days[0], until=days[1], before=before)
    known = of_risks(incidents(ctx.settings.lake_root))
    if as_json:
        from exchange.risks import as_json as told

        body = [told(each) | {"incidents": known.get(each.number, [])} for each in found]
        typer.echo(json.dumps(body, ensure_ascii=False, indent=1))
    else:
        from pipelines.console.exchanged import show_risks

        show_risks(found, known)
    if len(found) == MOST:
        tell_more(f"--before {found[-1].number}", err=as_json)


def looked(
    file: Annotated[
        Path | None, typer.Option(help="file of identifiers, one a line; default standard input")
    ] = None,
    element: Annotated[
        str, typer.Option(help="data element of a line that names none itself")
    ] = "resident_id",
    as_json: AsJson = False,
) -> None:
    """谁看过我的数据 Who looked at one person's record through the exchange."""
    from dataclasses import asdict

    from pipelines.console.looked import looked as find
    from pipelines.erasure.subject import read_subject

    lines = file.read_text("utf-8").splitlines() if file else sys.stdin.read().splitlines()
    ctx, desk = _desk()
    found = find(ctx, desk, read_subject(lines, element, ctx.catalogue))
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=1))
        return
    from pipelines.console.exchanged import show_looks

    show_looks(found)


def _desk() -> tuple[Context, Desk]:
    from exchange.desk import Desk
    from exchange.state import State
    from pipelines.context import open_context
    from pipelines.proof.certifying import open_log
    from pipelines.publishing.granting import taking_away

    ctx = open_context()
    return ctx, Desk(State(ctx.settings), ctx.catalogue, open_log(ctx)[0], ctx.clock, taking_away(ctx))


@account_app.command("create")
def account_create(
    name: Annotated[str, typer.Argument(help="small letters, digits and . _ @ -")],
    roles: Annotated[
        list[str],
        typer.Option("--role", help="requester, provider, approver, authority, data_centre, auditor, public"),
    ],
    department: Annotated[
        str, typer.Option(help="a key of departments.yaml; empty for the authority's own")
    ] = "",
    password: Annotated[bool, typer.Option("--password", help="ask for one; a system needs none")] = False,
) -> None:
    """Open an account. Its tokens are made by `xuanwu token create`."""
    from schemas.findings import near

    ctx, shell = open_shell()
    known = ctx.catalogue.departments
    if department and department not in known:
        raise typer.BadParameter(
            f"no department `{department}`{near(department, known)}", param_hint="--department"
        )
    said = typer.prompt("password", hide_input=True, confirmation_prompt=True) if password else None
    shell.open_account(name, department, roles, said)
    typer.echo(f"{name}: {', '.join(roles)}" + (f" of {department}" if department else ""))


@account_app.command("close")
def account_close(name: Annotated[str, typer.Argument()]) -> None:
    """Close an account; its tokens end with it, at once."""
    open_shell()[1].close_account(name)
    typer.echo(f"{name} is closed")


@account_app.command("list")
def account_list(as_json: AsJson = False) -> None:
    """Accounts, closed ones too, and until when their tokens are good; never a secret."""
    from dataclasses import asdict
    from datetime import UTC

    from exchange.accounts import accounts
    from exchange.state import State
    from schemas.settings import Settings

    found = accounts(State(Settings()), datetime.now(UTC))
    if as_json:
        told = [asdict(each) for each in found]
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1, default=datetime.isoformat))
        return
    from pipelines.console.exchanged import show_accounts

    show_accounts(found)


@token_app.command("create")
def token_create(
    account: Annotated[str, typer.Argument(help="whose")],
    scopes: Annotated[list[str], typer.Option("--scope", help="read, request")] = ["read", "request"],  # noqa: B006
    days: Annotated[int, typer.Option(min=1, max=366, help="how long it lasts")] = 90,
    note: Annotated[str, typer.Option(help="where it is used")] = "",
    profile: Annotated[
        str,
        typer.Option(
            help="the exchange's address: show a profile file of Delta Sharing with the token in it"
        ),
    ] = "",
) -> None:
    """Make a token and show it, this once."""
    from exchange.delta.profile import profile_of

    text, kept = open_shell()[1].make_token(account, note, scopes, timedelta(days=days))
    typer.echo(profile_of(profile, text, kept) if profile else text)
    typer.echo(f"{kept.id}, until {kept.expires:%Y-%m-%d}: keep it now, it is not shown again", err=True)


@token_app.command("list")
def token_list(
    account: Annotated[str | None, typer.Argument(help="default: all")] = None, as_json: AsJson = False
) -> None:
    """Tokens, ended ones too; never their secrets."""
    from exchange.accounts import tokens
    from exchange.state import State
    from schemas.settings import Settings

    found = tokens(State(Settings()), account)
    if as_json:
        body = [
            {
                "id": each.id,
                "account": each.account,
                "kind": each.kind,
                "note": each.note,
                "scopes": each.scopes,
                "expires": each.expires.isoformat(),
                "revoked": each.revoked.isoformat() if each.revoked else None,
            }
            for each in found
        ]
        typer.echo(json.dumps(body, ensure_ascii=False, indent=1))
        return
    from pipelines.console.exchanged import show_tokens

    show_tokens(found)


@token_app.command("revoke")
def token_revoke(
    ident: Annotated[str, typer.Argument(help="its id, as `xuanwu token list` shows it")],
) -> None:
    """End a token at once."""
    open_shell()[1].revoke_token(ident)
    typer.echo(f"{ident} is revoked")
