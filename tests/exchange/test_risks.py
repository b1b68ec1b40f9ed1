"""Risks as they are kept: once each, in the database and in the audit log, and told to whom they concern."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, get_args

import pytest
import sqlalchemy as sa

from exchange import risks as kept_risks
from exchange.desk import Desk
from exchange.errors import Busy, NotThere
from exchange.logged import unlike
from exchange.notices import gather, inbox
from exchange.people import Principal
from exchange.refusals import Refusals
from exchange.risks import Risk, risks, watch
from exchange.schema import RISKS
from exchange.usage import usage
from exchange.watching import Finding, Rule
from exchange.words import COUNTED, body, subject
from exchange.words import RISKS as IN_WORDS
from schemas.errors import LakeError
from schemas.workdays import day_of
from tests.exchange.conftest import ASKER, AUDITOR, BUREAU, CLERK, STRANGER, Clock, person
from tests.exchange.test_logged import full_disk
from tests.exchange.test_watching import DAY, MARRIAGE, before, granted, put, tables_that_join
from tests.waiting import together

CENTRE = person("centre", "", "data_centre")


@pytest.fixture
def unusual(desk: Desk, clock: Clock) -> Desk:
    """A desk on a day on which one account read far more than before."""
    clock.wait(days=(DAY - day_of(clock())).days)
    for day in before():
        put(desk, day, 100)
    put(desk, DAY, 50_000)
    return desk


def entries(desk: Desk, action: str = "risk") -> list[dict[str, Any]]:
    return [entry for _, entry in desk.log.entries(0) if entry["action"] == action]


def told(desk: Desk, who: Principal) -> list[tuple[str, str]]:
    return [(each.notice.kind, each.notice.about) for each in inbox(desk.state, who)]


def test_each_is_kept_once_and_stands_in_the_log_once(unusual: Desk, clock: Clock) -> None:
    assert watch(unusual) == 1
    put(unusual, DAY, 400_000, door="delta")
    clock.wait(hours=1)
    assert watch(unusual) == 0, "of the same day, with more rows since"
    clock.wait(days=1)
    assert watch(unusual) == 0, "and looked at once more when it was over"
    (risk,) = risks(unusual, None)
    (entry,) = entries(unusual)
    assert (risk.finding.rule, risk.finding.counted, risk.finding.bound) == ("volume", 50_000, 10_000)
    assert {name: entry[name] for name in ("risk", "rule", "day", "department", "account", "counted")} == {
        "risk": risk.number,
        "rule": "volume",
        "day": "2026-06-11",
        "department": "health",
        "account": "asker",
        "counted": 50_000,
    }
    assert list(unlike(unusual.state, (entry for _, entry in unusual.log.entries(0)))) == []


def test_of_several_that_watch_at_once_one_keeps_it(unusual: Desk) -> None:
    gate, counts = threading.Barrier(3, timeout=60), []

    def at_once() -> None:
        gate.wait()
        counts.append(watch(unusual))

    threads = [threading.Thread(target=at_once) for _ in range(3)]
    together(*threads)
    assert len(counts) == 3, "none of them failed"
    assert sum(counts) == 1 and len(risks(unusual, None)) == len(entries(unusual)) == 1


def test_what_cannot_be_logged_is_not_kept(unusual: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, entry: object) -> int:
        raise LakeError("no space")

    with monkeypatch.context() as broken:
        broken.setattr("lake.auditlog.AuditLog.append", full)
        with pytest.raises(LakeError):
            watch(unusual)
    assert risks(unusual, None) == []
    assert watch(unusual) == 1, "it is found again"


def test_days_on_which_nobody_watched_are_caught_up_with(desk: Desk, clock: Clock) -> None:
    clock.wait(days=(DAY - day_of(clock())).days - 1)
    for day in before():
        put(desk, day, 100)
    assert watch(desk) == 0
    put(desk, DAY, 50_000)
    clock.wait(days=6)
    assert watch(desk) == 1
    assert [each.finding.day for each in risks(desk, None)] == [DAY]


def test_a_risk_that_was_found_while_the_log_was_looked_at_is_nobodys_forgery(unusual: Desk) -> None:
    watch(unusual)
    log = [entry for _, entry in unusual.log.entries(0)]
    assert list(unlike(unusual.state, [], log)) == []
    assert [told for _, told in unlike(unusual.state, [], [])] == [
        "it is not in the audit log: somebody wrote it into the database"
    ]


def test_a_risk_that_the_database_could_not_keep_is_nobodys_forgery(unusual: Desk) -> None:
    with full_disk(unusual), pytest.raises(Busy):
        watch(unusual)
    assert len(entries(unusual, "undone")) == 1
    assert list(unlike(unusual.state, (entry for _, entry in unusual.log.entries(0)))) == []
    assert watch(unusual) == 1
    assert list(unlike(unusual.state, (entry for _, entry in unusual.log.entries(0)))) == []


def test_a_day_that_somebody_else_is_still_counting_is_looked_at_again(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.wait(days=(DAY - day_of(clock())).days)
    for day in before():
        put(desk, day, 100)
    assert watch(desk) == 0

    def at_it(desk: Desk) -> None:
        raise Busy("somebody else is counting the usage")

    clock.wait(days=1)
    with monkeypatch.context() as patch:
        patch.setattr(kept_risks, "count", at_it)
        assert watch(desk) == 0
    put(desk, DAY, 50_000)  # the evening of the day before, counted now
    clock.wait(hours=1)
    assert watch(desk) == 1


def test_who_begins_to_watch_does_not_look_at_a_year(desk: Desk, clock: Clock) -> None:
    clock.wait(days=(DAY - day_of(clock())).days + 3)
    for day in before():
        put(desk, day, 100)
    put(desk, DAY, 50_000)
    assert watch(desk) == 0


def test_providers_and_the_authority_are_told_once_and_not_who_read(unusual: Desk) -> None:
    watch(unusual)
    (number,) = (each.number for each in risks(unusual, None))
    assert gather(unusual) == 2
    assert told(unusual, CLERK) == told(unusual, BUREAU) == [("risk", f"volume {number}")]
    assert told(unusual, ASKER) == told(unusual, STRANGER) == []
    assert gather(unusual) == 0
    (kept,) = inbox(unusual.state, CLERK)
    text = subject(kept.notice) + body(kept.notice, unusual.catalogue)
    assert f"第{number}号风险提示：一天内读取行数远超以往（2026-06-11）" in text
    assert f"Risk {number}: far more rows were read in a day than before (2026-06-11)" in text
    assert "婚姻登记信息" in text and "/risks" in text
    assert "asker" not in text and "health" not in text


def test_what_is_of_several_datasets_is_told_to_all_their_providers(desk: Desk, clock: Clock) -> None:
    clock.wait(days=(DAY - day_of(clock())).days)
    names = tables_that_join(desk)[:3]
    for name in names:
        put(desk, DAY, dataset=name)
    assert watch(desk) == 1
    owners = {desk.catalogue.entries[name].owner for name in names}
    assert gather(desk) == len(owners) + 1
    (kept,) = inbox(desk.state, BUREAU)
    assert kept.notice.dataset == "" and kept.notice.numbers["request"] is None
    assert "（，" not in body(kept.notice, desk.catalogue) + subject(kept.notice)


@pytest.mark.parametrize(
    ("tables", "about"),
    [
        (
            [("civil_affairs.marriage", "default"), ("civil_affairs.marriage", "statistics")],
            "（civil_affairs.marriage）",
        ),
        ([("0a1b2c3d", "")], "一天内多次读取被拒（2026-06-11）。"),  # a name of no dataset, as a digest
    ],
)
def test_a_notice_tells_no_policy_and_no_dataset_where_there_is_none(
    desk: Desk, clock: Clock, tables: list[tuple[str, str]], about: str
) -> None:
    clock.wait(days=(DAY - day_of(clock())).days)
    for dataset, policy in tables:
        put(desk, DAY, refused=20, reads=0, dataset=dataset, policy=policy)
    assert watch(desk) == 1
    gather(desk)
    (kept,) = inbox(desk.state, BUREAU)
    text = body(kept.notice, desk.catalogue)
    assert about in text and "，）" not in text and "policy )" not in text and "0a1b" not in text


def test_a_grant_that_nobody_uses_is_told_to_its_two_sides(desk: Desk, clock: Clock) -> None:
    number = granted(desk)
    clock.wait(days=90)
    assert watch(desk) == 1
    gather(desk)
    (at_holder,) = (each for each in inbox(desk.state, ASKER) if each.notice.kind == "risk")
    assert at_holder.notice.number == number and told(desk, CLERK)[0][0] == "risk"
    assert "risk" not in dict(told(desk, BUREAU))
    assert f"/requests/{number}" in body(at_holder.notice, desk.catalogue)
    clock.wait(days=1)
    assert watch(desk) == 0


def test_who_may_see_what(unusual: Desk) -> None:
    put(
        unusual, DAY, refused=30, reads=0, department="transport", account="prober", dataset="0a1b", policy=""
    )
    assert watch(unusual) == 2
    seen = {each: [risk.finding.rule for risk in risks(unusual, each)] for each in (CLERK, ASKER, STRANGER)}
    assert seen == {CLERK: ["volume"], ASKER: [], STRANGER: []}
    for each in (BUREAU, AUDITOR, CENTRE, None):
        assert sorted(risk.finding.rule for risk in risks(unusual, each)) == ["refused", "volume"]
    assert risks(unusual, None, since=DAY + timedelta(days=1)) == []
    assert risks(unusual, person("nobody", "", "public")) == []


def test_a_provider_sees_what_is_of_its_datasets_and_of_none_that_is_called_alike(unusual: Desk) -> None:
    """The names are looked for by the database, to which `_` and `%` may be signs that stand for others."""
    watch(unusual)
    names = (
        "civil_affairsXmarriage",
        "civilXaffairs.marriage",
        "civil_affairs.marriage_2",
        "%",
        "x.civil_affairs.marriage",
    )
    with unusual.state.begin() as connection:
        (row,) = connection.execute(sa.select(RISKS)).mappings()
        for number, name in enumerate(names, 2):
            more = {"number": number, "key": name, "datasets": [name]}
            connection.execute(sa.insert(RISKS).values({**row} | more))
    assert [each.number for each in risks(unusual, CLERK)] == [1]
    assert len(risks(unusual, BUREAU)) == 6


def test_the_newest_are_told(unusual: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    watch(unusual)
    with unusual.state.begin() as connection:
        (row,) = connection.execute(sa.select(RISKS)).mappings()
        for number in (2, 3):
            connection.execute(sa.insert(RISKS).values({**row} | {"number": number, "key": str(number)}))
    monkeypatch.setattr(kept_risks, "MOST", 2)
    assert [each.number for each in risks(unusual, CLERK)] == [3, 2]
    assert [each.number for each in risks(unusual, CLERK, before=2)] == [1], "of the same day"
    for who, number in ((CLERK, 9), (STRANGER, 2)):
        with pytest.raises(NotThere, match="no risk"):
            risks(unusual, who, before=number)


def test_a_holder_sees_its_grants_that_it_does_not_use(desk: Desk, clock: Clock) -> None:
    granted(desk)
    clock.wait(days=90)
    watch(desk)
    assert len(risks(desk, ASKER)) == len(risks(desk, CLERK)) == 1
    assert risks(desk, STRANGER) == []


def test_callers_whom_nobody_knows_are_counted_and_are_no_usage(desk: Desk, clock: Clock) -> None:
    refusals = Refusals(desk.log, clock)
    for _ in range(600):
        refusals.note("missing", "api", address="192.0.2.1")
        refusals.note("unknown", "delta")
    refusals.flush(all_of_it=True)
    assert watch(desk) == 1
    (risk,) = risks(desk, BUREAU)
    assert (risk.finding.rule, risk.finding.counted) == ("strangers", 1_200)
    assert usage(desk, None) == []
    gather(desk)
    assert told(desk, BUREAU) == [("risk", f"strangers {risk.number}")] and told(desk, CLERK) == []


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ("DELETE FROM risks", "it is in the audit log, and the database does not have it"),
        ("UPDATE risks SET account = 'other'", "it is not what the audit log says"),
        ("UPDATE risks SET number = 77", "it is not in the audit log: somebody wrote it into the database"),
    ],
)
def test_what_somebody_does_to_them_verify_finds(unusual: Desk, change: str, wrong: str) -> None:
    watch(unusual)
    with unusual.state.begin() as connection:
        connection.execute(sa.text(change))
    said = dict(unlike(unusual.state, (entry for _, entry in unusual.log.entries(0))))
    assert wrong in said.values() and all(name.startswith("risk ") for name in said)


def test_every_rule_has_its_words() -> None:
    assert set(get_args(Rule)) == set(IN_WORDS) == set(COUNTED)


def test_the_numbers_are_the_citys(unusual: Desk) -> None:
    numbers = unusual.catalogue.numbers
    more = numbers.model_copy(update={"watch": numbers.watch.model_copy(update={"rows": 50_001})})
    assert watch(replace(unusual, catalogue=replace(unusual.catalogue, numbers=more))) == 0


def test_the_newest_are_listed_first_and_so_many(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    for number in range(4):
        day = date(2026, 6, 1 + number)
        kept_risks._keep(desk, Finding("volume", day, "health", "a", (MARRIAGE,), "default", 9, 1, 5))
    monkeypatch.setattr(kept_risks, "MOST", 3)
    shown: list[Risk] = risks(desk, AUDITOR)
    assert [each.finding.day.day for each in shown] == [4, 3, 2]
    late = Finding("volume", date(2026, 6, 2), "health", "b", (MARRIAGE,), "default", 9, 1, 5)
    kept_risks._keep(desk, late)  # a day that was looked at later: by its number it is the newest
    assert [each.number for each in risks(desk, AUDITOR)] == [4, 3, 5]
    assert [each.number for each in risks(desk, AUDITOR, before=5)] == [2, 1]
