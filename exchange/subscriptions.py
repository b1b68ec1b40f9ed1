"""Subscriptions (订阅): what goes into a department's own database (库表交换) or folder with every new snapshot.

One is declared in a share request, and its provider consents to it with the request; for what is shared without
conditions it is declared by itself. It names a connection of the department's own, `to_<department>[__<name>]`, which
the operator keeps: its address and secrets are in Airflow or the environment, never here. The right to read is asked
for at each delivery, so that the end of a grant ends it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, cast

import sqlalchemy as sa

from exchange.access import Access, by_grant
from exchange.accounts import Session
from exchange.desk import Desk
from exchange.errors import Forbidden, NotThere, Unfit
from exchange.people import Principal
from exchange.process import READABLE, Request
from exchange.requests import alone, draft, numbered
from exchange.schema import SUBSCRIPTIONS
from exchange.state import moment_text
from schemas.model import Entry
from schemas.policy import mask_plan, policies

Method = Literal["batch", "file"]
Mode = Literal["swap", "upsert"]
Format = Literal["parquet", "csv"]
MARKER: Final = "xuanwu_delivered"
"""The table in a recipient's database that says which snapshot an upserted table holds."""
_TABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}(\.[A-Za-z_][A-Za-z0-9_]{0,47})?")
_FOLDER: Final = re.compile(r"[\w-][\w.-]{0,63}(/[\w-][\w.-]{0,63}){0,4}")
_NAME: Final = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
_TELLING: Final = frozenset({"keep", "hmac", "fpe"})
"""Masks that keep two keys apart."""
_GIVEN: Final = ("connection", "place", "mode", "format", "keep")
MOST_KEPT: Final = 1000


@dataclass(frozen=True)
class Subscription:
    """`place` is `[schema.]table`, or a folder below the connection's. `request` is None for what is shared without
    conditions. `keep` are the deliveries whose files stay."""

    number: int
    request: int | None
    department: str
    dataset: str
    policy: str
    method: Method
    connection: str
    place: str
    mode: Mode
    format: Format
    keep: int
    by: str
    at: datetime
    ended: datetime | None
    tries: int
    after: datetime

    @property
    def connection_name(self) -> str:
        """As the operator calls it. A department can name no other's."""
        return "__".join(filter(None, (f"to_{self.department}", self.connection)))

    @property
    def session(self) -> Session:
        """Who reads by it, as the audit log tells it: who declared it, without a token."""
        return Session(Principal(self.by, self.department, frozenset()), frozenset({"read"}), "")

    @property
    def door(self) -> Literal["push", "file"]:
        return "push" if self.method == "batch" else "file"


# ── declaring ─────────────────────────────────────────────────────────────────────────────────────────────


def declare(desk: Desk, principal: Principal, asked: Mapping[str, Any]) -> Subscription:
    """A subscription to what is shared without conditions: `dataset`, `policy`, `method` and the delivery.

    NotThere for what is not shared, Unfit where a request is needed, or the delivery is malformed."""
    if not principal.may_ask:
        raise Forbidden("a delivery is declared by a requester of a department", zh="交付由部门的需求方提出")
    entry = desk.catalogue.entries.get(str(asked.get("dataset")))
    policy = str(asked.get("policy"))
    if entry is None or policy not in policies(entry, "share"):
        raise NotThere(
            "no such table is shared", next_step="the catalogue lists what is", zh="没有这样的共享数据"
        )
    if entry.share.type != "unconditional":
        raise Unfit(
            f"{entry.id} is shared by request",
            next_step="declare the delivery in one: POST /api/v1/requests",
            rule="Decree 809, Art. 14",
            zh="该数据须经申请，请在申请中说明交付",
        )
    columns = tuple(mask_plan(entry, "share", policies(entry, "share")[policy]))
    row = fit(entry, policy, columns, str(asked.get("method")), asked)
    with alone(desk, principal.department) as connection:
        number = _insert(desk, connection, principal, row)
        desk.log.append(_said(principal, number, "declared", row))
    return find_one(desk, number)


