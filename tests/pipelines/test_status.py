"""What status and report tell besides rows: a batch that changed nothing, what is late and overdue, and of which datasets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lake.batch import Batch
from lake.records import Landed, LandedFile
from pipelines.cli import app
from pipelines.leftover import Left, left_over
from pipelines.report import write_report
from pipelines.status import batch_statuses
from schemas.settings import Settings
from tests.pipelines.badinput.town import DATASET, ENTRY, Rows, Town, batch_of, csv_of, rows
from tests.pipelines.building import NOW, context_of, entry_of
from tests.pipelines.building import batch_of as a_day_of

OTHER = "police.person_vehicle"


@pytest.fixture
def town(town: Town, monkeypatch: pytest.MonkeyPatch) -> Town:
    """Persons of whom the eldest row holds, and another dataset of which nothing has come yet."""
    for dataset, serial in ((DATASET, 1), (OTHER, 2)):
        text = ENTRY.format(source=town.source).replace("{kind: append}", "{kind: upsert, order_by: age}")
        text = text.replace(DATASET, dataset).replace("000001", f"{serial:06}")
        (town.catalogue / f"{dataset.replace('.', '/')}.yaml").write_text(text, "utf-8")
    for name, value in (("HOME", town.settings.home), ("CATALOGUE", town.catalogue)):
        monkeypatch.setenv(f"XUANWU_{name}", str(value))
    return town


def younger(day: int) -> Rows:
    return [(no, name, phone, "1", place) for no, name, phone, _, place in rows(day)]


def xuanwu(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0
    return done.stdout


def warnings(town: Town) -> list[str]:
    return [row.warning for row in batch_statuses(town.ctx)]


def test_a_newest_batch_that_changed_nothing_because_it_is_old_is_told(town: Town, tmp_path: Path) -> None:
    town.leave("01", csv_of(rows(1)))
    town.run(1)
    town.leave("02", csv_of(younger(1)))
    town.run(2)
    first, second = warnings(town)
    assert first == ""
    assert second.startswith("all 20 rows are older than the table's, by age: nothing changed; ask police ")
    assert f"未改变数据 no effect {DATASET} {batch_of(2).id}: {second}" in xuanwu("status").splitlines()
    assert [each["warning"] for each in json.loads(xuanwu("status", "--json"))["batches"]] == ["", second]
    page = write_report(town.ctx, tmp_path / "report.html").read_text("utf-8")
    assert "未改变数据 no effect: all 20 rows are older" in page
    town.leave("03", csv_of(rows(3)))
    town.run(3)
    assert warnings(town) == ["", "", ""], "a later batch has come since"


def test_a_batch_of_the_same_rows_or_of_some_new_ones_is_nothing_odd(town: Town) -> None:
    """The same rows in another order; of rows that are older all but one that is new, newer, or as it was; none that is
    good."""
    old, newer = younger(1), [(no, name, phone, "150", place) for no, name, phone, _, place in rows(1)]
    bad = [("", *row[1:]) for row in rows(4)]
    days = [rows(1), rows(1)[::-1], [*old, rows(3)[0]], [*old[1:], newer[0]], [newer[0], *old[1:]], bad]
    for day, found in enumerate(days, 1):
        town.leave(f"{day:02}", csv_of(found))
        town.run(day)
        assert warnings(town)[-1] == ""


def test_only_where_rows_have_an_order_one_is_older(town: Town) -> None:
    """Rows of an append that come twice are superseded, and the first of each may be refused: nothing is older there."""
    path = town.catalogue / f"{DATASET.replace('.', '/')}.yaml"
    path.write_text(
        path.read_text("utf-8").replace("{kind: upsert, order_by: age}", "{kind: append}"), "utf-8"
    )
    for day, found in ((1, rows(1)), (2, younger(1)[:10] * 2)):
        town.leave(f"{day:02}", csv_of(found))
        town.run(day)
    assert [(row.superseded, row.warning) for row in batch_statuses(town.ctx)] == [(0, ""), (10, "")]


def test_what_is_left_of_a_dataset_without_an_entry_is_told(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First that it can still be read; after an upkeep what stays; nothing while the entry is there, or of a dataset of
    which nothing ever came."""
    town.leave("01", csv_of([*rows(1), ("P9", "x", "1", "1", "y")]))
    town.run(1)
    monkeypatch.setenv("XUANWU_CONN_POLICE", town.urls["police"])
    xuanwu("run", OTHER, "--date", "2026-03-01")
    town.ctx.ledger.begin(a_day_of("police.nothing"), "collect")
    assert left_over(town.ctx) == [] and "no entry any more" not in xuanwu("status")
    (town.catalogue / f"{DATASET.replace('.', '/')}.yaml").unlink()
    kept = ("curated.police__person", "quarantine.police__person")
    readable = ("share.police__person__default", "open.police__person", "downloads")
    assert left_over(town.ctx) == [Left(DATASET, 1, kept, readable)]
    first, second = (line for line in xuanwu("status").splitlines() if "no entry any more" in line)
    assert all(name in first for name in readable) and first.endswith("can still be read: xuanwu upkeep")
    assert f"{DATASET}: 1 landed batches, {', '.join(kept)} stay" in second
    xuanwu("upkeep")
    assert json.loads(xuanwu("status", "--json"))["removed"] == [
        {"dataset": DATASET, "batches": 1, "tables": list(kept), "readable": []}
    ]
    (line,) = (line for line in xuanwu("status").splitlines() if "no entry any more" in line)
    assert "put the entry back" in line
    assert "no entry any more" not in xuanwu("status", OTHER)


