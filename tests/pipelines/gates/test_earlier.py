"""Earlier releases: whoever has any of them and the new one finds nobody in the difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from lake import upkeep
from pipelines.gates import released
from pipelines.publishing.withdrawal import withdraw
from schemas.load import Catalogue
from schemas.settings import Settings
from tests.pipelines.gates.clinic import (
    FIELDS,
    PATIENT,
    QUASI,
    classes,
    made,
    measured,
    opened,
    patients,
    refused,
)
from tests.pipelines.gates.making import NONE, NOW, Json, Row, Town

TABLE = ("open", "health__patient")


def loose(more: Json | None = None, **limits: Any) -> Json:
    return {"disclosure": {"suppress_up_to": 0.9, **limits}, **(more or {})}


def differences(
    new: Iterable[Row], old: Iterable[Row], form: Any = None
) -> tuple[Counter[Any], Counter[Any]]:
    """Classes of the rows that are only in the one and only in the other."""
    form = form or (lambda row: tuple(row[name] for name in QUASI))
    after, before = Counter(), Counter()
    for rows, counter in ((new, after), (old, before)):
        for row in rows:
            rest = tuple(value for name, value in row.items() if name not in QUASI)
            counter[form(row), rest] += 1
    came, went = Counter[Any](), Counter[Any]()
    for (cls, _), times in (after - before).items():
        came[cls] += times
    for (cls, _), times in (before - after).items():
        went[cls] += times
    return came, went


def test_one_person_more_waits(clinic: Town) -> None:
    rows = patients(2000)
    first = opened(clinic, rows)
    second = opened(clinic, [*rows, {**rows[0], "no": "N1", "fee": 4}], 2)
    assert Counter(map(str, clinic.rows(second))) == Counter(map(str, clinic.rows(first)))
    assert measured(second).suppressed == measured(first).suppressed + 1


def test_one_person_less_is_hidden_among_others_of_the_class(clinic: Town) -> None:
    clinic.write(PATIENT, made(loose()))
    rows = patients(2000)
    before = clinic.rows(opened(clinic, rows))
    second = opened(clinic, rows[1:], 2)
    came, went = differences(clinic.rows(second), before)
    assert not came and list(went.values()) == [21]
    assert (measured(second).departed, measured(second).compared) == (0, 1)


def test_which_ones_hide_them_is_settled_by_the_signing_key(
    settings: Settings, make_catalogue: Callable[[dict[str, str]], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{**row, "fee": number} for number, row in enumerate(patients(2000))]
    shown = []
    for place, key in enumerate("112"):
        monkeypatch.setenv("XUANWU_SIGNING_KEY", key * 64)
        town = Town(Settings(home=settings.home / str(place)), make_catalogue)
        town.write(PATIENT, made(loose()))
        opened(town, rows)
        shown.append({row["fee"] for row in town.rows(opened(town, rows[1:], 2))})
    assert shown[0] == shown[1] != shown[2]


def test_few_new_rows_of_a_class_wait_until_they_are_many(clinic: Town) -> None:
    rows = patients(2000)
    first = opened(clinic, rows)
    more = [{**rows[0], "no": f"N{number}", "disease": "AB"[number % 2]} for number in range(30)]
    second = opened(clinic, rows + more[:5], 2)
    assert classes(clinic.rows(second)) == classes(clinic.rows(first))
    third = opened(clinic, rows + more, 3)
    assert third.rows_out == first.rows_out + 30
    assert measured(third).compared == 2


def test_whoever_subtracts_any_release_from_any_other_finds_no_small_class(clinic: Town) -> None:
    """Six days on which people come, go and change."""
    clinic.write(PATIENT, made(loose({"fields": [*QUASI, "disease"]})))
    rng, rows, seen = np.random.default_rng(7), patients(3000), list[list[Row]]()
    for day in range(1, 7):
        published = opened(clinic, rows, day)
        found = clinic.rows(published)
        assert min(classes(found).values()) == measured(published).k >= 21
        for before in seen:
            came, went = differences(found, before)
            assert all(size >= 21 for size in (*came.values(), *went.values()))
        assert (measured(published).departed, measured(published).compared) == (0, len(seen))
        assert published.rows_out > 1000
        seen.append(found)
        rows = [*(row for row in rows if rng.random() > 0.02), *patients(60, first=10_000 * day)]


def test_too_many_that_left_stop_the_publication(clinic: Town) -> None:
    rows = patients(2000)
    first = opened(clinic, rows)
    error = refused(clinic, [row for number, row in enumerate(rows) if number % 50], 2)
    assert "more would stand out against an earlier release, or hide those who would" in str(error)
    assert clinic.ctx.tables.current_snapshot(TABLE) == first.snapshot


def test_a_release_counts_when_its_snapshot_is_forgotten(clinic: Town) -> None:
    clinic.write(PATIENT, made(loose()))
    rows = patients(2000)
    before = clinic.rows(opened(clinic, rows))
    opened(clinic, [*rows, *patients(700, first=5000)], 2)
    ctx = clinic.ctx
    upkeep.expire(ctx.tables, TABLE, NOW.replace(year=2100) + timedelta(days=1))
    assert len(list(ctx.tables.snapshots(TABLE))) == 1
    third = opened(clinic, rows[1:], 3)
    came, went = differences(clinic.rows(third), before)
    assert measured(third).compared == 2
    assert all(size >= 21 for size in (*came.values(), *went.values())) and sum(went.values()) == 21


def test_a_release_counts_when_the_table_was_withdrawn(clinic: Town) -> None:
    clinic.write(PATIENT, made(loose()))
    rows = patients(2000)
    before = clinic.rows(opened(clinic, rows))
    clinic.write(PATIENT, made(NONE))
    ctx = clinic.ctx
    assert withdraw(ctx, ctx.catalogue.entry(PATIENT)) == ["open.health__patient"]
    clinic.write(PATIENT, made(loose()))
    again = opened(clinic, rows[1:], 2)
    assert list(differences(clinic.rows(again), before)[1].values()) == [21]


def test_under_coarser_masks_an_earlier_release_is_made_as_coarse(clinic: Town) -> None:
    year = {"born": {**FIELDS["born"], "mask": {"open": {"kind": "generalise", "to": "year"}}}}
    clinic.write(PATIENT, made(loose(), year))
    rows = patients(8000)
    before = clinic.rows(opened(clinic, rows))
    clinic.write(PATIENT, made(loose()))
    second = opened(clinic, rows[3:], 2)

    def coarse(row: Row) -> tuple[str, str, str]:
        return row["gender"], row["born"][:3] + "0s", row["district"]

    came, went = differences(clinic.rows(second), before, coarse)
    assert measured(second).compared == 1
    assert all(size >= 21 for size in (*came.values(), *went.values())) and went


def test_under_finer_masks_the_new_release_is_made_as_coarse(clinic: Town) -> None:
    rows = patients(8000)
    before = clinic.rows(opened(clinic, rows))
    year = {"born": {**FIELDS["born"], "mask": {"open": {"kind": "generalise", "to": "year"}}}}
    clinic.write(PATIENT, made(loose(), year))
    second = opened(clinic, rows[3:], 2)

    def coarse(row: Row) -> tuple[str, str, str]:
        return row["gender"], row["born"][:3] + "0s", row["district"]

    came, went = differences(clinic.rows(second), before, coarse)
    assert all(size >= 21 for size in (*came.values(), *went.values())) and went


def test_a_token_tells_a_changed_row_from_a_new_one(clinic: Town) -> None:
    """A new fee says nothing of a person, and by its token the row is known to be the same."""
    fields = {"no": {**FIELDS["no"], "mask": {"share": "drop", "open": "hmac"}}}
    clinic.write(PATIENT, made(loose({"fields": ["no", *QUASI, "disease", "fee"]}), fields))
    rows = patients(2000)
    first = opened(clinic, rows)
    changed = opened(clinic, [{**rows[0], "fee": 9}, *rows[1:]], 2)
    assert changed.rows_out == first.rows_out
    moved = opened(clinic, [{**rows[0], "disease": "E"}, *rows[1:]], 3)
    assert moved.suppressed >= first.suppressed + 21


def test_a_release_with_tokens_of_another_domain_is_held_by_the_other_columns(clinic: Town) -> None:
    """As every open release is to one of the time when the whole zone was one domain, `open`."""

    def tokens(mask: Any) -> str:
        fields = {"no": {**FIELDS["no"], "mask": {"share": "drop", "open": mask}}}
        return made(loose({"fields": ["no", *QUASI, "disease", "fee"]}), fields)

    def without(rows: Iterable[Row]) -> list[Row]:
        return [{name: value for name, value in row.items() if name != "no"} for row in rows]

    clinic.write(PATIENT, tokens({"kind": "hmac", "domain": "open"}))
    rows = patients(2000)
    before = clinic.rows(opened(clinic, rows))
    clinic.write(PATIENT, tokens("hmac"))
    after = clinic.rows(opened(clinic, rows[1:], 2))
    was = released.releases(clinic.settings, TABLE)[0]
    assert was.form["no"]["mask"] == {"kind": "hmac", "hash": "sm3", "domain": None}
    assert {row["no"] for row in before}.isdisjoint(row["no"] for row in after)
    came, went = differences(without(after), without(before))
    assert not came and list(went.values()) == [21]


def test_what_is_kept_is_the_changes_and_the_same_whoever_writes_it(clinic: Town) -> None:
    clinic.write(PATIENT, made(loose()))
    rows = patients(2000)
    for day, part in enumerate((rows, [*rows, *patients(700, first=5000)]), 1):
        opened(clinic, part, day)
    settings, tables = clinic.settings, clinic.ctx.tables
    released.remember(settings, tables, TABLE)
    released.remember(settings, tables, TABLE)
    first, second = released.releases(settings, TABLE)
    assert (first.number, second.number) == (1, 2) and first.form == second.form
    changed = [sum(batch.num_rows for batch in released.read_changes(each)) for each in (first, second)]
    assert 0 < changed[1] < 750 and changed[0] > changed[1]
