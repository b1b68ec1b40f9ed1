"""A department's day, by the command line: what is shown, what is told, and what is proved."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lake.verify import Copy, verify
from pipelines.cli import app
from pipelines.quarantine.casework import loads
from pipelines.report import write_report
from pipelines.upkeep import upkeep
from tests.pipelines.correcting.desk import KEY, VISIT, Desk, fill, set_up

BY = ("--by", "值班员")


@dataclass
class Day:
    """What each command said, by its first words."""

    desk: Desk
    said: dict[str, str] = field(default_factory=dict)

    def xuanwu(self, name: str, *arguments: str, code: int = 0) -> None:
        done = CliRunner().invoke(app, [*name.split(), *arguments])
        assert done.exit_code == code, (done.output, done.exception)
        self.said[name] = done.output


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """From rows set aside to what is left of them, by the clock of the machine, as the command line has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        desk = set_up(tmp_path_factory.mktemp("desk"), clock=datetime.now(UTC))
        patch.setenv("XUANWU_HOME", str(desk.settings.home))
        patch.setenv("XUANWU_CATALOGUE", str(desk.settings.catalogue))
        for name, url in desk.urls.items():
            patch.setenv(f"XUANWU_CONN_{name.upper()}", url)
        day, book = Day(desk), desk.root / "out.xlsx"
        day.xuanwu("quarantine list", VISIT)
        day.xuanwu("quarantine assign", VISIT, *BY)
        day.xuanwu("quarantine export", VISIT, "-o", str(book), *BY)
        fill(book, {(12, "日期"): "20260301", (13, "why"): "单据已销毁", (14, "电话"): "13900000092"})
        day.xuanwu("quarantine import", str(book), *BY)
        day.xuanwu("quarantine list ", "--json")
        day.xuanwu("quarantine replay", VISIT)
        day.xuanwu("quarantine replay ")
        day.xuanwu("quarantine dismiss", VISIT, "--why", "已核实", "--row", "16", *BY)
        day.xuanwu("quarantine dismiss ", VISIT, "--why", "已核实", code=2)
        yield day


def test_each_command_says_what_it_did_and_what_comes_next(day: Day) -> None:
    said = day.said
    assert "待交办 open" in said["quarantine list"] and "overdue" not in said["quarantine list"]
    assert "4 rows" in said["quarantine assign"]
    assert f"next: xuanwu quarantine export {VISIT} --department health" in said["quarantine assign"]
    assert "4 rows" in said["quarantine export"]
    assert (
        "2 values of 2 rows" in said["quarantine import"] and "dismissed: 1 rows" in said["quarantine import"]
    )
    states = {(row["state"], row["rows"]) for row in json.loads(said["quarantine list "])}
    assert states >= {("corrected", 1), ("dismissed", 1), ("assigned", 1)}
    again = r"standardise +rows in 15 +rows out 13 +quarantined 2 +corrected 2"
    assert re.search(again, said["quarantine replay"])
    assert said["quarantine replay "].startswith("没有待重放的批次")
    assert "1 rows" in said["quarantine dismiss"] and "say which rows" in said["quarantine dismiss "]


def test_what_is_overdue_is_told_every_day(day: Day, tmp_path: Path) -> None:
    """The row that went to the police is theirs still."""
    ctx = day.desk.ctx
    assert [load.overdue for load in loads(ctx)] == [0, 0]
    late = replace(ctx, clock=lambda: day.desk.clock + timedelta(days=60))
    done = upkeep(late)
    assert done.overdue == {"police": 1} and done.counts["overdue in quarantine"] == 1
    page = write_report(late, tmp_path / "r.html").read_text()
    assert "Quarantine, by department" in page and '<span class="pill poor">1</span>' in page
    assert "overdue" not in CliRunner().invoke(app, ["status"]).output


def test_no_byte_of_it_changes_unnoticed(day: Day, tmp_path: Path) -> None:
    lake = Path(shutil.copytree(day.desk.lake, tmp_path / "copy"))
    assert [str(each) for each in verify(Copy(str(lake)))] == []
    files = sorted(path for path in (lake / "handling").rglob("*") if path.is_file())
    assert len(files) == 12, "two assignments, an export, corrections, two dismissals"
    for path in files:
        data = path.read_bytes()
        for offset in (0, len(data) // 2, len(data) - 3):
            path.write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
            assert next(verify(Copy(str(lake))), None), f"{path.name} at {offset}"
        path.unlink()
        assert next(verify(Copy(str(lake))), None), path.name
        path.write_bytes(data)
    put = files[0].with_name("00099-00000000.parquet")
    put.write_bytes(files[0].read_bytes())
    assert "the log does not hold this act" in str(next(verify(Copy(str(lake)))))
