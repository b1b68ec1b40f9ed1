"""Aggregates: small cells, noise of differential privacy, and the budget that is never overdrawn."""

from __future__ import annotations

import sqlite3
import traceback
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opendp.mod import OpenDPException, UnknownTypeException

from lake import auditlog, balance, certificates, store
from lake.auditlog import read_line
from lake.budget import Budget
from lake.records import Published
from lake.verify import Copy, verify
from pipelines.masks import apply
from pipelines.publishing import noise
from schemas.errors import BudgetSpent, EngineError, LakeError, MaskError
from tests.pipelines.gates.making import NOW, Json, Row, Town, entry

WARDS = "health.ward"
FIELDS: dict[str, Json] = {
    "ward": {"type": "string", "grade": 1},
    "patients": {"type": "integer", "grade": 1},
    "fees": {"type": "decimal", "grade": 1, "precision": 12, "scale": 2},
    "days": {"type": "number", "grade": 1},
}
COUNT: Json = {"kind": "noise", "epsilon": 0.5, "sensitivity": 1, "min": 0}
SUM: Json = {"kind": "noise", "epsilon": 0.25, "sensitivity": 10.5}
MEAN: Json = {"kind": "noise", "epsilon": 0.25, "sensitivity": 2.0}


def wards(count: int, **more: Any) -> list[Row]:
    return [
        {"ward": f"W{n:05}", "patients": 40 + n % 50, "fees": n, "days": n / 4, **more} for n in range(count)
    ]


def made(**open_: Any) -> str:
    said = {"type": "unconditional", "fields": list(FIELDS), "counts": ["patients"], "downloads": ["csv"]}
    return entry(WARDS, FIELDS, open={**said, **open_}, subject="thing")


def noisy(budget: float = 2, **masks: Json) -> str:
    return made(mask=masks or {"patients": COUNT}, budget=budget)


@pytest.fixture
def hospital(town: Town) -> Town:
    town.entries = {WARDS: made()}
    return town


def opened(town: Town, rows: list[Row], day: int = 1) -> Published:
    return town.publish(town.curate(rows, WARDS, day), "open")


def spent(town: Town) -> float:
    return Budget(town.settings.database_url, WARDS, lambda: NOW).spent


# ── small cells ───────────────────────────────────────────────────────────────────────────────────────────


def test_rows_that_count_a_few_persons_are_left_out(hospital: Town) -> None:
    rows = wards(20)
    for place, count in ((3, 0), (5, 1), (7, 9), (9, 10), (11, None)):
        rows[place]["patients"] = count
    published = opened(hospital, rows)
    shown = {row["ward"]: row["patients"] for row in hospital.rows(published)}
    assert shown.keys() == {row["ward"] for row in rows} - {"W00005", "W00007"}
    assert (shown["W00003"], shown["W00009"], shown["W00011"]) == (0, 10, None)
    found = published.disclosure
    assert found is not None and (found.level, found.k, found.suppressed) == (4, 10, 2)
    assert published.rows_in == published.rows_out + published.suppressed == 20


def test_or_only_the_count_is_emptied(hospital: Town) -> None:
    hospital.write(WARDS, made(disclosure={"suppress": "cells"}))
    rows = wards(20)
    rows[5]["patients"] = 1
    published = opened(hospital, rows)
    shown = {row["ward"]: row for row in hospital.rows(published)}
    assert shown["W00005"]["patients"] is None and shown["W00005"]["fees"] == 5 and len(shown) == 20
    assert published.disclosure is not None and published.disclosure.emptied == 1


def test_a_count_is_judged_as_it_is_and_not_as_it_is_rounded(hospital: Town) -> None:
    hospital.write(WARDS, made(mask={"patients": {"kind": "round", "to": 10}}))
    rows = wards(20)
    rows[5]["patients"] = 6
    assert "W00005" not in {row["ward"] for row in hospital.rows(opened(hospital, rows))}


def test_the_least_count_is_the_policy_files(hospital: Town) -> None:
    root = hospital.ctx.catalogue.root
    (root / "policy.yaml").write_text("disclosure: {smallest_count: 50}\n")
    published = opened(hospital, wards(50))
    assert min(row["patients"] for row in hospital.rows(published)) == 50


# ── earlier releases ──────────────────────────────────────────────────────────────────────────────────────


