"""How each department does its part: over real cases, data and clocks; in the report, the terminal and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from exchange.requests import draft, take
from pipelines.cli import app
from pipelines.drift.clocks import Unfollowed
from pipelines.quarantine.casework import Load
from pipelines.report import write_report
from pipelines.report.departments import NAMES, Department, departments
from pipelines.report.facts import Indicator, gather
from pipelines.report.words import SCORE_WORDS
from schemas.settings import Settings
from tests.exchange.conftest import Clock
from tests.exchange.web.conftest import PEOPLE, Exchange
from tests.pipelines.publishing.making import ID

UNTIL = "2026-06-01T00:00:00+08:00"


def scored(exchange: Exchange) -> dict[str, Department]:
    ctx = replace(exchange.city.ctx, clock=exchange.desk.clock)
    return {each.name: each for each in departments(ctx, gather(ctx))}


def submitted(exchange: Exchange) -> int:
    said = {"dataset": ID, "policy": "default", "basis": "职责", "scenario": "核验", "method": "api"}
    number = draft(exchange.desk, PEOPLE["asker"], said | {"until": UNTIL}).number
    take(exchange.desk, PEOPLE["head"], number, "approve", {})
    return number


def refuse(exchange: Exchange, number: int) -> None:
    take(exchange.desk, PEOPLE["clerk"], number, "propose", {"consent": False, "reason": "用途不符"})
    take(exchange.desk, PEOPLE["chief"], number, "confirm", {})


def test_every_indicator_has_its_words() -> None:
    assert tuple(SCORE_WORDS) == NAMES


def test_what_runs_still_counts_for_nobody_and_what_is_late_against_its_side(
    exchange: Exchange, clock: Clock
) -> None:
    exchange.grant(until=UNTIL)  # answered; the delivery's clock runs
    waiting = submitted(exchange)
    found = scored(exchange)
    assert found["health"].indicators["replied"] == Indicator(1, 1)
    assert found["health"].indicators["delivered"] == Indicator()
    assert "education" not in found  # it is no source, and nothing is asked of it yet
    clock.wait(days=50)
    refuse(exchange, waiting)  # late
    found = scored(exchange)
    assert found["health"].indicators["replied"] == Indicator(1, 2)
    assert found["health"].indicators["delivered"] == Indicator(0, 1)
    clock.wait(days=80)  # the grant has ended, and nobody told what became of the data
    found = scored(exchange)
    assert found["education"].indicators["disposed"] == Indicator(0, 1)
    assert (found["education"].datasets, found["health"].datasets) == (0, 1)
    take(exchange.desk, PEOPLE["asker"], 1, "dispose", {"disposal": "已删除"})
    assert scored(exchange)["education"].indicators["disposed"] == Indicator(0, 1)
    clock.wait(days=400)
    assert scored(exchange)["health"].indicators["replied"] == Indicator()
    assert scored(exchange)["health"].indicators["delivered"] == Indicator()


def test_objections_and_what_is_opened(exchange: Exchange, clock: Clock) -> None:
    exchange.grant()
    for days in (0, 20):
        raised = exchange.post("/api/v1/objections", "asker", {"dataset": ID, "wrong": "有误"}).json()[
            "number"
        ]
        clock.wait(days=days)
        exchange.post(f"/api/v1/objections/{raised}/uphold", "clerk", {"reason": "核实无误"})
    found = scored(exchange)["health"].indicators
    assert found["verified"] == Indicator(1, 2)
    assert found["opened"] == Indicator(0, 1)
    assert found["collected"] == Indicator(0, 1)  # nothing was merged by a run of the day


def test_what_is_withdrawn_is_nobodys_merit_and_no_excuse(exchange: Exchange, clock: Clock) -> None:
    for _ in range(2):
        take(exchange.desk, PEOPLE["asker"], submitted(exchange), "withdraw", {})
    assert scored(exchange)["health"].indicators["replied"] == Indicator()
    late = submitted(exchange)
    clock.wait(days=50)
    assert scored(exchange)["health"].indicators["replied"] == Indicator(0, 1)
    take(exchange.desk, PEOPLE["asker"], late, "withdraw", {})
    assert scored(exchange)["health"].indicators["replied"] == Indicator(0, 1)


def test_what_the_other_side_ended_is_nobodys_merit(exchange: Exchange, clock: Clock) -> None:
    """A grant whose holder disposed of it before anything was delivered, and one that its provider revoked at its end."""
    take(exchange.desk, PEOPLE["asker"], exchange.grant(), "dispose", {"disposal": "未使用"})
    found = scored(exchange)["health"].indicators
    assert (found["replied"], found["delivered"]) == (Indicator(1, 1), Indicator())
    number = exchange.grant(until=UNTIL)
    take(exchange.desk, PEOPLE["clerk"], number, "deliver", {})
    clock.wait(days=92)
    take(exchange.desk, PEOPLE["chief"], number, "revoke", {"reason": "到期"})
    assert scored(exchange)["health"].indicators["delivered"] == Indicator(1, 1)
    assert "education" not in scored(exchange)


def test_where_it_is_told(exchange: Exchange, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    exchange.grant()
    ctx = replace(exchange.city.ctx, clock=exchange.desk.clock)
    page = write_report(ctx, tmp_path / "report.html").read_text("utf-8")
    assert "部门评价" in page and "答复申请" in page and "<small>1/1</small>" in page
    monkeypatch.setenv("XUANWU_HOME", str(exchange.city.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(exchange.city.settings.catalogue))
    told = CliRunner().invoke(app, ["departments", "--json"])
    health = next(each for each in json.loads(told.stdout) if each["department"] == "health")
    assert health["replied"] == {"passed": 1, "evaluated": 1, "share": 1.0} and set(NAMES) <= health.keys()
    shown = CliRunner().invoke(app, ["departments"], env={"COLUMNS": "200"})
    assert "部门评价 Departments" in shown.stdout and "1/1" in shown.stdout


def test_where_the_exchange_does_not_answer_its_indicators_have_no_share(exchange: Exchange) -> None:
    exchange.grant()
    away = Settings(
        **exchange.city.settings.model_dump() | {"exchange": "postgresql+psycopg://x@127.0.0.1:1/x"}
    )
    ctx = replace(exchange.city.ctx, settings=away)
    found = {each.name: each for each in departments(ctx, gather(ctx))}
    assert found["health"].indicators["replied"] == Indicator()
    assert found["health"].indicators["opened"].evaluated == 1


def test_quarantine_drift_and_checks_count_for_who_answers_for_them(exchange: Exchange) -> None:
    ctx = replace(exchange.city.ctx, clock=exchange.desk.clock)
    facts, now = gather(ctx), exchange.desk.clock()
    ours = Unfollowed(ID, "health", "missing", "FEE", "b", now, now.date(), late=False)
    (dataset,) = facts.datasets
    checked = SimpleNamespace(verdict=True, score=Indicator(9, 10))
    facts = replace(
        facts,
        datasets=(replace(dataset, batches=(checked,)),),  # type: ignore[arg-type]
        loads=(Load("transport", Counter(open=3, dismissed=1), overdue=1),),
        unfollowed=(ours, replace(ours, late=True), replace(ours, late=True)),
    )
    found = {each.name: each.indicators for each in departments(ctx, facts)}
    assert found["transport"]["set_aside"] == Indicator(3, 4)
    assert (found["health"]["followed"], found["health"]["quality"]) == (Indicator(1, 3), Indicator(9, 10))
    assert found["health"]["set_aside"] == Indicator()
