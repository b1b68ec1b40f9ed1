"""A workbook that comes twice, that was killed in the middle, or that comes while somebody else is at the same rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from lake import handling, store
from lake.handling import PLACES, Said
from lake.verify import Copy, verify
from pipelines.cli import app
from pipelines.correcting import importing
from pipelines.correcting.book import SHEET
from pipelines.correcting.importing import Imported
from pipelines.proof.certifying import open_log
from pipelines.quarantine.casework import cases
from schemas.errors import LakeError, XuanwuError
from tests.pipelines.correcting.desk import BAD, KEY, VISIT, Desk, column_of, fill, good, set_up, sheet_of

WRITTEN = {(12, "日期"): "20260301", (13, "why"): "单据已销毁", (14, "电话"): "13900000092"}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    desk = set_up(tmp_path)
    desk.assign()
    yield desk


def acts(desk: Desk, day: int = 1) -> list[tuple[str, int]]:
    found = handling.acts(desk.settings, VISIT, desk.batch(day).id)
    return [(act.kind, act.rows) for act in found if act.kind not in ("assign", "export")]


def states(desk: Desk) -> dict[str, int]:
    found: dict[str, int] = {}
    for case in cases(desk.ctx, VISIT, by_rule=False):
        found[case.state] = found.get(case.state, 0) + case.rows
    return found


def wrong(desk: Desk) -> list[str]:
    return [str(each) for each in verify(Copy(str(desk.lake)))]


# ── twice ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_workbook_twice_changes_nothing_and_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(desk.export(), WRITTEN)
    assert acts(desk) == [] and len(desk.take(path).acts) == 2
    after = acts(desk)
    assert desk.take(path) == Imported(VISIT, (), 0, before=3)
    for name, value in {"HOME": desk.settings.home, "CATALOGUE": desk.settings.catalogue}.items():
        monkeypatch.setenv(f"XUANWU_{name}", str(value))
    done = CliRunner().invoke(app, ["quarantine", "import", str(path), "--by", "李科"])
    assert done.exit_code == 0 and "3 rows were imported from this workbook before" in done.output
    desk.replay()
    assert desk.take(path) == Imported(VISIT, (), 0, before=3), "what has left the quarantine too"
    assert acts(desk) == after and wrong(desk) == []


def test_what_was_given_back_is_answered_anew(desk: Desk) -> None:
    """A row that was dismissed and assigned again is the department's: the same answer is one."""
    path = fill(desk.export(), {(13, "why"): "单据已销毁"})
    desk.take(path)
    desk.assign(rows=frozenset({13}), states=frozenset({"dismissed"}))
    assert states(desk) == {"assigned": 5}
    assert [(act.kind, act.rows) for act in desk.take(path).acts] == [("dismiss", 1)]


# ── killed ────────────────────────────────────────────────────────────────────────────────────────────────


def _two_days(desk: Desk) -> Path:
    """A workbook of two batches, with an answer for each."""
    desk.leave(2, [*good(2), BAD[0]])
    desk.run(2)
    desk.assign()
    path = desk.export()
    book, date, why = openpyxl.load_workbook(path), column_of(path, "日期"), column_of(path, "why")
    for at, cells in enumerate(sheet_of(path), 3):
        if cells[2] == "12":
            book[SHEET].cell(at, date).value = "20260302"
        elif cells[2] == "13":
            book[SHEET].cell(at, why).value = "单据已销毁"
    book.save(path)
    return path


@pytest.mark.parametrize("written", range(1, 6))
def test_an_import_that_is_killed_is_done_by_another_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """After each of the files that it writes: rows and JSON of three acts."""
    path = _two_days(desk)
    real, count = store.write_atomic, 0

    def dies(uri: str, data: bytes) -> Any:
        nonlocal count
        if "/handling/" in uri:
            count += 1
            if count > written:
                raise KeyboardInterrupt
        return real(uri, data)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(store, "write_atomic", dies)
        desk.take(path)
    assert wrong(desk) == []
    desk.take(path)
    assert acts(desk) == [("correct", 1), ("dismiss", 1)] and acts(desk, 2) == [("correct", 1)]
    assert states(desk)["corrected"] == 2 and states(desk)["dismissed"] == 1
    assert desk.take(path).acts == () and wrong(desk) == []


# ── at the same moment ────────────────────────────────────────────────────────────────────────────────────


def test_of_two_stewards_at_once_the_second_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one's value is there while the second one's workbook has been looked at and is not written yet."""
    first = fill(desk.export(), {(12, "日期"): "20260301"})
    second = fill(Path(shutil.copy(first, desk.root / "second.xlsx")), {(12, "日期"): "20260302"})
    real = importing._deeds

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(importing, "_deeds", real)
        desk.take(first)
        return real(*arguments)

    monkeypatch.setattr(importing, "_deeds", meanwhile)
    with pytest.raises(LakeError, match=r"somebody else did something about these rows.*do it again"):
        desk.take(second)
    with pytest.raises(XuanwuError, match="it is not the row that was exported"):
        desk.take(second)
    found = handling.acts(desk.settings, VISIT, desk.batch(1).id)
    assert handling.corrections(found, desk.settings)["value"].to_pylist() == ["20260301"]
    assert wrong(desk) == []


def test_of_two_acts_at_once_neither_takes_the_others_place(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the same rows: an export that took an assignment's name would undo it. Both ask for the last number before
    either is written, unless they take turns."""
    rows = pa.Table.from_pylist([{"file": "visit_2026-03-01.csv", "row": 15}], schema=PLACES)
    about, both, real = (VISIT, desk.batch(1).id), Barrier(2), handling._last

    def together(*arguments: Any) -> int:
        found = real(*arguments)
        with suppress(BrokenBarrierError):
            both.wait(timeout=1)
        return found

    monkeypatch.setattr(handling, "_last", together)
    said, log = Said("li", desk.clock, department="police"), open_log(desk.ctx)[0]

    def act(kind: handling.Kind) -> str:
        return handling.record(desk.settings, log, about, kind, rows, said=said).name

    before = len(handling.acts(desk.settings, *about))
    with ThreadPoolExecutor(2) as pool:
        names = set(pool.map(act, ("assign", "export")))
    assert len(names) == 2 and len(handling.acts(desk.settings, *about)) == before + 2
    assert wrong(desk) == []
