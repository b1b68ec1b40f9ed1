"""A contract that comes into use in another form stands in the audit log, whoever dies or comes at once meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import schemas
from lake import contracts
from lake.auditlog import AuditLog, entries
from lake.contracts import FOLDER, Used, history
from lake.verify import Copy, verify
from pipelines import stages
from pipelines.cli import app
from pipelines.contracts import using
from pipelines.report import write_report
from schemas.errors import LakeError
from tests.pipelines.badinput.town import DATASET, Town, batch_of, csv_of, rows
from tests.waiting import ended, line

SECRET = "Q7YRNK"


@pytest.fixture
def running(town: Town) -> Town:
    """A town that has run once."""
    for day in (1, 2, 3, 4):
        town.leave(f"0{day}", csv_of(rows(day)))
    town.run(1)
    return town


def rewrite(town: Town, *changes: tuple[str, str]) -> None:
    path = town.catalogue / "police/person.yaml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def used(town: Town) -> list[Used]:
    return history(town.settings.lake_root, DATASET)


def said(town: Town) -> list[tuple[str, bool]]:
    """What the newest form changed."""
    return [(change.en, change.loosens) for change in used(town)[0].changes]


def wrong(town: Town) -> list[str]:
    return [str(each) for each in verify(Copy(town.settings.lake_root))]


def log(town: Town) -> list[dict[str, Any]]:
    found = [entry for _, entry in entries(town.settings.lake_root)]
    return [entry for entry in found if entry["action"] == contracts.ACTION]


OPENED = ("grade: 3, mask: {share: {kind: partial, first: 1}, open: drop}", "grade: 2, mask: {open: drop}")
RENAMED = ("title: {zh: 人员, en: Persons}", "title: {zh: 居民, en: People}")


def test_the_first_form_is_recorded_and_the_same_one_only_once(running: Town) -> None:
    running.run(2)
    (first,) = used(running)
    assert (first.number, first.batch, first.changes) == (1, batch_of(1).id, ())
    assert [entry["phase"] for entry in log(running)] == ["attempt", "outcome"]
    assert wrong(running) == []


def test_a_form_that_is_in_use_opens_no_log_and_compares_nothing(
    running: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        pytest.fail("it is in use already")

    monkeypatch.setattr(contracts, "use", never)
    monkeypatch.setattr(using, "facts_of", never)
    running.run(2)


def test_what_changed_is_said_and_what_protects_less_is_marked(running: Town) -> None:
    rewrite(
        running,
        OPENED,
        ("district: {type: string,", "district: {type: string, length: 20,"),
        ("on_fail: stop", "on_fail: warn"),
    )
    running.run(2)
    assert said(running) == [
        ("field name: grade 3 → 2", True),
        ("field district: length none → 20", False),
        ("check table_row_count_to_be_between(): on_fail stop → warn", True),
        ("published field share/default name: mask partial first=1 → keep", True),
    ]
    assert used(running)[0].changes[0].zh == "字段 name：分级 3 → 2"
    assert wrong(running) == []


def test_what_comes_back_has_changed_again(running: Town) -> None:
    rewrite(running, OPENED)
    running.run(2)
    rewrite(running, OPENED[::-1])
    running.run(3)
    assert [each.number for each in used(running)] == [3, 2, 1]
    assert [each.batch for each in used(running)] == [batch_of(day).id for day in (3, 2, 1)]
    assert not any(loosens for _, loosens in said(running))
    assert used(running)[0].contract == used(running)[2].contract
    assert wrong(running) == []


def test_each_stage_says_what_it_uses(running: Town) -> None:
    """A catalogue that is changed between two stages of a batch: publication is under the new form."""
    rewrite(running, RENAMED)
    stages.run_stage(running.ctx, "publish", batch_of(1), "share/default")
    assert said(running) == [("entry: title changed", False)]
    assert wrong(running) == []


def test_no_value_of_a_person_lies_in_the_log_or_beside_it(running: Town) -> None:
    """In checks on fields of grade 3, in conditions, constants of masks and titles."""
    values, regex = f"value_set: [{SECRET}甲, 乙]", f"regex: '{SECRET}.'"
    checks = (
        "checks:\n"
        f"  - {{expect: expect_column_values_to_be_in_set, column: name, {values}, on_fail: warn}}\n"
        f"  - {{expect: expect_column_values_to_not_match_regex, column: name, {regex}, on_fail: warn}}\n"
    )
    rewrite(running, ("checks:\n", checks))
    running.run(2)
    rewrite(running, (f"[{SECRET}甲, 乙]", f"[{SECRET}丙, 乙, 丁]"), (f"{SECRET}.'", f"{SECRET}..'"), RENAMED)
    running.run(3)
    told = said(running)
    assert ("check column_values_to_be_in_set(name): value_set 2 values → 3 values", True) in told
    assert ("check column_values_to_not_match_regex(name): regex changed", True) in told
    lake = Path(running.settings.lake_root)
    written = "".join(path.read_text() for path in (lake / "proof").rglob("*.json*"))
    assert "value_set" in written
    assert SECRET not in written and "乙" not in written


def test_a_code_list_is_part_of_the_contract(running: Town) -> None:
    shutil.copytree(Path(schemas.__file__).with_name("codes"), running.catalogue / "codes")
    (running.catalogue / "codes/district.csv").write_text("code,zh,en,aliases\n1,玄武区,Xuanwu,\n")
    rewrite(
        running, ("district: {type: string, grade: 1}", "district: {type: string, grade: 1, codes: district}")
    )
    running.run(2)
    (running.catalogue / "codes/district.csv").write_text(
        "code,zh,en,aliases\n1,玄武区,Xuanwu,\n2,秦淮区,Qinhuai,\n"
    )
    running.run(3)
    assert said(running) == [
        ("code list district: codes added 2", False),
        ("code list district: labels changed", False),
    ]
    assert used(running)[0].changes[0].zh == "代码表 district：代码 增加 2"


# ── processes that die, and that meet ─────────────────────────────────────────────────────────────────────

RUNNER = """
import os, signal, sys
from lake import contracts, store
from lake.auditlog import AuditLog
from pipelines.context import open_context
from pipelines.stages import run_stage
from tests.pipelines.badinput.town import batch_of

