"""What failed is not hidden by what ended after it: status, report and resume go by the same attempt."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from lake.ledger import Attempt, State
from pipelines.cli import app
from pipelines.outcome import decisive, still_wanted
from pipelines.report.facts import gather
from pipelines.resuming import stuck_at
from pipelines.stages import run_stage
from pipelines.status import batch_statuses
from schemas.errors import MaskError
from tests.conftest import NOW
from tests.pipelines.badinput.town import KEY, Town, batch_of, csv_of, rows


@pytest.fixture
def town(town: Town) -> Town:
    town.leave("01", csv_of(rows(1)))
    return town


def attempts(*found: tuple[Any, str, State]) -> list[Attempt]:
    """Attempts of one batch in the order they began, each (stage, part, state)."""
    return [
        Attempt(number, batch_of(1), stage, part, 1, state, NOW, NOW, 1, 1, {"files": 1}, "")
        for number, (stage, part, state) in enumerate(found)
    ]


SHARE, OPEN = "share/default", "open/open"


@pytest.mark.parametrize(
    ("found", "place"),
    [
        ([("publish", SHARE, "failed"), ("publish", OPEN, "done")], 0),
        ([("publish", SHARE, "failed"), ("publish", OPEN, "done"), ("publish", SHARE, "done")], 2),
        ([("publish", SHARE, "failed"), ("publish", OPEN, "running")], 1),
        ([("check", "", "failed"), ("merge", "", "done")], 0),
        ([("publish", SHARE, "failed"), ("publish", OPEN, "failed")], 1),
        ([("publish", SHARE, "stuck"), ("publish", OPEN, "failed")], 0),
        ([("merge", "", "failed"), ("merge", "", "done"), ("publish", OPEN, "done")], 2),
    ],
)
def test_the_newest_of_every_part_tells(found: list[tuple[Any, str, State]], place: int) -> None:
    assert decisive(attempts(*found)).id == place


def without_key(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way of the first day as tasks of a DAG, in which the share zone fails before the open one ends."""
    monkeypatch.delenv("XUANWU_KEY_1")
    ctx, batch = town.ctx, batch_of(1)
    for stage in ("collect", "standardise", "check", "merge"):
        run_stage(ctx, stage, batch)  # type: ignore[arg-type]
    with pytest.raises(MaskError, match="nothing was published to share/default"):
        run_stage(ctx, "publish", batch, SHARE)
    run_stage(ctx, "publish", batch, OPEN)


def test_a_failed_zone_is_told_by_status_and_report_until_it_is_published(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_key(town, monkeypatch)
    (row,) = batch_statuses(town.ctx)
    assert (row.state, row.stage, row.opened) == ("failed", "publish share/default", 20)
    assert "no masking key of version 1" in row.reason
    assert [each.status.state for each in gather(town.ctx).batches] == ["failed"]
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    run_stage(town.ctx, "publish", batch_of(1), SHARE)
    assert [each.state for each in batch_statuses(town.ctx)] == ["done"]


def test_a_failed_zone_is_not_stuck_for_the_sake_of_a_policy_after_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have to be begun, had the one before it not failed."""
    without_key(town, monkeypatch)
    entry = town.ctx.catalogue.entry("police.person")
    policies = {"default": entry.share.policies["default"], "more": entry.share.policies["default"]}
    entry = entry.model_copy(update={"share": entry.share.model_copy(update={"policies": policies})})
    assert stuck_at(entry, town.ctx.ledger.runs(), (), NOW + timedelta(days=300)) is None


def test_a_run_that_was_cut_off_is_stuck_whatever_failed_in_the_run_before_it(town: Town) -> None:
    cut = attempts(("collect", "", "done"), ("standardise", "", "failed"), ("collect", "", "done"))
    entry = town.ctx.catalogue.entry("police.person")
    assert stuck_at(entry, cut, (), NOW + timedelta(days=1)) == "standardise"


def test_a_publication_that_is_granted_no_more_does_not_fail_for_ever(town: Town) -> None:
    for part in ("share/dropped", "share/default__grant_12"):
        found = attempts(("merge", "", "done"), ("publish", part, "failed"), ("publish", OPEN, "done"))
        assert [each.id for each in still_wanted(town.ctx, found)] == [0, 2]
    found = attempts(("publish", SHARE, "failed"), ("publish", OPEN, "done"))
    assert still_wanted(town.ctx, found) == found


def test_the_command_line_prints_what_was_published_and_resume_names_what_failed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XUANWU_KEY_1")
    for name, value in (("HOME", town.settings.home), ("CATALOGUE", town.catalogue), ("UNTIL", "2026-03-01")):
        monkeypatch.setenv(f"XUANWU_{name}", str(value))
    monkeypatch.setenv("XUANWU_CONN_POLICE", town.urls["police"])
    run = CliRunner().invoke(app, ["run", "police.person", "--date", "2026-03-01"])
    assert run.exit_code == 1 and "nothing was published to share/default" in str(run.exception)
    assert "publish open/open" in run.output and "publish share" not in run.output
    told = "share/default will not be published; next: set XUANWU_KEY_1"
    assert run.output.index(told) < run.output.index("collect"), "before the work"
    shown = json.loads(CliRunner().invoke(app, ["status", "--json"]).output)
    assert [(each["state"], each["stage"]) for each in shown["batches"]] == [
        ("failed", "publish share/default")
    ]
    resumed = CliRunner().invoke(app, ["resume"]).output
    assert "no batch is stuck" in resumed
    assert f"xuanwu run police.person --batch {batch_of(1).id} --from publish" in resumed
    assert "the tokens of 1 dataset(s) will not be published" in CliRunner().invoke(app, ["check"]).output
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    again = CliRunner().invoke(app, ["run", "police.person", "--batch", batch_of(1).id, "--from", "publish"])
    assert again.exit_code == 0 and "will not be published" not in again.output
    checked = CliRunner().invoke(app, ["check"]).output
    assert "the masking key of version 1 is set" in checked and KEY not in checked
