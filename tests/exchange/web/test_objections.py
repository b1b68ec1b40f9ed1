"""Objections over HTTP: raised, answered, decided; what people wrote is told to the sides alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exchange import cases
from exchange.notices import gather
from pipelines.cli import app
from pipelines.objected import Tally, objected, tallies
from pipelines.report import write_report
from schemas.settings import Settings
from tests.exchange.conftest import Clock
from tests.exchange.web.conftest import Exchange
from tests.exchange.web.test_tables import problem
from tests.pipelines.publishing.making import ID, people

PATH = "/api/v1/objections"
WRONG = "费用为负"


def raised(exchange: Exchange, **more: object) -> dict:
    answer = exchange.post(PATH, "asker", {"dataset": ID, "wrong": WRONG, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_from_what_was_read_to_its_correction(exchange: Exchange) -> None:
    exchange.grant()
    read = exchange.rows(limit=1)
    key = read.json()["rows"][0]["visit_no"]
    made = raised(exchange, columns=["fee"], rows=[str(key)], proposed="应为正数")
    assert (made["state"], made["zone"], made["policy"], made["provider"]) == (
        "raised",
        "share",
        "default",
        "health",
    )
    assert made["snapshot"] == made["newest"] == read.headers["X-Snapshot"]
    assert [(each["name"], each["of"], each["done"]) for each in made["clocks"]] == [
        ("verify", "provider", None)
    ]
    here = f"{PATH}/{made['number']}"
    assert exchange.get(here, "clerk").json()["wrong"] == WRONG
    exchange.city.publish(exchange.city.curate(2, people(200)))  # corrected at its source, and collected
    answered = exchange.post(f"{here}/correct", "clerk", {"reason": "已在源头更正"})
    assert (answered.status_code, answered.json()["state"]) == (200, "corrected")
    told = exchange.get(here).json()
    assert told["newest"] != told["snapshot"] == made["snapshot"]
    assert told["possible"] == ["accept", "refer"]
    assert exchange.post(f"{here}/accept", "head", {}).json()["state"] == "closed"


def test_what_people_wrote_is_told_to_the_sides_alone(exchange: Exchange) -> None:
    exchange.grant()
    number = raised(exchange, rows=["17"], proposed="应为正数")["number"]
    exchange.post(f"{PATH}/{number}/uphold", "clerk", {"reason": "核实无误，退费"})
    for who in ("asker", "head", "clerk", "bureau"):
        told = exchange.get(f"{PATH}/{number}", who).json()
        assert (told["wrong"], told["rows"]) == (WRONG, ["17"])
        assert told["events"][1]["said"] == {"reason": "核实无误，退费"}
    (told,) = exchange.get(PATH, "auditor").json()
    assert told["wrong"] is told["proposed"] is told["rows"] is None
    assert [(each["step"], each["said"]) for each in told["events"]] == [("raise", {}), ("uphold", {})]
    assert told["possible"] == []
    problem(exchange.get(f"{PATH}/{number}", "other"), 404)
    problem(exchange.get(PATH, None), 401)
    assert exchange.get(PATH, "other").json() == []


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"dataset": ID}, 422),
        ({"dataset": ID, "wrong": ""}, 422),
        ({"dataset": ID, "wrong": WRONG, "zone": "landing"}, 422),
        ({"dataset": ID, "wrong": WRONG, "columns": ["nothing"]}, 422),
        ({"dataset": ID, "wrong": WRONG, "rows": ["1"] * 101}, 422),
        ({"dataset": ID, "wrong": WRONG, "rows": ["1" * 201]}, 422),
        ({"dataset": ID, "wrong": WRONG, "snapshot": "x"}, 422),
        ({"dataset": ID, "wrong": WRONG, "department": "health"}, 422),
        ({"dataset": ID, "wrong": WRONG, "policy": "statistics"}, 404),
        ({"dataset": ID, "wrong": WRONG, "zone": "open", "policy": "default"}, 404),
        ({"dataset": "health.nothing", "wrong": WRONG}, 404),
    ],
)
def test_an_objection_that_states_too_little_or_too_much(exchange: Exchange, said: dict, status: int) -> None:
    exchange.grant()
    problem(exchange.post(PATH, "asker", said), status)
    assert exchange.get(PATH, "auditor").json() == []
    problem(exchange.post(PATH, "other", {"dataset": ID, "wrong": WRONG}), 404)


def test_the_inbox_tells_of_it(exchange: Exchange) -> None:
    exchange.grant()
    number = raised(exchange)["number"]
    gather(exchange.desk)
    told = exchange.get("/api/v1/notices", "clerk").json()[0]
    assert (told["kind"], told["objection"], told["request"]) == ("turn", number, None)
    assert told["subject"].startswith(f"校核异议{number}：待办：待核实")


def test_operators_and_auditors_see_what_is_under_way_and_late_and_no_text(
    exchange: Exchange, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.grant()
    late, answered, open_one = (raised(exchange)["number"] for _ in range(3))
    exchange.post(f"{PATH}/{answered}/correct", "clerk", {"reason": "已在源头更正"})
    exchange.post(f"{PATH}/{answered}/accept", "asker", {})
    exchange.post(f"{PATH}/{open_one}/uphold", "clerk", {"reason": "核实无误"})
    clock.wait(days=20)
    exchange.post(f"{PATH}/{late}/correct", "clerk", {"reason": "已在源头更正"})
    ctx = exchange.city.ctx
    assert tallies(objected(ctx)) == [
        Tally(ID, raised=3, under_way=2, late=1, corrected=2, upheld=1),
    ]
    page = write_report(ctx, tmp_path / "report.html").read_text("utf-8")
    assert "校核异议" in page and "自收到之日起10个工作日内" in page and WRONG not in page
    monkeypatch.setenv("XUANWU_HOME", str(exchange.city.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(exchange.city.settings.catalogue))
    told = CliRunner().invoke(app, ["objection", "list", "--json"])
    assert [(each["number"], each["state"], each["late"]) for each in json.loads(told.stdout)] == [
        (late, "corrected", True),
        (open_one, "upheld", False),
    ]
    assert told.stderr == ""
    every = CliRunner().invoke(app, ["objection", "list", "--all"], env={"COLUMNS": "200"})
    assert "已办结 closed" in every.stdout and "逾期 late" in every.stdout and WRONG not in every.stdout
    monkeypatch.setattr(cases, "MOST", 1)
    for options, found in (
        ([], [late]),
        (["--after", "1"], [open_one]),
        (["--after", "1", "--all"], [answered]),
    ):
        told = CliRunner().invoke(app, ["objection", "list", "--json", *options])
        assert [each["number"] for each in json.loads(told.stdout)] == found
        assert f"there may be more: --after {found[0]}" in told.stderr
    assert "there may be more: --after 1" in CliRunner().invoke(app, ["objection", "list"]).stdout
    none = CliRunner().invoke(app, ["objection", "list", "--after", "3"])
    assert none.stdout == "" and "no objection is listed: --all" in none.stderr
    none = CliRunner().invoke(app, ["objection", "list", "--after", "3", "--json"])
    assert json.loads(none.stdout) == [] and none.stderr == ""


def test_who_explains_late_does_not_make_the_source_late(exchange: Exchange, clock: Clock) -> None:
    exchange.grant()
    number = raised(exchange)["number"]
    exchange.post(f"{PATH}/{number}/ask", "clerk", {"missing": "哪一行"})
    clock.wait(days=30)
    (waiting,) = objected(exchange.city.ctx)
    assert (waiting.state, waiting.late) == ("unclear", False)
    exchange.post(f"{PATH}/{number}/explain", "asker", {"supplement": "第一行"})
    (told,) = exchange.get(PATH, "clerk").json()
    assert [(each["name"], each["late"]) for each in told["clocks"]] == [
        ("verify", False),
        ("explain", True),
        ("verify", False),
    ]
    assert [each.late for each in objected(exchange.city.ctx)] == [False]


def test_a_report_says_so_where_the_exchange_does_not_answer(exchange: Exchange, tmp_path: Path) -> None:
    away = {"exchange": "postgresql+psycopg://x@127.0.0.1:1/x"}
    settings = Settings(**exchange.city.settings.model_dump() | away)
    page = write_report(replace(exchange.city.ctx, settings=settings), tmp_path / "report.html")
    assert "交换平台的数据库未应答" in page.read_text("utf-8")


def test_to_what_is_open_with_the_snapshot_that_was_read(exchange: Exchange) -> None:
    opened = exchange.city.publish(exchange.city.curate(2, people(200)), "open")
    made = raised(exchange, zone="open")
    assert made["snapshot"] == made["newest"] == str(opened.snapshot)
    newer = exchange.city.publish(exchange.city.curate(3, people(201)), "open")
    told = raised(exchange, zone="open", snapshot=str(opened.snapshot))
    assert (told["snapshot"], told["newest"]) == (str(opened.snapshot), str(newer.snapshot))


def test_a_number_that_is_no_snapshot_is_none(exchange: Exchange) -> None:
    """The snapshot stands in the log and is told to auditors, who are told no word that somebody wrote."""
    exchange.grant()
    said = {"dataset": ID, "wrong": WRONG, "snapshot": "320102199001010017"}
    problem(exchange.post(PATH, "asker", said), 422)
    assert exchange.log("objection") == []


def test_a_refusal_is_told_in_chinese_too(exchange: Exchange) -> None:
    exchange.grant()
    answer = exchange.post(PATH, "asker", {"dataset": ID, "wrong": WRONG, "columns": ["nothing"]})
    assert answer.json()["detail_zh"] == "所选信息项不在该数据中"
