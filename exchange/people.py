"""Who somebody is: a person or a system of one department, in the roles of Decree 809.

A principal is made in one of two ways, by an account of our own (`exchange.accounts`) or from the claims of an OpenID
Connect token (`exchange.oidc`); everything behind asks the same questions of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Role = Literal["requester", "provider", "approver", "authority", "data_centre", "auditor", "public"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""requester 需求方: applies, uses. provider 提供方: answers. approver 审批人: the internal approval of either side.
authority 主管部门: extends, arbitrates, suspends. data_centre 大数据中心: runs it. auditor 审计: reads what was done,
and no data. public 公众: somebody whom the city knows, and who is of no department."""


@dataclass(frozen=True)
class Principal:
    """`name` is unique in the exchange; `department` a key of departments.yaml, or empty for the authority's own."""

    name: str
    department: str
    roles: frozenset[Role]

    @property
    def official(self) -> bool:
        """Whether it acts for a department or for the city: what is shared is for those. The public is of no
        department."""
        return self.roles != {"public"}

    @property
    def may_ask(self) -> bool:
        """Whether it makes requests: a requester of a department (Decree 809, Art. 20)."""
        return bool(self.department) and self.has("requester")

    @property
    def may_apply(self) -> bool:
        """Whether it applies for what is opened on conditions: the public. With departments data is shared."""
        return not self.official

    @property
    def may_object(self) -> bool:
        """Whether it raises objections: a requester of a department (Decree 809, Art. 26); the public, and the data
        centre, which records what people tell it (Art. 37)."""
        if self.department:
            return self.may_ask
        return not self.official or self.has("data_centre")

    def has(self, *roles: Role) -> bool:
        """Whether it has any of these roles."""
        return not self.roles.isdisjoint(roles)
