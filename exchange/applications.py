"""Applications for what is opened on conditions (有条件开放申请) as they are kept: made, answered, listed; and what a
granted one gives to download.

Files are those of the releases that may be shown (`lake.releases`), and no others; the right is asked for again at each
call, so that an end holds at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from exchange import cases
from exchange.accounts import Session
from exchange.cases import moment_of, require_texts, to_come
from exchange.desk import Desk
from exchange.errors import Forbidden, NotThere, Unfit
from exchange.opening import RULES, USES, Application, Step, Undertaking
from exchange.people import Principal
from exchange.schema import APPLICATIONS
from exchange.state import State, moment_text
from exchange.steps import Event
from exchange.texts import absent
from schemas.model import Entry

MOST_OPEN: Final = 20
"""Applications of one account that may be under way or granted at one time; a grant counts until its time limit."""
LONGEST_NAME: Final = 200
"""Characters of an applicant's name."""
_OVER: Final = frozenset({"declined", "ended"})
_GRANTED: Final = frozenset({"granted", "suspended"})
_FIELDS: Final = tuple(each.name for each in fields(Undertaking))
_TEXTS: Final = ("applicant", "purpose", "safeguards")


# ── applying ──────────────────────────────────────────────────────────────────────────────────────────────


def apply_for(desk: Desk, principal: Principal, said: Mapping[str, Any]) -> Application:
    """A new application: `dataset`, `applicant`, `use`, `purpose`, `safeguards`, `until`, and `accepts`, by which the
    conditions of the catalogue are accepted.

    Forbidden for whoever acts for a department or for the city; NotThere for a dataset that is not opened; Unfit for
    one that everybody may have, where a text is missing or malformed, the conditions are not accepted, the time limit
    has passed, or too many of theirs are under way.
    """
    if not principal.may_apply:
        raise Forbidden(
            "what is opened on conditions is applied for by the public; departments ask for it to be shared",
            next_step="POST /api/v1/requests",
            zh="有条件开放的数据由公众申请；部门请申请共享",
        )
    undertaken = _undertaken(desk, principal, said)
    first = Event("apply", principal.name, "requester", desk.clock())
    row = {name: getattr(undertaken, name) for name in _FIELDS}
    row["until"] = moment_text(undertaken.until)
    with desk.state.begin_alone(f"applications of {principal.name}") as connection:
        _require_few(connection, principal, first.at)
        application = Application(cases.open_case(connection, "application", row), undertaken, (first,))
        cases.add(desk, connection, application, principal, **undertaking_told(undertaken))
    return application


def _require_few(connection: sa.Connection, principal: Principal, now: datetime) -> None:
    mine = sa.and_(APPLICATIONS.c.account == principal.name, ~cases.ended_by_a_step("application", RULES))
    own = cases.read(connection, "application", mine)
    if sum(_counts(_application(row, events), now) for row, events in own) >= MOST_OPEN:
        raise Unfit(
            f"{MOST_OPEN} applications of yours are under way or granted",
            next_step="withdraw or end some: GET /api/v1/applications lists them",
            zh=f"已有{MOST_OPEN}件申请在办或已授权，请先撤回或终止一些",
        )


def _counts(application: Application, now: datetime) -> bool:
    """Whether somebody has to do with it still: not once it is over, or was granted until a moment that has passed."""
    lasts = application.terms.until > now or application.state not in _GRANTED
    return application.state not in _OVER and lasts


def _undertaken(desk: Desk, principal: Principal, said: Mapping[str, Any]) -> Undertaking:
    needed = ("dataset", *_TEXTS, "use", "until")
    if missing := [name for name in needed if absent(said.get(name))]:
        raise Unfit(
            f"the application lacks {', '.join(missing)}", expected=", ".join(needed), zh="缺少必填内容"
        )
    require_texts(*(str(said[name]) for name in needed))
    if len(said["applicant"]) > LONGEST_NAME:
        raise Unfit(
            "the applicant's name is too long",
            expected=f"{LONGEST_NAME} characters at most",
            zh=f"申请主体名称过长，最多{LONGEST_NAME}字",
        )
    if said["use"] not in USES:
        raise Unfit("the use is unknown", expected=", ".join(USES), zh="没有这种用途")
    entry = _opened_on_conditions(desk, str(said["dataset"]))
    if said.get("accepts") is not True:
        raise Unfit(
            "the conditions are not accepted",
            expected="accepts: true",
            next_step=f"read them: {conditions_of(entry)}",
            zh="请阅读并接受开放条件",
        )
    return Undertaking(
        dataset=entry.id,
        account=principal.name,
        provider=entry.owner,
        applicant=said["applicant"],
        use=said["use"],
        purpose=said["purpose"],
        safeguards=said["safeguards"],
        until=to_come(said["until"], desk.clock()),
        conditions=conditions_of(entry),
    )


