"""Objections (校核、异议) as they are kept: raised, answered, listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from exchange import cases
from exchange.access import by_grant
from exchange.cases import require_kept, require_texts
from exchange.desk import Desk
from exchange.errors import Forbidden, NotThere, Unfit
from exchange.objecting import RULES, Claim, Objection, Step, Zone
from exchange.people import Principal
from exchange.process import Request, was_granted
from exchange.requests import listed as requests_of
from exchange.schema import OBJECTION_EVENTS, OBJECTIONS
from exchange.state import State
from exchange.steps import Event
from exchange.texts import absent
from lake.zones import Identifier, published_table
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
Published = Callable[[Identifier, int | None], int | None]
"""The snapshot of a table that has this number, or the newest where none is given; None where none was published."""
Named = tuple[Zone, str, str]
"""A table: its zone, dataset and policy."""


# ── objecting ─────────────────────────────────────────────────────────────────────────────────────────────


def raise_objection(
    desk: Desk, principal: Principal, said: Mapping[str, Any], published: Published
) -> Objection:
    """A new objection: `dataset`, `zone`, `policy`, `columns`, `rows`, `snapshot` (the newest where empty), `wrong`,
    `proposed`. To what is shared departments object that may read it, or might once; to what is open everybody.

    NotThere for a table that is none of theirs; Unfit where a text is missing or malformed, a column or the snapshot is
    none of the table's, or too many of theirs are under way; Forbidden for who neither applies for a department nor
    speaks for the public.
    """
    if not principal.may_object:
        raise Forbidden(
            "objections are raised by a requester of a department, the public and the data centre",
            zh="异议由部门的需求方、公众或大数据中心提出",
        )
    claim = _claim(desk, principal, said, published)
    first = Event("raise", principal.name, "requester", desk.clock())
    row = {name: getattr(claim, name) for name in Claim.__dataclass_fields__}
    row |= {"columns": list(claim.columns), "rows": list(claim.rows)}
    with desk.state.begin_alone(f"objections of {principal.department or principal.name}") as connection:
        _require_few(connection, principal)
        objection = Objection(cases.open_case(connection, "objection", row), claim, (first,))
        cases.add(desk, connection, objection, principal, **claim_told(claim))
    return objection


def _require_few(connection: sa.Connection, principal: Principal) -> None:
    """Unfit where `MOST_OPEN` of the principal's department are under way, or of its own where it has none."""
    own = OBJECTIONS.c.department == principal.department if principal.department else _raised_by(principal)
    live = sa.and_(own, ~cases.ended_by_a_step("objection", RULES))
    mine = [_objection(row, events) for row, events in cases.read(connection, "objection", live)]
    if sum(each.state != "closed" for each in mine) >= MOST_OPEN:
        raise Unfit(
            f"{MOST_OPEN} objections of yours are under way",
            next_step="accept or withdraw some: GET /api/v1/objections lists them",
            zh=f"已有{MOST_OPEN}件异议尚未办结，请先认可或撤回一些",
        )


def _claim(desk: Desk, principal: Principal, said: Mapping[str, Any], published: Published) -> Claim:
    zone: Zone = said.get("zone") or "share"
    entry, policy = _entry(desk, principal, zone, said)
    if absent(said.get("wrong")):
        raise Unfit(
            "the objection does not say what is wrong",
            expected="wrong",
            rule="Decree 809, Art. 26",
            zh="请说明有什么问题",
        )
    columns, rows = tuple(said.get("columns") or ()), tuple(said.get("rows") or ())
    require_texts(said["wrong"], said.get("proposed") or "")
    require_kept(*columns, *rows)
    if len(rows) > MOST_ROWS or any(not each or len(each) > LONGEST_KEY for each in rows):
        raise Unfit(
            "the rows are malformed",
            expected=f"{MOST_ROWS} keys of 1 to {LONGEST_KEY} characters at most",
            zh=f"最多{MOST_ROWS}行，每行主键最多{LONGEST_KEY}字",
        )
    known = mask_plan(entry, zone, policies(entry, zone)[policy])
    if not set(columns) <= set(known):
        raise Unfit("a column is none of the table's", expected=", ".join(known), zh="所选信息项不在该数据中")
    return Claim(
        dataset=entry.id,
        zone=zone,
        policy=policy,
        department=principal.department,
        provider=entry.owner,
        snapshot=_snapshot(said.get("snapshot") or "", published_table(entry.id, zone, policy), published),
        columns=columns,
        rows=rows,
        wrong=said["wrong"],
        proposed=said.get("proposed") or "",
    )


