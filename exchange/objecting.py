"""The way of an objection as a table: a department asks the source to verify a value (校核, Decree 809, Art. 26), or a
person or a body objects to one that is open (异议, Art. 37).

    raised ─correct─► corrected ─accept─► closed
     │  ▲  ─uphold──► upheld ────refer──► referred ─decide─► raised, where the objection is right; closed, where not
     │  │ explain
     ▼  │
    unclear (asked for once)

Pure: nothing here reads a clock or a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, cast, get_args

from exchange.people import Principal
from exchange.steps import Case, Rule, Side

State = Literal["raised", "unclear", "corrected", "upheld", "referred", "closed"]
Step = Literal["raise", "ask", "explain", "correct", "uphold", "accept", "refer", "decide", "withdraw"]
Zone = Literal["share", "open"]
STATES: Final[tuple[State, ...]] = get_args(State)


@dataclass(frozen=True)
class Claim:
    """What is objected to: some `columns` (all where empty) of some `rows`, told by their keys as they were published,
    of one `snapshot` of a table; what is `wrong`, and what would be right (`proposed`). `department` is empty where no
    department objects. What `wrong`, `proposed` and `rows` say may be personal."""

    dataset: str
    zone: Zone
    policy: str
    department: str
    provider: str
    snapshot: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    wrong: str
    proposed: str


RULES: Final[Mapping[str, Rule]] = {
    "raise": Rule("requester", None, (), "raised"),
    "ask": Rule("provider", "provider", ("raised",), "unclear", ("missing",), once=True),
    "explain": Rule("requester", None, ("unclear",), "raised", ("supplement",)),
    "correct": Rule("provider", "provider", ("raised",), "corrected", ("reason",)),
    "uphold": Rule("provider", "provider", ("raised",), "upheld", ("reason",), unless="decide"),
    "accept": Rule("requester", None, ("corrected", "upheld"), "closed"),
    "refer": Rule("requester", None, ("corrected", "upheld"), "referred", ("reason",), unless="decide"),
    "decide": Rule("authority", "authority", ("referred",), None, ("consent", "reason")),
    "withdraw": Rule("requester", None, ("raised", "unclear"), "closed"),
}
"""Once the authority has decided that the objection is right, the data is corrected and not upheld again."""


@dataclass(frozen=True)
class Objection(Case[Claim]):
    """An objection as its events have made it."""

    kind: ClassVar[str] = "objection"
    rules: ClassVar[Mapping[str, Rule]] = RULES

    @property
    def state(self) -> State:
        state: State = "raised"
        for event in self.events:
            if event.step == "decide":
                state = "raised" if event.said["consent"] else "closed"
            else:
                state = cast("State", RULES[event.step].to)
        return state

    def sides(self, principal: Principal) -> frozenset[Side]:
        """Of a department's, the people who apply for it. Of one without a department, who raised it, and the data
        centre, which records what people tell it."""
        found = super().sides(principal) - {"requester"}
        if self.terms.department:
            mine = principal.department == self.terms.department and principal.has("requester", "approver")
        else:
            mine = principal.name == self.events[0].by or principal.has("data_centre")
        return found | {"requester"} if mine else found