def _opened_on_conditions(desk: Desk, dataset: str) -> Entry:
    entry = desk.catalogue.entries.get(dataset)
    if entry is None or entry.open.type == "none":
        raise NotThere("no such dataset is opened on conditions", zh="没有这样的有条件开放数据")
    if entry.open.type == "unconditional":
        raise Unfit(
            f"{dataset} is open to everybody: download it from the public site",
            zh="该数据无条件开放，不必申请，请在开放门户直接下载",
        )
    return entry


def conditions_of(entry: Entry) -> str:
    """The conditions of an opening, in Chinese and in English where the entry has both."""
    said = entry.open.conditions
    return " ".join(text for text in (said.zh, said.en) if text) if said else ""


def opened_on_conditions(desk: Desk) -> list[Entry]:
    """What may be applied for, by name."""
    entries = desk.catalogue.entries
    return [entry for _, entry in sorted(entries.items()) if entry.open.type == "conditional"]


def undertaking_told(undertaken: Undertaking) -> dict[str, Any]:
    """What is undertaken, as the audit log tells it: no text that somebody wrote."""
    return {"until": moment_text(undertaken.until), "use": undertaken.use}


def take(desk: Desk, principal: Principal, number: int, step: Step, said: Mapping[str, Any]) -> Application:
    """Take a step of an application and give it as it is then. NotThere where the principal has no part in it,
    Forbidden and Unfit as `exchange.cases.take` says."""
    return cases.take(desk, find(desk, principal, number), principal, step, said)


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────


def find(desk: Desk, principal: Principal, number: int) -> Application:
    """One application, for who has a part in it and for auditors; NotThere for all others and where there is none."""
    found = [each for each in _load(desk.state, APPLICATIONS.c.number == number) if _may_see(principal, each)]
    if not found:
        raise NotThere(f"no application {number}")
    return found[0]


def listed(desk: Desk, principal: Principal, after: int | None = None) -> list[Application]:
    """The applications that the principal has a part in, or `cases.MOST` of them behind a number; of all for the
    authority, the data centre and auditors."""
    return _load(desk.state, cases.behind("application", _own(principal), after))


def at_hand(desk: Desk, principal: Principal, over: int) -> tuple[list[Application], int]:
    """Those of them that somebody looks at first (`cases.at_hand`), and how many there are."""
    own = _own(principal)
    found = _load(desk.state, cases.at_hand("application", own, RULES, over))
    return found, cases.count(desk.state, "application", own)


def _own(principal: Principal) -> sa.ColumnElement[bool]:
    if principal.has("authority", "auditor", "data_centre"):
        return sa.true()
    own = APPLICATIONS.c.account == principal.name
    if principal.department:
        own = sa.or_(own, APPLICATIONS.c.provider == principal.department)
    return own


def every(state: State, after: int = 0, *, over: bool = True) -> Iterator[Application]:
    """Every application, by number, from behind a number on; without `over` none that a step has ended."""
    fits = sa.true() if over else ~cases.ended_by_a_step("application", RULES)
    return cases.paged(partial(_load, state), "application", fits, after)


def _may_see(principal: Principal, application: Application) -> bool:
    return bool(application.sides(principal)) or principal.has("auditor", "data_centre")


def _load(state: State, where: sa.ColumnElement[bool]) -> list[Application]:
    return [_application(row, events) for row, events in cases.load(state, "application", where)]


def _application(row: Mapping[Any, Any], events: tuple[Event, ...]) -> Application:
    kept = {name: row[APPLICATIONS.c[name]] for name in _FIELDS}
    undertaken = Undertaking(**kept | {"until": moment_of(kept["until"])})
    return Application(row[APPLICATIONS.c.number], undertaken, events)


# ── what is given ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Given:
    """The right to download a dataset's releases, by an application that was granted."""

    entry: Entry
    application: Application

    @property
    def policy(self) -> str:
        return self.application.terms.policy

    @property
    def purpose(self) -> str:
        return f"application {self.application.number}"


def given(desk: Desk, session: Session, number: int) -> Given:
    """What an application gives its own account now. NotThere where it is none of theirs, or the catalogue does not
    open the dataset any more; Forbidden without a grant that is good now, or without the scope."""
    if "read" not in session.scopes:
        raise Forbidden("this token is not for reading", expected="a token of the scope `read`")
    found = find(desk, session.principal, number)
    if "requester" not in found.sides(session.principal):
        raise Forbidden("what an application gives is its own account's", zh="只有申请账户可以下载")
    if found.state != "granted" or found.terms.until <= desk.clock():
        raise Forbidden(
            f"application {number} gives nothing now: it is {found.state}"
            + (", and its time limit has passed" if found.state == "granted" else ""),
            next_step=f"GET /api/v1/applications/{number} tells how it stands",
            zh="该申请未获授权，或授权已暂停、终止、到期",
        )
    return Given(_opened_on_conditions(desk, found.terms.dataset), found)
