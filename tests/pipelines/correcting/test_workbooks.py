"""Rows set aside go out as a workbook, come back corrected, and everything balances again."""

from __future__ import annotations

import shutil
import stat
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from lake import handling
from lake.certificates import digest_of
from lake.verify import Copy, verify
from pipelines.correcting.book import ABOUT, FIRST, README, SHEET
from pipelines.correcting.exporting import export
from pipelines.proof.certifying import open_log
from pipelines.quarantine.casework import cases
from schemas.errors import SourceError, XuanwuError
from tests.pipelines.correcting.desk import (
    CSV,
    KEY,
    VISIT,
    Desk,
    column_of,
    csv_of,
    fill,
    good,
    set_up,
    sheet_of,
)

CORRECTED = {
    (12, "日期"): "20260301",
    (13, "性别"): "女",
    (13, "费用"): 100,
    (14, "电话"): "13900000092",
    (16, "编号"): "V94",
    (16, "人员"): "P3",
    (16, "性别"): "2",
    (16, "日期"): datetime(2026, 3, 1),
    (16, "费用"): "8.00",
    (16, "电话"): "13900000094",
}


# ── going out ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_owner_sees_where_why_and_its_own_values(first: Desk, book: Path) -> None:
    rows = {int(cells[2]): cells for cells in sheet_of(book)}
    assert sorted(rows) == [12, 13, 14, 16], "the row whose name the police do not know is not its to correct"
    assert "应为真实存在的日期" in rows[12][4] and "a real date written as %Y%m%d" in rows[12][4]
    assert {"V91", "P1", "雄", "20260301", "一百", "13900000091"} < set(rows[13])
    assert "整行无法读取" in rows[16][4] and "V94,P3" in rows[16][4]
    assert first.exported.rows == 4 and first.exported.left == 0
    path = first.root / "out.xlsx"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    readme = [cells[0] for cells in openpyxl.load_workbook(book)[README].iter_rows(values_only=True)]
    assert any("2026-03-19 前办结" in line for line in readme), "ten working days from 5 March"


def test_what_is_not_to_be_written_in_is_locked_and_nothing_is_a_formula(book: Path) -> None:
    sheet = openpyxl.load_workbook(book)[SHEET]
    assert sheet.protection.sheet
    cells = {cell.coordinate: cell for row in sheet.iter_rows() for cell in row}
    assert all(
        cell.data_type in ("s", "n") and not str(cell.value).startswith("=") for cell in cells.values()
    )
    open_cells = {cell.column for cell in cells.values() if not cell.protection.locked}
    assert open_cells == {7, 9, 11, 13, 15, 17, 18}
    locked = {(cell.row, cell.column) for cell in cells.values() if cell.protection.locked and cell.row > 2}
    assert {(3, 7), (4, 7), (5, 7)} <= locked and (6, 7) not in locked, "a key that did not fail is no matter"
    assert openpyxl.load_workbook(book)[ABOUT].sheet_state == "veryHidden"


def test_another_department_sees_no_value_graded_three(first: Desk, tmp_path: Path) -> None:
    taken = export(first.ctx, first.visit, "police", tmp_path / "police.xlsx", by="户政科")
    ((batch, file, row, _, wrong, *values),) = sheet_of(taken.path)
    assert (batch, file, row) == (first.batch(1).id, "visit_2026-03-01.csv", "15")
    assert "police.person" in wrong
    assert values == ["V93", "P9", "女", "20260301", "8", None], "no phone, and nothing to correct"


