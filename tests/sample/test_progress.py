"""How far a demo came: what a second `make demo` has left to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from sample.plan import DAYS
from sample.progress import city_entries, unfinished
from schemas.load import load_catalogue

ENDS = {DAYS[0]: "2026-03-02T19:00:00+00:00", DAYS[1]: "2026-03-03T19:00:00+00:00"}

ENTRIES = city_entries(load_catalogue())


def batches(*days: date, but: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """A batch of every dataset for each day, done; `but` gives the state of some datasets' last batch."""
    found = [
        {"dataset": name, "interval_end": ENDS[day], "state": "done"}
        for day in days
        for name in (entry.id for entry in ENTRIES)
    ]
    for batch in found[len(found) // len(days) * (len(days) - 1) :]:
        batch["state"] = (but or {}).get(batch["dataset"], "done")
    return found


def test_a_new_home_begins_with_the_first_day() -> None:
    assert unfinished(ENTRIES, [], DAYS[:2]) == 1


def test_nothing_is_left_when_every_day_has_run() -> None:
    assert unfinished(ENTRIES, batches(*DAYS[:2]), DAYS[:2]) is None


def test_a_batch_without_news_is_a_day_that_has_run() -> None:
    quiet = batches(*DAYS[:2], but={"health.institution": "nothing new"})
    assert unfinished(ENTRIES, quiet, DAYS[:2]) is None


def test_a_third_day_is_asked_for_later() -> None:
    assert unfinished(ENTRIES, batches(*DAYS[:2]), DAYS) == 3


def test_an_interrupted_or_failed_dataset_leaves_its_day_open() -> None:
    for state in ("running", "failed", "lost"):
        for name in ("health.institution", "theme.district_statistics"):
            assert unfinished(ENTRIES, batches(*DAYS[:2], but={name: state}), DAYS[:2]) is not None
    assert unfinished(ENTRIES, batches(*DAYS[:2], but={"health.institution": "failed"}), DAYS) == 2


def test_a_derived_dataset_made_twice_of_a_day_has_it() -> None:
    again = {"dataset": "base.population", "interval_end": ENDS[DAYS[1]], "state": "failed"}
    assert unfinished(ENTRIES, [*batches(*DAYS[:2]), again], DAYS[:2]) is None


def test_the_city_is_the_whole_catalogue_of_this_repository() -> None:
    assert {entry.id for entry in ENTRIES} == set(load_catalogue().entries)


def test_a_dataset_of_ones_own_is_not_the_demo_s_to_run() -> None:
    catalogue = load_catalogue()
    own = catalogue.entries["education.school"].model_copy(update={"id": "education.kindergarten"})
    more = replace(catalogue, entries={**catalogue.entries, own.id: own})
    assert own.id not in {entry.id for entry in city_entries(more)}
