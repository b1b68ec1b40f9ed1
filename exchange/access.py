"""May this caller read this table now, and by what right? Asked at each request, so that an end holds at once."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.accounts import Session
from exchange.desk import Desk
from exchange.errors import Forbidden, NotThere
from exchange.narrowing import OF_GRANT, name_of, policies_of
from exchange.process import Request
from exchange.requests import granted, grants
from lake.zones import Identifier, identifier
from schemas.model import Entry
from schemas.policy import narrowed, policies


@dataclass(frozen=True)
class Access:
    """`grant` is the request by which it is read; None for what is shared without conditions (Decree 809, Art. 14).
    A grant of a part has a policy of its own, `default__grant_12`, and `entry` knows it."""

    entry: Entry
    policy: str
    grant: Request | None

    @property
    def table(self) -> Identifier:
        return identifier("share", self.entry.id, self.policy)

    @property
    def purpose(self) -> str:
        return "unconditional" if self.grant is None else f"request {self.grant.number}"

    @property
    def unpublished(self) -> NotThere:
        """That the table is not there yet, and who makes it: that of a grant no provider is asked for."""
        step = "ask the provider when it will be"
        if OF_GRANT in self.policy:
            step = "read again in a quarter of an hour, when the grant's own table is made (`xuanwu grant refresh`)"
        return NotThere("nothing was published yet", next_step=step)


def require_official(session: Session) -> None:
    """Forbidden for the public: what is shared, and on what conditions, is for departments."""
    if not session.principal.official:
        raise Forbidden(
            "what is shared is for departments", next_step="what is open to everybody needs no login"
        )


def shared(desk: Desk, dataset: str, policy: str) -> Entry:
    """The entry of a table that is shared. NotThere, in the same words, for a dataset or a policy that is not."""
    entry = desk.catalogue.entries.get(dataset)
    if entry is None or policy.partition("__")[0] not in policies(entry, "share"):
        raise NotThere("no such table is shared", next_step="GET /api/v1/tables lists what is")
    return entry


def by_grant(entry: Entry, grant: Request) -> Access | None:
    """What a grant gives to read: the policy's table, or its own. None where the catalogue no longer gives it."""
    own = policies_of(entry, [grant]) if grant.terms.narrow else {}
    name, known = name_of(grant), narrowed(entry, own)
    return Access(known, name, grant) if name in policies(known, "share") else None


def readable(desk: Desk, session: Session) -> list[Access]:
    """Every table that the caller may read now, by name; none without a department or the scope. Of grants that give
    the same table one is told."""
    department = session.principal.department
    if "read" not in session.scopes or not department:
        return []
    found: dict[Identifier, Access] = {}
    for entry in desk.catalogue.entries.values():
        if entry.share.type == "unconditional":
            free = [Access(entry, policy, None) for policy in policies(entry, "share")]
            found |= {each.table: each for each in free}
    for grant in grants(desk, department):
        entry_of = desk.catalogue.entries.get(grant.terms.dataset)
        each = by_grant(entry_of, grant) if entry_of else None
        if each is not None:
            found.setdefault(each.table, each)
    return [each for _, each in sorted(found.items())]


def access(desk: Desk, session: Session, dataset: str, policy: str) -> Access:
    """The right to read a table. NotThere where it is not shared; Forbidden without grant, department or scope, and for
    the public.

    `policy` is one of the catalogue, then the widest grant of it is taken, or that of a grant's own table."""
    require_official(session)
    entry = shared(desk, dataset, policy)
    if "read" not in session.scopes:
        raise Forbidden("this token is not for reading", expected="a token of the scope `read`")
    if not session.principal.department:
        raise Forbidden("tables are shared with departments; this account has none")
    if entry.share.type == "unconditional" and policy in entry.share.policies:
        return Access(entry, policy, None)
    found = _granted(desk, session.principal.department, entry, policy)
    if found is None:
        raise Forbidden(
            f"{session.principal.department} has no grant for {dataset}, policy {policy}",
            rule="Decree 809, Art. 14",
            next_step="ask for one: POST /api/v1/requests",
        )
    return found


def _granted(desk: Desk, department: str, entry: Entry, policy: str) -> Access | None:
    if policy in entry.share.policies:
        grant = granted(desk, department, entry.id, policy)
        return by_grant(entry, grant) if grant else None
    own = (by_grant(entry, each) for each in grants(desk, department) if each.terms.dataset == entry.id)
    return next((each for each in own if each and each.policy == policy), None)
