"""Until when an incident is reported, and to whom: the clocks of the policy (`incidents.reports`), over its steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from lake.incidents import Incident, Step, readable
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
        for first, until in _spans(incident, report)
        if until is None or until > first.when + report.within
        for due in [_due(incident, name, report, first)]
    ]


def overdue(incident: Incident, numbers: Incidents, now: datetime) -> list[Due]:
    """Those that were not made, and ought to be."""
    return [each for each in reports(incident, numbers) if each.done is None and each.late(now)]


def unreported(lake: str, numbers: Incidents, now: datetime) -> list[tuple[int, Due]]:
    """Of every incident that can be read the reports that are overdue, each with the incident's number, the first due
    first."""
    found = [(each.number, due) for each in readable(lake)[0] for due in overdue(each, numbers, now)]
    return sorted(found, key=lambda each: each[1].due)


def _spans(incident: Incident, report: IncidentReport) -> Iterator[tuple[Step, datetime | None]]:
    """From which step until when the incident was one that is reported so. It ends when that is written down, whenever
    it is said to have happened: whoever lowers a level, or opens an incident again, does not take away that a report
    is late."""
    level, closed, first = "", False, None
    for step in incident.steps:
        level = step.level or level
        closed = step.kind == "close" or (closed and not step.reopens)
        asked = level in report.levels and (closed or report.after == "noticed")
        if asked and first is None:
            first = step
        elif not asked and first is not None:
            yield first, step.at
            first = None
    if first is not None:
        yield first, None


def _due(incident: Incident, name: str, report: IncidentReport, first: Step) -> Due:
    """What was reported before the level was raised is reported; what was before the closing is no summary."""
    rest = incident.steps[first.place :] if report.after == "closed" else incident.steps
    made = [each.when for each in rest if each.kind == "report" and each.to == report.to]
    done = min((each for each in made if each >= first.when or report.after == "noticed"), default=None)
    return Due(name, report.title, report.to, first.when, first.when + report.within, done)
