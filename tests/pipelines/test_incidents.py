"""What may be said of an incident at the shell: of what is there, in the policy's words, without a person. Sample people
and papers are invented."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from exchange.accounts import open_account
from exchange.errors import NotThere
from exchange.state import State
from lake.batch import Batch
from lake.incidents import About, Step, incident, incidents
from lake.verify import Copy, verify
from pipelines.cli import app
from pipelines.context import Context
from pipelines.incidents import Named, close, note, open_incident, report
from pipelines.report import write_report
from pipelines.status import late_datasets
from schemas.errors import LakeError, XuanwuError
from tests.conftest import NOW

MARRIAGE = "civil_affairs.marriage"
WHO = Named("数据中心值班")
PAPER = "宁数〔2026〕3号"
RESULT = {"found": "口令外泄", "done": "已撤销令牌并更换口令", "data": "下载方已删除并书面确认"}


def opened(ctx: Context, level: str = "serious", summary: str = "疑似泄露", **about: Any) -> Step:
    return open_incident(ctx, WHO, level, summary, About(**about))[0]


# ── what may be said ──────────────────────────────────────────────────────────────────────────────────────


def test_from_the_opening_to_the_closing(ctx: Context) -> None:
    number = opened(ctx, datasets=(MARRIAGE,)).incident
    note(ctx, WHO, number, "已暂停授权", About(), did="contained", level="major")
    report(ctx, WHO, number, "cyberspace", document=PAPER)
    close(ctx, WHO, number, RESULT, document="宁数〔2026〕4号")
    found = incident(ctx.settings.lake_root, number)
    assert [each.kind for each in found.steps] == ["open", "note", "report", "close"]
    assert (found.level, found.about.datasets) == ("major", (MARRIAGE,))
    assert {each.by for each in found.steps} == {"数据中心值班"}
    assert (found.steps[1].did, found.steps[2].to, found.steps[2].document) == (
        "contained",
        "cyberspace",
        PAPER,
    )
    assert found.steps[3].texts == RESULT
    assert list(verify(Copy(ctx.settings.lake_root))) == []


def test_the_same_command_again_a_while_later_is_the_same_step(ctx: Context) -> None:
    opened(ctx)
    later = replace(ctx, clock=lambda: NOW + timedelta(minutes=5))
    assert open_incident(later, WHO, "serious", "疑似泄露", About())[1] is False
    first, _ = note(ctx, WHO, 1, "已暂停授权", About())
    assert note(later, WHO, 1, "已暂停授权", About()) == (first, False)
    assert note(later, Named(WHO.by, NOW + timedelta(minutes=1)), 1, "已暂停授权", About())[1] is True


def test_a_moment_without_a_zone_is_the_city_s(ctx: Context) -> None:
    noticed = Named("值班", datetime(2026, 3, 5, 9, 30))
    began = datetime(2026, 3, 4, 8)
    step, _ = open_incident(ctx, noticed, "major", "疑似泄露", About(), since=began)
    assert (step.when, step.since) == (
        datetime(2026, 3, 5, 1, 30, tzinfo=UTC),
        datetime(2026, 3, 4, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "text", ["李娜说可以", "联系人张伟已核实", "电话13812345678", "身份证11010519491231002X", "", "x" * 501]
)
def test_no_text_holds_a_person(ctx: Context, text: str) -> None:
    number = opened(ctx).incident
    for said in (
        lambda: opened(ctx, summary=text),
        lambda: note(ctx, WHO, number, text, About()),
        lambda: report(ctx, WHO, number, "police", text=text or " "),
        lambda: report(ctx, WHO, number, "police", document=f"{text} 1号" if text else " "),
        *(
            lambda name=name: close(ctx, WHO, number, RESULT | {name: text})  # type: ignore[misc]
            for name in RESULT
        ),
    ):
        with pytest.raises(XuanwuError) as stopped:
            said()
        assert not text or text[:3] not in str(stopped.value)
    assert len(incident(ctx.settings.lake_root, number).steps) == 1


def test_who_says_it_has_no_number(ctx: Context) -> None:
    with pytest.raises(XuanwuError, match="--by"):
        open_incident(ctx, Named("值班 13812345678"), "major", "疑似泄露", About())


def test_only_words_of_the_policy(ctx: Context) -> None:
    with pytest.raises(XuanwuError, match=r"no `grave`.*--level.*gravest, major, serious, general"):
        opened(ctx, level="grave")
    number = opened(ctx).incident
    with pytest.raises(XuanwuError, match="--level"):
        note(ctx, WHO, number, "更重", About(), level="grave")
    with pytest.raises(XuanwuError, match=r"no `press`.*--to"):
        report(ctx, WHO, number, "press")
    with pytest.raises(XuanwuError, match=r"--did.*found, contained, mended"):
        note(ctx, WHO, number, "已办", About(), did="slept")
    with pytest.raises(XuanwuError, match="no number of a document"):
        close(ctx, WHO, number, RESULT, document="无号")


def test_a_moment_that_has_not_come(ctx: Context) -> None:
    with pytest.raises(LakeError, match="later than the moment"):
        open_incident(ctx, Named("值班", NOW + timedelta(minutes=1)), "major", "疑似泄露", About())


# ── what it may name ──────────────────────────────────────────────────────────────────────────────────────


def test_a_dataset_that_is_or_was(ctx: Context) -> None:
    with pytest.raises(XuanwuError, match=r"no dataset `civil_affairs.mariage` .*did you mean"):
        opened(ctx, datasets=("civil_affairs.mariage",))
    assert incidents(ctx.settings.lake_root) == []
    batch = Batch(dataset="urban_greening.tree", start=NOW - timedelta(days=1), end=NOW)
    ctx.ledger.begin(batch, "collect")
    assert opened(ctx, datasets=(MARRIAGE, batch.dataset)).datasets == (MARRIAGE, batch.dataset)
    with pytest.raises(XuanwuError, match="--dataset"):
        note(ctx, WHO, 1, "另涉", About(datasets=("x.y",)))


@pytest.mark.parametrize("about", [{"accounts": ("li",)}, {"requests": (1,)}, {"risks": (1,)}])
def test_what_the_exchange_does_not_have(ctx: Context, about: dict[str, Any]) -> None:
    with pytest.raises(XuanwuError, match="there is no exchange here"):
        opened(ctx, **about)
    open_account(State(ctx.settings), "wang", "health", ["requester"])
    (kind, (name,)) = next(iter(about.items()))
    with pytest.raises(NotThere, match=f"no {kind[:-1]} {name}"):
        opened(ctx, **about)
    assert opened(ctx, accounts=("wang",)).accounts == ("wang",)


# ── by command ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def home(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("XUANWU_HOME", str(ctx.settings.home))
    return ctx


def xuanwu(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments], catch_exceptions=True)


def said(*arguments: str) -> str:
    done = xuanwu(*arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_by_command(home: Context) -> None:
    summary, moment = "开放区某数据集被大量下载", "2026-03-05 09:30"
    told = said(
        *("incident", "open", "--level", "serious", "--summary", summary, "--dataset", MARRIAGE),
        *("--noticed", moment, "--since", "2026-03-04 22:00", "--by", "值班"),
    )
    assert (
        "立案 opened: 1" in told
        and "首次报告 first report" in told
        and "due 2026-03-05 13:30 逾期 late" in told
    )
    again = said(
        *("incident", "open", "--level", "serious", "--summary", summary, "--dataset", MARRIAGE),
        *("--noticed", moment, "--since", "2026-03-04 22:00", "--by", "值班"),
    )
    assert "此前已登记 it was there before: 1" in again
    said("incident", "note", "1", "--text", "已暂停授权", "--did", "contained", "--by", "值班")
    report = ("--at", "2026-03-05 12:00", "--document", PAPER, "--by", "值班")
    assert "late" not in said("incident", "report", "1", "--to", "cyberspace", *report)
    shown = said("incident", "show", "1")
    for part in (
        summary,
        "始于 began 2026-03-04 22:00",
        "遏制 contained",
        PAPER,
        "已报 made 2026-03-05 12:00",
        "登记于",
    ):
        assert part in shown
    listed = said("incident", "list")
    assert MARRIAGE in listed and "处置中 open" in listed and summary not in listed
    closing = [each for name, text in RESULT.items() for each in (f"--{name}", text)]
    assert "总结报告 summary report" in said("incident", "close", "1", *closing, "--by", "值班")
    refused = xuanwu("incident", "note", "1", "--text", "又见下载")
    assert refused.exit_code == 1 and isinstance(refused.exception, LakeError)
    assert "重新立案 opened again: 1" in said(
        "incident", "note", "1", "--text", "又见下载", "--reopen", "--level", "major"
    )
    (plain,) = json.loads(said("incident", "list", "--json"))
    assert (plain["number"], plain["level"], plain["state"], plain["steps"]) == (1, "major", "open", 5)
    assert plain["noticed"] == "2026-03-05T01:30:00+00:00" and plain["since"] == "2026-03-04T14:00:00+00:00"
    assert [(each["report"], each["late"]) for each in plain["reports"]] == [("first", False)]
    steps = json.loads(said("incident", "show", "1", "--json"))["steps"]
    assert [each["kind"] for each in steps] == ["open", "note", "report", "close", "note"]
    assert "进程" not in said("verify", "--ledger") and "verified" in said("verify")


def test_that_there_is_none_is_said(home: Context) -> None:
    for options, words in (
        ((), "没有安全事件 no incident that is open or has a report due: --all"),
        (("--all",), "no incident\n"),
    ):
        told = xuanwu("incident", "list", *options)
        assert (told.exit_code, told.stdout) == (0, "") and words in told.stderr
        told = xuanwu("incident", "list", *options, "--json")
        assert (json.loads(told.stdout), told.stderr) == ([], "")


def test_a_closed_one_is_listed_until_it_is_reported(home: Context) -> None:
    said("incident", "open", "--level", "general", "--summary", "口令外泄", "--by", "值班")
    closing = [each for name, text in RESULT.items() for each in (f"--{name}", text)]
    said("incident", "close", "1", *closing, "--by", "值班")
    assert json.loads(said("incident", "list", "--json")) == []
    assert [each["number"] for each in json.loads(said("incident", "list", "--all", "--json"))] == [1]
    assert "平台 the platform" in said("incident", "list", "--all")
    said("incident", "open", "--level", "major", "--summary", "令牌外泄", "--by", "值班")
    said("incident", "report", "2", "--to", "cyberspace", "--by", "值班")
    said("incident", "close", "2", *closing, "--by", "值班")
    assert [each["number"] for each in json.loads(said("incident", "list", "--json"))] == [2]
    said("incident", "report", "2", "--to", "cyberspace", "--document", PAPER, "--by", "值班")
    assert json.loads(said("incident", "list", "--json")) == []


def test_what_is_late_is_told_by_status_and_upkeep(
    home: Context, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.upkeep import upkeep

    said("incident", "open", "--level", "major", "--summary", "疑似泄露", "--noticed", "2026-03-05 09:30")
    told = said("status")
    assert "安全事件 incident 1" in told and "逾期 late: xuanwu incident show 1" in told
    assert json.loads(said("status", "--json"))["unreported"] == [
        {"incident": 1, "report": "first", "to": "cyberspace", "due": "2026-03-05T05:30:00+00:00"}
    ]
    assert json.loads(said("status", MARRIAGE, "--json"))["unreported"] == []
    assert upkeep(home).counts["overdue reports"] == 1
    assert "first report of incident 1 is overdue" in caplog.text
    said("incident", "report", "1", "--to", "cyberspace")
    assert upkeep(home).counts["overdue reports"] == 0
    assert "incident 1" not in said("status")


def test_upkeep_removes_what_a_killed_step_left_half_written(home: Context) -> None:
    import os

    from lake import store
    from pipelines.upkeep import upkeep

    opened(home)
    folder = Path(home.settings.lake_root, "incidents", "00001")
    half = folder / ".00002.json.1f0c9a2e.tmp"
    half.write_bytes(b"{")
    os.utime(half, (0, 0))
    assert store.is_unfinished(str(half))
    assert upkeep(home).removed.unfinished == 1 and not half.exists()
    assert len(incident(home.settings.lake_root, 1).steps) == 1


def test_the_report_tells_each_and_no_text(ctx: Context, tmp_path: Path) -> None:
    assert "Security incidents" not in write_report(ctx, tmp_path / "none.html").read_text("utf-8")
    at_nine = Named("值班", NOW - timedelta(hours=6))
    open_incident(ctx, at_nine, "gravest", "疑似泄露", About(datasets=(MARRIAGE,)))
    close(ctx, WHO, 1, RESULT)
    opened(ctx, level="general")
    page = write_report(ctx, tmp_path / "report.html").read_text("utf-8")
    section = page[page.index("Security incidents") : page.index("xuanwu incident show")]
    for part in (
        "特别重大",
        "particularly major",
        "婚姻登记",
        "已结案",
        "处置中",
        "首次报告",
        "总结报告",
        "逾期 late",
        "一般",
    ):
        assert part in section
    assert "疑似泄露" not in page and RESULT["found"] not in page
    in_time = replace(ctx, clock=lambda: NOW - timedelta(hours=3))
    assert "逾期 late" not in write_report(in_time, tmp_path / "then.html").read_text(
        "utf-8"
    ) or late_datasets(in_time)