moment, day = sys.argv[1], int(sys.argv[2])
ctx = open_context()
real = store.write_atomic

def write(uri, data):
    if contracts.FOLDER in uri and moment == "before the form":
        os.kill(os.getpid(), signal.SIGKILL)
    real(uri, data)
    if contracts.FOLDER in uri and moment == "after the form":
        os.kill(os.getpid(), signal.SIGKILL)

store.write_atomic = write
print("ready", flush=True)
sys.stdin.readline()
run_stage(ctx, "collect", batch_of(day))
"""


def process(town: Town, moment: str, day: int) -> subprocess.Popen[str]:
    own = {
        "XUANWU_HOME": str(town.settings.home),
        "XUANWU_CATALOGUE": str(town.catalogue),
        "XUANWU_CONN_POLICE": town.urls["police"],
    }
    started = subprocess.Popen(
        [sys.executable, "-c", RUNNER, moment, str(day)],
        env=os.environ | own,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert line(started) == "ready\n"
    return started


@pytest.mark.parametrize("moment", ["before the form", "after the form"])
@pytest.mark.parametrize("then", ["the same", "the one before", "a third"])
def test_a_process_that_is_killed_changes_nothing_of_what_is_said(
    running: Town, moment: str, then: str
) -> None:
    rewrite(running, OPENED)
    died = process(running, moment, 2)
    died.communicate("\n")
    assert died.returncode == -9
    assert wrong(running) == []
    again = {"the same": (), "the one before": (OPENED[::-1],), "a third": (OPENED[::-1], RENAMED)}[then]
    rewrite(running, *again)
    running.run(2)
    assert wrong(running) == []
    found = used(running)
    never = moment == "before the form"
    forms = {"the same": 2, "the one before": 1 if never else 3, "a third": 2 if never else 3}
    assert [each.number for each in found] == list(range(forms[then], 0, -1))
    assert found[0].contract == _standing(running)
    if then == "the same":
        assert len([e for e in log(running) if e["phase"] == "attempt"]) == (3 if never else 2)
    if then == "a third" and never:
        assert said(running) == [("entry: title changed", False)], "beside the form that was in use"


def _standing(town: Town) -> str:
    path = max((Path(town.settings.lake_root) / FOLDER / "police/person").iterdir())
    return str(json.loads(path.read_bytes())["contract"])


def test_two_runs_at_once_say_it_once(running: Town) -> None:
    rewrite(running, OPENED)
    both = [process(running, "never", day) for day in (2, 3)]
    for each in both:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    assert [ended(each) for each in both] == [0, 0]
    assert [each.number for each in used(running)] == [2, 1]
    assert len(log(running)) == 4
    assert wrong(running) == []


def test_where_the_log_cannot_be_written_the_stage_is_not_begun(
    running: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space")

    rewrite(running, OPENED)
    monkeypatch.setattr(AuditLog, "_append", full)
    with pytest.raises(LakeError, match="the audit log cannot be written"):
        running.run(2)
    assert not (Path(running.settings.lake_root) / "landing/police/person" / batch_of(2).id).exists()
    assert len(used(running)) == 1


# ── verify ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lake_from_before_there_were_any_is_right(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so it stays when contracts are recorded from then on."""
    for day in (1, 2):
        town.leave(f"0{day}", csv_of(rows(day)))
    with monkeypatch.context() as older:
        older.setattr(stages, "use", lambda *_: None)
        town.run(1)
    assert used(town) == [] and wrong(town) == []
    rewrite(town, RENAMED)
    town.run(2)
    assert len(used(town)) == 1 and wrong(town) == []