def with_patients(count: int, **more: Any) -> list[Row]:
    """The same wards; in the third are so many, and their fees are others."""
    rows = wards(20)
    rows[3] |= {"patients": count, "fees": 1000 + count, **more}
    return rows


def shown(town: Town, count: int, day: int, **more: Any) -> Row | None:
    """The third ward as it is released on that day; all others are."""
    published = opened(town, with_patients(count, **more), day)
    rows = {row["ward"]: row for row in town.rows(published)}
    found = published.disclosure
    assert found is not None and len(rows) >= 19
    assert found.suppressed == 20 - len(rows) and found.compared == day - 1
    return rows.get("W00003")


def test_a_count_that_changed_by_few_beside_a_sum_is_left_out(hospital: Town) -> None:
    """Else the difference of the sums is what the one who came has paid."""
    assert shown(hospital, 40, 1)
    assert shown(hospital, 41, 2) is None
    assert shown(hospital, 40, 3)
    assert shown(hospital, 31, 4) is None
    assert shown(hospital, 50, 5)
    found = verify(Copy(str(hospital.settings.lake_root)))
    assert [each for each in found if each.place.startswith("released")] == []


def test_what_stays_out_for_an_earlier_release_is_told_apart(hospital: Town) -> None:
    opened(hospital, with_patients(40))
    rows = with_patients(41)
    rows[7]["patients"] = 5
    told = balance.told(opened(hospital, rows, 2))
    assert told == "rows in 20  rows out 18  suppressed 2  outside 0  for earlier releases 1"


def test_counts_are_held_against_every_release_and_not_only_the_last(hospital: Town) -> None:
    assert shown(hospital, 40, 1)
    assert shown(hospital, 60, 2)
    assert shown(hospital, 49, 3) is None, "9 from the first"
    assert shown(hospital, 50, 4)
    assert shown(hospital, 69, 5) is None, "9 from the second"


def test_a_release_that_left_the_row_out_gives_nothing_to_subtract(hospital: Town) -> None:
    assert shown(hospital, 40, 1)
    assert shown(hospital, 45, 2) is None
    assert shown(hospital, 54, 3), "9 from what was never shown"


def test_or_the_numbers_that_tell_are_emptied(hospital: Town) -> None:
    fields = {**FIELDS, "days": {**FIELDS["days"], "risk": "none"}}
    said = {"type": "unconditional", "fields": list(FIELDS), "counts": ["patients"]}
    text = entry(WARDS, fields, open={**said, "disclosure": {"suppress": "cells"}}, subject="thing")
    hospital.write(WARDS, text)
    opened(hospital, with_patients(40, days=5.0))
    published = opened(hospital, with_patients(41, days=6.0), 2)
    row = next(row for row in hospital.rows(published) if row["ward"] == "W00003")
    assert row == {"ward": "W00003", "patients": None, "fees": None, "days": 6.0}
    assert balance.told(published) == (
        "rows in 20  rows out 20  suppressed 0  outside 0  emptied 1  for earlier releases 1"
    )
    again = next(
        row for row in hospital.rows(opened(hospital, with_patients(49), 3)) if row["ward"] == "W00003"
    )
    assert again["fees"] is None, "9 from the first"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"mask": {"patients": {"kind": "round", "to": 10}}}, id="rounded count"),
        pytest.param({"mask": {"fees": SUM, "days": MEAN}, "budget": 2}, id="noise on the sums"),
        pytest.param({"mask": {"patients": COUNT}, "budget": 2}, id="noise on the count"),
        pytest.param({"mask": {"fees": {"kind": "generalise", "bins": [900]}}, "drop": ["days"]}, id="bins"),
        pytest.param({"fields": ["ward", "patients"]}, id="a count alone"),
        pytest.param({"fields": ["ward", "fees", "days"]}, id="no count"),
    ],
)
def test_what_tells_nothing_of_the_few_is_shown(hospital: Town, said: Json) -> None:
    hospital.write(WARDS, made(**said))
    assert shown(hospital, 40, 1)
    assert shown(hospital, 41, 2)