def test_another_department_is_not_told_whom_a_file_is_called_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reasons come to the right rows all the same, where two files are told alike, too."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    desk = Desk(tmp_path, source=CSV.replace("visit_{date}", "1* {date}"))
    desk.people(*range(5))
    names = ("13987651234 2026-03-01.csv", "13987651235 2026-03-01.csv")
    for number, name in enumerate(names):
        unknown = (f"U{number}", f"P{8 + number}", "女", "20260301", "8", "13900000093")
        (desk.box / name).write_bytes(csv_of([unknown]))
    desk.run(1)
    assert desk.assign() == {"police": 2}
    places = [row[1:3] for row in sheet_of(desk.export("police"))]
    assert places == [("[手机号] 2026-03-01.csv", "2")] * 2
    assert "1398765123" not in str(sheet_of(desk.exported.path))
    filled = openpyxl.load_workbook(desk.exported.path)
    filled[SHEET].cell(FIRST + 2, column_of(desk.exported.path, "why")).value = "查无此人"
    filled.save(desk.exported.path)
    (act,) = desk.take(desk.exported.path).acts
    assert handling.rows_of(desk.settings, act)["file"].to_pylist() == [names[1]]


def test_who_took_which_rows_out_is_logged(first: Desk) -> None:
    act = next(a for a in handling.acts(first.settings, VISIT, first.batch(1).id) if a.kind == "export")
    assert (act.by, act.department, act.rows) == ("李科", "health", 4)
    assert act.workbook == digest_of((first.root / "out.xlsx").read_bytes())
    assert handling.rows_of(first.settings, act)["row"].to_pylist() == [12, 13, 14, 16]
    handling.require_logged(open_log(first.ctx)[0], [act], first.settings)


def test_nothing_goes_out_that_cannot_be_logged(
    first: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise XuanwuError("the audit log cannot be written")

    monkeypatch.setattr("lake.auditlog.AuditLog._append", refuse)
    with pytest.raises(XuanwuError, match="audit log"):
        export(first.ctx, first.visit, "health", tmp_path / "no.xlsx", by="李科")
    assert list(tmp_path.iterdir()) == []


def test_there_is_nothing_for_a_department_that_has_no_rows(first: Desk, tmp_path: Path) -> None:
    with pytest.raises(XuanwuError, match=r"no row is assigned to `x`.*quarantine assign"):
        export(first.ctx, first.visit, "x", tmp_path / "x.xlsx", by="李科")


def test_nothing_goes_out_over_a_file_that_is_there(first: Desk, book: Path, tmp_path: Path) -> None:
    """It may have come back under the name that it had; who exports is to import it first."""
    fill(book, {(12, "日期"): "20260301"})
    before, acts = book.read_bytes(), handling.acts(first.settings, VISIT, first.batch(1).id)
    for path in (book, tmp_path):
        with pytest.raises(XuanwuError, match=r"a file of this name already.*import it, or move it away"):
            export(first.ctx, first.visit, "health", path, by="李科")
    assert book.read_bytes() == before
    assert handling.acts(first.settings, VISIT, first.batch(1).id) == acts


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({(12, "日期"): "=TODAY()"}, "row 3: column M holds a formula"),
        ({(12, "日期"): "20260231"}, "row 3: 日期 would fail again: expected a real date"),
        ({(13, "性别"): "雄雌"}, "row 4: 性别 would fail again: expected a code"),
        ({(13, "费用"): 1e17}, "row 4: 费用: the number may have lost digits"),
        (
            {(12, "日期"): "20260301", (12, "received 电话"): "13800000000", (12, "row"): "13"},
            "row 3: it is not the",
        ),
        ({(12, "日期"): "20260301", (12, "row"): "2"}, "row 3: it is not among the rows set aside"),
        ({(12, "日期"): "20260301", (12, "batch"): "../../x"}, "row 3: it is not among the rows set aside"),
        ({(12, "日期"): "20260301", (12, "code"): "0" * 32}, "row 3: it is not the row that was exported"),
        (
            {(12, "编号"): "V99", (12, "日期"): "20260301"},
            "row 3: 编号 tells the row from others and did not fail",
        ),
        ({(12, "日期"): "20260301", (12, "why"): "无法核实"}, "both corrections and a reason"),
        (
            {(12, "why"): "张三 13912345678 说的"},
            "row 3: the reason holds what looks like a person's name or number",
        ),
        ({(12, "why"): "无法核实" * 200}, "row 3: the reason is too long: at most 500 characters"),
        ({(16, "性别"): "女"}, "row 6: the whole row could not be read: write 编号 too"),
    ],
)
def test_refused_by_the_number_of_its_row(
    first: Desk, book: Path, written: dict[tuple[int, str], Any], words: str
) -> None:
    before = handling.acts(first.settings, VISIT, first.batch(1).id)
    with pytest.raises(XuanwuError) as caught:
        first.take(fill(book, written | {(14, "电话"): "13900000092"}))
    assert words in str(caught.value) and "nothing was imported" in str(caught.value)
    assert not any(str(value) in str(caught.value) for value in written.values() if len(str(value)) > 5)
    assert handling.acts(first.settings, VISIT, first.batch(1).id) == before


