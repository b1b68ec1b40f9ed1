"""Incidents over the API and as a page, for who answers for the data, and for no one else."""

from __future__ import annotations

import json
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.accounts import open_account
from exchange.notices import gather
from exchange.risks import watch
from exchange.web import incidents as page_of
from lake.incidents import Said
from lake.registering import record
from pipelines.cli import app
from schemas.workdays import day_of
from tests.exchange.test_watching import put
from tests.exchange.web.conftest import Exchange, _account, person
from tests.exchange.web.login.conftest import PASSWORD, Browser
from tests.pipelines.publishing.making import ID

WORDS = "某数据集被大量下载<b>"


def say(exchange: Exchange, number: int | None = None, kind: str = "open", **more: Any) -> int:
    desk = exchange.desk
    first = {"level": "serious", "datasets": (ID,)} if kind == "open" else {}
    said = {"kind": kind, "by": "值班", "when": desk.clock(), "texts": {"what": WORDS}, **first, **more}
    return record(desk.log.settings, desk.log, Said.model_validate(said), number)[0].incident


@pytest.fixture
def told(exchange: Exchange) -> Exchange:
    """One that is late, and one that concerns nothing of anybody's."""
    desk = exchange.desk
    say(
        exchange,
        when=desk.clock() - timedelta(hours=6),
        since=desk.clock() - timedelta(days=2),
        accounts=("asker",),
    )
    say(exchange, datasets=(), level="general", texts={"what": "密钥外泄"})
    return exchange


def test_over_the_api(told: Exchange) -> None:
    both = told.get("/api/v1/incidents", "auditor").json()
    assert [(each["number"], each["level"], each["datasets"]) for each in both] == [
        (2, "general", []),
        (1, "serious", [ID]),
    ]
    assert both[1]["reports"][0]["late"] is True and both[1]["steps"][0]["texts"] == {"what": WORDS}
    for who, count in (("bureau", 2), ("clerk", 1), ("chief", 1), ("asker", 0), ("other", 0)):
        assert len(told.get("/api/v1/incidents", who).json()) == count
    assert told.get("/api/v1/incidents", None).status_code == 401


def test_the_public_is_told_of_none(told: Exchange) -> None:
    told.tokens["anybody"] = _account(told.desk.state, person("anybody", "", "public"))
    assert told.get("/api/v1/incidents", "anybody").status_code == 403
    open_account(told.desk.state, "anybody-1", "", ["public"], PASSWORD)
    Browser(told, told.client).by_password("anybody-1")
    answer = told.client.get("/incidents")
    assert answer.status_code == 403 and "密钥" not in answer.text and "<h1>" in answer.text


def test_as_a_page_that_its_notice_leads_to(told: Exchange) -> None:
    say(told, 1, "note", did="contained", texts={"what": "已暂停授权"})
    say(told, 1, "report", to="police", document="公3号", texts={})
    gather(told.desk)
    open_account(told.desk.state, "clerk-1", "health", ["provider"], PASSWORD)
    browser = Browser(told, told.client)
    browser.by_password("clerk-1")
    workspace = told.client.get("/workspace").text
    assert 'href="/incidents#incident-1"' in workspace and 'href="/incidents"' in workspace
    page = told.client.get("/incidents").text
    assert "<b>" not in page
    for shown in (
        *('id="incident-1"', "较大 relatively major", "处置中 open", WORDS, "asker", ID, "报告逾期 late"),
        *(
            "首次报告 first report",
            "期限 due",
            "始于 Began",
            "遏制 contained",
            "公安机关 public security",
            "公3号",
        ),
        *("登记于 written down", "2026-03-02 03:00"),
    ):
        assert shown in unescape(page), shown
    assert "密钥外泄" not in page and "incident-2" not in page
    open_account(told.desk.state, "other-1", "transport", ["requester"], PASSWORD)
    told.client.cookies.clear()
    browser.by_password("other-1")
    assert "没有 None" in told.client.get("/incidents").text


def test_a_closed_one_and_many(told: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    say(told, 1, "report", to="cyberspace", texts={})
    say(told, 1, "close", texts={"found": "口令外泄", "done": "已更换", "data": "已删除"})
    say(told, 1, "note", reopens=True, level="major", texts={"what": "又见下载"})
    say(told, 1, "close", texts={"found": "另一口令", "done": "已更换", "data": "已删除"})
    open_account(told.desk.state, "audit-1", "", ["auditor"], PASSWORD)
    Browser(told, told.client).by_password("audit-1")
    page = unescape(told.client.get("/incidents").text)
    for shown in (
        "已结案 closed",
        "重大 major",
        "重新立案 opened again",
        "数据去向 what became of the data",
        "总结报告",
    ):
        assert shown in page
    assert "平台 the platform" in page and "Earlier ones" not in page
    first = page[page.index('id="incident-1"') :]
    assert "报告逾期" not in first, "it is made, if late"
    monkeypatch.setattr(page_of, "MOST", 1)
    page = told.client.get("/incidents").text
    assert "Earlier ones: 1" in page and "incident-1" not in page


def test_a_risk_tells_of_what_incident_it_became_part(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = exchange.desk
    today = day_of(desk.clock())
    reader = {"department": "education", "account": "asker", "dataset": ID}
    for back in range(3, 8):
        put(desk, today - timedelta(days=back), 200, **reader)
    put(desk, today, 25_000, **reader)
    assert watch(desk) == 1
    monkeypatch.setenv("XUANWU_HOME", str(exchange.city.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(exchange.city.settings.catalogue))
    opened = [
        "incident",
        "open",
        "--level",
        "major",
        "--summary",
        "疑似批量下载",
        "--risk",
        "1",
        "--by",
        "值班",
    ]
    done = CliRunner().invoke(app, opened)
    assert done.exit_code == 0, done.output
    (incident,) = exchange.get("/api/v1/incidents", "clerk").json()
    named = {name: incident[name] for name in ("datasets", "accounts", "requests", "risks")}
    assert named == {"datasets": [ID], "accounts": ["asker"], "requests": [], "risks": [1]}
    assert exchange.get("/api/v1/risks", "clerk").json()[0]["incidents"] == [1]
    assert json.loads(CliRunner().invoke(app, ["risks", "--json"]).stdout)[0]["incidents"] == [1]
    assert "安全事件 incident 1" in CliRunner().invoke(app, ["risks"], env={"COLUMNS": "200"}).stdout
    open_account(desk.state, "audit-1", "", ["auditor"], PASSWORD)
    Browser(exchange, exchange.client).by_password("audit-1")
    assert 'href="/incidents#incident-1"' in exchange.client.get("/risks").text
    assert 'href="/risks#risk-1"' in exchange.client.get("/incidents").text
    verified = CliRunner().invoke(app, ["verify", "--ledger"])
    assert "incident" not in verified.output, verified.output
