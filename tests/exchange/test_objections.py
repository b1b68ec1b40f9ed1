"""Objections: who may raise one and to what, the way to its end, its clock, what is told, and what is kept of it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from exchange import objections
from exchange.deadlines import clocks
from exchange.desk import Desk
from exchange.errors import ExchangeError, Forbidden, NotThere, Unfit
from exchange.logged import unlike
from exchange.notices import gather, inbox
from exchange.objecting import RULES, STATES, Objection
from exchange.objections import MOST_OPEN, find, listed, raise_objection, take
from exchange.people import Principal
from exchange.requests import draft
from exchange.requests import take as take_request
from exchange.sending import _type
from exchange.steps import possible
from exchange.words import body, subject
from lake import store
from lake.auditlog import segment_name
from lake.zones import Identifier
from tests.exchange.conftest import (
    ASKER,
    AUDITOR,
    BUREAU,
    CHIEF,
    CLERK,
    HEAD,
    STRANGER,
    Clock,
    asked,
    person,
)

SECRET = "某某的出生日期"
PERSON = person("citizen", "", "public")
OTHER = person("other-citizen", "", "public")
CENTRE = person("centre", "", "data_centre")
WORDS = {"missing": "哪一行", "supplement": SECRET, "reason": SECRET, "consent": True}


def about(**other: object) -> dict[str, Any]:
    """An objection to a table that is shared without conditions."""
    return {"dataset": "education.school", "policy": "default", "wrong": SECRET, **other}


def opened(**other: object) -> dict[str, Any]:
    return about(zone="open", policy="open", **other)


def published(table: Identifier, snapshot: int | None) -> int | None:
    """Snapshots 3 and 7 were."""
    return {None: 7, 3: 3, 7: 7}.get(snapshot)


def raised(desk: Desk, who: Principal = ASKER, said: dict[str, Any] | None = None) -> Objection:
    return raise_objection(desk, who, said or about(), published)


def went(desk: Desk, *steps: tuple[Principal, str] | tuple[Principal, str, dict[str, Any]]) -> Objection:
    made = raised(desk)
    for who, step, *more in steps:
        made = take(desk, who, made.number, step, WORDS | (more[0] if more else {}))  # type: ignore[arg-type]
    return made


SCHOOL = person("school-clerk", "education", "provider")
"""Of the department whose data it is, where STRANGER is too."""
UPHELD = ((SCHOOL, "uphold"),)
DECIDED = (*UPHELD, (ASKER, "refer"), (BUREAU, "decide"))
REFUSED = (*UPHELD, (ASKER, "refer"), (BUREAU, "decide", {"consent": False}))
WAYS: list[tuple[Any, str]] = [
    ((), "raised"),
    (((SCHOOL, "ask"),), "unclear"),
    (((SCHOOL, "ask"), (ASKER, "explain")), "raised"),
    (((SCHOOL, "ask"), (ASKER, "withdraw")), "closed"),
    (((SCHOOL, "correct"),), "corrected"),
    (((SCHOOL, "correct"), (HEAD, "accept")), "closed"),
    (UPHELD, "upheld"),
    ((*UPHELD, (ASKER, "refer")), "referred"),
    (DECIDED, "raised"),
    ((*DECIDED, (SCHOOL, "correct"), (ASKER, "accept")), "closed"),
    (REFUSED, "closed"),
]


# ── the way ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("steps", "ends"), WAYS)
def test_where_steps_lead(desk: Desk, steps: Any, ends: str) -> None:
    made = went(desk, *steps)
    assert made.state == ends
    assert find(desk, ASKER, made.number) == made


def test_these_ways_reach_every_state_and_take_every_step() -> None:
    assert {state for _, state in WAYS} == set(STATES)
    assert {step for steps, _ in WAYS for _, step, *_ in steps} | {"raise"} == set(RULES)


@pytest.mark.parametrize(
    ("before", "who", "step", "error"),
    [
        ((), ASKER, "correct", Forbidden),
        ((), BUREAU, "uphold", Forbidden),
        ((), SCHOOL, "withdraw", Forbidden),
        ((), ASKER, "accept", Unfit),
        (UPHELD, SCHOOL, "correct", Unfit),
        (UPHELD, SCHOOL, "refer", Forbidden),
        ((*UPHELD, (ASKER, "refer")), SCHOOL, "decide", Forbidden),
        (((SCHOOL, "ask"), (ASKER, "explain")), SCHOOL, "ask", Unfit),  # once
        (DECIDED, SCHOOL, "uphold", Unfit),  # the authority has decided
        ((*DECIDED, (SCHOOL, "correct")), ASKER, "refer", Unfit),
        (REFUSED, ASKER, "refer", Unfit),
        ((), CLERK, "correct", NotThere),  # of another department
        ((), PERSON, "withdraw", NotThere),
    ],
)
def test_who_may_not_and_when_not(
    desk: Desk, before: Any, who: Principal, step: Any, error: type[ExchangeError]
) -> None:
    made = went(desk, *before)
    with pytest.raises(error):
        take(desk, who, made.number, step, WORDS)
    assert find(desk, ASKER, made.number) == made


@pytest.mark.parametrize("step", [name for name, rule in RULES.items() if rule.needs])
def test_an_answer_has_its_reason(desk: Desk, step: Any) -> None:
    before: dict[str, Any] = {
        "explain": ((SCHOOL, "ask"),),
        "refer": UPHELD,
        "decide": (*UPHELD, (ASKER, "refer")),
    }
    made = went(desk, *before.get(step, ()))
    who = {"provider": SCHOOL, "requester": ASKER, "authority": BUREAU}[RULES[step].side]
    for name in RULES[step].needs:
        with pytest.raises(Unfit, match=name):
            take(desk, who, made.number, step, {**WORDS, name: ""})


# ── raising ───────────────────────────────────────────────────────────────────────────────────────────────


def granted(desk: Desk, **scope: object) -> int:
    number = draft(desk, ASKER, asked(**scope)).number
    take_request(desk, HEAD, number, "approve", {})
    take_request(desk, CLERK, number, "propose", {"consent": True, "reason": "可"})
    take_request(desk, CHIEF, number, "confirm", {})
    return number


def test_to_a_conditional_table_objects_who_was_granted_it_after_the_end_too(desk: Desk) -> None:
    marriage = about(dataset="civil_affairs.marriage")
    with pytest.raises(NotThere):
        raised(desk, ASKER, marriage)
    number = granted(desk)
    assert raised(desk, ASKER, marriage).terms.provider == "civil_affairs"
    take_request(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
    assert raised(desk, HEAD, marriage).terms.department == "health"
    with pytest.raises(NotThere):
        raised(desk, STRANGER, marriage)


def test_to_a_grants_own_table_object_its_holders_by_its_columns(desk: Desk) -> None:
    number = granted(desk, columns=["reg_no", "reg_date"])
    own = about(dataset="civil_affairs.marriage", policy=f"default__grant_{number}")
    assert raised(desk, ASKER, own | {"columns": ["reg_date"]}).terms.columns == ("reg_date",)
    with pytest.raises(Unfit, match="none of the table's"):
        raised(desk, ASKER, own | {"columns": ["marital_status"]})
    with pytest.raises(NotThere):
        raised(desk, ASKER, own | {"policy": "default"})


def test_to_what_is_open_everybody_objects(desk: Desk) -> None:
    for who in (ASKER, PERSON, CENTRE):
        assert raised(desk, who, opened()).terms.department == who.department
    for who in (PERSON, CENTRE):
        with pytest.raises(NotThere):
            raised(desk, who, about())
    for who in (BUREAU, AUDITOR, CLERK):
        with pytest.raises(Forbidden):
            raised(desk, who, opened())


@pytest.mark.parametrize(
    ("other", "error", "says"),
    [
        ({"wrong": ""}, Unfit, "what is wrong"),
        ({"wrong": "据" * 5000}, Unfit, "too long"),
        ({"wrong": "none \0"}, Unfit, "signs"),
        ({"wrong": " \n"}, Unfit, "what is wrong"),
        ({"wrong": "\u202e有误"}, Unfit, "not seen"),
        ({"proposed": "\x1b[2J"}, Unfit, "not seen"),
        ({"rows": ["half a letter \ud800"]}, Unfit, "signs"),
        ({"rows": ["1"] * 101}, Unfit, "rows"),
        ({"rows": [""]}, Unfit, "rows"),
        ({"rows": ["1" * 201]}, Unfit, "rows"),
        ({"columns": ["nothing"]}, Unfit, "none of the table's"),
        ({"snapshot": "newest"}, Unfit, "snapshot"),
        ({"snapshot": "1" * 20}, Unfit, "snapshot"),
        ({"snapshot": "١"}, Unfit, "snapshot"),
        (
            {"snapshot": "320102199001010017"},
            Unfit,
            "no such snapshot",
        ),  # a person's number, not a snapshot's
        ({"dataset": "education.nothing"}, NotThere, "no such table"),
        ({"policy": "nothing"}, NotThere, "no such table"),
        ({"dataset": "statistics.household_survey"}, NotThere, "no such table"),
    ],
)
def test_what_an_objection_must_say(desk: Desk, other: dict, error: type[ExchangeError], says: str) -> None:
    with pytest.raises(error, match=says):
        raised(desk, ASKER, about(**other))
    assert listed(desk, AUDITOR) == []
    assert not store.exists(store.join(desk.log.folder, segment_name(0)))


def test_ones_own_data_is_corrected_and_not_objected_to(desk: Desk) -> None:
    with pytest.raises(Unfit, match="your own department's"):
        raised(desk, STRANGER)


def test_the_snapshot_is_the_one_that_was_read_or_the_newest(desk: Desk) -> None:
    assert raised(desk).terms.snapshot == "7"
    assert raised(desk, said=about(snapshot="3")).terms.snapshot == "3"
    assert raise_objection(desk, ASKER, about(), lambda *_: None).terms.snapshot == ""


def test_so_many_may_be_under_way(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_OPEN == 100
    monkeypatch.setattr(objections, "MOST_OPEN", 2)
    numbers = [raised(desk, PERSON, opened()).number for _ in range(2)]
    with pytest.raises(Unfit, match="under way"):
        raised(desk, PERSON, opened())
    raised(desk, OTHER, opened())  # another person's are not theirs
    take(desk, PERSON, numbers[0], "withdraw", {})
    raised(desk, PERSON, opened())


def test_so_many_and_no_more_whoever_comes_at_one_moment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objections, "MOST_OPEN", 10)
    threads = 8
    gate = Barrier(threads)

    def at_once(_: int) -> list[str]:
        """Three of a department's, by two of its people, and one of a person's."""
        gate.wait(30)
        ends = []
        for who, said in ((ASKER, about()), (HEAD, about()), (ASKER, about()), (PERSON, opened())):
            try:
                raised(desk, who, said)
                ends.append(who.department or "public")
            except Unfit as error:
                assert "under way" in error.message
        return ends

    for _ in range(3):
        raised(desk, ASKER)
    with ThreadPoolExecutor(threads) as pool:
        ends = Counter(end for each in pool.map(at_once, range(threads)) for end in each)
    assert ends == {"health": 7, "public": threads}
    assert len([each for each in listed(desk, HEAD) if each.state != "closed"]) == 10
    with pytest.raises(Unfit, match="under way"):
        raised(desk, HEAD)


# ── who sees it, and what is told ─────────────────────────────────────────────────────────────────────────


def test_who_sees_what(desk: Desk) -> None:
    number = raised(desk).number
    persons = raised(desk, PERSON, opened()).number
    for party in (ASKER, HEAD):
        assert [each.number for each in listed(desk, party)] == [number]
    for party in (SCHOOL, STRANGER, BUREAU, AUDITOR, CENTRE):
        assert [each.number for each in listed(desk, party)] == [number, persons]
    assert [each.number for each in listed(desk, PERSON)] == [persons]
    assert listed(desk, OTHER) == listed(desk, CLERK) == []
    with pytest.raises(NotThere):
        find(desk, OTHER, persons)


def test_the_data_centre_speaks_for_who_told_it(desk: Desk) -> None:
    number = raised(desk, PERSON, opened()).number
    take(desk, SCHOOL, number, "ask", WORDS)
    assert take(desk, CENTRE, number, "explain", WORDS).state == "raised"


def test_ten_working_days_anew_once_it_is_explained_and_once_it_was_decided(desk: Desk, clock: Clock) -> None:
    numbers = desk.catalogue.numbers.exchange
    made = raised(desk)  # Monday 2026-03-02
    (verify,) = clocks(made, numbers, desk.clock())
    assert (verify.name, verify.of, verify.due, verify.done) == (
        "verify",
        "provider",
        date(2026, 3, 16),
        None,
    )
    clock.wait(days=1)
    asked_for = clock.now
    take(desk, SCHOOL, made.number, "ask", WORDS)
    clock.wait(days=1)
    made = take(desk, ASKER, made.number, "explain", WORDS)
    first, explain, second = clocks(made, numbers, desk.clock())
    assert (first.done, explain.name, explain.of) == (asked_for, "explain", "requester")
    assert second.due == date(2026, 3, 18)
    for who, step in ((SCHOOL, "uphold"), (ASKER, "refer"), (BUREAU, "decide")):
        made = take(desk, who, made.number, step, WORDS)  # type: ignore[arg-type]
    assert [each.done is None for each in clocks(made, numbers, desk.clock())] == [False, False, False, True]


def test_it_is_told_to_whose_turn_it_is_and_what_came_of_it(desk: Desk, clock: Clock) -> None:
    number = raised(desk).number
    assert gather(desk) == 1
    (kept,) = inbox(desk.state, SCHOOL)
    assert (kept.notice.kind, kept.notice.case, kept.notice.number) == ("turn", "objection", number)
    assert (
        subject(kept.notice) == f"校核异议{number}：待办：待核实 Objection {number}: it is your turn: raised"
    )
    text = body(kept.notice, desk.catalogue)
    assert f"GET /api/v1/objections/{number}" in text and SECRET not in text
    assert f"请登录数据共享交换平台办理：/objections/{number}\n" in text
    assert _type(kept.notice) == "objection.turn"
    clock.wait(days=15)
    assert gather(desk) == 2
    for late in (SCHOOL, BUREAU):
        assert inbox(desk.state, late)[0].notice.about == "verify"
    take(desk, SCHOOL, number, "correct", WORDS)
    assert gather(desk) == 1
    assert [each.notice.state for each in inbox(desk.state, ASKER)] == ["corrected"]
    assert gather(desk) == 0


def test_after_a_decision_the_provider_is_told_only_where_there_is_something_to_do(desk: Desk) -> None:
    went(desk, *REFUSED)
    gather(desk)
    assert [each.notice.kind for each in inbox(desk.state, ASKER)] == ["outcome", "outcome"]
    assert inbox(desk.state, SCHOOL) == []
    went(desk, *DECIDED)
    gather(desk)
    assert [each.notice.about for each in inbox(desk.state, SCHOOL)] == ["decide 4"]


def test_of_what_no_department_objected_to_the_authority_is_told(desk: Desk) -> None:
    number = raised(desk, PERSON, opened()).number
    take(desk, SCHOOL, number, "correct", WORDS)
    gather(desk)
    assert [each.notice.state for each in inbox(desk.state, BUREAU)] == ["corrected"]


# ── what is kept ──────────────────────────────────────────────────────────────────────────────────────────


def test_every_step_is_in_the_audit_log_and_no_text_of_it(desk: Desk) -> None:
    made = went(desk, *DECIDED)
    told = [entry for _, entry in desk.log.entries(0)]
    assert [(each["action"], each["objection"], each["step"], each["state"]) for each in told] == [
        ("objection", made.number, "raise", "raised"),
        ("objection", made.number, "uphold", "upheld"),
        ("objection", made.number, "refer", "referred"),
        ("objection", made.number, "decide", "raised"),
    ]
    assert (told[0]["zone"], told[0]["snapshot"]) == ("share", "7")
    log = b"".join(store.read_bytes(uri) for uri in store.list_files(desk.log.folder)).decode()
    assert SECRET not in log


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            "DELETE FROM objection_events WHERE step = 'correct'",
            "`correct` by school-clerk is in the audit log",
        ),
        (
            "UPDATE objection_events SET step = 'uphold' WHERE step = 'correct'",
            "`uphold` by school-clerk is not",
        ),
        ("UPDATE objections SET department = 'transport'", "is not what the audit log says"),
        ("UPDATE objections SET snapshot = '8'", "is not what the audit log says"),
    ],
)
def test_what_somebody_changes_in_the_database_is_seen(desk: Desk, sql: str, says: str) -> None:
    made = went(desk, (SCHOOL, "correct"))

    def wrong() -> list[tuple[str, str]]:
        return list(unlike(desk.state, (entry for _, entry in desk.log.entries(0))))

    assert wrong() == []
    with desk.state.begin() as connection:
        assert connection.execute(sa.text(sql)).rowcount
    assert {case for case, _ in wrong()} == {f"objection {made.number}"}
    assert any(says in told for _, told in wrong())


def test_what_is_possible_is_of_the_state(desk: Desk) -> None:
    assert possible(raised(desk)) == ["ask", "correct", "uphold", "withdraw"]
    assert possible(went(desk, *DECIDED)) == ["ask", "correct", "withdraw"]
    assert possible(went(desk, *REFUSED)) == []