def test_a_publication_under_a_contract_that_nobody_logged_is_found(
    running: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(running, OPENED)
    monkeypatch.setattr(stages, "use", lambda *_: None)
    running.run(2)
    told = wrong(running)
    assert len(told) == 2 and all("under a contract that the log does not hold" in each for each in told)


def test_a_form_that_somebody_put_there_is_found(running: Town) -> None:
    folder = Path(running.settings.lake_root) / FOLDER / "police/person"
    (folder / "00002-0123456789abcdef.json").write_bytes(next(folder.iterdir()).read_bytes())
    (told,) = wrong(running)
    assert "the log does not hold this form of the contract" in told


# ── what people see ───────────────────────────────────────────────────────────────────────────────────────


def test_the_history_on_the_command_line(running: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite(running, OPENED)
    running.run(2)
    monkeypatch.setenv("XUANWU_HOME", str(running.settings.home))
    done = CliRunner().invoke(app, ["catalogue", "history", DATASET])
    first, *lines = done.stdout.splitlines()
    assert first.startswith(f"{DATASET} #2  ") and first.endswith(batch_of(2).id)
    assert "  字段 name：分级 3 → 2  field name: grade 3 → 2  放宽 looser" in lines
    assert lines[-1] == "  首次记录 recorded for the first time"
    found = json.loads(CliRunner().invoke(app, ["catalogue", "history", "--json"]).stdout)
    assert [each["number"] for each in found] == [2, 1]
    assert found[0]["changes"][0] == {
        "zh": "字段 name：分级 3 → 2",
        "en": "field name: grade 3 → 2",
        "loosens": True,
        "personal": False,
    }
    assert CliRunner().invoke(app, ["catalogue", "history", "police.nobody"]).exit_code == 1


def test_the_report_tells_changes_and_no_first_use(running: Town, tmp_path: Path) -> None:
    assert "目录变更" not in write_report(running.ctx, tmp_path / "report.html").read_text()
    rewrite(running, OPENED)
    running.run(2)
    page = write_report(running.ctx, tmp_path / "report.html").read_text()
    section = page[page.index("目录变更") :].partition("</section>")[0]
    assert "字段 name：分级 3 → 2" in section and "field name: grade 3 → 2" in section
    assert section.count("放宽 looser") == 2
    assert "首次记录" not in section
