"""Fields made coarser by no more than is needed, and kept so; cells emptied instead of rows left out."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pycanon import anonymity

from lake import certificates
from lake.properties import said
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
from tests.pipelines.gates.making import Json, Row, Town
from tests.pipelines.gates.test_earlier import differences

DAYS: Json = {
    "born": {**FIELDS["born"], "grade": 1, "mask": {"open": "keep"}, "ladder": ["month", "year", "decade"]}
}
AUTO: Json = {"disclosure": {"generalise": "auto"}}


def auto(**limits: Any) -> str:
    return made({"disclosure": {"generalise": "auto", **limits}}, DAYS)


def test_fields_become_coarser_until_nobody_is_singled_out(clinic: Town) -> None:
    clinic.write(PATIENT, auto())
    rows = patients(2000)
    published = opened(clinic, rows)
    found, shown = measured(published), clinic.rows(published)
    frame = pd.DataFrame(shown)
    assert anonymity.k_anonymity(frame, list(found.quasi)) == found.k >= 21
    assert found.suppressed <= 0.05 * len(rows) and found.generalised
    words = json.loads(Path(published.downloads[0].path).with_name("data_dictionary.json").read_text())
    masks = {each["field"]: each["mask"]["kind"] for each in words["fields"]}
    assert {name for name, kind in masks.items() if kind in ("generalise", "constant")} == set(
        found.generalised
    )
    path = certificates.path_of("open", "health__patient", published.snapshot)
    certificate = certificates.load(str(clinic.settings.lake_root), path)
    assert certificate is not None and certificate.risk is not None
    assert all(name in str(certificate.risk["generalised"]) for name in found.generalised)
    text = Path(published.downloads[0].path).read_text(encoding="utf-8-sig")
    assert len(list(csv.DictReader(io.StringIO(text)))) == len(shown)


def test_the_result_is_the_same_twice_and_stays_in_later_releases(clinic: Town) -> None:
    clinic.write(PATIENT, auto())
    merged = clinic.curate(patients(2000), PATIENT)
    first = clinic.publish(merged, "open")
    again = clinic.publish(merged, "open")
    assert again == first.model_copy(update={"reused": True})
    many = opened(clinic, patients(6000), 2)
    assert measured(many).generalised == measured(first).generalised
    assert many.masks_hash == first.masks_hash and measured(many).compared == 1
    snapshots = list(clinic.ctx.tables.snapshots(("open", "health__patient")))
    assert len(snapshots) == 2 and said(snapshots[0][1], "masks") == first.masks_hash


def test_where_it_no_longer_suffices_it_only_becomes_coarser(clinic: Town) -> None:
    clinic.write(PATIENT, auto(suppress_up_to=0.3))
    first = opened(clinic, patients(12000))
    assert measured(first).generalised.keys() == {"born"}
    before = clinic.rows(first)
    second = opened(clinic, patients(900), 2)
    order = [
        "",
        "generalised to the month",
        "generalised to the year",
        "generalised to the decade",
        "always “*”",
    ]
    was, now = (measured(each).generalised for each in (first, second))
    assert all(order.index(now.get(name, "")) >= order.index(how) for name, how in was.items()) and now != was
    assert measured(second).compared == 1
    common = [name for name in QUASI if name not in now]

    def form(row: Row) -> tuple[Any, ...]:
        born = () if "born" in now and "*" in now["born"] else (str(row["born"])[:3],)
        return (*(row[name] for name in common), *born)

    came, went = differences(clinic.rows(second), before, form)
    assert all(size >= 21 for size in (*came.values(), *went.values()))


def test_only_the_fields_named_become_coarser(clinic: Town) -> None:
    clinic.write(PATIENT, made({"disclosure": {"generalise": ["born"]}}, DAYS))
    assert measured(opened(clinic, patients(3000))).generalised.keys() == {"born"}
    clinic.write(PATIENT, made({"disclosure": {"generalise": ["gender"]}}, DAYS))
    assert "write `open.mask" not in str(refused(clinic, patients(3000), 2))


def test_l_and_t_of_an_entry_hold(clinic: Town) -> None:
    rows = patients(4000)
    skewed = [
        {**row, "disease": "A" if row["gender"] == "1" and number % 8 else row["disease"]}
        for number, row in enumerate(rows)
    ]
    loose = measured(opened(clinic, skewed))
    assert float(loose.t or 0) > 0.3
    clinic.write(PATIENT, made({"disclosure": {"t": 0.3}}))
    assert "t 0.3" in str(refused(clinic, skewed, 2))
    clinic.write(PATIENT, made({"disclosure": {"t": 0.3, "generalise": "auto"}}))
    near = measured(opened(clinic, skewed, 2))
    assert float(near.t or 0) <= 0.3 and "gender" in near.generalised
    clinic.write(PATIENT, made({"disclosure": {"l": 5}}))
    assert "l 5" in str(refused(clinic, skewed, 3))


def test_a_controlled_release_has_limits_of_its_own(clinic: Town) -> None:
    """Shared under a grant: classes of 5, and a mean risk below 0.05."""
    merged = clinic.curate(patients(3000), PATIENT)
    share = {
        "type": "unconditional",
        "policies": {"default": {"fields": ["gender", "district", "disease"], "disclosure": {}}},
    }
    clinic.write(PATIENT, made(share=share))
    published = clinic.publish(merged)
    found = measured(published)
    assert (found.release, found.level) == ("controlled", 3) and found.k is not None and found.k >= 5
    assert float(found.risk) == float(found.mean_risk) < 0.05
    share["policies"]["default"]["fields"] = ["gender", "born", "district", "disease"]
    share["policies"]["default"]["disclosure"] = {"suppress_up_to": 0.9}
    share["policies"]["default"]["mask"] = {"born": {"kind": "generalise", "to": "month"}}
    clinic.write(PATIENT, made(share=share))
    with pytest.raises(Exception, match="controlled release, risk below"):
        clinic.publish(merged)


# ── cells ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_cells_are_emptied_before_rows_are_left_out(clinic: Town) -> None:
    rows = patients(2000)
    by_rows = opened(clinic, rows)
    clinic.write(PATIENT, made({"disclosure": {"suppress": "cells", "suppress_up_to": 0.06}}))
    published = opened(clinic, rows, 2)
    found, shown = measured(published), clinic.rows(published)
    assert found.emptied > 0 and published.suppressed < by_rows.suppressed
    assert found.emptied == sum(any(row[name] is None for name in QUASI) for row in shown)
    assert min(classes(shown).values()) == found.k >= 21
    assert found.suppressed + found.emptied <= 0.06 * len(rows)


def test_the_other_cells_of_a_row_are_as_they_were(clinic: Town) -> None:
    rows = [{**row, "fee": number} for number, row in enumerate(patients(2000))]
    clinic.write(PATIENT, made({"disclosure": {"suppress": "cells"}}))
    for row in clinic.rows(opened(clinic, rows)):
        true = rows[row["fee"]]
        assert row["disease"] == true["disease"] and row["gender"] in (true["gender"], None)
        assert row["district"] in (true["district"], None)
        assert row["born"] in (f"{true['born']:%Y}"[:3] + "0s", None)


def test_as_few_cells_as_will_do(clinic: Town) -> None:
    """Two groups that differ from the rest in one field each: each loses that one."""
    base = date(1970, 1, 1)
    people = [("1", "320102", base + timedelta(days=n % 3000)) for n in range(1500)]
    people += [("2", "320102", base)] * 8 + [("1", "310101", base)] * 8
    people += [("2", "310101", base)] * 30
    rows = [
        {"no": f"P{n}", "gender": g, "born": b, "district": d, "disease": "ABCD"[n % 4], "fee": 0}
        for n, (g, d, b) in enumerate(people)
    ]
    clinic.write(PATIENT, made({"disclosure": {"suppress": "cells", "k": 21}}))
    published = opened(clinic, rows)
    empty = Counter(tuple(name for name in QUASI if row[name] is None) for row in clinic.rows(published))
    assert published.suppressed == 16 - sum(size for names, size in empty.items() if names)
    assert all(len(names) <= 2 for names in empty)


@pytest.mark.parametrize("pair", list(combinations(["rows", "cells"], 1)))
def test_either_way_earlier_releases_count(clinic: Town, pair: tuple[str]) -> None:
    clinic.write(PATIENT, made({"disclosure": {"suppress": pair[0], "suppress_up_to": 0.9}}))
    rows, seen = patients(2500), list[list[Row]]()
    for day in range(1, 4):
        shown = clinic.rows(opened(clinic, rows[day * 3 :] + patients(15, first=7000 * day), day))
        for before in seen:
            came, went = differences(shown, before)
            assert all(size >= 21 for size in (*came.values(), *went.values()))
        seen.append(shown)
