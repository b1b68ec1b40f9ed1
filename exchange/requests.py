"""Share requests (共享申请) as they are kept: made, moved on by a step, listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from exchange import cases
from exchange.cases import moment_of, require_texts, to_come
from exchange.desk import Desk
from exchange.errors import Forbidden, NotThere, Unfit
from exchange.narrowing import scope
from exchange.people import Principal
from exchange.process import LASTING, READABLE, RULES, Request, Step, Terms, was_granted
from exchange.schema import REQUESTS
from exchange.state import State, moment_text
from exchange.steps import Event
from exchange.texts import absent
from schemas.policy import policies

METHODS: Final = ("api", "batch", "file")


# ── asking ────────────────────────────────────────────────────────────────────────────────────────────────


def draft(
    desk: Desk,
    principal: Principal,
    asked: Mapping[str, Any],
    beside: Callable[[sa.Connection, Request], object] = lambda connection, request: None,
) -> Request:
    """A new request: `dataset`, `policy`, `basis`, `scenario`, `method`, `until` (Decree 809, Art. 20), and the scope:
    `columns` (default all of the policy), `rows` (`all`, or `own` for those of the department's own territory).

    NotThere for a dataset that is not shared under the policy; Unfit where a text is missing, the time limit has
    passed or the scope is none that the policy gives, and where nothing need be asked, since the dataset is shared
    without conditions. `beside` writes in the same transaction what is declared with it.
    """
    if not principal.may_ask:
        raise Forbidden("a request is made by a requester of a department", zh="申请由部门的需求方提出")
    terms = _terms(desk, principal, asked)
    first = Event("draft", principal.name, "requester", desk.clock())
    row = {name: getattr(terms, name) for name in Terms.__dataclass_fields__}
    row |= {"until": moment_text(terms.until), "columns": list(terms.columns)}
    with alone(desk, principal.department) as connection:
        request = Request(cases.open_case(connection, "request", row), terms, (first,))
        beside(connection, request)
        cases.add(desk, connection, request, principal, **scope_told(terms))
    return request


def alone(desk: Desk, department: str) -> AbstractContextManager[sa.Connection]:
    """A transaction that takes turns with all others in which the department asks for something: nobody declares
    beside it a delivery to the place that it found free."""
    return desk.state.begin_alone(f"requests of {department}")


def _terms(desk: Desk, principal: Principal, asked: Mapping[str, Any]) -> Terms:
    needed = ("dataset", "policy", "basis", "scenario", "method", "until")
    if missing := [name for name in needed if absent(asked.get(name))]:
        raise Unfit(
            f"the request lacks {', '.join(missing)}",
            expected=", ".join(needed),
            rule="Decree 809, Art. 20",
            zh="缺少必填内容",
        )
    require_texts(*(str(asked[name]) for name in needed))
    if asked["method"] not in METHODS:
        raise Unfit("the method is unknown", expected=", ".join(METHODS), zh="没有这种方式")
    entry = desk.catalogue.entries.get(str(asked["dataset"]))
    if entry is None or str(asked["policy"]) not in policies(entry, "share"):
        raise NotThere(
            "no such table is shared", next_step="the catalogue lists what is", zh="没有这样的共享数据"
        )
    if entry.share.type == "unconditional":
        raise Unfit(
            f"{entry.id} is shared without conditions: read it",
            rule="Decree 809, Art. 14",
            zh="该数据无条件共享，不必申请，可直接读取",
        )
    until = to_come(asked["until"], desk.clock())
    policy = policies(entry, "share")[str(asked["policy"])]
    return Terms(
        dataset=entry.id,
        policy=str(asked["policy"]),
        department=principal.department,
        provider=entry.owner,
        basis=str(asked["basis"]),
        scenario=str(asked["scenario"]),
        method=asked["method"],
        until=until,
        **scope(entry, policy, desk.catalogue.departments.get(principal.department), asked),
    )


def take(desk: Desk, principal: Principal, number: int, step: Step, said: Mapping[str, Any]) -> Request:
    """Take a step of a request and give the request as it is then.

    NotThere where the principal has no part in it, Forbidden and Unfit as `exchange.cases.take` says.
    """
    request = find(desk, principal, number)
    moved = cases.take(desk, request, principal, step, said)
    if moved.terms.narrow and request.state in LASTING and moved.state not in LASTING:
        desk.ended(moved)
    return moved


def scope_told(terms: Terms) -> dict[str, Any]:
    """The time limit and the scope of a request, as the audit log tells them."""
    return {
        "until": moment_text(terms.until),
        "columns": list(terms.columns),
        "division": terms.division,
        "territory": terms.territory,
    }


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────


def find(desk: Desk, principal: Principal, number: int) -> Request:
    """One request, for who has a part in it and for auditors; NotThere for all others and where there is none."""
    found = [each for each in _load(desk.state, REQUESTS.c.number == number) if _may_see(principal, each)]
    if not found:
        raise NotThere(f"no request {number}")
    return found[0]


def listed(desk: Desk, principal: Principal, after: int | None = None) -> list[Request]:
    """The requests that the principal has a part in, or `cases.MOST` of them behind a number; of all for the authority,
    the data centre and auditors."""
    return _load(desk.state, cases.behind("request", _own(principal), after))


def at_hand(desk: Desk, principal: Principal, over: int) -> tuple[list[Request], int]:
    """Those of them that somebody looks at first (`cases.at_hand`), and how many there are."""
    own = _own(principal)
    found = _load(desk.state, cases.at_hand("request", own, RULES, over))
    return found, cases.count(desk.state, "request", own)


def _own(principal: Principal) -> sa.ColumnElement[bool]:
    if principal.has("authority", "auditor", "data_centre"):
        return sa.true()
    if not principal.department:
        return sa.false()
    return sa.or_(REQUESTS.c.department == principal.department, REQUESTS.c.provider == principal.department)


def granted(desk: Desk, department: str, dataset: str, policy: str) -> Request | None:
    """The request by which a department may read a table now, if any: granted, its time limit not passed."""
    same = sa.and_(
        REQUESTS.c.department == department, REQUESTS.c.dataset == dataset, REQUESTS.c.policy == policy
    )
    return next(iter(sorted(_live(desk, same), key=_widest)), None)


def grants(desk: Desk, department: str) -> list[Request]:
    """All that a department may read now, the widest grant of a table first."""
    return sorted(_live(desk, REQUESTS.c.department == department), key=_widest)


def _live(desk: Desk, where: sa.ColumnElement[bool]) -> list[Request]:
    now = desk.clock()
    return [each for each in _load(desk.state, where) if each.state in READABLE and each.terms.until > now]


def _widest(request: Request) -> tuple[bool, int]:
    """Grants of whole tables first, and of those of a part the newest."""
    return request.terms.narrow, -request.number


def lasting(state: State, now: datetime, dataset: str | None = None) -> list[Request]:
    """Every grant that has a table of its own now, read or suspended: of a dataset, or of all."""
    parts = sa.or_(REQUESTS.c.division != "", sa.cast(REQUESTS.c.columns, sa.Text) != "[]")
    where = parts if dataset is None else sa.and_(parts, REQUESTS.c.dataset == dataset)
    found = [each for each in _load(state, where) if each.terms.narrow]
    return [each for each in found if each.state in LASTING and each.terms.until > now]


def ever_granted(state: State) -> list[Request]:
    """Every request that was granted, ended ones too, by number."""
    return [each for each in every(state) if was_granted(each)]


def numbered(state: State, number: int) -> Request | None:
    """The request of this number, whoever asks: for what is done by it."""
    return next(iter(_load(state, REQUESTS.c.number == number)), None)


def every(state: State) -> Iterator[Request]:
    """Every request, by number."""
    return cases.paged(partial(_load, state), "request", sa.true())


def _may_see(principal: Principal, request: Request) -> bool:
    return bool(request.sides(principal)) or principal.has("auditor", "data_centre")


def _load(state: State, where: sa.ColumnElement[bool]) -> list[Request]:
    found = cases.load(state, "request", where)
    return [Request(row[REQUESTS.c.number], _terms_of(row), events) for row, events in found]


def _terms_of(row: Mapping[Any, Any]) -> Terms:
    kept = {name: row[REQUESTS.c[name]] for name in Terms.__dataclass_fields__}
    return Terms(**kept | {"until": moment_of(kept["until"]), "columns": tuple(kept["columns"])})
