"""Security incidents (安全事件), as the exchange has a part in them: what of its own they name, and who is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from exchange.errors import NotThere
from exchange.people import Principal
from exchange.requests import every
from exchange.risks import recent
from exchange.schema import ACCOUNTS
from exchange.state import State
from lake.incidents import About, Incident, Step, incidents
from lake.reporting import Due, reports
from schemas.load import Catalogue
from schemas.model import Incidents


def known(state: State, about: About) -> About:
    """What was said, with what the risks that it names are about. NotThere for an account, a request or a risk that the
    exchange does not have."""
    found = {each.number: each.finding for each in recent(state, datetime.min.replace(tzinfo=UTC))}
    _require("risk", about.risks, found)
    for number in about.risks:
        it = found[number]
        own = About(it.datasets, tuple(filter(None, [it.account])), tuple(filter(None, [it.request])))
        about |= own
    if about.requests:
        _require("request", about.requests, {each.number for each in every(state)})
    if about.accounts:
        with state.begin() as connection:
            there = set(connection.execute(sa.select(ACCOUNTS.c.name)).scalars())
        _require("account", about.accounts, there | {each.account for each in found.values()})
    return about


def _require(kind: str, said: Iterable[object], there: Mapping[Any, object] | set[Any]) -> None:
    for each in said:
        if each not in there:
            raise NotThere(f"the exchange has no {kind} {each}", field=f"--{kind}")


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────


def visible(lake: str, catalogue: Catalogue, principal: Principal) -> list[Incident]:
    """What the principal may see, the newest first: all for the authority, auditors and the data centre, a provider
    what is about its datasets. The department that read them is not told: it may be the one that should not know."""
    return [each for each in incidents(lake) if _may_see(catalogue, principal, each)]


def _may_see(catalogue: Catalogue, principal: Principal, incident: Incident) -> bool:
    if principal.has("auditor", "authority", "data_centre"):
        return True
    return bool(principal.department) and principal.department in owners(catalogue, incident)


def owners(catalogue: Catalogue, incident: Incident) -> set[str]:
    """The providers of what it is about."""
    entries = (catalogue.entries.get(each) for each in incident.about.datasets)
    return {entry.owner for entry in entries if entry is not None}


def of_risks(found: Iterable[Incident]) -> dict[int, list[int]]:
    """The incidents of which a risk is part, by its number; a risk without one is left out."""
    by_risk: dict[int, list[int]] = {}
    for each in found:
        for risk in each.about.risks:
            by_risk.setdefault(risk, []).append(each.number)
    return {risk: sorted(numbers) for risk, numbers in by_risk.items()}


def as_json(incident: Incident, numbers: Incidents, now: datetime) -> dict[str, Any]:
    """As JSON tells it, to people and programs."""
    return {
        "number": incident.number,
        "level": incident.level,
        "state": "closed" if incident.closed else "open",
        "noticed": incident.noticed.isoformat(),
        "since": _iso(incident.steps[0].since),
        **{name: list(named) for name, named in asdict(incident.about).items()},
        "reports": [_report(each, now) for each in reports(incident, numbers)],
        "steps": [_step(each) for each in incident.steps],
    }


def _report(due: Due, now: datetime) -> dict[str, Any]:
    said = {"report": due.name, "to": due.to, "due": due.due.isoformat(), "done": _iso(due.done)}
    return said | {"late": due.late(now)}


def _step(step: Step) -> dict[str, Any]:
    hidden = {"incident", "place", "salt", "entry"}
    said = step.model_dump(mode="json", exclude=hidden, exclude_defaults=True)
    moments = {name: _iso(getattr(step, name)) for name in ("when", "since", "at") if name in said}
    return said | moments


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