def test_a_count_beside_another_count_tells_too(hospital: Town) -> None:
    """Who came to the ward, and whether they are insured."""
    fields = {**FIELDS, "insured": {"type": "integer", "grade": 1, "risk": "none"}}
    names = ["ward", "patients", "insured"]
    said = {"type": "unconditional", "fields": names, "counts": names[1:]}
    hospital.write(WARDS, entry(WARDS, fields, open=said, subject="thing"))

    def released(patients: int, insured: int, day: int) -> bool:
        rows = [{**row, "insured": 20} for row in with_patients(patients)]
        rows[3]["insured"] = insured
        return "W00003" in {row["ward"] for row in hospital.rows(opened(hospital, rows, day))}

    assert released(40, 20, 1)
    assert not released(41, 21, 2)
    assert not released(50, 21, 3)
    assert released(50, 30, 4)


def test_a_key_that_is_published_otherwise_is_not_compared(hospital: Town) -> None:
    assert shown(hospital, 40, 1)
    hospital.write(WARDS, made(mask={"ward": {"kind": "partial", "last": 4}}))
    rows = hospital.rows(opened(hospital, with_patients(41), 2))
    assert len(rows) == 20
    hospital.write(WARDS, made())
    assert shown(hospital, 41, 3) is None, "the first release is not forgotten"


@pytest.mark.parametrize(
    ("fields", "mask"),
    [
        pytest.param(["place", "patients", "fees"], {}, id="less of the key"),
        pytest.param(
            ["place", "year", "patients", "fees"],
            {"place": {"kind": "generalise", "to": "city"}},
            id="coarser",
        ),
    ],
)
def test_rows_of_another_kind_are_not_compared(hospital: Town, fields: list[str], mask: Json) -> None:
    """A city is not what was counted in it where no district is known, nor all years one of them."""
    kinds: dict[str, Json] = {
        "place": {"type": "string", "grade": 1},
        "year": {"type": "integer", "grade": 1},
        "patients": FIELDS["patients"],
        "fees": FIELDS["fees"],
    }

    def released(patients: int, day: int, **open_: Any) -> Published:
        said = {"type": "unconditional", "fields": list(kinds), "counts": ["patients"], **open_}
        hospital.write(WARDS, entry(WARDS, kinds, open=said, subject="thing", key=["place", "year"]))
        return opened(hospital, [{"place": "320100", "year": 2025, "patients": patients, "fees": day}], day)

    assert released(40, 1).suppressed == 0
    assert released(41, 2, fields=fields, mask=mask).suppressed == 0
    assert released(42, 3).suppressed == 1
    assert released(43, 4, fields=["place", "year", "patients"]).suppressed == 0, (
        "a year is no number of persons"
    )


def test_where_no_other_number_was_shown_none_can_be_subtracted(hospital: Town) -> None:
    assert shown(hospital, 40, 1, fees=None, days=None)
    assert shown(hospital, 41, 2)
    assert shown(hospital, 42, 3) is None


def test_the_least_count_is_one_that_is_shown(hospital: Town) -> None:
    opened(hospital, with_patients(15))
    published = opened(hospital, with_patients(16), 2)
    assert published.disclosure is not None and (published.disclosure.k, published.suppressed) == (40, 1)


def test_a_key_of_tokens_is_known_again(hospital: Town) -> None:
    hospital.write(WARDS, made(mask={"ward": {"kind": "hmac"}}))
    assert len(hospital.rows(opened(hospital, with_patients(40)))) == 20
    assert len(hospital.rows(opened(hospital, with_patients(41), 2))) == 19


def test_a_table_without_rows_is_released_before_and_after_one_with_rows(hospital: Town) -> None:
    opened(hospital, [])
    opened(hospital, wards(20), 2)
    assert opened(hospital, [], 3).rows_out == 0
    assert shown(hospital, 53, 4)


# ── noise ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_noise_is_laplaces_and_unbiased(hospital: Town) -> None:
    """Of 4,000 draws the mean is near 0 and the mean distance near sensitivity/epsilon, each within 8 sigma."""
    hospital.write(WARDS, noisy(patients={**COUNT, "min": None}, fees=SUM, days=MEAN))
    rows = wards(4000)
    shown = {row["ward"]: row for row in hospital.rows(opened(hospital, rows))}
    for name, scale in (("patients", 2.0), ("fees", 42.0), ("days", 8.0)):
        off = np.array([float(shown[r["ward"]][name]) - float(r[name]) for r in rows if r["ward"] in shown])
        assert len(off) > 3900
        assert abs(off.mean()) < 8 * scale * np.sqrt(2 / len(off))
        assert abs(np.abs(off).mean() - scale) < 8 * scale / np.sqrt(len(off))
    assert all(
        isinstance(row["patients"], int) and row["fees"].as_tuple().exponent == -2 for row in shown.values()
    )