def _entry(desk: Desk, principal: Principal, zone: Zone, said: Mapping[str, Any]) -> tuple[Entry, str]:
    """The table that is objected to. NotThere, in the same words, for one that is not there or not theirs; Unfit for
    their own."""
    dataset, policy = str(said.get("dataset")), str(said.get("policy"))
    entry = desk.catalogue.entries.get(dataset)
    if entry is not None and policy in policies(entry, zone) and principal.department == entry.owner:
        raise Unfit(
            f"{dataset} is your own department's",
            next_step="correct it at its source; it is collected anew",
            zh="这是本部门自己的数据，请在源头更正",
        )
    found = objectionable(desk, principal).get((zone, dataset, policy))
    if found is None:
        raise NotThere(
            "no such table is open, or shared with you",
            next_step="GET /api/v1/tables lists them",
            zh="没有这样的开放数据，也没有共享给您",
        )
    return found, policy


def objectionable(desk: Desk, principal: Principal) -> dict[Named, Entry]:
    """Every table that the principal may object to, by name, and the entry that knows it: what is open; and what its
    department reads, or was granted once. None of its own department's."""
    if not principal.may_object:
        return {}
    entries, department = desk.catalogue.entries, principal.department
    found: dict[Named, Entry] = {}
    for entry in entries.values():
        found |= {("open", entry.id, policy): entry for policy in policies(entry, "open")}
        if department and entry.share.type == "unconditional":
            found |= {("share", entry.id, policy): entry for policy in policies(entry, "share")}
    for grant in _granted_once(desk, principal):
        entry_of = entries.get(grant.terms.dataset)
        if entry_of and (right := by_grant(entry_of, grant)):
            found["share", entry_of.id, right.policy] = right.entry
    return {name: entry for name, entry in sorted(found.items()) if entry.owner != department}


def _granted_once(desk: Desk, principal: Principal) -> list[Request]:
    """What the principal's department was granted, ended or not."""
    if not principal.department:
        return []
    own = (each for each in requests_of(desk, principal) if each.terms.department == principal.department)
    return [each for each in own if was_granted(each)]


def _snapshot(said: str, table: Identifier, published: Published) -> str:
    """The snapshot that is objected to: the one that was read, or else the newest. It is told to auditors and in the
    log, so that it is none but a snapshot's: a number that somebody wrote there may be a person's."""
    if said and not (said.isascii() and said.isdigit() and len(said) <= LONGEST_SNAPSHOT):
        raise Unfit(
            "the snapshot is malformed", expected="digits, as `X-Snapshot` has them", zh="快照号不正确"
        )
    found = published(table, int(said) if said else None)
    if said and found is None:
        raise Unfit(
            "the table has no such snapshot",
            expected="the `X-Snapshot` of what was read, or none",
            zh="该数据没有这个快照，不填即为最新",
        )
    return "" if found is None else str(found)


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


def listed(desk: Desk, principal: Principal, after: int | None = None) -> list[Objection]:
    """The objections that the principal has a part in, or `cases.MOST` of them behind a number; of all for the
    authority, the data centre and auditors."""
    return _load(desk.state, cases.behind("objection", _own(principal), after))


def at_hand(desk: Desk, principal: Principal, over: int) -> tuple[list[Objection], int]:
    """Those of them that somebody looks at first (`cases.at_hand`), and how many there are."""
    own = _own(principal)
    found = _load(desk.state, cases.at_hand("objection", own, RULES, over))
    return found, cases.count(desk.state, "objection", own)


def _own(principal: Principal) -> sa.ColumnElement[bool]:
    """Those that `_may_see` lets them see."""
    if principal.has("authority", "auditor", "data_centre"):
        return sa.true()
    if not principal.department:
        return _raised_by(principal)
    own = OBJECTIONS.c.provider == principal.department
    if principal.has("requester", "approver"):
        own = sa.or_(own, OBJECTIONS.c.department == principal.department)
    return own


def _raised_by(principal: Principal) -> sa.ColumnElement[bool]:
    """What somebody without a department objected to."""
    first = OBJECTION_EVENTS.alias()
    own = (first.c.objection == OBJECTIONS.c.number, first.c.number == 1, first.c.by == principal.name)
    raised = sa.exists().where(*own)
    return sa.and_(OBJECTIONS.c.department == "", raised)


def every(state: State, after: int = 0, *, over: bool = True) -> Iterator[Objection]:
    """Every objection, by number, from behind a number on; without `over` none that a step has ended."""
    fits = sa.true() if over else ~cases.ended_by_a_step("objection", RULES)
    return cases.paged(partial(_load, state), "objection", fits, after)


def _may_see(principal: Principal, objection: Objection) -> bool:
    return bool(objection.sides(principal)) or principal.has("auditor", "data_centre")


def _load(state: State, where: sa.ColumnElement[bool]) -> list[Objection]:
    return [_objection(row, events) for row, events in cases.load(state, "objection", where)]


def _objection(row: Mapping[Any, Any], events: tuple[Event, ...]) -> Objection:
    return Objection(row[OBJECTIONS.c.number], _claim_of(row), events)


def _claim_of(row: Mapping[Any, Any]) -> Claim:
    kept = {name: row[OBJECTIONS.c[name]] for name in Claim.__dataclass_fields__}
    return Claim(**kept | {"columns": tuple(kept["columns"]), "rows": tuple(kept["rows"])})
