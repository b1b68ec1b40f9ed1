"""Applications for what is opened on conditions: who may make one and for what, the way to its end, its clock, what is
told, and what is kept of it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from exchange import applications, cases
from exchange.accounts import Session
from exchange.applications import MOST_OPEN, apply_for, at_hand, every, find, given, listed, take
from exchange.deadlines import clocks
from exchange.desk import Desk
from exchange.errors import ExchangeError, Forbidden, NotThere, Unfit
from exchange.forgetting import ERASED, forget, traces
from exchange.logged import unlike
from exchange.notices import gather, inbox
from exchange.opening import RULES, STATES, USES, Application
from exchange.people import Principal
from exchange.schema import APPLICATION_EVENTS, APPLICATIONS
from exchange.steps import possible
from exchange.words import CASES, STEPS, body, subject
from exchange.words import STATES as STATES_IN_WORDS
from exchange.words import USES as USES_IN_WORDS
from lake import store
from lake.auditlog import read_line, segment_name
from schemas.load import Catalogue
from tests.exchange.conftest import ASKER, AUDITOR, BUREAU, CLERK, STRANGER, Clock, person

RIDES = "transport.bus_ride"
SECRET = "某研究所张某某"
CITIZEN = person("citizen", "", "public")
OTHER = person("other-citizen", "", "public")
CENTRE = person("centre", "", "data_centre")
LINES = person("lines", "transport", "provider")
DIRECTOR = person("director", "transport", "provider", "approver")
NO = {"consent": False}
WORDS = {"missing": "何处存放", "supplement": SECRET, "reason": SECRET, "consent": True, "disposal": "已删除"}


def wanted(**other: object) -> dict[str, Any]:
    return {
        "dataset": RIDES,
        "applicant": SECRET,
        "use": "innovation",
        "purpose": "线路优化研究",
        "safeguards": "内网使用",
        "until": "2027-03-01T00:00:00+08:00",
        "accepts": True,
        **other,
    }


def applied(desk: Desk, who: Principal = CITIZEN, **other: object) -> Application:
    return apply_for(desk, who, wanted(**other))


def went(desk: Desk, *steps: tuple[Principal, str] | tuple[Principal, str, dict[str, Any]]) -> Application:
    made = applied(desk)
    for who, step, *more in steps:
        made = take(desk, who, made.number, step, WORDS | (more[0] if more else {}))  # type: ignore[arg-type]
    return made


def session(who: Principal, *scopes: Any) -> Session:
    return Session(who, frozenset(scopes or ("read", "request")), "token")


GRANTED = ((LINES, "propose"), (DIRECTOR, "confirm"))
DECLINED = ((LINES, "propose", NO), (DIRECTOR, "confirm"))
REFERRED = (*DECLINED, (CITIZEN, "refer"))
ASKED = ((LINES, "return"),)
WAYS: list[tuple[Any, str]] = [
    ((), "submitted"),
    (ASKED, "incomplete"),
    ((*ASKED, (CITIZEN, "supplement")), "submitted"),
    ((*ASKED, (CITIZEN, "withdraw")), "ended"),
    (((LINES, "propose"),), "proposed"),
    (((LINES, "propose"), (DIRECTOR, "send_back")), "submitted"),
    (
        ((LINES, "propose"), (DIRECTOR, "send_back"), (LINES, "propose", NO), (DIRECTOR, "confirm")),
        "declined",
    ),
    (GRANTED, "granted"),
    ((*GRANTED, (BUREAU, "suspend")), "suspended"),
    ((*GRANTED, (BUREAU, "suspend"), (BUREAU, "resume")), "granted"),
    ((*GRANTED, (DIRECTOR, "revoke")), "ended"),
    ((*GRANTED, (CITIZEN, "dispose")), "ended"),
    (DECLINED, "declined"),
    (REFERRED, "referred"),
    ((*REFERRED, (BUREAU, "decide")), "granted"),
    ((*REFERRED, (BUREAU, "decide", NO)), "declined"),
]


# ── the way ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("steps", "ends"), WAYS)
def test_where_steps_lead(desk: Desk, steps: Any, ends: str) -> None:
    made = went(desk, *steps)
    assert made.state == ends
    assert find(desk, CITIZEN, made.number) == made


def test_these_ways_reach_every_state_and_take_every_step() -> None:
    assert {state for _, state in WAYS} == set(STATES)
    assert {step for steps, _ in WAYS for _, step, *_ in steps} | {"apply"} == set(RULES)


def test_every_state_step_and_use_has_its_words() -> None:
    assert set(STATES) <= set(STATES_IN_WORDS) and set(RULES) <= set(STEPS)
    assert set(USES) == set(USES_IN_WORDS) and "application" in CASES


@pytest.mark.parametrize(
    ("before", "who", "step", "error"),
    [
        ((), CITIZEN, "propose", Forbidden),
        ((), BUREAU, "propose", Forbidden),
        ((), LINES, "withdraw", Forbidden),
        ((), LINES, "confirm", Forbidden),
        ((), CITIZEN, "dispose", Unfit),
        (((DIRECTOR, "propose"),), DIRECTOR, "confirm", Forbidden),  # a second person
        ((*ASKED, (CITIZEN, "supplement")), LINES, "return", Unfit),  # once
        (GRANTED, LINES, "suspend", Forbidden),
        (GRANTED, BUREAU, "revoke", Forbidden),
        (GRANTED, CITIZEN, "withdraw", Unfit),
        ((*REFERRED, (BUREAU, "decide", NO)), CITIZEN, "refer", Unfit),
        ((), OTHER, "withdraw", NotThere),
        ((), CLERK, "propose", NotThere),  # of another department
        ((), CENTRE, "withdraw", Forbidden),
    ],
)
def test_who_may_not_and_when_not(
    desk: Desk, before: Any, who: Principal, step: Any, error: type[ExchangeError]
) -> None:
    made = went(desk, *before)
    with pytest.raises(error):
        take(desk, who, made.number, step, WORDS)
    assert find(desk, CITIZEN, made.number) == made


# ── applying ──────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_kept_of_it(desk: Desk) -> None:
    terms = applied(desk).terms
    entry = desk.catalogue.entries[RIDES]
    assert (terms.account, terms.provider, terms.use) == ("citizen", entry.owner, "innovation")
    assert entry.open.conditions is not None and entry.open.conditions.zh in terms.conditions


@pytest.mark.parametrize("who", [ASKER, CLERK, BUREAU, AUDITOR, CENTRE], ids=lambda who: who.name)
def test_the_public_applies_and_nobody_else(desk: Desk, who: Principal) -> None:
    with pytest.raises(Forbidden, match="by the public"):
        applied(desk, who)


@pytest.mark.parametrize(
    ("other", "error", "says"),
    [
        *[({name: ""}, Unfit, name) for name in ("applicant", "use", "purpose", "safeguards", "until")],
        ({"purpose": "据" * 5000}, Unfit, "too long"),
        ({"applicant": "某" * 201}, Unfit, "name is too long"),
        ({"safeguards": "none \0"}, Unfit, "signs"),
        *[({name: " \u3000\u200b\n"}, Unfit, name) for name in ("applicant", "purpose", "safeguards")],
        ({"applicant": "\u202e某某大学"}, Unfit, "not seen"),
        ({"purpose": "研究\x1b[2J"}, Unfit, "not seen"),
        ({"use": "marketing"}, Unfit, "unknown"),
        ({"accepts": False}, Unfit, "not accepted"),
        ({"accepts": "yes"}, Unfit, "not accepted"),
        ({"until": "2020-01-01T00:00:00+08:00"}, Unfit, "has passed"),
        ({"until": "tomorrow"}, Unfit, "malformed"),
        ({"dataset": "education.school"}, Unfit, "open to everybody"),
        ({"dataset": "civil_affairs.marriage"}, NotThere, "no such dataset"),
        ({"dataset": "transport.nothing"}, NotThere, "no such dataset"),
    ],
)
def test_what_an_application_must_say(desk: Desk, other: dict, error: type[ExchangeError], says: str) -> None:
    with pytest.raises(error, match=says):
        applied(desk, **other)
    assert listed(desk, AUDITOR) == []
    assert not store.exists(store.join(desk.log.folder, segment_name(0)))


def test_a_text_of_several_lines_and_of_any_script_is_taken(desk: Desk) -> None:
    text = "一、研究\r\n\t二、Öffnung, بيانات\u200f, 👨\u200d👩\u200d👧"
    assert applied(desk, purpose=text).terms.purpose == text


@pytest.mark.parametrize("reason", ["", "   ", "\u200b\u3000\n"])
def test_a_refusal_without_a_reason_is_none(desk: Desk, reason: str) -> None:
    number = applied(desk).number
    with pytest.raises(Unfit, match="lacks reason"):
        take(desk, LINES, number, "propose", {"consent": False, "reason": reason})


@pytest.mark.parametrize("reason", ["不符\u202e", "不符\x07", "\u2066x", "\x9b31m"])
def test_what_is_said_reads_as_it_was_written(desk: Desk, reason: str) -> None:
    number = applied(desk).number
    with pytest.raises(Unfit, match="malformed"):
        take(desk, LINES, number, "propose", {"consent": False, "reason": reason})


def test_so_many_and_no_more_whoever_comes_at_one_moment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_OPEN == 20
    monkeypatch.setattr(applications, "MOST_OPEN", 5)
    gate = Barrier(8)

    def at_once(_: int) -> list[str]:
        gate.wait(30)
        ends = []
        for who in (CITIZEN, OTHER):
            try:
                ends.append(applied(desk, who).terms.account)
            except Unfit as error:
                assert "under way" in error.message
        return ends

    with ThreadPoolExecutor(8) as pool:
        ends = Counter(end for each in pool.map(at_once, range(8)) for end in each)
    assert ends == {"citizen": 5, "other-citizen": 5}
    take(desk, CITIZEN, listed(desk, CITIZEN)[0].number, "withdraw", {})
    applied(desk)
    with pytest.raises(Unfit, match="under way"):
        applied(desk)


@pytest.mark.parametrize(
    ("steps", "counts"),
    [
        ((), True),
        (((LINES, "propose"),), True),
        (GRANTED, False),
        ((*GRANTED, (BUREAU, "suspend")), False),
        (REFERRED, True),
        (DECLINED, False),
    ],
)
def test_a_grant_counts_until_its_time_limit(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch, steps: Any, counts: bool
) -> None:
    """And what nobody has answered yet counts after it too: somebody has it before them."""
    monkeypatch.setattr(applications, "MOST_OPEN", 1)
    went(desk, *steps)
    if steps != DECLINED:
        with pytest.raises(Unfit, match="under way"):
            applied(desk)
    clock.now = datetime(2027, 2, 28, 16, tzinfo=UTC)
    if counts:
        with pytest.raises(Unfit, match="under way"):
            applied(desk, until="2028-03-01T00:00:00+08:00")
    else:
        assert applied(desk, until="2028-03-01T00:00:00+08:00").state == "submitted"


# ── many ──────────────────────────────────────────────────────────────────────────────────────────────────


def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many cases each look at the database reads from here on."""
    rows: list[int] = []
    read = cases.read

    def reading(*what: Any) -> Any:
        found = read(*what)
        rows.append(len(found))
        return found

    monkeypatch.setattr(cases, "read", reading)
    return rows


