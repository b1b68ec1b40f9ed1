"""The authority's review of what came into use: in the audit log, within two working days, for whoever verifies."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lake import authority
from lake.auditlog import entries
from lake.verify import Copy, verify
from pipelines.cli import app
from pipelines.contracts.reviewing import Form, forms, review, waiting
from pipelines.proof.certifying import open_log
from pipelines.report import write_report
from schemas.errors import XuanwuError
from schemas.workdays import HERE, deadline
from tests.pipelines.badinput.town import DATASET, Town, csv_of, rows
from tests.pipelines.contracts.test_assessing import OPENED, rewrite


@pytest.fixture
def running(town: Town, monkeypatch: pytest.MonkeyPatch) -> Town:
    """A town that has run once."""
    for day in (1, 2, 3):
        town.leave(f"0{day}", csv_of(rows(day)))
    town.run(1)
    monkeypatch.setenv("XUANWU_HOME", str(town.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(town.catalogue))
    return town


def found(town: Town, days: float = 0) -> list[Form]:
    """As it stands so many days from now."""
    return forms(town.settings.lake_root, 2, datetime.now(UTC) + timedelta(days=days), DATASET)


def states(town: Town, days: float = 0) -> list[tuple[int, bool, bool]]:
    """Each form's number, whether it waits and whether it is late."""
    return [(each.used.number, each.waits, each.late) for each in found(town, days)]


def wrong(town: Town) -> list[str]:
    return [str(each) for each in verify(Copy(town.settings.lake_root))]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["catalogue", *arguments])


def test_a_first_form_waits_for_two_working_days(running: Town) -> None:
    (form,) = found(running)
    assert form.due == deadline(form.used.since, 2)
    evening = datetime.combine(form.due, datetime.max.time(), HERE)
    for moment, late in ((evening, False), (evening + timedelta(seconds=1), True)):
        (then,) = forms(running.settings.lake_root, 2, moment)
        assert (then.waits, then.late) == (True, late)


def test_a_review_stands_in_the_log_and_ends_the_clock(running: Town) -> None:
    done = run("review", DATASET, "--by", "市数据局目录处", "--document", "宁数目审〔2026〕3号")
    assert done.exit_code == 0 and done.stdout == f"已审核 reviewed: {DATASET} #1\n"
    (entry,) = [said for _, said in entries(running.settings.lake_root) if said["action"] == "review"]
    (form,) = found(running)
    assert entry["form"] == dict(form.used.form) and entry["contract"] == form.used.contract
    assert (entry["by"], entry["document"]) == ("市数据局目录处", "宁数目审〔2026〕3号")
    assert states(running, days=30) == [(1, False, False)]
    assert form.review is not None and form.review.document == "宁数目审〔2026〕3号"
    assert wrong(running) == []


def test_another_form_waits_anew_and_its_review_answers_those_before(running: Town) -> None:
    run("review", DATASET)
    rewrite(running, OPENED)
    running.run(2)
    rewrite(running, OPENED[::-1])
    running.run(3)
    assert states(running) == [(3, True, False), (2, True, False), (1, False, False)]
    assert states(running, days=30) == [(3, True, True), (2, True, True), (1, False, False)]
    assert [each.used.number for each in waiting(found(running))] == [2]
    run("review", DATASET)
    assert states(running, days=30) == [(3, False, False), (2, False, False), (1, False, False)]
    assert wrong(running) == []


def test_a_review_that_came_late_stays_late(running: Town) -> None:
    later = datetime.now(UTC) + timedelta(days=30)
    log, _ = open_log(running.ctx)
    (form,) = found(running)
    object.__setattr__(log, "clock", lambda: later)
    authority.review(log, form.used, by="甲", document="")
    assert states(running, days=31) == [(1, False, True)]
    assert "  已审核 reviewed" in run("history").stdout and "逾期 late" in run("history").stdout


def test_a_form_in_which_nothing_is_told_to_have_changed_waits_for_nobody(
    running: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other software: the digest is another one."""
    monkeypatch.setattr("pipelines.contracts.using.identity", lambda *_: "f" * 64)
    running.run(2)
    assert states(running, days=30) == [(2, False, False), (1, True, True)]


def test_all_that_wait_are_reviewed_and_nothing_twice(running: Town) -> None:
    assert run("review", "--all").stdout == f"已审核 reviewed: {DATASET} #1\n"
    again = run("review", "--all")
    assert again.exit_code == 0 and again.stdout == ""
    assert "nothing waits for a review" in again.output


@pytest.mark.parametrize("arguments", [(), (DATASET, "--all")])
def test_a_dataset_or_all_are_named(running: Town, arguments: tuple[str, ...]) -> None:
    assert run("review", *arguments).exit_code == 2
    assert states(running) == [(1, True, False)]


def test_what_was_never_in_use_is_not_reviewed(town: Town) -> None:
    with pytest.raises(XuanwuError, match="so there is nothing to review"):
        review(town.ctx, DATASET, by="甲")


@pytest.mark.parametrize("said", [{"by": "13912345678"}, {"by": "甲", "document": "11010519491231002X"}])
def test_no_number_of_a_person_goes_into_the_log(running: Town, said: dict[str, str]) -> None:
    with pytest.raises(XuanwuError, match="log that is never changed"):
        review(running.ctx, DATASET, **said)  # type: ignore[arg-type]
    assert states(running) == [(1, True, False)]


@pytest.mark.parametrize("key", ["dataset", "number", "contract", "form"])
def test_a_review_of_what_was_not_in_use_is_found(running: Town, key: str) -> None:
    log, _ = open_log(running.ctx)
    used = found(running)[0].used
    said = {"dataset": DATASET, "number": 1, "contract": used.contract, "form": dict(used.form)}
    other = {"dataset": "a.b", "number": 2, "contract": "0" * 64, "form": {**used.form, "sha256": "0" * 64}}
    log.append({"action": "review", "phase": "outcome", "by": "甲", **said, key: other[key]})
    (told,) = wrong(running)
    assert "is of a form that the log did not hold then" in told


def test_history_and_report_tell_what_waits(running: Town, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    due = found(running)[0].due
    assert f"  待审核，期限 {due} to be reviewed until {due}" in run("history", DATASET).stdout
    assert "目录待审核" in write_report(running.ctx, page).read_text()
    run("review", DATASET, "--by", "市数据局")
    (said,) = json.loads(run("history", "--json").stdout)
    assert (said["review"]["by"], said["review"]["number"]) == ("市数据局", 1)
    assert (said["review_due"], said["review_late"]) == (str(due), False)
    assert "  已审核 reviewed" in run("history").stdout
    assert "目录待审核" not in write_report(running.ctx, page).read_text()


def test_a_city_may_have_another_number(running: Town) -> None:
    (running.catalogue / "policy.yaml").write_text("catalogue: {review_within: 7}\n")
    due = deadline(found(running)[0].used.since, 7)
    assert f"to be reviewed until {due}" in run("history").stdout


def test_history_needs_no_catalogue(running: Town, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XUANWU_CATALOGUE", str(tmp_path / "nowhere"))
    assert f"to be reviewed until {found(running)[0].due}" in run("history").stdout
