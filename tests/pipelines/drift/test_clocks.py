"""Until when the catalogue is to follow what changed at a source: from the first notice, in working days."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import schemas
from lake.auditlog import entries
from pipelines.cli import app
from pipelines.deciding import decide
from pipelines.drift.clocks import Clocks, Unfollowed
from pipelines.drift.told import told
from pipelines.report import write_report
from schemas.errors import ColumnsMissing, DecisionNeeded, SourceError
from schemas.workdays import HERE, deadline
from tests.conftest import NOW
from tests.pipelines.badinput.town import DATASET, KEY, Town, batch_of, csv_of, path_source, rows

RENAMED = ("no", "name", "tel", "age", "district")
DISTRICTS = "code,zh,en,aliases\n1,玄武区,Xuanwu,\n"


def running(town: Town, at: datetime = NOW) -> list[Unfollowed]:
    return Clocks(replace(town.ctx, clock=lambda: at)).of(town.ctx.catalogue.entry(DATASET))


def rewrite(town: Town, old: str, new: str) -> None:
    path = town.catalogue / "police/person.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def stopped(town: Town, day: int) -> None:
    town.leave(f"0{day}", csv_of(rows(day), RENAMED))
    with pytest.raises(ColumnsMissing):
        town.run(day)


@pytest.fixture
def landed(town: Town) -> Town:
    town.leave("01", csv_of(rows(1)))
    town.run(1)
    return town


def test_nothing_runs_where_nothing_changed(landed: Town) -> None:
    assert running(landed) == []


def test_a_missing_column_starts_a_clock_of_ten_working_days(landed: Town) -> None:
    stopped(landed, 2)
    (clock,) = running(landed)
    noticed = [entry for _, entry in entries(landed.settings.lake_root) if "missing" in entry]
    assert [(entry["missing"], entry["by"]) for entry in noticed] == [(["phone"], "ColumnsMissing")]
    assert clock.since == datetime.fromisoformat(noticed[0]["at"])
    assert (clock.what, clock.name, clock.owner, clock.batch) == (
        *("missing", "phone", "police"),
        batch_of(2).id,
    )
    assert clock.due == deadline(clock.since, 10) and not clock.late
    evening = datetime.combine(clock.due, datetime.max.time(), HERE)
    assert [each.late for each in running(landed, evening)] == [False]
    assert [each.late for each in running(landed, evening + timedelta(seconds=1))] == [True]


def test_the_clock_runs_from_the_first_batch_however_often_it_is_tried(landed: Town) -> None:
    stopped(landed, 2)
    (first,) = running(landed)
    stopped(landed, 2)
    stopped(landed, 3)
    assert running(landed) == [first]


def test_a_batch_that_is_run_again_before_it_ends_no_clock(landed: Town) -> None:
    stopped(landed, 2)
    landed.run(1)
    assert [each.name for each in running(landed)] == ["phone"]


def test_the_clock_ends_when_a_batch_lands_and_begins_anew(landed: Town) -> None:
    stopped(landed, 2)
    (first,) = running(landed)
    landed.leave("03", csv_of(rows(3)))
    landed.run(3)
    assert running(landed) == []
    stopped(landed, 4)
    (again,) = running(landed)
    assert again.since > first.since and again.batch == batch_of(4).id


def test_the_clock_ends_when_the_entry_follows(landed: Town) -> None:
    """Before a batch has landed: what is asked for is no more what is missing."""
    stopped(landed, 2)
    rewrite(landed, "phone: {type: string,", "phone: {source: tel, type: string,")
    assert running(landed) == []


def test_a_source_that_does_not_answer_starts_no_clock(landed: Town) -> None:
    with pytest.raises(SourceError):
        landed.run(2)
    assert running(landed) == []


def test_a_catalogue_may_have_another_number(landed: Town) -> None:
    (landed.catalogue / "policy.yaml").write_text("catalogue: {update_within: 3}\n")
    stopped(landed, 2)
    (clock,) = running(landed)
    assert clock.due == deadline(clock.since, 3)


# ── types ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    """A town whose files declare types."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    town = Town(tmp_path, path_source("parquet", "parquet"))
    leave(town, 1, pa.int32())
    town.run(1)
    return town


def leave(town: Town, day: int, age: pa.DataType, *without: str) -> None:
    names = ("no", "name", "phone", "age", "district")
    columns = dict(zip(names, map(pa.array, zip(*rows(day), strict=True)), strict=True))
    table = pa.table(columns).set_column(3, "age", columns["age"].cast(pa.int32()).cast(age))
    pq.write_table(table.drop_columns(list(without)), town.folder / f"0{day}.parquet")


def test_a_type_that_waits_for_a_decision_starts_a_clock_that_the_decision_ends(typed: Town) -> None:
    leave(typed, 2, pa.string())
    with pytest.raises(DecisionNeeded):
        typed.run(2)
    (clock,) = running(typed)
    assert (clock.what, clock.name) == ("type", "age")
    entry = typed.ctx.catalogue.entry(DATASET)
    decide(typed.ctx, entry, "approve", by="值班员", why="已核对")
    typed.run(2)
    assert running(typed) == []