def test_the_same_data_have_the_same_noise_and_spend_nothing_again(hospital: Town) -> None:
    hospital.write(WARDS, noisy())
    merged = hospital.curate(wards(300), WARDS)
    first = hospital.publish(merged, "open")
    assert hospital.publish(merged, "open") == first.model_copy(update={"reused": True})
    again = opened(hospital, list(reversed(wards(300))), 2)
    assert again.snapshot != first.snapshot
    drawn = {row["ward"]: row["patients"] for row in hospital.rows(again)}
    hospital.write(WARDS, noisy(patients={**COUNT, "min": 45}))
    clipped = opened(hospital, wards(300), 3)
    shown = {row["ward"]: row["patients"] for row in hospital.rows(clipped)}
    assert all(shown[ward] == max(count, 45) for ward, count in drawn.items())
    assert spent(hospital) == 0.5
    opened(hospital, wards(301), 4)
    assert spent(hospital) == 1.0


def test_a_noisy_decimal_is_no_more_than_its_type_holds(hospital: Town) -> None:
    """Of 60 draws near the greatest number every second would be beyond it."""
    fields = {**FIELDS, "fees": {**FIELDS["fees"], "precision": 4}}
    said = {"type": "unconditional", "fields": list(FIELDS), "counts": ["patients"], "budget": 2}
    hospital.write(WARDS, entry(WARDS, fields, open={**said, "mask": {"fees": SUM}}, subject="thing"))
    rows = [{**row, "fees": Decimal("99.50") * (-1) ** place} for place, row in enumerate(wards(60))]
    shown = {row["fees"] for row in hospital.rows(opened(hospital, rows))}
    assert (min(shown), max(shown)) == (Decimal("-99.99"), Decimal("99.99"))
    assert spent(hospital) == 0.25


def test_the_greatest_decimals_that_take_noise(hospital: Town) -> None:
    fields = {**FIELDS, "fees": {**FIELDS["fees"], "precision": 18, "scale": 18}}
    said = {"type": "unconditional", "fields": list(FIELDS), "counts": ["patients"], "budget": 2}
    mask = {"fees": {**SUM, "sensitivity": 1e-15}}
    hospital.write(WARDS, entry(WARDS, fields, open={**said, "mask": mask}, subject="thing"))
    true = Decimal("0." + "9" * 18)
    shown = [row["fees"] for row in hospital.rows(opened(hospital, [{**r, "fees": true} for r in wards(30)]))]
    assert len(shown) == 30 and all(abs(true - fees) < Decimal("1e-12") for fees in shown)