def test_a_row_that_stands_there_twice(first: Desk, book: Path) -> None:
    filled = openpyxl.load_workbook(fill(book, {(12, "日期"): "20260301"}))
    sheet = filled[SHEET]
    for column, cell in enumerate(list(sheet[3]), 1):
        sheet.cell(4, column).value = cell.value
    filled.save(book)
    with pytest.raises(XuanwuError, match=r"row 3: it stands in the workbook twice; row 4: it stands"):
        first.take(book)


def test_a_workbook_that_is_none_of_ours(first: Desk, book: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothing was written in the workbook"):
        first.take(book)
    (tmp_path / "x.xlsx").write_bytes(b"PK\x03\x04 no workbook")
    with pytest.raises(SourceError, match="damaged, or is no workbook"):
        first.take(tmp_path / "x.xlsx")
    (tmp_path / "x.xlsx").rename(tmp_path / "13987651234.xlsx")
    with pytest.raises(SourceError, match=r"file \[手机号\]\.xlsx"):
        first.take(tmp_path / "13987651234.xlsx")
    other = openpyxl.Workbook()
    other.save(tmp_path / "y.xlsx")
    with pytest.raises(SourceError, match="not a workbook that was exported here"):
        first.take(tmp_path / "y.xlsx")


@pytest.mark.parametrize("change", ["health.visit>police.person", '"health">"police"', "true>false"])
def test_its_hidden_sheet_was_changed(first: Desk, book: Path, change: str) -> None:
    changed = openpyxl.load_workbook(fill(book, {(12, "日期"): "20260301"}))
    old, _, new = change.partition(">")
    hidden = changed[ABOUT]
    assert old in str(hidden["A1"].value)
    hidden["A1"] = str(hidden["A1"].value).replace(old, new)
    changed.save(book)
    with pytest.raises(SourceError, match="its hidden sheet was changed"):
        first.take(book)


def test_another_key_is_another_lake(first: Desk, book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUANWU_KEY_1", bytes(range(1, 33)).hex())
    with pytest.raises(SourceError, match="was not exported from this lake"):
        first.take(fill(book, {(12, "日期"): "20260301"}))


# ── coming back ───────────────────────────────────────────────────────────────────────────────────────────


def test_corrected_rows_come_back_and_everything_balances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    desk = set_up(tmp_path)
    landed = next(iter((desk.lake / "landing/health/visit").glob("*/files/*"))).read_bytes()
    desk.assign()
    stale = Path(shutil.copy(desk.export(), tmp_path / "stale.xlsx"))
    done = desk.round(CORRECTED)
    assert [(act.kind, act.rows, act.values) for act in done.acts] == [("correct", 4, 10)]
    assert {case.state for case in cases(desk.ctx, VISIT)} == {"corrected", "assigned"}
    with pytest.raises(XuanwuError, match="it is not the row that was exported"):
        desk.take(fill(stale, {(12, "日期"): "20260302"}))
    (records,) = desk.replay()
    standardised, checked, merged = (records[stage] for stage in ("standardise", "check", "merge"))
    assert (standardised.rows_in, standardised.rows_out, standardised.quarantined) == (15, 15, 0)
    assert standardised.corrected == 10
    assert (checked.rows_out, checked.quarantined) == (14, 1)
    assert (merged.inserted, merged.unchanged, merged.total) == (4, 10, 14)
    assert desk.aside() == {("check", 15)}
    assert [str(each.sum) for each in desk.ctx.ledger.sums() if not each.sum.holds] == []
    rows = desk.curated()
    assert rows["V90"]["day"] == rows["V94"]["day"] == date(2026, 3, 1)
    assert (rows["V91"]["gender"], rows["V91"]["fee"]) == ("2", Decimal("100.00"))
    assert rows["V92"]["phone"] == "13900000092"
    assert next(iter((desk.lake / "landing/health/visit").glob("*/files/*"))).read_bytes() == landed
    assert list(verify(Copy(str(desk.lake)))) == []
    assert desk.replay() == [], "there is nothing to run again"
    # what is obtained by sharing comes with its own correction, and the batch is run again for it
    desk.people(*range(10), day=2)
    (records,) = desk.replay(every=True)
    assert (records["check"].quarantined, records["merge"].inserted) == (0, 1)
    assert desk.aside() == set() and desk.curated()["V93"]["name"] == "人9"
    assert list(verify(Copy(str(desk.lake)))) == []
    told = desk.ctx.ledger.done(VISIT)
    assert next(a for a in told if a.stage == "standardise").counts["corrected"] == 10


def test_a_correction_that_does_not_do_goes_back_to_the_department(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It converts, and a check refuses it: the row is the department's again, its clock begins anew, and the workbook
    shows what was written last."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    desk = set_up(tmp_path)
    desk.assign()
    desk.clock = datetime.fromisoformat("2026-03-10T04:00:00Z")
    desk.round({(12, "日期"): "20260301", (14, "电话"): "140", (13, "why"): "原始单据已销毁"})
    assert {(c.state, c.department) for c in cases(desk.ctx, VISIT)} >= {("dismissed", "health")}
    desk.replay()
    assert desk.aside() == {("check", 14), ("check", 15), ("standardise", 13), ("standardise", 16)}
    back = next(c for c in cases(desk.ctx, VISIT) if c.field == "phone")
    assert (back.state, back.department, back.since) == ("assigned", "health", date(2026, 3, 10))
    rows = {int(cells[2]): cells for cells in sheet_of(desk.export())}
    assert sorted(rows) == [14, 16] and "140" in rows[14] and "139" not in rows[14]
    desk.round({(14, "电话"): "(空)"})
    desk.replay()
    assert desk.curated()["V92"]["phone"] is None, "a value that is not there breaks no rule here"
    assert desk.aside() == {("check", 15), ("standardise", 13), ("standardise", 16)}


def test_values_of_a_database_are_corrected_by_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its columns have types: the fee is a number at the source, and the day a text."""
    import sqlite3

    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    with sqlite3.connect(tmp_path / "h.db") as db:
        db.execute("CREATE TABLE VISIT (编号 TEXT, 人员 TEXT, 性别 TEXT, 日期 TEXT, 费用 REAL, 电话 TEXT)")
        rows = [*good(1)[:4], ("V90", "P0", "男", "20260231", "12.555", "13900000090")]
        db.executemany(
            "INSERT INTO VISIT VALUES (?, ?, ?, ?, ?, ?)", [(*r[:4], float(r[4]), r[5]) for r in rows]
        )
    desk = Desk(
        tmp_path,
        source="{kind: database, connection: health, table: VISIT}",
        urls={"health": f"sqlite:///{tmp_path / 'h.db'}"},
    )
    desk.people(*range(5))
    desk.run(1)
    assert desk.aside() == {("standardise", 5)}
    desk.assign()
    cells = sheet_of(desk.export())[0]
    assert "12.555" in cells
    desk.round({(5, "日期"): "20260228", (5, "费用"): "12.55"})
    desk.replay()
    assert desk.aside() == set()
    assert desk.curated()["V90"]["fee"] == Decimal("12.55")
