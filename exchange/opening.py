"""The way of an application for what is opened on conditions (有条件开放申请) as a table: somebody of the public
applies, the department that has the data answers, and who is granted it has its downloads until a day.

    submitted ─propose─► proposed ─confirm─► granted ◄─► suspended ─► ended
      │    ▲                 │
      ▼    │ supplement      └─confirm─► declined ─refer─► referred ─decide─► granted, or declined for good
    incomplete

The answer has an internal approval by a second person, as that to a department has (Decree 809, Art. 20); a refusal has
its reason, and may be put before the authority (Art. 37). Pure: nothing here reads a clock or a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Literal, cast, get_args

from exchange.people import Principal
from exchange.steps import Case, Rule, Side

State = Literal[
    "submitted", "incomplete", "proposed", "granted", "suspended", "declined", "referred", "ended"
]
Step = Literal[
    "apply",
    "return",
    "supplement",
    "propose",
    "confirm",
    "send_back",
    "refer",
    "decide",
    "suspend",
    "resume",
    "revoke",
    "dispose",
    "withdraw",
]
Use = Literal["innovation", "governance", "service", "other"]
STATES: Final[tuple[State, ...]] = get_args(State)
USES: Final[tuple[Use, ...]] = get_args(Use)
"""What it is for: innovation 创新应用, governance 城市治理, service 社会服务, other 其他. Conditional opening is mainly
for the first three, it was said of Nanjing's Decree 329 on 2019-09-18."""


@dataclass(frozen=True)
class Undertaking:
    """What is applied for, and what is undertaken for it. `account` applies, for `applicant`, who may be a body;
    `conditions` are those of the catalogue that were accepted, as they stood. `applicant`, `purpose` and `safeguards`
    may be personal."""

    dataset: str
    account: str
    provider: str
    applicant: str
    use: Use
    purpose: str
    safeguards: str
    until: datetime
    conditions: str
    policy: ClassVar[str] = "open"
    department: ClassVar[str] = ""
    """No department applies: what it needs is shared with it."""


RULES: Final[Mapping[str, Rule]] = {
    "apply": Rule("requester", None, (), "submitted"),
    "return": Rule("provider", "provider", ("submitted",), "incomplete", ("missing",), once=True),
    "supplement": Rule("requester", None, ("incomplete",), "submitted", ("supplement",)),
    "propose": Rule("provider", "provider", ("submitted",), "proposed", ("consent", "reason")),
    "confirm": Rule("provider", "approver", ("proposed",), None, unlike=("propose",)),
    "send_back": Rule("provider", "approver", ("proposed",), "submitted", ("reason",)),
    "refer": Rule("requester", None, ("declined",), "referred", ("reason",), unless="decide"),
    "decide": Rule("authority", "authority", ("referred",), None, ("consent", "reason")),
    "suspend": Rule("authority", "authority", ("granted",), "suspended", ("reason",)),
    "resume": Rule("authority", "authority", ("suspended",), "granted", ("reason",)),
    "revoke": Rule("provider", "approver", ("granted", "suspended"), "ended", ("reason",)),
    "dispose": Rule("requester", None, ("granted", "suspended"), "ended", ("disposal",)),
    "withdraw": Rule("requester", None, ("submitted", "incomplete", "proposed", "declined"), "ended"),
}


@dataclass(frozen=True)
class Application(Case[Undertaking]):
    """An application as its events have made it."""

    kind: ClassVar[str] = "application"
    rules: ClassVar[Mapping[str, Rule]] = RULES

    @property
    def state(self) -> State:
        state: State = "submitted"
        consent = False
        for event in self.events:
            if event.step in ("propose", "decide"):
                consent = event.said["consent"]
            if event.step in ("confirm", "decide"):
                state = "granted" if consent else "declined"
            else:
                state = cast("State", RULES[event.step].to)
        return state

    def sides(self, principal: Principal) -> frozenset[Side]:
        """The account that applied is the requester, whatever else it is."""
        found = super().sides(principal)
        return found | {"requester"} if principal.name == self.terms.account else found