def test_every_case_is_read_so_many_at_a_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number, none twice and none left out, whatever they are; and no more is read than is asked for."""
    monkeypatch.setattr(cases, "MOST", 2)
    for steps in ((), ((CITIZEN, "withdraw"),), GRANTED, ((CITIZEN, "withdraw"),), DECLINED):
        went(desk, *steps)
    rows = rows_read(monkeypatch)
    for after in range(6):
        assert [each.number for each in every(desk.state, after)] == list(range(after + 1, 6))
    assert [each.number for each in every(desk.state, over=False)] == [1, 3, 5]
    assert [each.number for each in every(desk.state, 1, over=False)] == [3, 5]
    assert max(rows) == 2
    rows.clear()
    assert next(every(desk.state)).number == 1 and rows == [2]


def test_a_list_comes_in_parts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "MOST", 2)
    for who in (CITIZEN, OTHER, CITIZEN, CITIZEN, CITIZEN):
        applied(desk, who)
    parts = [[each.number for each in listed(desk, CITIZEN, after)] for after in (0, 3, 5)]
    assert parts == [[1, 3], [4, 5], []]
    assert [each.number for each in listed(desk, AUDITOR, 3)] == [4, 5]
    assert len(listed(desk, CITIZEN)) == 4
    assert listed(desk, AUDITOR, 2**31 - 1) == []


def test_who_applies_and_withdraws_is_counted_by_what_is_under_way_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        went(desk, (CITIZEN, "withdraw"))
    applied(desk)
    rows = rows_read(monkeypatch)
    applied(desk)
    assert rows == [1]


def test_what_waits_is_at_hand_before_what_rests_and_a_few_of_what_is_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "MOST", 3)
    for _ in range(4):
        went(desk, (CITIZEN, "withdraw"))
    waits = [applied(desk).number, went(desk, (LINES, "propose")).number]
    rests = [went(desk, *GRANTED).number, went(desk, *GRANTED, (BUREAU, "suspend")).number]
    for who in (CITIZEN, LINES, BUREAU):
        found, count = at_hand(desk, who, 2)
        assert [each.number for each in found] == [3, 4, *waits, rests[1]]
        assert count == 8
    assert at_hand(desk, OTHER, 2) == ([], 0)


# ── what is given ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_granted_is_given_to_its_account_until_its_end(desk: Desk, clock: Clock) -> None:
    number = went(desk, *GRANTED).number
    right = given(desk, session(CITIZEN), number)
    assert (right.entry.id, right.policy, right.purpose) == (RIDES, "open", f"application {number}")
    for who in (LINES, BUREAU, AUDITOR, CENTRE):
        with pytest.raises(Forbidden, match="its own account's"):
            given(desk, session(who), number)
    with pytest.raises(NotThere):
        given(desk, session(OTHER), number)
    with pytest.raises(Forbidden, match="not for reading"):
        given(desk, session(CITIZEN, "request"), number)
    take(desk, BUREAU, number, "suspend", WORDS)
    with pytest.raises(Forbidden, match="suspended"):
        given(desk, session(CITIZEN), number)
    take(desk, BUREAU, number, "resume", WORDS)
    clock.now = datetime(2027, 2, 28, 16, tzinfo=UTC)
    with pytest.raises(Forbidden, match="time limit has passed"):
        given(desk, session(CITIZEN), number)


@pytest.mark.parametrize("steps", [(), ASKED, ((LINES, "propose"),), DECLINED, REFERRED])
def test_nothing_is_given_before_it_is_granted(desk: Desk, steps: Any) -> None:
    with pytest.raises(Forbidden, match="gives nothing now"):
        given(desk, session(CITIZEN), went(desk, *steps).number)


def test_what_the_catalogue_opens_no_more_is_given_no_more(desk: Desk) -> None:
    number = went(desk, *GRANTED).number
    entry = desk.catalogue.entries[RIDES]

    def but(type_: str) -> Catalogue:
        closed = entry.model_copy(update={"open": entry.open.model_copy(update={"type": type_})})
        return replace(desk.catalogue, entries={**desk.catalogue.entries, RIDES: closed})

    with pytest.raises(NotThere):
        given(replace(desk, catalogue=but("none")), session(CITIZEN), number)
    with pytest.raises(Unfit, match="open to everybody"):
        given(replace(desk, catalogue=but("unconditional")), session(CITIZEN), number)


# ── who sees it, and what is told ─────────────────────────────────────────────────────────────────────────


def test_who_sees_what(desk: Desk) -> None:
    number = applied(desk).number
    for party in (CITIZEN, LINES, DIRECTOR, BUREAU, AUDITOR, CENTRE):
        assert [each.number for each in listed(desk, party)] == [number]
        assert find(desk, party, number).number == number
    for other in (OTHER, CLERK, STRANGER, ASKER):
        assert listed(desk, other) == []
        with pytest.raises(NotThere):
            find(desk, other, number)


def test_ten_working_days_anew_once_it_is_supplemented(desk: Desk, clock: Clock) -> None:
    numbers = desk.catalogue.numbers.exchange
    made = applied(desk)  # Monday 2026-03-02
    (answer,) = clocks(made, numbers, desk.clock())
    assert (answer.name, answer.of, answer.due, answer.done) == (
        "answer",
        "provider",
        date(2026, 3, 16),
        None,
    )
    clock.wait(days=1)
    take(desk, LINES, made.number, "return", WORDS)
    clock.wait(days=1)
    made = take(desk, CITIZEN, made.number, "supplement", WORDS)
    first, missing, second = clocks(made, numbers, desk.clock())
    assert (missing.name, missing.of, missing.done is None, first.done is None) == (
        "supplement",
        "requester",
        False,
        False,
    )
    assert second.due == date(2026, 3, 18)
    for who, step in GRANTED:
        made = take(desk, who, made.number, step, WORDS)  # type: ignore[arg-type]
    assert all(each.done for each in clocks(made, numbers, desk.clock()))


def test_the_provider_and_the_authority_are_told_and_never_a_word(desk: Desk, clock: Clock) -> None:
    number = applied(desk).number
    assert gather(desk) == 1
    (kept,) = inbox(desk.state, LINES)
    assert (kept.notice.kind, kept.notice.case, kept.notice.number) == ("turn", "application", number)
    assert subject(kept.notice).startswith(f"开放申请{number}：待办：已提交 Application {number}: ")
    text = body(kept.notice, desk.catalogue)
    assert f"GET /api/v1/applications/{number}" in text and SECRET not in text
    clock.wait(days=30)
    gather(desk)
    assert [each.notice.kind for each in inbox(desk.state, BUREAU)] == ["escalate"]
    take(desk, LINES, number, "return", WORDS)
    clock.wait(days=30)
    gather(desk)  # what the applicant is late with is told to the authority, and to no inbox of nobody's
    kinds = [(each.notice.kind, each.notice.about) for each in inbox(desk.state, BUREAU)]
    assert kinds == [("escalate", "supplement"), ("escalate", "answer")]


def test_the_log_has_every_step_and_no_word(desk: Desk) -> None:
    number = went(desk, *REFERRED, (BUREAU, "decide")).number
    data = store.read_bytes(store.join(desk.log.folder, segment_name(0)))
    entries = [read_line(line)[0] for line in data.splitlines(keepends=True)]
    assert [(each["step"], each["by"], each["state"]) for each in entries] == [
        ("apply", "citizen", "submitted"),
        ("propose", "lines", "proposed"),
        ("confirm", "director", "declined"),
        ("refer", "citizen", "referred"),
        ("decide", "bureau", "granted"),
    ]
    assert {each["application"] for each in entries} == {number} and entries[0]["use"] == "innovation"
    assert SECRET not in data.decode() and "线路优化" not in data.decode()
    assert list(unlike(desk.state, entries)) == []


def test_a_grant_that_somebody_writes_into_the_database_is_found(desk: Desk) -> None:
    number = applied(desk).number
    data = store.read_bytes(store.join(desk.log.folder, segment_name(0)))
    entries = [read_line(line)[0] for line in data.splitlines(keepends=True)]
    with desk.state.begin() as connection:
        connection.execute(sa.update(APPLICATIONS).values(until="2099-01-01T00:00:00.000000+00:00"))
        for place, step in ((2, "propose"), (3, "confirm")):
            row = {"application": number, "number": place, "step": step, "by": "director"}
            more = {"side": "provider", "at": "2026-03-02T00:00:00.000000+00:00", "said": {"consent": True}}
            connection.execute(sa.insert(APPLICATION_EVENTS).values(row | more))
    found = dict.fromkeys(name for name, _ in unlike(desk.state, entries))
    wrong = [text for _, text in unlike(desk.state, entries)]
    assert list(found) == [f"application {number}"] and len(wrong) == 3
    assert "scope" in wrong[-1]


def test_what_was_written_is_erased(desk: Desk) -> None:
    made = went(desk, *ASKED, (CITIZEN, "supplement"))
    found = traces(desk.state, lambda text: SECRET in text)
    assert {each.dataset for each in found} == {RIDES} and len(found) == 2
    forget(desk.state, found)
    after = find(desk, CITIZEN, made.number)
    assert (after.terms.applicant, after.terms.purpose) == (ERASED, "线路优化研究")
    assert after.events[-1].said == {"supplement": ERASED}


def test_two_who_act_at_once_take_turns(desk: Desk) -> None:
    number = applied(desk).number
    gate = Barrier(2)

    def at_once(step: Any) -> str:
        gate.wait(30)
        try:
            return take(desk, LINES if step == "return" else CITIZEN, number, step, WORDS).state
        except Unfit:
            return ""

    with ThreadPoolExecutor(2) as pool:
        ends = sorted(pool.map(at_once, ("return", "withdraw")))
    made = find(desk, CITIZEN, number)
    assert made.state in ends and len(made.events) == 1 + sum(map(bool, ends))
    assert possible(made) == [] or made.state == "incomplete"
