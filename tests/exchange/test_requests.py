"""Requests as they are kept, in both databases: steps, the audit log, two people at one moment, who sees what."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from exchange.desk import Desk
from exchange.errors import ExchangeError, Forbidden, NotThere, Unfit
from exchange.requests import draft, find, granted, listed, take
from exchange.schema import EVENTS, METADATA
from exchange.state import State
from lake import store
from lake.auditlog import read_line, segment_name
from lake.signing import canonical
from lake.verify import Copy, verify
from schemas.settings import Settings
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
)
from tests.waiting import together

WANTED = ("health", "civil_affairs.marriage", "default")


def grant(desk: Desk) -> int:
    number = draft(desk, ASKER, asked()).number
    take(desk, HEAD, number, "approve", {})
    take(desk, CLERK, number, "propose", {"consent": True, "reason": "符合职责"})
    assert granted(desk, *WANTED) is None
    return take(desk, CHIEF, number, "confirm", {}).number


def entries(desk: Desk) -> list[dict]:
    lines = (
        store.read_bytes(store.join(desk.log.folder, segment_name(0))).splitlines(keepends=True)
        if begun(desk)
        else []
    )
    return [entry for entry, _ in map(read_line, lines) if entry["action"] == "request"]


def begun(desk: Desk) -> bool:
    return store.exists(store.join(desk.log.folder, segment_name(0)))


def test_a_grant_and_its_end(desk: Desk, clock: Clock) -> None:
    number = grant(desk)
    found = granted(desk, *WANTED)
    assert found is not None
    assert (found.number, found.state, found.terms.scenario) == (number, "granted", "生育登记核验")
    assert granted(desk, "education", *WANTED[1:]) is None
    assert granted(desk, *WANTED[:2], "statistics") is None
    take(desk, BUREAU, number, "suspend", {"reason": "核查"})
    assert granted(desk, *WANTED) is None
    take(desk, BUREAU, number, "resume", {"reason": "核查结束"})
    assert granted(desk, *WANTED) is not None
    clock.now = datetime(2027, 2, 28, 16, tzinfo=UTC)  # the time limit, to the second
    assert granted(desk, *WANTED) is None


def test_a_revoked_grant_ends_at_once(desk: Desk) -> None:
    number = grant(desk)
    take(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
    assert granted(desk, *WANTED) is None


def test_every_step_is_in_the_audit_log_and_no_text_of_it(desk: Desk, settings: Settings) -> None:
    number = grant(desk)
    assert [(each["request"], each["step"], each["state"], each["by"]) for each in entries(desk)] == [
        (number, "draft", "drafted", "asker"),
        (number, "approve", "submitted", "head"),
        (number, "propose", "proposed", "clerk"),
        (number, "confirm", "granted", "chief"),
    ]
    log = b"".join(store.read_bytes(uri) for uri in store.list_files(desk.log.folder)).decode()
    assert not any(text in log for text in ("生育登记核验", "符合职责", "条例第三条"))
    _, approved, proposed, _ = (each["said"] for each in entries(desk))
    assert approved != proposed
    assert approved != hashlib.sha256(canonical({})).hexdigest(), "the digest is keyed"


def test_where_the_log_cannot_be_written_no_step_counts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    number = draft(desk, ASKER, asked()).number
    folder = desk.log.folder
    for uri in store.list_files(folder):
        if uri.endswith(".jsonl"):
            store.write_atomic(uri, b"{}\n")
    with pytest.raises(Exception, match="log"):
        take(desk, HEAD, number, "approve", {})
    assert find(desk, HEAD, number).state == "drafted"


@pytest.mark.parametrize(
    ("other", "error", "says"),
    [
        ({"basis": ""}, Unfit, "lacks basis"),
        ({"scenario": None}, Unfit, "lacks scenario"),
        ({"scenario": " \u200b"}, Unfit, "lacks scenario"),
        ({"basis": "\u202e条例"}, Unfit, "not seen"),
        ({"method": "mail"}, Unfit, "method"),
        ({"dataset": "civil_affairs.nothing"}, NotThere, "no such table"),
        ({"policy": "nothing"}, NotThere, "no such table"),
        ({"dataset": "statistics.household_survey"}, NotThere, "no such table"),
        ({"dataset": "education.school"}, Unfit, "without conditions"),
        ({"until": "2026-03-02T09:00:00+08:00"}, Unfit, "has passed"),
        ({"until": "2027-03-01"}, Unfit, "time zone"),
        ({"until": "tomorrow"}, Unfit, "malformed"),
        ({"until": "9999-12-31T23:59:59-14:00"}, Unfit, "beyond the calendar"),
        ({"basis": "half a letter \ud800"}, Unfit, "signs"),
        ({"scenario": "none \0"}, Unfit, "signs"),
        ({"basis": "据" * 5000}, Unfit, "too long"),
        ({"until": "9999-12-31T23:59:59-01:00"}, Unfit, "beyond the calendar"),
        ({"until": "9999-12-31T23:59:59+00:00"}, Unfit, "beyond the calendar"),
    ],
)
def test_what_a_request_must_say(desk: Desk, other: dict, error: type[ExchangeError], says: str) -> None:
    with pytest.raises(error, match=says):
        draft(desk, ASKER, asked(**other))
    assert listed(desk, AUDITOR) == []
    assert entries(desk) == []


def test_who_asks(desk: Desk) -> None:
    for nobody in (BUREAU, AUDITOR, CLERK):
        with pytest.raises(Forbidden):
            draft(desk, nobody, asked())


def test_who_sees_what(desk: Desk) -> None:
    number = draft(desk, ASKER, asked()).number
    for party in (ASKER, HEAD, CLERK, CHIEF, BUREAU, AUDITOR):
        assert [each.number for each in listed(desk, party)] == [number]
        assert find(desk, party, number).number == number
    assert listed(desk, STRANGER) == []
    for missing in (number, number + 1, -1):
        with pytest.raises(NotThere, match="no request"):
            find(desk, STRANGER, missing)
    with pytest.raises(NotThere):
        take(desk, STRANGER, number, "approve", {})


@pytest.mark.parametrize(
    "said",
    [
        {"consent": "yes", "reason": "x"},
        {"consent": True, "reason": 5},
        {"consent": 1, "reason": "x"},
        {"consent": True, "reason": "half a letter \ud800"},
        {"consent": True, "reason": "none \0"},
    ],
)
def test_what_is_said_has_its_form(desk: Desk, said: dict) -> None:
    number = draft(desk, ASKER, asked()).number
    take(desk, HEAD, number, "approve", {})
    with pytest.raises(Unfit, match="malformed"):
        take(desk, CLERK, number, "propose", said)


@pytest.mark.parametrize("days", [True, 0, -5, -1_000_000, 11, 10**30, 1.5, "3"])
def test_an_extension_is_of_one_to_ten_working_days(desk: Desk, days: object) -> None:
    """Of less than none the clock could not be told any more, nor those of all the others."""
    number = draft(desk, ASKER, asked()).number
    take(desk, HEAD, number, "approve", {})
    with pytest.raises(Unfit, match=r"`working_days` is malformed.*1 to 10"):
        take(desk, CLERK, number, "extend", {"reason": "数据量大", "working_days": days})
    take(desk, CLERK, number, "extend", {"reason": "数据量大", "working_days": 10})


def test_a_text_that_the_database_cannot_hold_is_no_outage(state: State) -> None:
    """NUL in PostgreSQL; SQLite holds it."""
    try:
        with state.begin() as connection:
            kept = connection.execute(sa.select(sa.literal("条例\0第三条"))).scalar_one()
    except Unfit as error:
        assert error.message == "a value is none that the exchange can keep" and "条例" not in str(error)
    else:
        assert kept == "条例\0第三条"


def test_what_was_not_asked_for_is_not_kept(desk: Desk, state: State) -> None:
    number = draft(desk, ASKER, asked()).number
    take(desk, HEAD, number, "approve", {"reason": "x", "id_no": "320102199001011234"})
    with state.begin() as connection:
        assert connection.execute(sa.select(EVENTS.c.said).where(EVENTS.c.number == 2)).scalar_one() == {}


def test_of_two_at_one_moment_one_is_told_to_look_again(desk: Desk) -> None:
    number = draft(desk, ASKER, asked()).number
    take(desk, HEAD, number, "approve", {})
    outcomes: list[object] = []
    gate = threading.Barrier(4, timeout=60)

    def propose(consent: bool) -> None:
        gate.wait()
        try:
            take(desk, CLERK, number, "propose", {"consent": consent, "reason": "x"})
            outcomes.append("done")
        except Unfit as error:
            outcomes.append(error)

    threads = [threading.Thread(target=propose, args=(bool(each % 2),)) for each in range(4)]
    together(*threads)
    assert outcomes.count("done") == 1
    assert len(outcomes) == 4
    assert [event.step for event in find(desk, CLERK, number).events] == ["draft", "approve", "propose"]


def test_the_migrations_are_the_tables(state: State) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with state.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_a_lake_with_requests_in_its_log_is_verified(desk: Desk, settings: Settings) -> None:
    grant(desk)
    assert list(verify(Copy(settings.lake_root))) == []