def fit(
    entry: Entry, policy: str, columns: Collection[str], method: str, asked: Mapping[str, Any]
) -> dict[str, Any]:
    """The columns of the state of a delivery that fits its form. Unfit, with what is expected, for another."""
    if method not in ("batch", "file"):
        raise Unfit(
            "a delivery is by database table or by file",
            expected="method: batch or file",
            zh="交付的方式为库表交换或文件",
        )
    if unknown := sorted(set(asked) - {*_GIVEN, "dataset", "policy", "method"}):
        raise Unfit(f"{len(unknown)} keys of the delivery are unknown", expected=", ".join(_GIVEN))
    connection, place = str(asked.get("connection") or ""), str(asked.get("place") or "")
    mode, kind, keep = asked.get("mode") or "swap", asked.get("format") or "parquet", asked.get("keep") or 3
    if connection and (len(connection) > 60 or not _NAME.fullmatch(connection)):
        raise Unfit(
            "the connection's name is malformed",
            expected="small letters, digits and single _",
            zh="连接名不正确",
        )
    if method == "batch" and (not _TABLE.fullmatch(place) or "xuanwu_" in place):
        raise Unfit(
            "the table's name is malformed",
            expected="[schema.]table of letters, digits and _, 48 characters at most, without `xuanwu_`",
            zh="表名不正确",
        )
    if method == "file" and not _FOLDER.fullmatch(place):
        raise Unfit(
            "the folder is malformed",
            expected="names with / between them, none begins with a dot",
            zh="文件夹名不正确",
        )
    if mode not in ("swap", "upsert") or kind not in ("parquet", "csv"):
        raise Unfit(
            "the delivery's form is unknown",
            expected="mode: swap or upsert; format: parquet or csv",
            zh="没有这种更新方式或文件格式",
        )
    if not isinstance(keep, int) or not 1 <= keep <= MOST_KEPT:
        raise Unfit("`keep` is out of bounds", expected=f"1 to {MOST_KEPT} deliveries", zh="保留次数超出范围")
    if method == "batch" and mode == "upsert":
        keys_of(entry, policy, columns)
    what = {"dataset": entry.id, "policy": policy, "method": method}
    return what | {
        "connection": connection,
        "place": place,
        "mode": mode if method == "batch" else "swap",
        "format": kind,
        "keep": keep,
    }


def keys_of(entry: Entry, policy: str, columns: Collection[str]) -> list[str]:
    """The columns by which a row of the table is known. Unfit where the policy does not give them, or masks them so
    that two rows may have one."""
    plan = mask_plan(entry, "share", policies(entry, "share")[policy])
    unfit = [name for name in entry.key if name not in columns or plan[name].kind not in _TELLING]
    if unfit:
        raise Unfit(
            f"rows cannot be told apart without {', '.join(unfit)} as it is, so changes cannot be applied",
            expected=f"a table with {', '.join(entry.key)} unmasked, hmac or fpe",
            next_step="ask for `mode: swap`",
            zh="数据的主键不能区分各行，只能整表替换",
        )
    return list(entry.key)


def apply(desk: Desk, principal: Principal, asked: Mapping[str, Any]) -> Request:
    """A new request (`exchange.requests.draft`) and the `delivery` that it declares: both or neither."""
    delivery = asked.get("delivery")
    if not delivery:
        return draft(desk, principal, asked)
    return draft(
        desk,
        principal,
        asked,
        lambda connection, request: _declared(desk, connection, principal, request, delivery),
    )


def _declared(
    desk: Desk, connection: sa.Connection, principal: Principal, request: Request, asked: Mapping[str, Any]
) -> None:
    terms = request.terms
    entry = desk.catalogue.entries[terms.dataset]
    columns = terms.columns or tuple(mask_plan(entry, "share", policies(entry, "share")[terms.policy]))
    row = fit(entry, terms.policy, columns, terms.method, asked)
    _insert(desk, connection, principal, row, request.number)


def _insert(
    desk: Desk,
    connection: sa.Connection,
    principal: Principal,
    row: Mapping[str, Any],
    request: int | None = None,
) -> int:
    """In a transaction of the department `alone`. Unfit where another subscription of it delivers to the same place."""
    same = sa.and_(
        SUBSCRIPTIONS.c.department == principal.department,
        SUBSCRIPTIONS.c.ended.is_(None),
        *(SUBSCRIPTIONS.c[name] == row[name] for name in ("method", "connection", "place")),
    )
    for other in connection.execute(sa.select(SUBSCRIPTIONS).where(same)).all():
        if other.request is None or not _is_over(desk, other.request):
            raise Unfit(
                f"delivery {other.number} goes to the same place",
                next_step="name another one, or stop that one: DELETE /api/v1/deliveries/…",
                zh=f"第{other.number}号交付也以此为去处，请另选，或先停止那一项",
            )
    now = moment_text(desk.clock())
    whose = {"department": principal.department, "by": principal.name, "request": request}
    query = (
        sa.insert(SUBSCRIPTIONS)
        .values({**row, **whose, "at": now, "after": now, "tries": 0})
        .returning(SUBSCRIPTIONS.c.number)
    )
    return int(connection.execute(query).scalar_one())


def _is_over(desk: Desk, number: int) -> bool:
    request = numbered(desk.state, number)
    return request is None or request.state == "ended" or request.terms.until <= desk.clock()


