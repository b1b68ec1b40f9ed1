"""Deliveries at the shell: shown, made by hand, and told in the log with who did it."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.errors import Unfit
from lake.auditlog import AuditLog
from pipelines.cli import app
from schemas.errors import LakeError
from tests.exchange.platform import ID, Platform
from tests.exchange.test_grants import _Clock
from tests.pipelines.delivering.test_deliver import asked, log, number_of, platform

__all__ = ["platform"]


@pytest.fixture
def outbox(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the recipient's, and a delivery into it that is due."""
    folder = tmp_path / "of_education"
    folder.mkdir()
    monkeypatch.setenv("XUANWU_HOME", str(platform.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(platform.settings.catalogue))
    monkeypatch.setenv("XUANWU_CONN_TO_EDUCATION", folder.as_uri())
    monkeypatch.setattr("pipelines.context.datetime", _Clock(platform))
    platform.run(1)
    return folder


def told(*words: str) -> Any:
    done = CliRunner().invoke(app, ["deliveries", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout) if "--json" in words else done.stdout


def by_hand(platform: Platform) -> list[list[int]]:
    found = log(platform, "delivery")
    assert all((each["by"], each["at_shell"]) == (getpass.getuser(), True) for each in found)
    return [each["subscriptions"] for each in found]


def test_what_is_due_is_delivered_by_hand_and_told(platform: Platform, outbox: Path) -> None:
    number = number_of(platform, asked(platform, method="file", delivery={"mode": "swap"}))
    assert [each["receipt"] for each in told("list", "--json")] == [None]
    assert "40 rows" in told("run")
    assert told("run") == ""
    assert "no delivery is due" in CliRunner().invoke(app, ["deliveries", "run"]).stderr
    assert "40 of 40 found there" in told("retry", str(number))
    (one,) = told("list", "--json")
    assert (one["number"], one["receipt"]["state"]) == (number, "done")
    assert {each["state"] for each in told("show", str(number), "--json")} == {"done"}
    assert by_hand(platform) == [[number], [number]]
    assert [each.name for each in outbox.glob("visits/*/manifest.json")] == ["manifest.json"]


def test_the_operator_declares_and_stops_for_a_department_without_a_login(
    platform: Platform, outbox: Path
) -> None:
    """Of what is shared without conditions alone, to a department that there is."""
    free = ("declare", "health.free", "--to", "education", "--place", "free", "--format", "csv")
    assert "delivery 1: health.free to to_education, free" in told(*free)
    assert "delivery 1 is stopped" in told("stop", "1")
    assert told("run") == "" and not list(outbox.iterdir())
    told(*free)
    (declared, stopped, again) = log(platform, "subscription")
    assert {each["by"] for each in (declared, stopped, again)} == {f"{getpass.getuser()} (shell)"}
    wrong = CliRunner().invoke(app, ["deliveries", *free[:3], "educatio", *free[4:]])
    assert wrong.exit_code == 2 and "education" in wrong.output
    with pytest.raises(Unfit, match="shared by request"):
        told("declare", ID, "--to", "education", "--place", "visits")


def test_where_the_log_cannot_be_written_nothing_is_delivered(
    platform: Platform, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = number_of(platform, asked(platform, method="file", delivery={"mode": "swap"}))

    def refuse(log: AuditLog, entry: object) -> int:
        raise LakeError("the audit log cannot be written")

    monkeypatch.setattr(AuditLog, "append", refuse)
    for words in (["run"], ["retry", str(number)]):
        with pytest.raises(LakeError):
            told(*words)
    assert not list(outbox.iterdir())
