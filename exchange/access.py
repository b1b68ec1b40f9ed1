"""May this caller read this table now, and by what right? Asked at each request, so that an end holds at once."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.accounts import Session
from exchange.errors import Forbidden, NotThere
from exchange.process import Request
from exchange.requests import Desk, granted
from lake.tables import Identifier, identifier
from schemas.model import Entry
from schemas.policy import policies


@dataclass(frozen=True)
class Access:
    """`grant` is the request by which it is read; None for what is shared without conditions (Decree 809, Art. 14)."""

    entry: Entry
    policy: str
    grant: Request | None

    @property
    def table(self) -> Identifier:
        return identifier("share", self.entry.id, self.policy)

    @property
    def purpose(self) -> str:
        return "unconditional" if self.grant is None else f"request {self.grant.number}"


def shared(desk: Desk, dataset: str, policy: str) -> Entry:
    """The entry of a table that is shared. NotThere, in the same words, for a dataset or a policy that is not."""
    entry = desk.catalogue.entries.get(dataset)
    if entry is None or policy not in policies(entry, "share"):
        raise NotThere("no such table is shared", next_step="GET /api/v1/tables lists what is")
    return entry


def access(desk: Desk, session: Session, dataset: str, policy: str) -> Access:
    """The right to read a table. NotThere where it is not shared; Forbidden without grant, department or scope."""
    entry = shared(desk, dataset, policy)
    if "read" not in session.scopes:
        raise Forbidden("this token is not for reading", expected="a token of the scope `read`")
    if not session.principal.department:
        raise Forbidden("tables are shared with departments; this account has none")
    if entry.share.type == "unconditional":
        return Access(entry, policy, None)
    grant = granted(desk, session.principal.department, dataset, policy)
    if grant is None:
        raise Forbidden(
            f"{session.principal.department} has no grant for {dataset}, policy {policy}",
            rule="Decree 809, Art. 15",
            next_step="ask for one: POST /api/v1/requests",
        )
    return Access(entry, policy, grant)
