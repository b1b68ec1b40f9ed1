"""The way of a request, step by step: who may, when, and what must be said; and its clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.deadlines import clocks, notices
from exchange.errors import ExchangeError, Forbidden, Unfit
from exchange.people import Principal
from exchange.process import RULES, STATES, Request, Step, Terms, state_of
from exchange.steps import Event, possible, require
from schemas.numbers import default_numbers
from tests.exchange.conftest import ASKER, AUDITOR, BUREAU, CHIEF, CLERK, HEAD, START, STRANGER

NUMBERS = default_numbers().exchange
TERMS = Terms(
    dataset="civil_affairs.marriage",
    policy="default",
    department="health",
    provider="civil_affairs",
    basis="条例第三条",
    scenario="核验",
    method="api",
    until=datetime(2027, 3, 1, tzinfo=UTC),
)
WHO = {"requester": (ASKER, HEAD), "provider": (CLERK, CHIEF), "authority": (BUREAU, BUREAU)}
LATER = datetime(2026, 12, 31, tzinfo=UTC)
"""Before the time limit."""
SAID: dict[str, Any] = {
    "missing": "用途",
    "supplement": "补充",
    "reason": "依据不足",
    "working_days": 5,
    "consent": True,
    "document": "宁政〔2026〕1号",
    "disposal": "已销毁",
}


def at(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T09:00:00+08:00")


def request(*steps: str | tuple[str, dict[str, Any]], days: tuple[str, ...] = ()) -> Request:
    """A request that took these steps by the people who may; `days` are their dates."""
    made = Request(1, TERMS, (Event("draft", "asker", "requester", START),))
    for number, each in enumerate(steps):
        step, more = each if isinstance(each, tuple) else (each, {})
        made = taken(made, step, said=SAID | more, when=at(days[number]) if days else START)  # type: ignore[arg-type]
    return made


def taken(
    made: Request, step: Step, who: Principal | None = None, *, said: Any = SAID, when: datetime = START
) -> Request:
    rule = RULES[step]
    clerk, head = WHO[rule.side]
    principal = who or (head if rule.role == "approver" else clerk)
    require(made, step, principal, said)
    heard = {name: said[name] for name in rule.needs}
    return Request(1, TERMS, (*made.events, Event(step, principal.name, rule.side, when, heard)))


GRANTED = ("approve", "propose", "confirm")
REFUSED = ("approve", ("propose", {"consent": False}), "confirm")


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ((), "drafted"),
        (("approve",), "submitted"),
        (("approve", "return"), "incomplete"),
        (("approve", "return", "supplement"), "submitted"),
        (("approve", "propose"), "proposed"),
        (("approve", "propose", "send_back"), "submitted"),
        (GRANTED, "granted"),
        ((*GRANTED, "suspend"), "suspended"),
        ((*GRANTED, "suspend", "resume"), "granted"),
        ((*GRANTED, "deliver"), "granted"),
        ((*GRANTED, "revoke"), "ended"),
        ((*GRANTED, "dispose"), "ended"),
        (REFUSED, "refused"),
        ((*REFUSED, "dispute", "settle"), "submitted"),
        ((*REFUSED, "dispute", "refer", "decide"), "granted"),
        ((*REFUSED, "dispute", "refer", ("decide", {"consent": False}), "appeal", "rule"), "granted"),
        (
            (
                *REFUSED,
                "dispute",
                "refer",
                ("decide", {"consent": False}),
                "appeal",
                ("rule", {"consent": False}),
            ),
            "refused",
        ),
        (("withdraw",), "ended"),
    ],
)
def test_where_steps_lead(steps: Any, state: str) -> None:
    assert request(*steps).state == state


def test_every_state_can_be_reached_and_every_step_be_taken() -> None:
    reached, done = set(), set()
    ways = [
        (*GRANTED, "deliver", "suspend", "resume", "revoke"),
        (*GRANTED, "dispose"),
        (
            "approve",
            "extend",
            "consent_extension",
            "return",
            "supplement",
            "propose",
            "send_back",
            "withdraw",
        ),
        (*REFUSED, "dispute", "settle"),
        (*REFUSED, "dispute", "refer", ("decide", {"consent": False}), "appeal", "rule"),
    ]
    for way in ways:
        for length in range(len(way) + 1):
            reached.add(request(*way[:length]).state)
        done |= {step if isinstance(step, str) else step[0] for step in way}
    assert reached == set(STATES)
    assert done | {"draft"} == set(RULES)


@pytest.mark.parametrize(
    ("before", "step", "who", "error"),
    [
        ((), "approve", ASKER, Forbidden),  # no approver
        ((), "approve", CHIEF, Forbidden),  # of the other side
        ((), "approve", STRANGER, Forbidden),
        (("approve",), "propose", HEAD, Forbidden),  # the requester answers itself
        (("approve",), "propose", AUDITOR, Forbidden),
        (("approve",), "propose", BUREAU, Forbidden),
        (("approve",), "consent_extension", BUREAU, Unfit),  # nobody asked for one
        (("approve",), "confirm", CHIEF, Unfit),
        (("approve", "return", "supplement"), "return", CLERK, Unfit),  # once
        (GRANTED, "suspend", CHIEF, Forbidden),
        (GRANTED, "dispute", ASKER, Unfit),
        (REFUSED, "appeal", HEAD, Unfit),  # the authority comes first
        ((*GRANTED, "revoke"), "resume", BUREAU, Unfit),
        ((*GRANTED, "dispose"), "withdraw", ASKER, Unfit),
        ((*REFUSED, "dispute", "refer", ("decide", {"consent": False})), "dispute", ASKER, Unfit),
    ],
)
def test_who_may_not_and_when_not(
    before: Any, step: Step, who: Principal, error: type[ExchangeError]
) -> None:
    with pytest.raises(error) as raised:
        taken(request(*before), step, who)
    assert raised.value.place["step"] == step


def test_two_people_approve_on_either_side() -> None:
    alone = Request(1, TERMS, (Event("draft", HEAD.name, "requester", START),))
    with pytest.raises(Forbidden, match="does not do `approve` too"):
        taken(alone, "approve", HEAD)
    proposed = taken(request("approve"), "propose", CHIEF)
    with pytest.raises(Forbidden, match="does not do `confirm` too"):
        taken(proposed, "confirm", CHIEF)


@pytest.mark.parametrize("step", [name for name, rule in RULES.items() if rule.needs])
def test_every_text_that_a_step_needs_is_asked_for(step: Step) -> None:
    before: dict[str, Any] = {
        "supplement": ("approve", "return"),
        "send_back": ("approve", "propose"),
        "settle": (*REFUSED, "dispute"),
        "refer": (*REFUSED, "dispute"),
        "dispute": REFUSED,
        "decide": (*REFUSED, "dispute", "refer"),
        "appeal": (*REFUSED, "dispute", "refer", ("decide", {"consent": False})),
        "rule": (*REFUSED, "dispute", "refer", ("decide", {"consent": False}), "appeal"),
        "resume": (*GRANTED, "suspend"),
        **dict.fromkeys(("suspend", "revoke", "dispose"), GRANTED),
        **dict.fromkeys(("return", "extend", "propose"), ("approve",)),
    }
    made = request(*before[step])
    for name in RULES[step].needs:
        with pytest.raises(Unfit, match=name):
            taken(made, step, said={**SAID, name: ""})


@given(st.lists(st.sampled_from(sorted(RULES)), max_size=12), st.randoms())
def test_what_is_possible_is_what_somebody_may_do(steps: list[Step], rng: Any) -> None:
    made = request()
    for step in steps:
        before = made
        try:
            made = taken(made, step, said={**SAID, "consent": rng.random() < 0.5})
        except ExchangeError:
            assert made == before
        else:
            assert step in possible(before)
        assert made.state == state_of(made.events)
    for step in possible(made):
        assert made.state in RULES[step].at


# ── clocks ────────────────────────────────────────────────────────────────────────────────────────────────


def test_ten_working_days_to_reply_and_twenty_to_deliver() -> None:
    made = request(*GRANTED, days=("2026-03-02", "2026-03-09", "2026-03-10"))
    reply, deliver = clocks(made, NUMBERS, LATER)
    assert (reply.name, reply.of, reply.due, reply.done) == (
        "reply",
        "provider",
        date(2026, 3, 16),
        at("2026-03-10"),
    )
    # the Qingming holiday, Monday 6 April, is no working day
    assert (deliver.name, deliver.due, deliver.done) == ("deliver", date(2026, 4, 8), None)


def test_shifted_weekends_count() -> None:
    """The notice for 2026: off from 15 to 23 February, and Saturdays 14 and 28 February are working days."""
    made = request("approve", days=("2026-02-13",))
    assert clocks(made, NUMBERS, LATER)[0].due == date(2026, 3, 5)


def test_the_clock_stands_while_the_request_is_incomplete_and_starts_anew() -> None:
    made = request("approve", "return", "supplement", days=("2026-03-02", "2026-03-04", "2026-03-20"))
    first, supplement, second = clocks(made, NUMBERS, LATER)
    assert first.done == at("2026-03-04")
    assert (supplement.of, supplement.due, supplement.late(at("2026-03-20"))) == (
        "requester",
        date(2026, 3, 18),
        True,
    )
    assert (second.since, second.due) == (at("2026-03-20"), date(2026, 4, 3))


def test_an_extension_counts_with_consent_and_up_to_ten_days() -> None:
    asked_only = request("approve", ("extend", {"working_days": 30}), days=("2026-03-02", "2026-03-05"))
    assert clocks(asked_only, NUMBERS, LATER)[0].due == date(2026, 3, 16)
    consented = taken(asked_only, "consent_extension", when=at("2026-03-06"))
    assert clocks(consented, NUMBERS, LATER)[0].due == date(2026, 3, 30)


@pytest.mark.parametrize("days", [-1, -1_000_000])
def test_an_extension_shortens_no_time(days: int) -> None:
    """Requests that hold such a number were taken once."""
    made = request(
        "approve", ("extend", {"working_days": days}), "consent_extension", days=("2026-03-02",) * 3
    )
    assert clocks(made, NUMBERS, LATER)[0].due == date(2026, 3, 16)


def test_reminders_and_escalation() -> None:
    made = request("approve", days=("2026-03-02",))

    def told(day: str) -> list[tuple[str, str]]:
        return [(notice.kind, notice.to) for notice in notices(made, NUMBERS, at(day))]

    assert told("2026-03-11") == []
    assert told("2026-03-12") == [("remind", "provider")]
    assert told("2026-03-16") == [("remind", "provider")]
    assert told("2026-03-17") == [("escalate", "provider"), ("escalate", "authority")]
    answered = taken(taken(made, "propose"), "confirm", when=at("2026-03-17"))
    assert [n.clock.name for n in notices(answered, NUMBERS, at("2026-03-18"))] == []


def test_after_the_time_limit_the_disposal_is_to_be_reported() -> None:
    """1 March 2027 is a Monday."""
    made = request(*GRANTED, "deliver", days=("2026-03-02",) * 4)

    def told(case: Request, day: str) -> list[tuple[str, str, date, bool]]:
        found = clocks(case, NUMBERS, at(day))
        return [(each.name, each.of, each.due, each.done is None) for each in found if each.name == "dispose"]

    assert told(made, "2027-02-28") == []
    assert told(made, "2027-03-01") == [("dispose", "requester", date(2027, 3, 15), True)]
    late = notices(made, NUMBERS, at("2027-03-16"))
    assert [(each.kind, each.to) for each in late] == [("escalate", "requester"), ("escalate", "authority")]
    reported = taken(made, "dispose", when=at("2027-03-10"))
    assert told(reported, "2027-03-16") == [("dispose", "requester", date(2027, 3, 15), False)]
    assert notices(reported, NUMBERS, at("2027-03-16")) == []


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (GRANTED, True),
        ((*GRANTED, "suspend"), True),
        (REFUSED, False),
        (("approve",), False),
        ((*GRANTED, "dispose"), False),
        ((*GRANTED, "revoke"), False),
    ],
)
def test_only_who_held_a_grant_at_its_end_has_something_to_dispose_of(steps: Any, told: bool) -> None:
    found = clocks(request(*steps), NUMBERS, at("2027-06-01"))
    assert ("dispose" in [each.name for each in found]) is told
