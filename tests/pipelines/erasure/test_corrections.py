"""A person who is erased is erased from what was corrected, too; and no correction brings anybody back."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest

from lake import handling
from lake.batch import Batch
from lake.verify import Copy, verify
from lake.zones import identifier
from pipelines.correcting.book import SHEET
from pipelines.correcting.exporting import export
from pipelines.correcting.importing import import_workbook
from pipelines.erasure.erase import erase
from pipelines.proof.certifying import open_log
from pipelines.quarantine.assigning import Selection, assign
from pipelines.quarantine.corrections import waiting
from pipelines.stages import run_batch
from schemas.errors import XuanwuError
from tests.pipelines.erasure.town import KEY, Town, csv_of, person, subject, visits

VISIT, FILE = "health.visit", "visit_2026-03-01.csv"
WHO, OTHER = person(17), person(37)


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    """Rows 9, 19, 29, 39, 49 and 59 were set aside: their fee is no number."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    town = Town(tmp_path)
    town.people()
    town.leave(1, csv_of(visits(1)))
    town.run(1, "police.person", "health.visit")
    return town


def batch_of(town: Town) -> Batch:
    return town.ctx.ledger.latest(VISIT)[0].batch


def correct(town: Town, *cells: tuple[int, str, str]) -> None:
    rows = [{"file": FILE, "row": row, "column": column, "value": value} for row, column, value in cells]
    handling.record(
        town.ctx.settings,
        open_log(town.ctx)[0],
        (VISIT, batch_of(town).id),
        "correct",
        pa.Table.from_pylist(rows, schema=handling.VALUES),
        said=handling.Said("li", town.clock),
    )


def replay(town: Town) -> None:
    for _ in run_batch(town.ctx, batch_of(town), "standardise"):
        pass


def wrong(town: Town) -> list[str]:
    sums = [str(each.sum) for each in town.ctx.ledger.sums() if not each.sum.holds]
    return [str(finding) for finding in verify(Copy(str(town.lake)))] + sums


def left(town: Town) -> dict[tuple[int, str], str]:
    acts = handling.acts(town.ctx.settings, VISIT, batch_of(town).id)
    found = handling.corrections(acts, town.ctx.settings).to_pylist()
    return {(row["row"], row["column"]): row["value"] for row in found}


def test_corrections_of_the_person_go_and_all_others_stay(town: Town) -> None:
    """One that is merged, one that waits, and one whose row has the identifier from the correction alone."""
    correct(town, (19, "fee", "17"), (39, "fee", "37"))
    replay(town)
    correct(town, (19, "memo", f"补：{WHO[0]}"), (29, "证件号", WHO[0]), (49, "fee", "47"))
    assert town.places(WHO[0]) >= {"handling", "landing", "curated"}
    town.later(hours=1)
    told = erase(town.ctx, subject(WHO[0]), "X-1")
    assert town.places(WHO[0]) == set()
    assert left(town) == {(39, "fee"): "37", (49, "fee"): "47"}
    assert {(p.zone, p.rows) for p in told.erasure.places if p.dataset == VISIT} >= {("handling", 3)}
    assert sum(path.startswith("handling/") for path in told.erasure.removed) == 4, "two acts, two files each"
    assert wrong(town) == []
    assert list(waiting(town.ctx, VISIT)) == [batch_of(town).id]
    replay(town)
    assert wrong(town) == []
    tables = town.ctx.tables
    fees = {
        row["no"]: row["fee"]
        for row in tables.scan(identifier("curated", VISIT), ["no", "fee"]).read_all().to_pylist()
    }
    assert (fees["V10037"], fees["V10047"]) == (37, 47)
    assert "V10017" not in fees and "V10027" not in fees


def test_a_correction_brings_nobody_back(town: Town, tmp_path: Path) -> None:
    erase(town.ctx, subject(OTHER[0]), "X-1")
    entry = town.ctx.catalogue.entry(VISIT)
    assign(town.ctx, entry, Selection(), None, by="li")
    path = export(town.ctx, entry, "health", tmp_path / "out.xlsx", by="li").path
    book = openpyxl.load_workbook(path)
    sheet = book[SHEET]
    heads = [str(cell.value) for cell in sheet[2]]
    row = next(r for r in range(3, sheet.max_row + 1) if sheet.cell(r, 3).value == "9")
    for name, value in (("证件号", OTHER[0]), ("fee", "7")):
        at = next(n for n, head in enumerate(heads, 1) if head.endswith(f"corrected [{name}]"))
        sheet.cell(row, at).value = value
    book.save(path)
    with pytest.raises(XuanwuError) as caught:
        import_workbook(town.ctx, path, by="li")
    assert f"row {row}: 证件号 must not be collected: see the certificates of erasure" in str(caught.value)
    assert OTHER[0] not in str(caught.value)
