"""The steps of a security incident, as somebody says them at the shell: what is named is there, and no text holds a
person (Decree 809, Art. 35).

The moments are the city's. Whoever opens an incident says by a risk's number (`xuanwu risks`) what that risk is about.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final, cast, get_args

from exchange.incidents import known
from exchange.state import State
from lake.incidents import About, Did, Kind, Said, Step
from lake.registering import record
from pipelines.context import Context
from pipelines.deciding import official, plain, registered
from pipelines.proof.certifying import open_log
from schemas.errors import XuanwuError
from schemas.findings import near
from schemas.model import Title
from schemas.workdays import HERE

DIDS: Final = tuple(each for each in get_args(Did) if each)


@dataclass(frozen=True)
class Named:
    """Who says it, and when it happened; now, where no moment is named."""

    by: str
    when: datetime | None = None


def open_incident(
    ctx: Context,
    named: Named,
    level: str,
    summary: str,
    about: About,
    *,
    since: datetime | None = None,
) -> tuple[Step, bool]:
    """Open one, noticed at the moment named; with its number, and whether it is new. XuanwuError where the
    level is none of the policy's, or what it is about is not known here."""
    return _record(
        ctx,
        named,
        "open",
        level=_one_of(ctx.catalogue.numbers.incidents.levels, level, "--level"),
        since=_moment(since) if since else None,
        about=_known(ctx, about),
        texts={"what": plain(summary, "--summary")},
    )


def note(
    ctx: Context,
    named: Named,
    number: int,
    text: str,
    about: About,
    *,
    did: str = "",
    level: str = "",
    reopens: bool = False,
) -> tuple[Step, bool]:
    """Say what was found or done, what it concerns besides, that it is graver or less grave than it seemed; or, of a
    closed one, why it is opened again."""
    return _record(
        ctx,
        named,
        "note",
        number,
        did=cast("Did", _one_of(DIDS, did, "--did") if did else ""),
        level=_one_of(ctx.catalogue.numbers.incidents.levels, level, "--level") if level else "",
        reopens=reopens,
        about=_known(ctx, about),
        texts={"what": plain(text, "--text")},
    )


def report(
    ctx: Context, named: Named, number: int, to: str, *, document: str = "", text: str = ""
) -> tuple[Step, bool]:
    """Say to whom it was reported, and under which number."""
    return _record(
        ctx,
        named,
        "report",
        number,
        to=_one_of(ctx.catalogue.numbers.incidents.told, to, "--to"),
        document=registered(document, "--document") if document else "",
        texts={"what": plain(text, "--text")} if text else {},
    )


def close(
    ctx: Context, named: Named, number: int, texts: Mapping[str, str], *, document: str = ""
) -> tuple[Step, bool]:
    """Close it: `texts` say what was `found`, what was `done`, and what became of the `data`."""
    return _record(
        ctx,
        named,
        "close",
        number,
        document=registered(document, "--document") if document else "",
        texts={name: plain(texts.get(name, ""), f"--{name}") for name in ("found", "done", "data")},
    )


def _record(
    ctx: Context,
    named: Named,
    kind: Kind,
    number: int | None = None,
    *,
    about: About = About(),  # noqa: B008  it is never changed
    **said: object,
) -> tuple[Step, bool]:
    log, _ = open_log(ctx)
    at = ctx.clock().astimezone(UTC)
    when = _moment(named.when) if named.when else at
    who = official(named.by, "--by")
    step = Said.model_validate({"kind": kind, "by": who, "when": when, **asdict(about), **said})
    return record(ctx.settings, log, step, number, at=at, now=named.when is None)


def _moment(said: datetime) -> datetime:
    """A moment that says no zone is the city's."""
    return (said if said.tzinfo else said.replace(tzinfo=HERE)).astimezone(UTC)


def _one_of(known: Mapping[str, Title] | Collection[str], said: str, of: str) -> str:
    if said not in known:
        raise XuanwuError(f"no `{said}`", field=of, expected=", ".join(known))
    return said


# ── what there is ─────────────────────────────────────────────────────────────────────────────────────────


def _known(ctx: Context, about: About) -> About:
    """What was said, with what the named risks are about. XuanwuError for what was never there."""
    _require_datasets(ctx, about.datasets)
    if not (about.accounts or about.requests or about.risks):
        return about
    state = State(ctx.settings)
    if not state.begun:
        raise XuanwuError(
            "there is no exchange here, and so no account, request or risk of one", expected="datasets alone"
        )
    return known(state, about)


def _require_datasets(ctx: Context, datasets: Sequence[str]) -> None:
    """Those that are in the catalogue, or were: of which the ledger has a batch."""
    there = set(ctx.catalogue.entries)
    if not there.issuperset(datasets):
        there |= {run.batch.dataset for run in ctx.ledger.runs()}
    for name in datasets:
        if name not in there:
            raise XuanwuError(
                f"no dataset `{name}` is or was in the catalogue{near(name, there)}", field="--dataset"
            )
