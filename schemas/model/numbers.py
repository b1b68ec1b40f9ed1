"""The rules that are numbers, and the licence of what is open: `policy.yaml`. Defaults stand in that file alone, the
one beside this package."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final, Literal, Self

from pydantic import Field as Key
from pydantic import model_validator

from schemas.model.basics import Duration, Model, Name, Release, Title
from schemas.model.publication import Licence

DAY: Final = timedelta(days=1)


class Brake(Model):
    """When a batch is held for a decision before the curated table. Shares are of 1."""

    delete: float = Key(ge=0, le=1)
    change: float = Key(ge=0, le=1)
    arrive: float = Key(ge=0, le=1)
    from_rows: int = Key(ge=0)
    history: int = Key(ge=1)
    least: int = Key(ge=1)
    answer_within: int = Key(ge=1)


class Quarantine(Model):
    """Working days within which rows that were set aside are worked on."""

    assign_within: int = Key(ge=0)
    correct_within: int = Key(ge=0)


class ReleaseRule(Model):
    """One kind of release of GB/T 42460: `rows` of a class at least; the risk is the greatest of a record or the mean,
    times `context`."""

    rows: int = Key(ge=1)
    of: Literal["greatest", "mean"]
    context: float = Key(gt=0, le=1)

    def smallest(self, below: float) -> int:
        """Rows that a class has at least: `rows`, and more where the greatest risk must be below a limit."""
        if self.of == "mean":
            return self.rows
        return max(self.rows, math.floor(self.context / below + 1e-9) + 1)


class DisclosureNumbers(Model):
    """Limits of the disclosure gate, where an entry says nothing else."""

    below: float = Key(gt=0, le=1)
    releases: dict[Release, ReleaseRule]
    open: dict[Literal["unconditional", "conditional"], Release]
    l: int = Key(ge=1)  # noqa: E741  the standard's name
    t: float = Key(gt=0, le=1)
    suppress_up_to: float = Key(ge=0, lt=1)
    smallest_count: int = Key(ge=1)


class Opening(Model):
    """What the city says of all that it opens unconditionally, where an entry says nothing else. None: nothing."""

    licence: Licence | None


class CatalogueClocks(Model):
    """From which grade on an entry says that it was assessed (Decree 809, Art. 13), and working days within which the
    catalogue follows a change, more of them with consent, and within which the authority reviews it (Art. 17)."""

    assess_from: int = Key(ge=1, le=4)
    update_within: int = Key(ge=1)
    extend_at_most: int = Key(ge=0)
    review_within: int = Key(ge=1)


class Exchange(Model):
    """Clocks of share requests, objections and applications for what is opened on conditions, in working days (Decree
    809, Arts. 21, 22, 26 and 27)."""

    reply_within: int = Key(ge=1)
    extend_at_most: int = Key(ge=0)
    supplement_within: int = Key(ge=1)
    deliver_within: int = Key(ge=1)
    verify_within: int = Key(ge=1)
    dispose_within: int = Key(ge=1)
    answer_within: int = Key(ge=1)
    remind_before: int = Key(ge=0)


class Watch(Model):
    """When reads are told as unusual (Decree 809, Arts. 25 and 35): a day against the greatest of the `history` days
    before it."""

    history: int = Key(ge=1, le=366)
    times: int = Key(ge=1)
    least: int = Key(ge=0)
    rows: int = Key(ge=1)
    refusals: int = Key(ge=1)
    strangers: int = Key(ge=1)
    joining: int = Key(ge=2)
    unused: int = Key(ge=1)


class IncidentReport(Model):
    """A report of an incident that has a clock: to whom, of which levels, and how long after the incident was noticed,
    or closed."""

    title: Title
    to: Name
    levels: tuple[Name, ...] = Key(min_length=1)
    after: Literal["noticed", "closed"]
    within: Duration = Key(gt=timedelta(0))


class Incidents(Model):
    """The levels of security incidents, the gravest first, whom they are reported to, and the reports that have a
    clock. Whoever watches over the reports is reminded of one so long before it is due."""

    levels: dict[Name, Title] = Key(min_length=1)
    told: dict[Name, Title] = Key(min_length=1)
    reports: dict[Name, IncidentReport]
    remind_before: Duration = Key(ge=timedelta(0))

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, report in self.reports.items():
            if report.to not in self.told:
                raise ValueError(f"the report `{name}` goes to `{report.to}`, which `told` does not name")
            if unknown := sorted(set(report.levels) - self.levels.keys()):
                raise ValueError(
                    f"the report `{name}` is of the level `{unknown[0]}`, which `levels` does not name"
                )
        return self


class Retention(Model):
    """How long each zone keeps what upkeep may remove: originals, typed rows, dismissed rows, and old snapshots of the
    tables of a zone. What an incomplete batch, a certificate in force or the next batch needs stays longer."""

    landing: Duration = Key(ge=DAY)
    standard: Duration = Key(ge=DAY)
    dismissed: Duration = Key(ge=DAY)
    curated: Duration = Key(ge=90 * DAY)
    share: Duration = Key(ge=DAY)
    open: Duration = Key(ge=DAY)
    quarantine: Duration = Key(ge=DAY)


class Numbers(Model):
    """All sections of the policy file."""

    brake: Brake
    quarantine: Quarantine
    disclosure: DisclosureNumbers
    open: Opening
    retention: Retention
    catalogue: CatalogueClocks
    exchange: Exchange
    watch: Watch
    incidents: Incidents