def stop(desk: Desk, principal: Principal, number: int) -> Subscription:
    """Deliver no more. What was delivered stays where it is: it is the department's."""
    found = seen(desk, principal, number)
    if not may_stop(principal, found):
        raise Forbidden(
            "a delivery is stopped by a requester of its department", zh="交付由其需求部门的需求方停止"
        )
    with desk.state.begin() as connection:
        now = moment_text(desk.clock())
        where = sa.and_(SUBSCRIPTIONS.c.number == number, SUBSCRIPTIONS.c.ended.is_(None))
        if connection.execute(sa.update(SUBSCRIPTIONS).where(where).values(ended=now)).rowcount:
            desk.log.append(_said(principal, number, "stopped", vars(found)))
    return find_one(desk, number)


def may_stop(principal: Principal, found: Subscription) -> bool:
    """Whether it is the principal's to stop."""
    return principal.may_ask and principal.department == found.department


def _said(principal: Principal, number: int, step: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the audit log: names of the catalogue, numbers and the form; not where in their database."""
    form = {name: row[name] for name in ("dataset", "policy", "method", "mode", "format")}
    who = {"by": principal.name, "department": principal.department}
    return {"action": "subscription", "subscription": number, "step": step, **who, **form}


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────


def right(desk: Desk, found: Subscription) -> Access:
    """The right by which it is delivered now. Forbidden once it was stopped, its grant has ended or the catalogue
    shares the table no more."""
    entry = desk.catalogue.entries.get(found.dataset)
    if found.ended is not None or entry is None:
        raise Forbidden(f"delivery {found.number} was stopped, or its dataset is no more")
    if found.request is None:
        if entry.share.type == "unconditional" and found.policy in policies(entry, "share"):
            return Access(entry, found.policy, None)
        raise Forbidden(f"{entry.id} is no longer shared without conditions", next_step="ask for it")
    grant = numbered(desk.state, found.request)
    lasts = grant and grant.state in READABLE and grant.terms.until > desk.clock()
    access = by_grant(entry, grant) if grant and lasts else None
    if access is None:
        raise Forbidden(
            f"request {found.request} gives nothing to deliver now",
            rule="a grant that has not begun, has ended or is suspended delivers nothing",
        )
    return access


def lasts(desk: Desk, found: Subscription) -> bool:
    """Whether it is delivered now."""
    try:
        right(desk, found)
    except Forbidden:
        return False
    return True


def subscriptions(desk: Desk, where: sa.ColumnElement[bool] | None = None) -> list[Subscription]:
    """All of them, or those of a condition, by number."""
    query = sa.select(SUBSCRIPTIONS).order_by(SUBSCRIPTIONS.c.number)
    with desk.state.begin() as connection:
        rows = connection.execute(query if where is None else query.where(where)).mappings().all()
    return [_of(row) for row in rows]


def live(desk: Desk, dataset: str | None = None) -> list[Subscription]:
    """Those that were not stopped, of a dataset or of all."""
    alive = SUBSCRIPTIONS.c.ended.is_(None)
    return subscriptions(
        desk, alive if dataset is None else sa.and_(alive, SUBSCRIPTIONS.c.dataset == dataset)
    )


def find_one(desk: Desk, number: int) -> Subscription:
    found = subscriptions(desk, SUBSCRIPTIONS.c.number == number)
    if not found:
        raise NotThere(f"no delivery {number}", next_step="`xuanwu deliveries list` lists them")
    return found[0]


def of_request(desk: Desk, number: int) -> Subscription | None:
    """The delivery that a request declared, if it did."""
    return next(iter(subscriptions(desk, SUBSCRIPTIONS.c.request == number)), None)


def seen(desk: Desk, principal: Principal, number: int) -> Subscription:
    """One that the principal may see; NotThere for all others."""
    found = next((each for each in listed(desk, principal) if each.number == number), None)
    if found is None:
        raise NotThere(f"no delivery {number}")
    return found


def listed(desk: Desk, principal: Principal) -> list[Subscription]:
    """Those to the principal's department and of its data; all for auditors, the authority and the data centre."""
    if principal.has("auditor", "authority", "data_centre"):
        return subscriptions(desk)
    own = {name for name, entry in desk.catalogue.entries.items() if entry.owner == principal.department}
    return [
        each
        for each in subscriptions(desk)
        if principal.department and (each.department == principal.department or each.dataset in own)
    ]


def _of(row: sa.RowMapping) -> Subscription:
    kept = {name: row[name] for name in Subscription.__dataclass_fields__}
    moments = {name: kept[name] and datetime.fromisoformat(kept[name]) for name in ("at", "after", "ended")}
    return Subscription(**cast(dict[str, Any], kept | moments))
