"""Risks over the API and as a page, for who answers for the data, and for no one else; by command and in the report."""

from __future__ import annotations

import json
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from typer.testing import CliRunner

import exchange.risks as kept_risks
import exchange.web.risks as page_of
from exchange.accounts import open_account
from exchange.notices import gather
from exchange.risks import watch
from exchange.watching import Finding
from pipelines.cli import app
from pipelines.report import write_report
from schemas.workdays import day_of
from tests.exchange.test_watching import put
from tests.exchange.web.conftest import Exchange, _account, person
from tests.exchange.web.login.conftest import PASSWORD, Browser
from tests.pipelines.publishing.making import ID

READER = {"department": "education", "account": "asker", "dataset": ID}


@pytest.fixture
def unusual(exchange: Exchange) -> Exchange:
    today = day_of(exchange.desk.clock())
    for back in range(3, 8):
        put(exchange.desk, today - timedelta(days=back), 200, **READER)
    put(exchange.desk, today, 25_000, **READER)
    assert watch(exchange.desk) == 1
    return exchange


def test_over_the_api(unusual: Exchange) -> None:
    (told,) = unusual.get("/api/v1/risks", "clerk").json()
    assert told.pop("found").startswith("2026-03-02T")
    assert told == {
        "number": 1,
        "rule": "volume",
        "day": "2026-03-02",
        "department": "education",
        "account": "asker",
        "datasets": [ID],
        "policy": "default",
        "counted": 25_000,
        "usual": 200,
        "bound": 10_000,
        "request": None,
        "incidents": [],
    }
    for who, count in (("bureau", 1), ("auditor", 1), ("asker", 0), ("other", 0)):
        assert len(unusual.get("/api/v1/risks", who).json()) == count
    assert unusual.get("/api/v1/risks", "auditor", params={"since": "2026-03-03"}).json() == []
    assert unusual.get("/api/v1/risks", "auditor", params={"since": "x"}).status_code == 422
    assert unusual.get("/api/v1/risks", None).status_code == 401


def test_the_public_is_told_of_none(unusual: Exchange) -> None:
    unusual.tokens["anybody"] = _account(unusual.desk.state, person("anybody", "", "public"))
    assert unusual.get("/api/v1/risks", "anybody").status_code == 403


def test_as_a_page_that_its_notice_leads_to(unusual: Exchange) -> None:
    gather(unusual.desk)
    open_account(unusual.desk.state, "clerk-1", "health", ["provider"], PASSWORD)
    browser = Browser(unusual, unusual.client)
    browser.by_password("clerk-1")
    assert 'href="/risks#risk-1"' in unusual.client.get("/workspace").text
    page = unescape(unusual.client.get("/risks").text)
    for shown in ('id="risk-1"', "一天内读取行数远超以往", "25,000 rows", "most before 200", "asker", ID):
        assert shown in page
    open_account(unusual.desk.state, "other-1", "transport", ["requester"], PASSWORD)
    unusual.client.cookies.clear()
    browser.by_password("other-1")
    page = unusual.client.get("/risks").text
    assert "没有 None" in page and "asker" not in page


def test_a_list_that_is_cut_goes_on(unusual: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    today = day_of(unusual.desk.clock())
    kept_risks._keep(
        unusual.desk, Finding("volume", today, "education", "asker-2", (ID,), "default", 9, 1, 5)
    )
    monkeypatch.setattr(kept_risks, "MOST", 1)
    monkeypatch.setattr(page_of, "MOST", 1)
    for before, numbers in (({}, [2]), ({"before": 2}, [1]), ({"before": 1}, [])):
        told = unusual.get("/api/v1/risks", "auditor", params=before).json()
        assert [each["number"] for each in told] == numbers
    assert unusual.get("/api/v1/risks", "auditor", params={"until": "2026-03-01"}).json() == []
    assert unusual.get("/api/v1/risks", "other", params={"before": 1}).status_code == 404
    assert unusual.get("/api/v1/risks", "auditor", params={"before": 2**40}).status_code == 422
    open_account(unusual.desk.state, "clerk-1", "health", ["provider"], PASSWORD)
    Browser(unusual, unusual.client).by_password("clerk-1")
    page = unusual.client.get("/risks").text
    assert 'id="risk-2"' in page and 'href="?before=2"' in page
    page = unusual.client.get("/risks?before=2").text
    assert 'id="risk-1"' in page and 'id="risk-2"' not in page and 'href="?before=1"' in page
    assert "没有 None" in unusual.client.get("/risks?before=1").text
    missing = unusual.client.get("/risks?before=9")
    assert missing.status_code == 404 and "没有这一编号的风险提示" in missing.text


def test_by_command_and_in_the_report(
    unusual: Exchange, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = write_report(unusual.city.ctx, tmp_path / "report.html").read_text("utf-8")
    assert "风险监测" in page and "25,000行" in page
    assert "asker" not in page and "公众" not in page
    monkeypatch.setenv("XUANWU_HOME", str(unusual.city.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(unusual.city.settings.catalogue))
    told = CliRunner().invoke(app, ["risks", "--json"])
    assert [each["counted"] for each in json.loads(told.stdout)] == [25_000], told.output
    shown = CliRunner().invoke(app, ["risks", "--since", "2026-03-02"], env={"COLUMNS": "200"})
    assert "25,000" in shown.stdout and "asker" in shown.stdout
    later = CliRunner().invoke(app, ["risks", "--since", "2026-03-03", "--json"])
    assert json.loads(later.stdout) == []
    (day,) = (each["day"] for each in json.loads(told.stdout))
    for until, count in ((day, 1), ("2026-01-01", 0)):
        some = CliRunner().invoke(app, ["risks", "--until", until, "--json"])
        assert len(json.loads(some.stdout)) == count
    assert "there may be more" not in told.output + shown.output
    monkeypatch.setattr("exchange.risks.MOST", 1)
    told, shown = (CliRunner().invoke(app, ["risks", *options]) for options in (["--json"], []))
    assert len(json.loads(told.stdout)) == 1
    assert "there may be more: --before 1" in told.stderr
    assert "there may be more: --before 1" in shown.stdout
    told = CliRunner().invoke(app, ["risks", "--json", "--before", "1"])
    assert json.loads(told.stdout) == [] and "there may be more" not in told.stderr


def test_the_job_watches_before_it_gathers(unusual: Exchange) -> None:
    from pipelines.notifying import notify

    put(unusual.desk, day_of(unusual.city.ctx.clock()), refused=50, reads=0, account="prober", department="x")
    counts = notify(unusual.city.ctx)
    assert counts["risks"] == 1 and counts["new"] >= 3
