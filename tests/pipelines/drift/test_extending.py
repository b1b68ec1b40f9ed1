"""The authority gives more time to follow a change at a source: within the decree's five days, and in the log."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lake.auditlog import entries
from lake.verify import Copy, verify
from pipelines.cli import app
from pipelines.drift.extending import extend
from pipelines.report import write_report
from schemas.errors import XuanwuError
from schemas.workdays import deadline
from tests.pipelines.badinput.town import DATASET, Town, csv_of, rows
from tests.pipelines.drift.test_clocks import rewrite, running, stopped

PAPER = "宁数目延〔2026〕2号"


@pytest.fixture
def stopped_town(town: Town, monkeypatch: pytest.MonkeyPatch) -> Town:
    """A town of whose source a column is missing since the second day."""
    town.leave("01", csv_of(rows(1)))
    town.run(1)
    stopped(town, 2)
    monkeypatch.setenv("XUANWU_HOME", str(town.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(town.catalogue))
    return town


def more(town: Town, days: int, document: str = PAPER) -> None:
    extend(town.ctx, town.ctx.catalogue.entry(DATASET), days, by="市数据局", document=document)


def test_working_days_are_added_and_logged(stopped_town: Town, tmp_path: Path) -> None:
    (before,) = running(stopped_town)
    said = ["extend", DATASET, "--days", "5", "--reason-document", PAPER, "--by", "市数据局"]
    done = CliRunner().invoke(app, ["catalogue", *said])
    (after,) = running(stopped_town)
    assert done.exit_code == 0 and f"until {after.due}" in done.stdout
    assert after.due == deadline(before.since, 15)
    assert (after.extended, after.documents) == (5, (PAPER,))
    (entry,) = [each for _, each in entries(stopped_town.settings.lake_root) if each["action"] == "extend"]
    assert entry["clocks"] == [{"what": "missing", "name": "phone", "batch": before.batch}]
    assert (entry["days"], entry["document"], entry["by"]) == (5, PAPER, "市数据局")
    told = CliRunner().invoke(app, ["drift"]).stdout
    assert f"extended by 5 working days ({PAPER})" in told
    assert f"已延长 5 个工作日（{PAPER}）" in write_report(stopped_town.ctx, tmp_path / "r.html").read_text()
    assert list(verify(Copy(stopped_town.settings.lake_root))) == []


def test_what_was_late_without_it_is_in_time(stopped_town: Town) -> None:
    (before,) = running(stopped_town)
    later = before.since + timedelta(days=(before.due - before.since.date()).days + 1)
    assert [each.late for each in running(stopped_town, later)] == [True]
    more(stopped_town, 5)
    assert [each.late for each in running(stopped_town, later)] == [False]


@pytest.mark.parametrize("days", [6, 0, -1])
def test_no_more_than_the_decree_has(stopped_town: Town, days: int) -> None:
    with pytest.raises(XuanwuError, match="over 5 in all, or none"):
        more(stopped_town, days)
    assert [each.extended for each in running(stopped_town)] == [0]


def test_several_times_within_five_days_in_all(stopped_town: Town) -> None:
    more(stopped_town, 3)
    more(stopped_town, 2, "延3号")
    assert [(each.extended, each.documents) for each in running(stopped_town)] == [(5, (PAPER, "延3号"))]
    with pytest.raises(XuanwuError, match="over 5 in all, or none"):
        more(stopped_town, 1)


def test_a_city_may_have_another_number(stopped_town: Town) -> None:
    (stopped_town.catalogue / "policy.yaml").write_text("catalogue: {extend_at_most: 0}\n")
    with pytest.raises(XuanwuError, match="over 0 in all, or none"):
        more(stopped_town, 1)


def test_a_clock_that_has_run_out_is_not_extended(stopped_town: Town) -> None:
    (before,) = running(stopped_town)
    ctx = replace(stopped_town.ctx, clock=lambda: before.since + timedelta(days=60))
    with pytest.raises(XuanwuError, match="has run out"):
        extend(ctx, ctx.catalogue.entry(DATASET), 1, by="甲", document=PAPER)


def test_nothing_is_extended_where_no_clock_runs(stopped_town: Town) -> None:
    rewrite(stopped_town, "phone: {type: string,", "phone: {source: tel, type: string,")
    with pytest.raises(XuanwuError, match="no clock runs"):
        more(stopped_town, 1)


def test_another_clock_has_its_own_days(stopped_town: Town) -> None:
    """What was consented to is of this missing column, noticed then: not of the next one."""
    more(stopped_town, 5)
    stopped_town.leave("03", csv_of(rows(3)))
    stopped_town.run(3)
    stopped(stopped_town, 4)
    (again,) = running(stopped_town)
    assert again.extended == 0 and again.due == deadline(again.since, 10)


@pytest.mark.parametrize(
    ("document", "why"),
    [("13912345678", "log that is never changed"), ("局长同意", "is no number of a document")],
)
def test_the_document_is_one_and_no_number_of_a_person(stopped_town: Town, document: str, why: str) -> None:
    with pytest.raises(XuanwuError, match=why):
        more(stopped_town, 1, document)
    assert [each.extended for each in running(stopped_town)] == [0]