def test_a_hold_tells_that_the_columns_are_there_again(typed: Town) -> None:
    leave(typed, 2, pa.int32(), "phone")
    with pytest.raises(ColumnsMissing):
        typed.run(2)
    leave(typed, 3, pa.string())
    with pytest.raises(DecisionNeeded):
        typed.run(3)
    assert [(each.what, each.name) for each in running(typed)] == [("type", "age")]


# ── codes ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def coded(town: Town) -> Town:
    """A town with a list of districts, and rows of a district that is not in it."""
    shutil.copytree(Path(schemas.__file__).with_name("codes"), town.catalogue / "codes")
    (town.catalogue / "codes/district.csv").write_text(DISTRICTS)
    rewrite(town, "district: {type: string, grade: 1}", "district: {type: string, grade: 1, codes: district}")
    return town


def left(town: Town, day: int, *districts: str) -> None:
    found = rows(day)
    changed = [(*row[:4], district) for row, district in zip(found, districts, strict=False)]
    town.leave(f"0{day}", csv_of([*changed, *found[len(districts) :]]))
    town.run(day)


def test_a_code_that_no_list_has_starts_a_clock_at_its_first_batch(coded: Town) -> None:
    left(coded, 1)
    assert running(coded) == []
    for day in (2, 3):
        left(coded, day, *["江北新区"] * 6)
    (clock,) = running(coded)
    assert (clock.what, clock.name, clock.batch) == ("codes", "district", batch_of(2).id)
    standardised = [
        each.finished
        for each in coded.ctx.ledger.attempts(batch_of(2).id, DATASET)
        if each.stage == "standardise"
    ]
    assert standardised == [clock.since]
    assert "江北新区" not in "".join(clock.words)


def test_a_code_that_comes_to_be_in_the_list_is_followed(coded: Town) -> None:
    left(coded, 1, *["江北新区"] * 6)
    assert len(running(coded)) == 1
    (coded.catalogue / "codes/district.csv").write_text(DISTRICTS + "2,江北新区,Jiangbei,\n")
    assert running(coded) == []


def test_a_code_that_is_gone_or_another_begins_anew(coded: Town) -> None:
    left(coded, 1, *["江北新区"] * 6)
    left(coded, 2, *["河西新城"] * 6)
    assert [each.batch for each in running(coded)] == [batch_of(2).id]
    left(coded, 3)
    assert running(coded) == []


def test_single_mistakes_of_writing_start_no_clock(coded: Town) -> None:
    left(coded, 1, "玄武屈", "玄武", "X")
    assert running(coded) == []


def test_of_a_field_of_grade_three_only_the_number_counts(coded: Town) -> None:
    rewrite(
        coded,
        "district: {type: string, grade: 1,",
        "district: {type: string, grade: 3, mask: {share: hmac, open: drop},",
    )
    rewrite(coded, "fields: [no, district]", "fields: [no]")
    left(coded, 1, *["江北新区"] * 4)
    assert running(coded) == []
    left(coded, 2, *["江北新区"] * 6)
    assert [each.name for each in running(coded)] == ["district"]


# ── what people see ───────────────────────────────────────────────────────────────────────────────────────


def test_drift_and_report_tell_until_when_and_what_is_late(
    landed: Town, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "目录待更新" not in write_report(landed.ctx, tmp_path / "report.html").read_text()
    stopped(landed, 2)
    (clock,) = running(landed)
    monkeypatch.setenv("XUANWU_HOME", str(landed.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(landed.catalogue))
    said = CliRunner().invoke(app, ["drift"]).stdout
    assert f"column `phone` is missing at the source: 目录应于 {clock.due} 前更新" in said
    assert f"police updates the catalogue until {clock.due}\n" in said
    (found,) = json.loads(CliRunner().invoke(app, ["drift", "--json"]).stdout)
    (told_of,) = found["due"]
    assert (told_of["name"], told_of["due"], told_of["late"]) == ("phone", str(clock.due), False)
    assert told_of["since"] == clock.since.isoformat()
    later = replace(landed.ctx, clock=lambda: datetime.combine(date(2100, 1, 1), datetime.min.time(), HERE))
    page = write_report(later, tmp_path / "report.html").read_text()
    section = page[page.index("目录待更新") :].partition("</section>")[0]
    assert str(clock.due) in section and "来源缺少列 phone" in section and "逾期 late" in section
    assert "10个工作日" in section


def test_what_changed_and_what_is_due_stand_together(coded: Town) -> None:
    left(coded, 1, *["江北新区"] * 6)
    found = told(coded.ctx, coded.ctx.catalogue.entry(DATASET))
    assert found is not None and len(found.sentences) == 1 and len(found.due) == 1
