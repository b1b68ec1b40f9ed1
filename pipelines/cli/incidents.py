"""Commands of the register of security incidents: opened, worked on, reported, closed; and what is due."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import AsJson, open_context
from pipelines.cli.decisions import decider

if TYPE_CHECKING:
    from lake.incidents import About, Incident, Step
    from pipelines.context import Context
    from pipelines.incidents import Named

app = typer.Typer(
    no_args_is_help=True, help="安全事件 Security incidents: what happened, what was done, who was told."
)
Number = Annotated[int, typer.Argument(min=1, help="of the incident")]
By = Annotated[str | None, typer.Option(help="who says it, a position; default the user of this machine")]
Text = Annotated[str, typer.Option(help="one line for the register: no person's name or number in it")]
_MINUTES = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
At = Annotated[
    datetime | None,
    typer.Option(formats=_MINUTES, metavar="TIME", help="when it happened, in the city's time; default now"),
]
Document = Annotated[str, typer.Option(help="number of the document that has the whole of it")]
OfDatasets = Annotated[
    list[str] | None, typer.Option("--dataset", help="that it concerns; may be repeated, as the next three")
]
OfAccounts = Annotated[list[str] | None, typer.Option("--account", help="of the exchange")]
OfRequests = Annotated[list[int] | None, typer.Option("--request", help="number of a grant's request")]
OfRisks = Annotated[
    list[int] | None,
    typer.Option("--risk", help="number of a finding of `xuanwu risks`, with all it is about"),
]


@app.command("open")
def open_incident(
    *,
    level: Annotated[str, typer.Option(help="gravest, major, serious, general, or as policy.yaml has them")],
    summary: Text,
    datasets: OfDatasets = None,
    accounts: OfAccounts = None,
    requests: OfRequests = None,
    risks: OfRisks = None,
    noticed: Annotated[
        datetime | None,
        typer.Option(
            formats=_MINUTES, metavar="TIME", help="such as 2026-03-02 09:30, in the city's time; default now"
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=_MINUTES, metavar="TIME", help="when it began, where that is known"),
    ] = None,
    by: By = None,
) -> None:
    """立案 Open an incident; the clocks of its reports run from when it was noticed."""
    from pipelines.incidents import open_incident as opened

    ctx = open_context()
    about = _about(datasets, accounts, requests, risks)
    done = opened(ctx, _named(by, noticed), level, summary, about, since=since)
    _tell(ctx, done, "立案 opened")


@app.command()
def note(
    number: Number,
    *,
    text: Text,
    did: Annotated[str, typer.Option(help="found, contained or mended, where it was one of these")] = "",
    level: Annotated[str, typer.Option(help="where it is graver, or less grave, than it seemed")] = "",
    datasets: OfDatasets = None,
    accounts: OfAccounts = None,
    requests: OfRequests = None,
    risks: OfRisks = None,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="open a closed one again; the text says why")
    ] = False,
    at: At = None,
    by: By = None,
) -> None:
    """记录 Note what was found or done, what else it concerns, or another level."""
    from pipelines.incidents import note as noted

    ctx = open_context()
    about = _about(datasets, accounts, requests, risks)
    done = noted(ctx, _named(by, at), number, text, about, did=did, level=level, reopens=reopen)
    _tell(ctx, done, "重新立案 opened again" if reopen else "记录 noted")


@app.command()
def report(
    number: Number,
    *,
    to: Annotated[
        str,
        typer.Option(help="cyberspace, police, authority, providers, persons, or as policy.yaml has them"),
    ],
    at: At = None,
    document: Document = "",
    text: Text = "",
    by: By = None,
) -> None:
    """报告 Note to whom it was reported, and when. The report itself is made by people."""
    from pipelines.incidents import report as reported

    ctx = open_context()
    done = reported(ctx, _named(by, at), number, to, document=document, text=text)
    _tell(ctx, done, f"已报告 reported to {to}")


@app.command()
def close(
    number: Number,
    *,
    found: Annotated[str, typer.Option(help="what was found: no person's name or number in it")],
    done: Annotated[str, typer.Option(help="what was done about it")],
    data: Annotated[str, typer.Option(help="what became of the data")],
    document: Document = "",
    at: At = None,
    by: By = None,
) -> None:
    """结案 Close it. Only a note that says why opens it again."""
    from pipelines.incidents import close as closed

    ctx = open_context()
    texts = {"found": found, "done": done, "data": data}
    _tell(ctx, closed(ctx, _named(by, at), number, texts, document=document), "结案 closed")


@app.command("list")
def list_incidents(
    every: Annotated[bool, typer.Option("--all", help="those too that are closed and reported")] = False,
    as_json: AsJson = False,
) -> None:
    """Every incident: how grave, what it concerns, which reports were made or are due; no text that somebody wrote."""
    from lake.incidents import incidents
    from lake.reporting import reports

    ctx = open_context()
    numbers = ctx.catalogue.numbers.incidents
    found = [
        each
        for each in incidents(ctx.settings.lake_root)
        if every or not each.closed or any(due.done is None for due in reports(each, numbers))
    ]
    if as_json:
        body = [{**_plain(ctx, each), "steps": len(each.steps)} for each in found]
        typer.echo(json.dumps(body, ensure_ascii=False, indent=1))
        return
    if not found:
        more = "" if every else " that is open or has a report due: --all lists the others"
        typer.echo(f"没有安全事件 no incident{more}", err=True)
        return
    from pipelines.console.incidents import show_incidents

    show_incidents(found, numbers, ctx.clock())


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """One incident, step by step."""
    from lake.incidents import incident

    ctx = open_context()
    found = incident(ctx.settings.lake_root, number)
    if as_json:
        typer.echo(json.dumps(_plain(ctx, found), ensure_ascii=False, indent=1))
        return
    from pipelines.console.incidents import show_incident

    show_incident(found, ctx.catalogue.numbers.incidents, ctx.clock())


def _named(by: str | None, at: datetime | None) -> Named:
    from pipelines.incidents import Named

    return Named(decider(by), at)


def _about(
    datasets: list[str] | None,
    accounts: list[str] | None,
    requests: list[int] | None,
    risks: list[int] | None,
) -> About:
    from lake.incidents import About

    named = (datasets, accounts, requests, risks)
    return About(*(tuple(dict.fromkeys(each or ())) for each in named))  # type: ignore[arg-type]


def _plain(ctx: Context, found: Incident) -> dict[str, object]:
    from exchange.incidents import as_json

    return as_json(found, ctx.catalogue.numbers.incidents, ctx.clock())


def _tell(ctx: Context, done: tuple[Step, bool], what: str) -> None:
    """What was written, and what is due now."""
    from lake.incidents import incident
    from lake.reporting import reports
    from pipelines.console.incidents import due_line

    step, new = done
    typer.echo(f"{what}: {step.incident}" if new else f"此前已登记 it was there before: {step.incident}")
    numbers = ctx.catalogue.numbers.incidents
    for each in reports(incident(ctx.settings.lake_root, step.incident), numbers):
        if each.done is None:
            late = each.late(ctx.clock())
            typer.secho(due_line(each, numbers, ctx.clock()), fg="red" if late else None)
