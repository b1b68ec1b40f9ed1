"""The disclosure gate: who is left out, what is measured (pycanon is the oracle), and what is refused with what advice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pycanon import anonymity

from lake import certificates
from tests.pipelines.gates.clinic import (
    FIELDS,
    PATIENT,
    QUASI,
    classes,
    decade,
    made,
    measured,
    opened,
    patients,
    refused,
)
from tests.pipelines.gates.making import Town

# ── suppression and measures ──────────────────────────────────────────────────────────────────────────────


def test_small_classes_are_left_out_and_the_rest_is_as_it_was(clinic: Town) -> None:
    rows = patients(2000)
    published = opened(clinic, rows)
    whole = Counter(map(decade, rows))
    small = {each for each, size in whole.items() if size < 21}
    assert small
    found = measured(published)
    assert classes(clinic.rows(published)) == Counter(
        {each: size for each, size in whole.items() if each not in small}
    )
    assert found.suppressed == found.small == sum(whole[each] for each in small)
    assert (found.level, found.quasi, found.departed, found.compared) == (3, tuple(QUASI), 0, 0)
    assert {each.rows for each in published.downloads} == {published.rows_out}


def test_measures_are_those_of_pycanon(clinic: Town) -> None:
    published = opened(clinic, patients(2000))
    found, frame = measured(published), pd.DataFrame(clinic.rows(published))
    assert found.k == anonymity.k_anonymity(frame, QUASI) >= 21
    assert found.l == anonymity.l_diversity(frame, QUASI, ["disease"])
    assert float(found.t or 0) == pytest.approx(anonymity.t_closeness(frame, QUASI, ["disease"]), abs=1e-4)
    assert found.classes == len(frame.groupby(QUASI))
    assert found.risk == f"{1 / found.k:.4f}" and float(found.risk) < 0.05
    assert found.mean_risk == f"{found.classes / len(frame):.4f}"


def test_a_class_that_tells_the_sensitive_value_is_left_out(clinic: Town) -> None:
    clinic.write(PATIENT, made({"disclosure": {"suppress_up_to": 0.2}}))
    rows = patients(2000)
    told = ("1", "1970s", "320102")
    alike = [{**row, "disease": "A"} if decade(row) == told else row for row in rows]
    assert Counter(map(decade, rows))[told] > 21
    published = opened(clinic, alike)
    assert told not in classes(clinic.rows(published))
    assert (measured(published).l or 0) >= 2


def test_empty_values_are_a_class_of_their_own(clinic: Town) -> None:
    rows = patients(2000)
    rows = [{**row, "district": None} if number < 10 else row for number, row in enumerate(rows)]
    assert all(row["district"] for row in clinic.rows(opened(clinic, rows)))


def test_the_certificate_holds_what_was_measured(clinic: Town) -> None:
    published = opened(clinic, patients(2000))
    path = certificates.path_of("open", "health__patient", published.snapshot)
    certificate = certificates.load(str(clinic.settings.lake_root), path)
    assert certificate is not None and certificate.risk is not None
    assert certificate.suppressed == published.suppressed > 0
    assert certificate.rows == published.rows_out
    assert (certificate.risk["k"], certificate.risk["level"]) == (measured(published).k, 3)


def test_published_again_it_is_found_again(clinic: Town) -> None:
    merged = clinic.curate(patients(2000), PATIENT)
    first = clinic.publish(merged, "open")
    again = clinic.publish(merged, "open")
    assert again == first.model_copy(update={"reused": True})


def test_an_empty_release(clinic: Town) -> None:
    found = measured(opened(clinic, []))
    assert (found.k, found.risk, found.classes) == (None, "0", 0)


def test_of_things_and_in_share_nothing_is_judged(clinic: Town) -> None:
    merged = clinic.curate(patients(100), PATIENT)
    clinic.write(PATIENT, made(subject="thing", fields={"no": {**FIELDS["no"], "risk": "none"}}))
    assert clinic.publish(merged, "open").disclosure is None
    clinic.write(PATIENT, made())
    assert clinic.publish(merged, "share").disclosure is None


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────


def test_too_many_small_classes_stop_the_publication_and_say_what_would_do(clinic: Town) -> None:
    finer = {"born": {**FIELDS["born"], "mask": {"open": {"kind": "generalise", "to": "month"}}}}
    clinic.write(PATIENT, made(fields=finer))
    rows = patients(2000)
    error = refused(clinic, rows)
    assert "k is 1 over gender, born, district" in str(error) and "of 2000 rows" in str(error)
    assert clinic.ctx.tables.current_snapshot(("open", "health__patient")) is None
    assert error.next_step is not None
    advice = "born: {kind: generalise, to: decade}"
    assert f"`open.mask: {{{advice}}}`" in error.next_step
    followed = {"mask": {"born": {"kind": "generalise", "to": "decade"}}}
    clinic.write(PATIENT, made(followed, finer))
    published = opened(clinic, rows)
    assert f"{published.suppressed} rows would stay out" in error.next_step


def bits(values: list[Any]) -> float:
    share = np.array(list(Counter(values).values())) / len(values)
    return float(-(share * np.log2(share)).sum())


def test_the_proposal_keeps_the_most_of_what_would_do(clinic: Town) -> None:
    """Against all combinations of the three ladders, tried in plain Python."""
    kept = {"born": {**FIELDS["born"], "grade": 1, "mask": {"open": "keep"}}}
    clinic.write(PATIENT, made({"disclosure": {"suppress_up_to": 0.02}}, kept))
    rows = patients(1500)
    step = str(refused(clinic, rows).next_step)
    ladders: dict[str, dict[str, Any]] = {
        "gender": {"": lambda v: v, "drop": lambda v: ""},
        "district": {"": lambda v: v, "drop": lambda v: ""},
        "born": {
            "": str,
            "day": str,
            "month": lambda v: f"{v:%Y-%m}",
            "quarter": lambda v: (v.year, (v.month - 1) // 3),
            "year": lambda v: v.year,
            "decade": lambda v: v.year // 10,
            "drop": lambda v: "",
        },
    }
    best: dict[tuple[str, str, str], float] = {}
    for g, cut_g in ladders["gender"].items():
        for d, cut_d in ladders["district"].items():
            for b, cut_b in ladders["born"].items():
                sizes = Counter((cut_g(r["gender"]), cut_d(r["district"]), cut_b(r["born"])) for r in rows)
                if sum(size for size in sizes.values() if size < 21) <= 30:
                    cuts = {"gender": cut_g, "district": cut_d, "born": cut_b}
                    best[g, d, b] = sum(
                        bits([cut(row[name]) for row in rows]) / bits([row[name] for row in rows])
                        for name, cut in cuts.items()
                    )
    g, d, b = max(best, key=lambda each: best[each])
    written = {"gender": g, "born": b and f"{{kind: generalise, to: {b}}}", "district": d}
    written["born"] = "drop" if b == "drop" else written["born"]
    wanted = ", ".join(f"{name}: {mask}" for name, mask in written.items() if mask)
    assert f"`open.mask: {{{wanted}}}`" in step


def test_places_and_numbers_have_ladders_too(clinic: Town) -> None:
    fields = {
        "district": {**FIELDS["district"], "mask": {"open": {"kind": "generalise", "to": "district"}}},
        "fee": {**FIELDS["fee"], "risk": "quasi"},
    }
    clinic.write(PATIENT, made(fields=fields))
    rows = [{**row, "fee": number * 37 % 1000} for number, row in enumerate(patients(2000))]
    error = refused(clinic, rows)
    assert "fee: {kind: generalise, bins: [" in str(error) or "fee: drop" in str(error)
    assert "would stay out" in str(error)


def test_no_way_out_of_too_few_rows(clinic: Town) -> None:
    assert "wait until a class has 21 rows" in str(refused(clinic, patients(20)))


def test_a_share_of_rows_may_be_allowed_and_it_counts(clinic: Town) -> None:
    rows = patients(700)
    assert "k is" in str(refused(clinic, rows))
    clinic.write(PATIENT, made({"disclosure": {"suppress_up_to": 0.5}}))
    assert 0.05 * 700 < measured(opened(clinic, rows)).suppressed < 350


def test_a_direct_identifier_is_not_opened_as_it_is(clinic: Town) -> None:
    fields = {"no": {"type": "string", "grade": 1, "risk": "direct"}}
    clinic.write(PATIENT, made({"fields": ["no", "gender"]}, fields))
    assert "level 1" in str(refused(clinic, patients(100)))


def test_what_a_mask_leaves_of_a_direct_identifier_is_a_quasi_identifier(clinic: Town) -> None:
    masks = {"share": "drop", "open": {"kind": "partial", "last": 1}}
    open_ = {"fields": ["no", "gender"]}
    clinic.write(PATIENT, made(open_, {"no": {**FIELDS["no"], "mask": masks}}))
    assert "over no, gender" in str(refused(clinic, patients(100)))
    hidden = {"share": "drop", "open": "hmac"}
    clinic.write(PATIENT, made(open_, {"no": {**FIELDS["no"], "mask": hidden}}))
    assert measured(opened(clinic, patients(100))).quasi == ("gender",)