@pytest.mark.parametrize("cursor", ["id", None])
def test_an_incremental_batch_that_finds_not_even_its_last_row_is_told(
    settings: Settings, cursor: str | None
) -> None:
    """Not where no row ever came, where rows came again, or where it is not known yet how many there are."""
    source = {"kind": "database", "connection": "c", "table": "t", "cursor": cursor}
    ctx = context_of(settings, [entry_of("police.case", source, {"id": "integer"})])
    found = []
    for day, count in enumerate((0, 0, 2, 0, 1, None), 1):
        batch = a_day_of("police.case", day)
        attempt = ctx.ledger.begin(batch, "collect")
        if count is not None:
            file = LandedFile(path="t", origin="t", sha256="", size=1, rows=count, format="parquet")
            landed = Landed(batch=batch, files=(file,), rows=count, counted=count, collected_at=NOW)
            ctx.ledger.finish(attempt, landed)
        found.append(batch_statuses(ctx)[-1].warning.partition(":")[0])
    told = "no row is at the cursor's last position or after it" if cursor else ""
    assert found == ["", "", "", told, "", ""]


@pytest.mark.parametrize(
    ("cron", "start", "hours", "told"),
    [
        ("0 9 * * *", "2026-03-02T01:00", 24, "2026-03-02"),
        ("0 2 * * *", "2026-03-01T18:00", 24, "2026-03-02"),
        ("0 * * * *", "2026-03-01T16:00", 1, "2026-03-02 00:00"),
    ],
)
def test_a_batch_is_called_by_its_day_in_the_zone_of_its_schedule(
    settings: Settings, cron: str, start: str, hours: int, told: str
) -> None:
    """As `xuanwu run --date` takes it."""
    source = {"kind": "file", "path": "/x.csv", "format": "csv"}
    entry = entry_of("police.case", source, {"id": "integer"}, schedule={"cron": cron})
    ctx = context_of(settings, [entry])
    begun = datetime.fromisoformat(start).replace(tzinfo=UTC)
    ctx.ledger.begin(Batch(dataset=entry.id, start=begun, end=begun + timedelta(hours=hours)), "collect")
    (row,) = batch_statuses(ctx)
    assert row.day == told


def test_what_is_late_is_told_by_one_clock(town: Town) -> None:
    for dataset in (DATASET, OTHER):
        path = town.catalogue / f"{dataset.replace('.', '/')}.yaml"
        path.write_text(path.read_text("utf-8").replace("timezone: UTC", "timezone: Asia/Shanghai"), "utf-8")
    town.leave("01", csv_of(rows(1)))
    town.run(1)
    line = next(each for each in xuanwu("status", DATASET).splitlines() if each.startswith("迟到 late"))
    assert line.endswith("newest 2026-03-02 08:00"), "of the batch that ended at midnight UTC"


def test_of_one_dataset_status_tells_what_is_late_and_overdue_of_it_alone(town: Town) -> None:
    town.leave("01", csv_of([*rows(1), ("P", "x", "1", "1", "玄武区")]))
    town.run(1)
    told = json.loads(xuanwu("status", "--json"))
    assert {each["dataset"] for each in told["late"]} == {DATASET, OTHER}
    assert [each["rows"] for each in told["overdue"]] == [1]
    told = json.loads(xuanwu("status", OTHER, "--json"))
    assert [each["dataset"] for each in told["late"]] == [OTHER]
    assert told["overdue"] == []
    assert f"迟到 late {DATASET}" in xuanwu("status", DATASET)
    assert OTHER not in xuanwu("status", DATASET)


def test_off_a_terminal_a_line_of_the_quarantine_is_one_line(town: Town) -> None:
    town.leave("01", csv_of([*rows(1), ("P", "x", "1", "1", "玄武区")]))
    town.run(1)
    (line,) = [each for each in xuanwu("quarantine", "list").splitlines() if DATASET in each]
    words = line.split()
    assert {DATASET, batch_of(1).id, "check", "phone", "expect_column_values_to_match_regex"} <= set(words)
