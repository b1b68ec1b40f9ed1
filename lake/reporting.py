"""Until when an incident is reported, and to whom: the clocks of the policy (`incidents.reports`), over its steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from lake.incidents import Incident, incidents
from schemas.model import IncidentReport, Incidents, Title


@dataclass(frozen=True)
class Due:
    """A report that an incident asks for. `done` is when it was made; None where it was not."""

    name: str
    title: Title
    to: str
    since: datetime
    due: datetime
    done: datetime | None

    def late(self, now: datetime) -> bool:
        """Whether it was made too late, or is not made and ought to be."""
        return (self.done or now) > self.due


def reports(incident: Incident, numbers: Incidents) -> list[Due]:
    """Every report that an incident asks for, in the policy's order; again where it was closed once more."""
    return [
        due
        for name, report in numbers.reports.items()
        for since, until in _spans(incident, report)
        if until is None or until > since + report.within
        for due in [_due(incident, name, report, since)]
    ]


def overdue(incident: Incident, numbers: Incidents, now: datetime) -> list[Due]:
    """Those that were not made, and ought to be."""
    return [each for each in reports(incident, numbers) if each.done is None and each.late(now)]


def unreported(lake: str, numbers: Incidents, now: datetime) -> list[tuple[int, Due]]:
    """Of every incident the reports that are overdue, each with the incident's number, the first due first."""
    found = [(each.number, due) for each in incidents(lake) for due in overdue(each, numbers, now)]
    return sorted(found, key=lambda each: each[1].due)


def _spans(incident: Incident, report: IncidentReport) -> Iterator[tuple[datetime, datetime | None]]:
    """From when until when the incident was one that is reported so. It ends when somebody says so, and began when it
    came to be so: whoever lowers a level, or opens an incident again, does not take away that a report is late."""
    level, closed, since = "", False, None
    for step in incident.steps:
        level = step.level or level
        closed = step.kind == "close" or (closed and not step.reopens)
        asked = level in report.levels and (closed or report.after == "noticed")
        if asked and since is None:
            since = step.when
        elif not asked and since is not None:
            yield since, step.at
            since = None
    if since is not None:
        yield since, None


def _due(incident: Incident, name: str, report: IncidentReport, since: datetime) -> Due:
    """What was reported before the level was raised is reported."""
    begin = since if report.after == "closed" else incident.noticed
    made = [each.when for each in incident.steps if each.kind == "report" and each.to == report.to]
    done = min((each for each in made if each >= begin), default=None)
    return Due(name, report.title, report.to, since, since + report.within, done)
