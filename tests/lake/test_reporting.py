"""Until when an incident is reported: by its level, from when it was noticed or closed, whatever somebody says later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lake.auditlog import AuditLog
from lake.incidents import Incident, Said, Step, incident, path_of
from lake.registering import record
from lake.reporting import overdue, reports, unreported
from lake.signing import Signer
from schemas.numbers import default_numbers
from schemas.settings import Settings

T = datetime(2026, 3, 2, 1, tzinfo=UTC)
NUMBERS = default_numbers().incidents


def at(hours: float) -> datetime:
    return T + timedelta(hours=hours)


def made(*steps: dict[str, Any]) -> Incident:
    """Steps that happen, and are written down, so many `hours` after the opening."""
    found = []
    for place, each in enumerate(({"kind": "open", "hours": 0, "level": "serious"}, *steps), 1):
        hours = each.pop("hours") if place > 1 else 0
        more = {name: value for name, value in each.items() if name != "hours"}
        written = more.pop("written", hours)
        said = {
            "by": "x",
            "when": at(hours),
            "at": at(written),
            "incident": 1,
            "place": place,
            "salt": "",
            "entry": 0,
        }
        found.append(Step.model_validate(said | more))
    return Incident(1, tuple(found))


def told(found: Incident, hours: float) -> list[tuple[str, float, float | None, bool]]:
    """Each report: its due and when it was made, in hours, and whether that is late."""
    hour = timedelta(hours=1)
    return [
        (each.name, (each.due - T) / hour, each.done and (each.done - T) / hour, each.late(at(hours)))
        for each in reports(found, NUMBERS)
    ]


def opened(level: str) -> Incident:
    first = made().steps[0].model_copy(update={"level": level})
    return Incident(1, (first,))


@pytest.mark.parametrize("level", ["gravest", "major", "serious"])
def test_the_first_report_has_four_hours(level: str) -> None:
    assert told(opened(level), 4) == [("first", 4, None, False)]
    assert told(opened(level), 4.001) == [("first", 4, None, True)]


def test_the_least_grave_has_none() -> None:
    assert told(opened("general"), 400) == []


def test_it_is_made_by_the_first_report_to_whom_it_goes() -> None:
    before = {"kind": "report", "to": "police", "hours": 1}
    found = made(
        before,
        {"kind": "report", "to": "cyberspace", "hours": 3},
        {"kind": "report", "to": "cyberspace", "hours": 9},
    )
    assert told(found, 99) == [("first", 4, 3, False)]
    late = made({"kind": "report", "to": "cyberspace", "hours": 5})
    assert told(late, 99) == [("first", 4, 5, True)]
    assert overdue(late, NUMBERS, at(99)) == [], "late, and made"
    assert [each.name for each in overdue(made(), NUMBERS, at(5))] == ["first"]
    assert overdue(made(), NUMBERS, at(4)) == []


def test_the_summary_has_thirty_days_from_the_closing() -> None:
    found = made({"kind": "report", "to": "cyberspace", "hours": 3}, {"kind": "close", "hours": 10})
    assert told(found, 10) == [("first", 4, 3, False), ("summary", 10 + 720, None, False)]
    assert told(found, 731)[1] == ("summary", 730, None, True)
    after = Incident(1, (*found.steps, made({"kind": "report", "to": "cyberspace", "hours": 20}).steps[1]))
    assert told(after, 731)[1] == ("summary", 730, 20, False)


def test_what_was_reported_before_the_closing_is_no_summary_be_it_at_the_same_minute() -> None:
    report = {"kind": "report", "to": "cyberspace", "hours": 3}
    assert told(made(dict(report), {"kind": "close", "hours": 3}), 4)[1] == ("summary", 723, None, False)
    after = made({"kind": "close", "hours": 3}, dict(report))
    assert told(after, 4)[1] == ("summary", 723, 3, False)
    noted_late = made({"kind": "close", "hours": 3}, {**report, "hours": 2, "written": 9})
    assert told(noted_late, 9) == [("first", 4, 2, False), ("summary", 723, None, False)]


def test_raised_it_has_four_hours_from_then_and_what_was_reported_counts() -> None:
    raised = Incident(
        1, (opened("general").steps[0], made({"kind": "note", "level": "major", "hours": 6}).steps[1])
    )
    assert told(raised, 9) == [("first", 10, None, False)]
    report = made({"kind": "report", "to": "cyberspace", "hours": 5}).steps[1]
    early = Incident(1, (raised.steps[0], report, raised.steps[1]))
    assert told(early, 99) == [("first", 10, 5, False)]


def test_lowered_in_time_it_has_none_and_lowered_late_it_stays_late() -> None:
    assert told(made({"kind": "note", "level": "general", "hours": 3}), 99) == []
    assert told(made({"kind": "note", "level": "general", "hours": 5}), 99) == [("first", 4, None, True)]
    backdated = {"kind": "note", "level": "general", "hours": 3, "written": 5}
    assert told(made(backdated), 99) == [("first", 4, None, True)]
    again = made(
        {"kind": "note", "level": "general", "hours": 3}, {"kind": "note", "level": "gravest", "hours": 8}
    )
    assert told(again, 9) == [("first", 12, None, False)]


def test_another_grave_level_starts_no_clock_anew() -> None:
    assert told(made({"kind": "note", "level": "gravest", "hours": 3}), 5) == [("first", 4, None, True)]


def test_opened_again_the_summary_is_not_due_before_it_is_closed_again() -> None:
    close, again = {"kind": "close", "hours": 10}, {"kind": "note", "reopens": True, "hours": 20}
    first = {"kind": "report", "to": "cyberspace", "hours": 1}
    assert told(made(dict(first), dict(close), dict(again)), 9999) == [("first", 4, 1, False)]
    both = made(dict(first), dict(close), dict(again), {"kind": "close", "hours": 40})
    assert told(both, 50)[1:] == [("summary", 760, None, False)]
    late = made(dict(first), dict(close), {"kind": "note", "reopens": True, "hours": 800})
    assert told(late, 900)[1:] == [("summary", 730, None, True)]


def test_of_the_whole_lake_the_first_due_comes_first(settings: Settings) -> None:
    now = [T]
    log = AuditLog(settings, Signer(Ed25519PrivateKey.generate()), lambda: now[0])
    for hours, level in ((2, "major"), (0, "serious"), (1, "general")):
        now[0] = at(hours)
        record(settings, log, Said(kind="open", by="x", when=at(hours), level=level, texts={"what": "x"}))
    assert incident(settings.lake_root, 1).noticed == at(2)
    assert unreported(settings.lake_root, NUMBERS, at(4)) == []
    assert [number for number, _ in unreported(settings.lake_root, NUMBERS, at(7))] == [2, 1]
    Path(settings.lake_root, path_of(2, 1)).write_text("{}")
    assert [number for number, _ in unreported(settings.lake_root, NUMBERS, at(7))] == [1]
