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
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args

from exchange.errors import ExchangeError, Forbidden, Unfit
from exchange.people import Principal, Role

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
Side = Literal["requester", "provider", "authority"]
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


@dataclass(frozen=True)
class Event:
    """One step that was taken. `said` are the texts that it needed, such as `reason`."""

    step: Step
    by: str
    side: Side
    at: datetime
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """`to` is None where the step leads nowhere else. `unlike` names earlier steps whose person must be another one."""

    side: Side
    role: Role
    at: tuple[State, ...]
    to: State | None
    needs: tuple[str, ...] = ()
    unlike: tuple[Step, ...] = ()
    once: bool = False


RULES: Final[dict[Step, Rule]] = {
    "draft": Rule("requester", "requester", (), "drafted"),
    "approve": Rule("requester", "approver", ("drafted",), "submitted", unlike=("draft",)),
    "return": Rule("provider", "provider", ("submitted",), "incomplete", ("missing",), once=True),
    "supplement": Rule("requester", "requester", ("incomplete",), "submitted", ("supplement",)),
    "extend": Rule("provider", "provider", ("submitted",), None, ("reason", "working_days"), once=True),
    "consent_extension": Rule("authority", "authority", ("submitted",), None, once=True),
    "propose": Rule("provider", "provider", ("submitted",), "proposed", ("consent", "reason")),
    "confirm": Rule("provider", "approver", ("proposed",), None, unlike=("propose",)),
    "send_back": Rule("provider", "approver", ("proposed",), "submitted", ("reason",)),
    "deliver": Rule("provider", "provider", ("granted",), None, once=True),
    "dispute": Rule("requester", "requester", ("refused",), "disputed", ("reason",)),
    "settle": Rule("provider", "approver", ("disputed",), "submitted", ("reason",)),
    "refer": Rule("requester", "approver", ("disputed",), "referred", ("reason",)),
    "decide": Rule("authority", "authority", ("referred",), None, ("consent", "reason")),
    "appeal": Rule("requester", "approver", ("refused",), "appealed", ("reason",)),
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
"""`appeal` is open once the authority has decided (`after`). The government's ruling is recorded by the authority, with
the number of its document."""
AFTER: Final[dict[Step, Step]] = {"appeal": "decide", "consent_extension": "extend"}


@dataclass(frozen=True)
class Request:
    """A request as its events have made it."""

    number: int
    terms: Terms
    events: tuple[Event, ...]

    @property
    def state(self) -> State:
        return state_of(self.events)

    def took(self, step: Step) -> Event | None:
        """The newest event of a step."""
        return next((event for event in reversed(self.events) if event.step == step), None)


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
    return RULES[event.step].to or state


def was_granted(request: Request) -> bool:
    """Whether it was granted at any time."""
    return any(state_of(request.events[: place + 1]) in READABLE for place in range(len(request.events)))


def sides(principal: Principal, terms: Terms) -> frozenset[Side]:
    """The sides that somebody stands on in a request."""
    found: set[Side] = set()
    if principal.department and principal.department == terms.department:
        found.add("requester")
    if principal.department and principal.department == terms.provider:
        found.add("provider")
    if principal.has("authority"):
        found.add("authority")
    return frozenset(found)


def require(request: Request, step: Step, principal: Principal, said: Mapping[str, Any]) -> Rule:
    """The rule of a step that may be taken now, by this principal, with these texts.

    Forbidden where it is not theirs; Unfit where it is not the state's turn or a text is missing.
    """
    try:
        return _required(request, step, principal, said)
    except ExchangeError as error:
        error.place |= {"request": request.number, "step": step}
        raise


def _required(request: Request, step: Step, principal: Principal, said: Mapping[str, Any]) -> Rule:
    rule = RULES[step]
    if rule.side not in sides(principal, request.terms) or not principal.has(rule.role):
        raise Forbidden(f"`{step}` is the {rule.side}'s, by its {rule.role}")
    if request.state not in rule.at:
        raise Unfit(
            f"the request is {request.state}; `{step}` is not its turn",
            expected=f"a request that is {' or '.join(rule.at)}",
            next_step=f"possible now: {', '.join(possible(request)) or 'nothing'}",
        )
    _in_turn(request, step, rule)
    for other in rule.unlike:
        event = request.took(other)
        if event is not None and event.by == principal.name:
            raise Forbidden(f"who did `{other}` does not do `{step}` too")
    if missing := [name for name in rule.needs if said.get(name) in (None, "", ())]:
        raise Unfit(f"`{step}` lacks {', '.join(missing)}", expected=", ".join(rule.needs))
    return rule


def _in_turn(request: Request, step: Step, rule: Rule) -> None:
    if rule.once and request.took(step) is not None:
        raise Unfit(f"`{step}` was done already, and is done once")
    needed = AFTER.get(step)
    if needed is not None and request.took(needed) is None:
        raise Unfit(f"`{step}` comes after `{needed}`")
    if step == "dispute" and request.took("decide") is not None:
        raise Unfit("the authority has decided; what is left is `appeal`")


def possible(request: Request) -> list[Step]:
    """The steps that the request's state allows somebody to take."""
    return [
        step
        for step, rule in RULES.items()
        if request.state in rule.at
        and not (rule.once and request.took(step))
        and (step not in AFTER or request.took(AFTER[step]))
        and not (step == "dispute" and request.took("decide"))
    ]
