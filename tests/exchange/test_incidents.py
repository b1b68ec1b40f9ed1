"""Incidents as the exchange tells of them: to the providers of what they are about, the authority, and nobody else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange.accounts import open_account
from exchange.desk import Desk
from exchange.errors import NotThere
from exchange.incidents import as_json, known, of_risks, visible
from exchange.notices import AUTHORITY, gather, inbox
from exchange.people import Principal
from exchange.risks import risks, watch
from exchange.words import body, subject
from lake.incidents import About, Incident, Said, incident, incidents, path_of
from lake.registering import record
from schemas.workdays import day_of
from tests.exchange.conftest import ASKER, AUDITOR, BUREAU, CLERK, HEAD, STRANGER, Clock, person
from tests.exchange.test_watching import DAY, MARRIAGE, before, granted, put

CENTRE = person("centre", "", "data_centre")
WORDS = "某数据集被大量下载"


def say(desk: Desk, number: int | None = None, kind: str = "open", **more: Any) -> Incident:
    first = {"level": "serious", "datasets": (MARRIAGE,)} if kind == "open" else {}
    said = {"kind": kind, "by": "值班", "when": desk.clock(), "texts": {"what": WORDS}, **first, **more}
    step, _ = record(desk.log.settings, desk.log, Said.model_validate(said), number)
    return incident(desk.log.settings.lake_root, step.incident)


def seen(desk: Desk, who: Principal) -> list[int]:
    return [each.number for each in visible(desk.log.settings.lake_root, desk.catalogue, who)]


def told(desk: Desk, who: Principal) -> list[str]:
    """What a department is told of incidents, the oldest first."""
    gather(desk)
    found = [each.notice for each in reversed(inbox(desk.state, who)) if each.notice.kind == "incident"]
    return [each.about for each in found]


def test_who_sees_it(desk: Desk) -> None:
    say(desk)
    say(desk, datasets=())
    say(desk, datasets=("gone.data",))
    for who in (AUDITOR, BUREAU, CENTRE):
        assert seen(desk, who) == [3, 2, 1]
    assert seen(desk, CLERK) == [1]
    for who in (ASKER, STRANGER, person("anybody", "", "public"), person("nobody", "")):
        assert seen(desk, who) == []


def test_a_provider_sees_it_once_its_dataset_is_named(desk: Desk) -> None:
    say(desk, datasets=("public_security.resident",))
    assert seen(desk, CLERK) == []
    say(desk, 1, "note", datasets=(MARRIAGE,))
    assert seen(desk, CLERK) == [1]


def test_a_risk_brings_what_it_is_about(desk: Desk, clock: Clock) -> None:
    clock.wait(days=(DAY - day_of(clock())).days)
    for day in before():
        put(desk, day, 100)
    put(desk, DAY, 50_000)
    assert watch(desk) == 1
    (risk,) = risks(desk, None)
    about = known(desk.state, About(("public_security.resident",), risks=(risk.number,)))
    assert about == About(("public_security.resident", MARRIAGE), ("asker",), (), (risk.number,))
    found = say(desk, risks=about.risks, accounts=about.accounts)
    assert of_risks([found]) == {risk.number: [1]}
    second = say(desk, risks=about.risks, level="major")
    assert of_risks([second, found]) == {risk.number: [1, 2]}
    assert of_risks([]) == {}


def test_what_the_exchange_does_not_have(desk: Desk) -> None:
    for about, what in (
        (About(risks=(1,)), "no risk 1"),
        (About(requests=(9,)), "no request 9"),
        (About(accounts=("li",)), "no account li"),
    ):
        with pytest.raises(NotThere, match=what):
            known(desk.state, about)
    open_account(desk.state, "li", "health", ["requester"])
    number = granted(desk)
    about = About((MARRIAGE,), ("li",), (number,))
    assert known(desk.state, about) == about


def test_it_is_told_when_it_is_opened_closed_and_opened_again(desk: Desk, clock: Clock) -> None:
    say(desk, level="general")
    assert told(desk, CLERK) == told(desk, BUREAU) == ["1 opened 1"]
    assert told(desk, HEAD) == []
    say(desk, 1, "note", did="found")
    clock.wait(hours=1)
    say(desk, 1, "close")
    say(desk, 1, "note", reopens=True)
    say(desk, 1, "close")
    every = ["1 opened 1", "1 closed 3", "1 reopened 4", "1 closed 5"]
    assert sorted(told(desk, CLERK)) == sorted(told(desk, BUREAU)) == sorted(every)
    assert sorted(told(desk, CLERK)) == sorted(every), "once each"


def test_what_is_older_than_two_weeks_is_not_told_any_more(desk: Desk, clock: Clock) -> None:
    say(desk)
    clock.wait(days=15)
    assert told(desk, CLERK) == told(desk, BUREAU) == []


def test_a_report_is_told_to_the_authority_before_it_is_due_and_when_it_is_late(
    desk: Desk, clock: Clock
) -> None:
    say(desk)
    clock.wait(hours=4)
    assert told(desk, BUREAU) == ["1 opened 1"], "of four hours the opening tells"
    clock.wait(hours=1)
    assert told(desk, BUREAU) == ["1 opened 1", "1 late first"]
    say(desk, 1, "report", to="cyberspace")
    say(desk, 1, "close")
    assert told(desk, CLERK) == ["1 opened 1", "1 closed 3"]
    clock.wait(days=26)
    assert "1 due summary" not in told(desk, BUREAU)
    clock.wait(days=1)
    assert "1 due summary" in told(desk, BUREAU)
    clock.wait(days=3, hours=1)
    assert told(desk, BUREAU)[-1] == "1 late summary"
    assert told(desk, CLERK) == ["1 opened 1", "1 closed 3"]


def test_what_was_reported_is_not_told(desk: Desk, clock: Clock) -> None:
    say(desk)
    say(desk, 1, "report", to="cyberspace")
    say(desk, datasets=())
    clock.wait(hours=9)
    say(desk, 2, "report", to="cyberspace")
    say(desk, 1, "close")
    say(desk, 1, "report", to="cyberspace")
    assert sorted(told(desk, BUREAU)) == ["1 closed 3", "1 opened 1", "2 opened 1"], "made late is made"
    clock.wait(days=29)
    assert not {"1 due summary", "1 late summary"} & set(told(desk, BUREAU))


def test_a_notice_in_words_tells_where_to_look_and_nothing_that_somebody_wrote(
    desk: Desk, clock: Clock
) -> None:
    say(desk, accounts=("asker",))
    clock.wait(hours=5)
    gather(desk)
    late, first = (each.notice for each in inbox(desk.state, BUREAU))
    assert subject(first) == (
        "第1号安全事件：已立案（2026-03-02发现） Incident 1: it was opened (noticed on 2026-03-02)"
    )
    assert "报告已逾期，期限为2026-03-02" in subject(late) and "it was due by 2026-03-02" in subject(late)
    for notice in (late, first):
        text = body(notice, desk.catalogue)
        assert "/incidents#incident-1" in text and "GET /api/v1/incidents" in text and "婚姻登记" in text
        assert WORDS not in text and "asker" not in text
    say(desk, datasets=(), texts={"what": "密钥外泄"})
    gather(desk)
    other = inbox(desk.state, BUREAU)[0].notice
    assert (other.department, other.dataset) == (AUTHORITY, "") and MARRIAGE not in body(
        other, desk.catalogue
    )
    assert other.key != first.key and first.incident == (1, "opened", "1")


def test_one_that_cannot_be_read_is_told_to_the_authority_and_hides_no_other(desk: Desk) -> None:
    say(desk)
    say(desk, level="general")
    Path(desk.log.settings.lake_root, path_of(1, 1)).write_text("{}")
    assert told(desk, CLERK) == ["2 opened 1"]
    assert sorted(told(desk, BUREAU)) == ["1 damaged 0", "2 opened 1"]
    (notice,) = [each.notice for each in inbox(desk.state, BUREAU) if "damaged" in each.notice.about]
    assert "无法读取" in subject(notice) and "verified" in body(notice, desk.catalogue)


def test_as_json(desk: Desk, clock: Clock) -> None:
    say(desk, since=desk.clock() - timedelta(days=1))
    found = say(desk, 1, "report", to="cyberspace", document="公3号", texts={})
    assert as_json(found, desk.catalogue.numbers.incidents, clock()) == {
        "number": 1,
        "level": "serious",
        "state": "open",
        "noticed": "2026-03-02T01:00:00+00:00",
        "since": "2026-03-01T01:00:00+00:00",
        "datasets": [MARRIAGE],
        "accounts": [],
        "requests": [],
        "risks": [],
        "reports": [
            {
                "report": "first",
                "to": "cyberspace",
                "due": "2026-03-02T05:00:00+00:00",
                "done": "2026-03-02T01:00:00+00:00",
                "late": False,
            }
        ],
        "steps": [
            {
                "kind": "open",
                "by": "值班",
                "when": "2026-03-02T01:00:00+00:00",
                "since": "2026-03-01T01:00:00+00:00",
                "level": "serious",
                "datasets": [MARRIAGE],
                "texts": {"what": WORDS},
                "at": "2026-03-02T01:00:00+00:00",
            },
            {
                "kind": "report",
                "by": "值班",
                "when": "2026-03-02T01:00:00+00:00",
                "to": "cyberspace",
                "document": "公3号",
                "at": "2026-03-02T01:00:00+00:00",
            },
        ],
    }
    closed = as_json(say(desk, 1, "close"), desk.catalogue.numbers.incidents, clock() + timedelta(days=31))
    assert closed["state"] == "closed" and [each["late"] for each in closed["reports"]] == [False, True]
    assert len(incidents(desk.log.settings.lake_root)) == 1
