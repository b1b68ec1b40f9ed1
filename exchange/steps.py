"""Cases that people move on step by step (`exchange.process`, `exchange.objecting`): who may take which step from which
state, and what must be said. Pure: nothing here reads a clock or a database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Final, Generic, Literal, Protocol, Self, TypeVar

from exchange.errors import ExchangeError, Forbidden, Unfit
from exchange.people import Principal, Role
from exchange.texts import absent

Side = Literal["requester", "provider", "authority"]


OVER: Final = frozenset({"ended", "closed"})
"""States of cases that nothing follows on."""


@dataclass(frozen=True)
class Event:
    """One step that was taken. `said` are the texts that it needed, such as `reason`."""

    step: str
    by: str
    side: Side
    at: datetime
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """`role` is None where everybody of the side may, `to` where the step leads nowhere else. `unlike` names earlier
    steps whose person must be another one. A step that is `once` is not taken again, one `after` another only once that
    was taken, one `unless` another not once that was."""

    side: Side
    role: Role | None
    at: tuple[str, ...]
    to: str | None
    needs: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    once: bool = False
    after: str = ""
    unless: str = ""


class Matter(Protocol):
    """What a case is about, between two departments. The first is empty where no department brought it."""

    @property
    def department(self) -> str: ...
    @property
    def provider(self) -> str: ...


M = TypeVar("M", bound=Matter)


@dataclass(frozen=True)
class Case(ABC, Generic[M]):
    """A case as its events have made it. `kind` is what it is called, `rules` are its steps."""

    number: int
    terms: M
    events: tuple[Event, ...]
    kind: ClassVar[str]
    rules: ClassVar[Mapping[str, Rule]]

    @property
    @abstractmethod
    def state(self) -> str:
        """Where the events lead."""

    def until(self, place: int) -> Self:
        """As it was after so many events."""
        return replace(self, events=self.events[:place])

    def took(self, step: str) -> Event | None:
        """The newest event of a step."""
        return next((event for event in reversed(self.events) if event.step == step), None)

    def sides(self, principal: Principal) -> frozenset[Side]:
        """The sides that somebody stands on."""
        found: set[Side] = set()
        if principal.department and principal.department == self.terms.department:
            found.add("requester")
        if principal.department and principal.department == self.terms.provider:
            found.add("provider")
        if principal.has("authority"):
            found.add("authority")
        return frozenset(found)


def possible(case: Case[Any]) -> list[str]:
    """The steps that the case's state allows somebody to take."""
    return [
        step for step, rule in case.rules.items() if case.state in rule.at and not _out_of_turn(case, step)
    ]


def allowed(case: Case[Any], principal: Principal) -> list[str]:
    """The steps that this principal may take now, once it says what they need."""
    return [
        step
        for step in possible(case)
        if not _anothers(case, step, principal) and not _twice(case, step, principal)
    ]


def require(case: Case[Any], step: str, principal: Principal, said: Mapping[str, Any]) -> Rule:
    """The rule of a step that may be taken now, by this principal, with these texts.

    Forbidden where it is not theirs; Unfit where it is not the state's turn or a text is missing.
    """
    try:
        return _required(case, step, principal, said)
    except ExchangeError as error:
        error.place |= {case.kind: case.number, "step": step}
        raise


def _required(case: Case[Any], step: str, principal: Principal, said: Mapping[str, Any]) -> Rule:
    rule = case.rules[step]
    if refused := _anothers(case, step, principal):
        raise Forbidden(refused, zh="这一步不由您办理")
    if case.state not in rule.at:
        raise Unfit(
            f"the {case.kind} is {case.state}; `{step}` is not its turn",
            expected=f"one that is {' or '.join(rule.at) or 'not there yet'}",
            next_step=_next(case),
            zh="现在的状态不能办理这一步",
        )
    if why := _out_of_turn(case, step):
        raise Unfit(why, next_step=_next(case), zh="现在的状态不能办理这一步")
    if refused := _twice(case, step, principal):
        raise Forbidden(refused, zh="同一人不能办理前后两步，须由第二人办理")
    if missing := [name for name in rule.needs if absent(said.get(name))]:
        raise Unfit(f"`{step}` lacks {', '.join(missing)}", expected=", ".join(rule.needs), zh="缺少必填内容")
    return rule


def _anothers(case: Case[Any], step: str, principal: Principal) -> str:
    """Why a step is not this principal's by side and role; empty where it is."""
    rule = case.rules[step]
    if rule.side in case.sides(principal) and (rule.role is None or principal.has(rule.role)):
        return ""
    return f"`{step}` is the {rule.side}'s" + (f", by its {rule.role}" if rule.role else "")


def _twice(case: Case[Any], step: str, principal: Principal) -> str:
    """Why a step needs a second person; empty where this is one."""
    for other in case.rules[step].unlike:
        event = case.took(other)
        if event is not None and event.by == principal.name:
            return f"who did `{other}` does not do `{step}` too"
    return ""


def _next(case: Case[Any]) -> str:
    return f"possible now: {', '.join(possible(case)) or 'nothing'}"


def _out_of_turn(case: Case[Any], step: str) -> str:
    """Why the steps before do not let this one follow; empty where they do."""
    rule = case.rules[step]
    if rule.once and case.took(step) is not None:
        return f"`{step}` was done already, and is done once"
    if rule.after and case.took(rule.after) is None:
        return f"`{step}` comes after `{rule.after}`"
    if rule.unless and case.took(rule.unless) is not None:
        return f"`{step}` is over since `{rule.unless}` was done"
    return ""