def test_a_killed_run_has_spent_once(hospital: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital.write(WARDS, noisy())
    merged = hospital.curate(wards(50), WARDS)
    for place in ("_draw", "_read"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(noise, place, _killed)
            hospital.publish(merged, "open")
    assert spent(hospital) == 0.5
    hospital.publish(merged, "open")
    assert spent(hospital) == 0.5


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_spent_budget_stops_the_release(hospital: Town) -> None:
    hospital.write(WARDS, noisy(budget=1.2))
    opened(hospital, wards(50))
    second = opened(hospital, wards(60), 2)
    with pytest.raises(BudgetSpent) as caught:
        opened(hospital, wards(70), 3)
    assert "epsilon 0.2 is left and 0.5 is needed" in str(caught.value)
    assert hospital.ctx.tables.current_snapshot(("open", "health__ward")) == second.snapshot
    assert spent(hospital) == 1.0


def test_the_log_tells_what_was_spent_and_the_lake_is_whole(hospital: Town) -> None:
    hospital.write(WARDS, noisy())
    published = opened(hospital, wards(50))
    lake = str(hospital.settings.lake_root)
    lines = [read_line(line)[0] for line in _lines(lake)]
    said = [line for line in lines if line["action"] == "noise"]
    assert [line["phase"] for line in said] == ["attempt", "outcome"]
    assert (said[1]["spent"], said[1]["budget"], said[1]["field"]) == ("0.5", "2", "patients")
    path = certificates.path_of("open", "health__ward", published.snapshot)
    certificate = certificates.load(lake, path)
    assert certificate is not None and "OpenDP, ε = 0.5" in certificate.masks["patients"].en
    assert certificate.risk is not None and certificate.risk["epsilon"] == "0.5"
    assert [each for each in verify(Copy(lake)) if each.place.startswith(auditlog.LOG)] == []


def _lines(lake: str) -> list[bytes]:
    files = [
        uri for uri in store.list_files(store.join(lake, auditlog.LOG)) if not uri.endswith(auditlog.HEAD)
    ]
    return [line for uri in files for line in store.read_bytes(uri).splitlines(keepends=True)]


def test_no_true_number_is_kept_beside_the_noise(hospital: Town) -> None:
    hospital.write(WARDS, noisy(patients={"kind": "noise", "epsilon": 0.000001, "sensitivity": 1}))
    rows = [{**row, "patients": 7_654_321} for row in wards(5)]
    opened(hospital, rows)
    files = list(Path(str(hospital.settings.lake_root)).rglob("released/noise/**/*.parquet"))
    assert files
    assert all(7_654_321 not in pq.read_table(path).column("noisy").to_pylist() for path in files)


def test_what_was_drawn_for_stands_in_the_ledger_alone(hospital: Town) -> None:
    """Whoever tries true numbers finds the digest of none of them in the lake: not in its log, nor in a file's name."""
    hospital.write(WARDS, noisy())
    opened(hospital, wards(50))
    with sqlite3.connect(hospital.settings.home / "ledger.db") as ledger:
        draws = [draw for (draw,) in ledger.execute("SELECT draw FROM noise_draws")]
    lake = hospital.settings.lake_root
    assert draws and len({len(draw) for draw in draws}) == 1
    written = b"".join(_lines(lake)).decode() + " ".join(store.list_files(store.join(lake, "released")))
    assert '"draw"' in written
    assert not [draw for draw in draws if draw[:16] in written]


def test_noise_that_is_lost_is_not_drawn_again(hospital: Town) -> None:
    hospital.write(WARDS, noisy())
    opened(hospital, wards(50))
    (file,) = Path(str(hospital.settings.lake_root)).rglob("released/noise/**/*.parquet")
    file.unlink()
    with pytest.raises(LakeError, match="missing or was changed"):
        opened(hospital, list(reversed(wards(50))), 2)


def test_a_file_masked_outside_gets_no_noise(hospital: Town) -> None:
    hospital.write(WARDS, noisy())
    resolved = hospital.ctx.catalogue.entry(WARDS)
    with pytest.raises(MaskError, match="a publication only"):
        apply(pa.array([1]), resolved.open.mask["patients"], resolved.fields["patients"])


# ── what OpenDP says ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "sensitivity", "kind"),
    [
        ("patients", 1e20, "ValueError"),
        ("fees", 1e307, "OverflowError"),
        ("patients", 1e308, "MakeTransformation"),
        ("days", 1e308, "MakeTransformation"),
    ],
)
def test_noise_that_opendp_does_not_make_is_an_error_of_ours_and_spends_nothing(
    hospital: Town, name: str, sensitivity: float, kind: str
) -> None:
    hospital.write(WARDS, noisy(**{name: {"kind": "noise", "epsilon": 0.5, "sensitivity": sensitivity}}))
    with pytest.raises(MaskError, match=rf"OpenDP could not make such noise \({kind}\)") as caught:
        opened(hospital, wards(5))
    told = "".join(traceback.format_exception(caught.value))
    assert f"field {name}" in told and "correct the mask in" in told and "representable" not in told
    assert spent(hospital) == 0


@pytest.mark.parametrize(
    "error",
    [
        OpenDPException("FailedFunction", "7654321 is out of bounds"),
        UnknownTypeException("7654321"),
        ValueError("7654321 is not representable by i64"),
        TypeError("7654321"),
        OverflowError("7654321"),
    ],
)
def test_noise_that_opendp_does_not_draw_is_an_error_of_ours_that_quotes_no_value(
    hospital: Town, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(_: object) -> None:
        raise error

    hospital.write(WARDS, noisy())
    merged = hospital.curate(wards(50), WARDS)
    with monkeypatch.context() as patch, pytest.raises(EngineError, match="OpenDP could not draw") as caught:
        patch.setattr(noise, "_mechanism", lambda *_: fails)
        hospital.publish(merged, "open")
    told = "".join(traceback.format_exception(caught.value))
    assert "run publish again" in told and "field patients" in told and "7654321" not in told
    assert spent(hospital) == 0.5
    hospital.publish(merged, "open")
    assert spent(hospital) == 0.5
