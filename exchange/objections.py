"""Objections (校核、异议) as they are kept: raised, answered, listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from exchange import cases
from exchange.access import by_grant
from exchange.cases import require_texts
from exchange.desk import Desk
from exchange.errors import Forbidden, NotThere, Unfit
from exchange.objecting import Claim, Objection, Step, Zone
from exchange.people import Principal
from exchange.process import was_granted
from exchange.requests import listed as requests_of
from exchange.state import OBJECTIONS, State
from exchange.steps import Event
from lake.zones import Identifier, identifier
from schemas.model import Entry
from schemas.policy import mask_plan, policies

MOST_ROWS: Final = 100
"""Rows that one objection may name."""
LONGEST_KEY: Final = 200
"""Characters of a row's key."""
LONGEST_SNAPSHOT: Final = 19
"""Digits of a snapshot's number."""
MOST_OPEN: Final = 100
"""Objections of one department, or of one person without a department, that may be under way at one time."""
Newest = Callable[[Identifier], int | None]
"""The newest snapshot of a table, None where nothing was published."""


# ── objecting ─────────────────────────────────────────────────────────────────────────────────────────────


def raise_objection(desk: Desk, principal: Principal, said: Mapping[str, Any], newest: Newest) -> Objection:
    """A new objection: `dataset`, `zone`, `policy`, `columns`, `rows`, `snapshot` (the newest where empty), `wrong`,
    `proposed`. To what is shared departments object that may read it, or might once; to what is open everybody.

    NotThere for a table that is none of theirs; Unfit where a text is missing or malformed, a column is none of the
    table's, or too many of theirs are under way; Forbidden for who neither applies for a department nor speaks for the
    public.
    """
    _require_voice(principal)
    claim = _claim(desk, principal, said, newest)
    if len(_under_way(desk.state, principal)) >= MOST_OPEN:
        raise Unfit(
            f"{MOST_OPEN} objections of yours are under way",
            next_step="accept or withdraw some: GET /api/v1/objections lists them",
        )
    first = Event("raise", principal.name, "requester", desk.clock())
    row = {name: getattr(claim, name) for name in Claim.__dataclass_fields__}
    row |= {"columns": list(claim.columns), "rows": list(claim.rows)}
    with desk.state.begin() as connection:
        objection = Objection(cases.open_case(connection, "objection", row), claim, (first,))
        cases.add(desk, connection, objection, principal, **claim_told(claim))
    return objection


def _require_voice(principal: Principal) -> None:
    department, public = principal.department, not principal.official or principal.has("data_centre")
    if not (principal.has("requester") if department else public):
        raise Forbidden(
            "objections are raised by a requester of a department, the public and the data centre"
        )


def _claim(desk: Desk, principal: Principal, said: Mapping[str, Any], newest: Newest) -> Claim:
    zone: Zone = said.get("zone") or "share"
    entry, policy = _entry(desk, principal, zone, said)
    if principal.department == entry.owner:
        raise Unfit(
            f"{entry.id} is your own department's", next_step="correct it at its source; it is collected anew"
        )
    if not said.get("wrong"):
        raise Unfit("the objection does not say what is wrong", expected="wrong", rule="Decree 809, Art. 26")
    columns, rows = tuple(said.get("columns") or ()), tuple(said.get("rows") or ())
    require_texts(said["wrong"], said.get("proposed") or "", *columns, *rows)
    if len(rows) > MOST_ROWS or any(not each or len(each) > LONGEST_KEY for each in rows):
        raise Unfit(
            "the rows are malformed", expected=f"{MOST_ROWS} keys of 1 to {LONGEST_KEY} characters at most"
        )
    known = mask_plan(entry, zone, policies(entry, zone)[policy])
    if not set(columns) <= set(known):
        raise Unfit("a column is none of the table's", expected=", ".join(known))
    return Claim(
        dataset=entry.id,
        zone=zone,
        policy=policy,
        department=principal.department,
        provider=entry.owner,
        snapshot=_snapshot(said.get("snapshot") or "", newest(identifier(zone, entry.id, policy))),
        columns=columns,
        rows=rows,
        wrong=said["wrong"],
        proposed=said.get("proposed") or "",
    )


