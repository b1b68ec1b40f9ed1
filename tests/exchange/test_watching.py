"""What is unusual of a day: a red case of each rule, on both databases, and nothing of ordinary use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from exchange.desk import Desk
from exchange.requests import draft, take
from exchange.schema import USAGE
from exchange.watching import Finding, found, unused
from schemas.joins import joining
from schemas.workdays import is_working_day
from tests.exchange.conftest import ASKER, BUREAU, CHIEF, CLERK, HEAD, Clock, asked

DAY = date(2026, 6, 11)
"""A Thursday in a month without shifted weekends."""
MARRIAGE = "civil_affairs.marriage"
TABLE = {"dataset": MARRIAGE, "policy": "default", "door": "api", "purpose": "request 1"}


def put(desk: Desk, day: date, rows: int = 0, **said: Any) -> None:
    """A line of the usage."""
    names = {"department": "health", "account": "asker", **TABLE, "reads": 1, "refused": 0, **said}
    with desk.state.begin() as connection:
        connection.execute(sa.insert(USAGE).values(day=day.isoformat(), rows=rows, **names))


def before(days: int = 20, every: int = 1) -> Iterator[date]:
    """The working days among so many before."""
    found = (DAY - timedelta(days=back) for back in range(1, days + 1, every))
    return (day for day in found if is_working_day(day))


def rules(desk: Desk, day: date = DAY) -> list[str]:
    return [each.rule for each in found(desk, day)]


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_far_more_rows_than_ever_are_told_with_their_numbers(desk: Desk) -> None:
    for day in before():
        put(desk, day, 4_000)
    put(desk, DAY, 20_000)
    numbers = {"counted": 20_000, "usual": 4_000, "bound": 20_000}
    assert found(desk, DAY) == [
        Finding("volume", DAY, "health", "asker", (MARRIAGE,), "default", **numbers)
    ], "and of its department no second time"


@pytest.mark.parametrize(
    ("usual", "now"),
    [(4_000, 19_999), (0, 9_999), (1, 9_999)],
    ids=["below so many times", "below the floor, of nothing", "below the floor"],
)
def test_what_is_below_its_bound_is_ordinary(desk: Desk, usual: int, now: int) -> None:
    for day in before():
        put(desk, day, usual)
    put(desk, DAY, now)
    assert rules(desk) == []


def test_rows_of_a_day_through_several_doors_count_together(desk: Desk) -> None:
    for day in before():
        put(desk, day, 100)
    put(desk, DAY, 5_000)
    put(desk, DAY, 5_000, door="delta")
    assert rules(desk) == ["volume"]


def test_a_monthly_copy_of_the_whole_is_ordinary(desk: Desk) -> None:
    """And would be told each month against a median."""
    for day in before():
        put(desk, day, 100)
    put(desk, DAY - timedelta(days=30), 1_000_000)
    put(desk, DAY, 1_000_000)
    assert rules(desk) == []


def test_what_was_longer_ago_than_the_history_counts_no_more(desk: Desk) -> None:
    for day in before():
        put(desk, day, 100)
    put(desk, DAY - timedelta(days=31), 1_000_000)
    put(desk, DAY, 1_000_000)
    assert rules(desk) == ["volume"]


def test_the_first_days_of_a_grant_are_held_against_nothing(desk: Desk) -> None:
    put(desk, DAY - timedelta(days=1), 10)
    put(desk, DAY - timedelta(days=2), 10)
    put(desk, DAY, 1_000_000)
    assert rules(desk) == []
    put(desk, DAY - timedelta(days=3), 10)
    assert rules(desk) == ["volume"]


def test_several_accounts_that_share_it_out_are_told_as_their_department(desk: Desk) -> None:
    for day in before():
        put(desk, day, 2_000)
    for number in range(3):
        put(desk, DAY, 9_000, account=f"new{number}")
    (one,) = found(desk, DAY)
    assert (one.rule, one.department, one.account, one.counted) == ("volume", "health", "", 27_000)


def test_what_the_platform_delivers_is_left_out(desk: Desk) -> None:
    for door in ("push", "file"):
        for day in before():
            put(desk, day, 10, door=door)
        put(desk, DAY, 5_000_000, door=door)
    assert rules(desk) == []


def test_the_public_is_told_by_account_and_is_no_department(desk: Desk) -> None:
    public = {"department": "", "policy": "open", "door": "open"}
    for day in before():
        put(desk, day, 1_000, **public)
    put(desk, DAY, 9_000, **public)
    put(desk, DAY, 9_000, account="another", **public)
    assert rules(desk) == []
    put(desk, DAY, 1_000, purpose="application 2", **public)
    assert [(each.account, each.department) for each in found(desk, DAY)] == [("asker", "")]


# ── days without work ─────────────────────────────────────────────────────────────────────────────────────

SUNDAY = date(2026, 6, 14)


def test_who_reads_on_working_days_and_then_on_a_sunday_is_told(desk: Desk) -> None:
    for day in before(25):
        put(desk, day, 11_000)
    put(desk, SUNDAY, 12_000)
    (one,) = found(desk, SUNDAY)
    assert (one.rule, one.counted, one.usual, one.bound) == ("offday", 12_000, 0, 10_000)


def test_who_reads_at_weekends_too_or_little_or_is_new_is_not(desk: Desk) -> None:
    for day in (DAY - timedelta(days=back) for back in range(1, 20)):
        put(desk, day, 11_000, account="nightly")
    for day in before(25):
        put(desk, day, 11_000, account="little")
    for day in before(5):
        put(desk, day, 11_000, account="new")
    for name, rows in (("nightly", 12_000), ("little", 9_999), ("new", 12_000)):
        put(desk, SUNDAY, rows, account=name)
    assert rules(desk, SUNDAY) == []
    assert rules(desk) == []


def test_a_weekend_that_is_worked_is_a_working_day(desk: Desk) -> None:
    """2026-05-09 is a Saturday on which China works."""
    worked = date(2026, 5, 9)
    for back in range(1, 30):
        if is_working_day(day := worked - timedelta(days=back)):
            put(desk, day, 11_000)
    put(desk, worked, 12_000)
    assert worked.weekday() == 5 and rules(desk, worked) == []


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────


def test_who_tries_many_tables_is_told_with_those_that_were_tried(desk: Desk) -> None:
    refusal = {"reads": 0, "purpose": ""}
    put(desk, DAY, refused=5, **refusal)
    put(desk, DAY, refused=14, **refusal | {"dataset": "public_security.resident"})
    assert rules(desk) == []
    put(desk, DAY, refused=1, **refusal | {"dataset": "0123abcd", "policy": ""})
    (one,) = found(desk, DAY)
    assert (one.rule, one.account, one.counted, one.bound) == ("refused", "asker", 20, 20)
    assert one.datasets[0] == "public_security.resident" and len(one.datasets) == 3


def test_what_is_refused_every_day_is_told_once(desk: Desk) -> None:
    """A system whose grant has ended, and which asks every quarter of an hour."""
    put(desk, DAY, refused=96)
    put(desk, DAY + timedelta(days=1), refused=96)
    assert rules(desk) == ["refused"]
    assert rules(desk, DAY + timedelta(days=1)) == []


def test_callers_whom_nobody_knows_are_told_when_they_are_many(desk: Desk) -> None:
    nobody = {"department": "", "account": "", "dataset": "", "policy": "", "reads": 0}
    put(desk, DAY, refused=999, **nobody | {"purpose": "missing"})
    put(desk, DAY, refused=5_000, **nobody | {"purpose": "rate"})
    assert rules(desk) == []
    put(desk, DAY, refused=1, **nobody | {"purpose": "unknown", "door": "delta"})
    (one,) = found(desk, DAY)
    assert (one.rule, one.counted, one.account, one.datasets) == ("strangers", 1_000, "", ())


# ── aggregation ───────────────────────────────────────────────────────────────────────────────────────────


def tables_that_join(desk: Desk) -> list[str]:
    """Datasets that join under the policy `default`."""
    sets = (
        {column.dataset for column in each.columns if column.table == "share/default"}
        for each in joining(desk.catalogue.entries.values())
    )
    return sorted(max(sets, key=len))


def test_who_reads_more_that_joins_than_ever_is_told_once(desk: Desk) -> None:
    names = tables_that_join(desk)
    assert len(names) >= 4
    for name in names[:2]:
        put(desk, DAY, dataset=name)
    assert rules(desk) == []
    put(desk, DAY, dataset=names[2])
    put(desk, DAY, dataset=names[3], reads=0, refused=1)
    (one,) = found(desk, DAY)
    assert (one.rule, one.counted, one.bound, one.policy) == ("joined", 3, 3, "default")
    assert one.datasets == tuple(names[:3])
    later = DAY + timedelta(days=1)
    for name in names[:3]:
        put(desk, later, dataset=name)
    assert rules(desk, later) == [], "that it does every day"
    put(desk, later, dataset=names[3])
    (more,) = found(desk, later)
    assert (more.counted, more.usual, more.bound) == (4, 3, 4)


def test_what_does_not_join_or_is_read_by_others_is_not_told(desk: Desk) -> None:
    names = tables_that_join(desk)
    for name in names[:2]:
        put(desk, DAY, dataset=name)
    put(desk, DAY, dataset=names[2], account="another")
    put(desk, DAY, dataset=names[3], policy="statistics")
    put(desk, DAY, dataset="transport.bus_stop")
    assert rules(desk) == []


# ── grants that nobody uses ───────────────────────────────────────────────────────────────────────────────


def granted(desk: Desk, **said: object) -> int:
    number = draft(desk, ASKER, asked(until="2027-03-01T00:00:00+08:00", **said)).number
    take(desk, HEAD, number, "approve", {})
    take(desk, CLERK, number, "propose", {"consent": True, "reason": "可"})
    take(desk, CHIEF, number, "confirm", {})
    return number


def test_a_grant_that_nobody_used_is_told_and_again_after_as_long(desk: Desk, clock: Clock) -> None:
    number = granted(desk)
    clock.wait(days=89)
    assert unused(desk) == []
    clock.wait(days=1)
    (one,) = unused(desk)
    assert (one.request, one.department, one.day, one.counted) == (number, "health", date(2026, 5, 31), 90)
    clock.wait(days=1)
    assert [each.key for each in unused(desk)] == [one.key], "it stays the same finding"
    clock.wait(days=89)
    (again,) = unused(desk)
    assert (again.day, again.counted) == (date(2026, 8, 29), 180)


def test_a_read_by_the_grant_begins_it_anew_and_a_refusal_does_not(desk: Desk, clock: Clock) -> None:
    number = granted(desk)
    put(desk, date(2026, 3, 20), purpose=f"request {number}")
    put(desk, date(2026, 5, 1), purpose=f"request {number}", reads=0, refused=1)
    put(desk, date(2026, 5, 2), purpose=f"request {number + 1}")
    clock.wait(days=107)  # 2026-06-17
    assert unused(desk) == []
    clock.wait(days=1)
    (one,) = unused(desk)
    assert one.day == date(2026, 6, 18)
    put(desk, date(2026, 6, 18), purpose=f"request {number}")
    assert unused(desk) == []


def test_a_grant_is_used_from_when_it_was_resumed_and_ended_ones_are_not_told(
    desk: Desk, clock: Clock
) -> None:
    suspended, number = granted(desk), granted(desk)
    ended = granted(desk)
    clock.wait(days=50)
    for each in (suspended, number):
        take(desk, BUREAU, each, "suspend", {"reason": "查"})
    take(desk, CHIEF, ended, "revoke", {"reason": "止"})
    clock.wait(days=10)
    take(desk, BUREAU, number, "resume", {"reason": "复"})
    clock.wait(days=89)
    assert unused(desk) == []
    clock.wait(days=1)
    assert [each.request for each in unused(desk)] == [number]
