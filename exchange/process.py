"""The way of a share request (共享申请) as a table: who may take which step from which state, and what must be said.

    drafted ─approve─► submitted ─propose─► proposed ─confirm─► granted ◄─► suspended ─► ended
                         │    ▲                 │
                  return ▼    │ supplement      └─confirm─► refused ─dispute─► disputed ─refer─► referred
                       incomplete                                    ─appeal─► appealed

Both sides have an internal approval by a second person (Decree 809, Art. 20). An incomplete request is returned for its
supplement once, and never refused for it; a refusal has its reason (Art. 21). Disputes go from negotiation to the
authority to the government (Art. 28). Pure: nothing here reads a clock or a database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Literal, cast, get_args

from exchange.steps import Case, Event, Rule

State = Literal[
    "drafted",
    "submitted",
    "incomplete",
    "proposed",
    "granted",
    "suspended",
    "refused",
    "disputed",
    "referred",
    "appealed",
    "ended",
]
Step = Literal[
    "draft",
    "approve",
    "return",
    "supplement",
    "extend",
    "consent_extension",
    "propose",
    "confirm",
    "send_back",
    "deliver",
    "dispute",
    "settle",
    "refer",
    "decide",
    "appeal",
    "rule",
    "suspend",
    "resume",
    "revoke",
    "dispose",
    "withdraw",
]
STATES: Final[tuple[State, ...]] = get_args(State)
READABLE: Final = frozenset[State]({"granted"})
"""States in which the requester may read."""
LASTING: Final = READABLE | {"suspended"}
"""States in which a table of a grant's own stays: a suspended one is read by nobody, and may be resumed."""


@dataclass(frozen=True)
class Terms:
    """What is asked for (Decree 809, Art. 20): table, basis, scenario, method, time limit, and the scope where that is
    not the whole table: `columns` (all without), and the rows whose `territory` lies in `division` (GB/T 2260)."""

    dataset: str
    policy: str
    department: str
    provider: str
    basis: str
    scenario: str
    method: Literal["api", "batch", "file"]
    until: datetime
    columns: tuple[str, ...] = ()
    division: str = ""
    territory: str = ""

    @property
    def narrow(self) -> bool:
        """Whether less than the policy's whole table is asked for."""
        return bool(self.columns or self.division)


RULES: Final[Mapping[str, Rule]] = {
    "draft": Rule("requester", "requester", (), "drafted"),
    "approve": Rule("requester", "approver", ("drafted",), "submitted", unlike=("draft",)),
    "return": Rule("provider", "provider", ("submitted",), "incomplete", ("missing",), once=True),
    "supplement": Rule("requester", "requester", ("incomplete",), "submitted", ("supplement",)),
    "extend": Rule("provider", "provider", ("submitted",), None, ("reason", "working_days"), once=True),
    "consent_extension": Rule("authority", "authority", ("submitted",), None, once=True, after="extend"),
    "propose": Rule("provider", "provider", ("submitted",), "proposed", ("consent", "reason")),
    "confirm": Rule("provider", "approver", ("proposed",), None, unlike=("propose",)),
    "send_back": Rule("provider", "approver", ("proposed",), "submitted", ("reason",)),
    "deliver": Rule("provider", "provider", ("granted",), None, once=True),
    "dispute": Rule("requester", "requester", ("refused",), "disputed", ("reason",), unless="decide"),
    "settle": Rule("provider", "approver", ("disputed",), "submitted", ("reason",)),
    "refer": Rule("requester", "approver", ("disputed",), "referred", ("reason",)),
    "decide": Rule("authority", "authority", ("referred",), None, ("consent", "reason")),
    "appeal": Rule("requester", "approver", ("refused",), "appealed", ("reason",), after="decide"),
    "rule": Rule("authority", "authority", ("appealed",), None, ("consent", "reason", "document")),
    "suspend": Rule("authority", "authority", ("granted",), "suspended", ("reason",)),
    "resume": Rule("authority", "authority", ("suspended",), "granted", ("reason",)),
    "revoke": Rule("provider", "approver", ("granted", "suspended"), "ended", ("reason",)),
    "dispose": Rule("requester", "requester", ("granted", "suspended"), "ended", ("disposal",)),
    "withdraw": Rule(
        "requester",
        "requester",
        ("drafted", "submitted", "incomplete", "proposed", "refused", "disputed"),
        "ended",
    ),
}
"""`appeal` is open once the authority has decided, and `dispute` no more. The government's ruling is recorded by the
authority, with the number of its document."""


@dataclass(frozen=True)
class Request(Case[Terms]):
    """A request as its events have made it."""

    kind: ClassVar[str] = "request"
    rules: ClassVar[Mapping[str, Rule]] = RULES

    @property
    def state(self) -> State:
        return state_of(self.events)


def state_of(events: Sequence[Event]) -> State:
    """Where the events lead."""
    state: State = "drafted"
    for number, event in enumerate(events):
        state = _after(event, state, events[:number])
    return state


def _after(event: Event, state: State, before: Sequence[Event]) -> State:
    """The state after one event. A confirmation grants or refuses what was proposed."""
    deciding = event
    if event.step == "confirm":
        deciding = next(each for each in reversed(before) if each.step == "propose")
    if event.step in ("confirm", "decide", "rule"):
        return "granted" if deciding.said["consent"] else "refused"
    return cast("State", RULES[event.step].to or state)


def was_granted(request: Request) -> bool:
    """Whether it was granted at any time."""
    return any(request.until(place).state in READABLE for place in range(1, len(request.events) + 1))