def _entry(desk: Desk, principal: Principal, zone: Zone, said: Mapping[str, Any]) -> tuple[Entry, str]:
    """The table that is objected to. NotThere, in the same words, for one that is not there or not theirs."""
    entry, policy = desk.catalogue.entries.get(str(said.get("dataset"))), str(said.get("policy"))
    theirs = _theirs(desk, principal, entry, zone) if entry else {}
    if policy not in theirs:
        raise NotThere("no such table is open, or shared with you", next_step="GET /api/v1/tables lists them")
    return theirs[policy], policy


def _theirs(desk: Desk, principal: Principal, entry: Entry, zone: Zone) -> dict[str, Entry]:
    """The policies of a dataset under which the principal reads it or once did, and the entry that knows each."""
    if zone == "open":
        return dict.fromkeys(policies(entry, "open"), entry)
    if not principal.department:
        return {}
    grants = (
        each
        for each in requests_of(desk, principal)
        if (each.terms.dataset, each.terms.department) == (entry.id, principal.department)
        and was_granted(each)
    )
    found = {each.policy: each.entry for grant in grants if (each := by_grant(entry, grant))}
    free = policies(entry, "share") if entry.share.type == "unconditional" else {}
    return found | dict.fromkeys(free, entry)


def _snapshot(said: str, newest: int | None) -> str:
    """The snapshot that is objected to: the one that was read, or else the newest."""
    if said and not (said.isascii() and said.isdigit() and len(said) <= LONGEST_SNAPSHOT):
        raise Unfit("the snapshot is malformed", expected="digits, as `X-Snapshot` has them")
    return said or ("" if newest is None else str(newest))


def claim_told(claim: Claim) -> dict[str, Any]:
    """What is objected to, as the audit log tells it: no text that somebody wrote."""
    return {"zone": claim.zone, "snapshot": claim.snapshot, "columns": list(claim.columns)}


def take(desk: Desk, principal: Principal, number: int, step: Step, said: Mapping[str, Any]) -> Objection:
    """Take a step of an objection and give it as it is then. NotThere where the principal has no part in it, Forbidden
    and Unfit as `exchange.cases.take` says."""
    return cases.take(desk, find(desk, principal, number), principal, step, said)


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────


def find(desk: Desk, principal: Principal, number: int) -> Objection:
    """One objection, for who has a part in it and for auditors; NotThere for all others and where there is none."""
    found = [each for each in _load(desk.state, OBJECTIONS.c.number == number) if _may_see(principal, each)]
    if not found:
        raise NotThere(f"no objection {number}")
    return found[0]


def listed(desk: Desk, principal: Principal) -> list[Objection]:
    """The objections that the principal has a part in; all of them for the authority, the data centre and auditors."""
    parties = (OBJECTIONS.c.department, OBJECTIONS.c.provider)
    everything = principal.has("authority", "auditor", "data_centre")
    own = sa.true() if everything else sa.or_(*(each == principal.department for each in parties))
    return [each for each in _load(desk.state, own) if _may_see(principal, each)]


def every(state: State) -> list[Objection]:
    """Every objection, by number."""
    return _load(state, sa.true())


def _under_way(state: State, principal: Principal) -> list[Objection]:
    """Of the principal's department, or of its own where it has none."""
    same = _load(state, OBJECTIONS.c.department == principal.department)
    mine = [each for each in same if principal.department or each.events[0].by == principal.name]
    return [each for each in mine if each.state != "closed"]


def _may_see(principal: Principal, objection: Objection) -> bool:
    return bool(objection.sides(principal)) or principal.has("auditor", "data_centre")


def _load(state: State, where: sa.ColumnElement[bool]) -> list[Objection]:
    found = cases.load(state, "objection", where)
    return [Objection(row[OBJECTIONS.c.number], _claim_of(row), events) for row, events in found]


def _claim_of(row: Mapping[Any, Any]) -> Claim:
    kept = {name: row[OBJECTIONS.c[name]] for name in Claim.__dataclass_fields__}
    return Claim(**kept | {"columns": tuple(kept["columns"]), "rows": tuple(kept["rows"])})
