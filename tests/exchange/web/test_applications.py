"""Applications over HTTP, and what they give: files as they were certified, to their own account, while it lasts."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange import cases
from exchange.accounts import make_token, open_account
from exchange.usage import usage
from exchange.web import applications, pieces
from lake.auditlog import AuditLog
from lake.releases import SUMS
from pipelines.applied import Tally, tallies
from pipelines.applied import applied as listed
from pipelines.cli import app
from pipelines.publishing.withdrawal import withdraw
from pipelines.report import write_report
from schemas.errors import LakeError
from schemas.load import Catalogue
from schemas.settings import Settings
from tests.exchange.conftest import Clock
from tests.exchange.web.conftest import CONDITIONAL, PEOPLE, Exchange, opened
from tests.exchange.web.test_tables import problem
from tests.pipelines.publishing.making import ID, KEY, OPEN, SECRET, City, people

PATH = "/api/v1/applications"
ON_CONDITIONS = OPEN | {
    "type": "conditional",
    "conditions": {"zh": "限科研与城市治理", "en": "For research and governance"},
}
WHO = "某某研究所"
APPLIED = {
    "dataset": ID,
    "applicant": WHO,
    "use": "innovation",
    "purpose": "就诊人次研究",
    "safeguards": "内网使用",
    "until": "2027-01-01T00:00:00+08:00",
    "accepts": True,
}


@pytest.fixture
def exchange(
    settings: Settings,
    make_catalogue: Callable[[dict[str, str]], Catalogue],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Exchange]:
    """An exchange over a dataset that is opened on conditions, with two releases, and two of the public."""
    monkeypatch.setenv(KEY, SECRET)
    monkeypatch.setattr(applications, "_seen", pieces.Seen[tuple[str, str, str, str, str]]())
    city = City(settings, make_catalogue, share=CONDITIONAL, open=ON_CONDITIONS)
    for day in (1, 2):
        city.publish(city.curate(day, people(400, day)), "open")
    with opened(city, clock) as made:
        for name in ("citizen", "neighbour"):
            open_account(made.desk.state, name, "", ["public"])
            lasts = clock.now.replace(year=2027) - clock.now
            text, _ = make_token(made.desk.state, name, "", ["read", "request"], now=clock.now, lasts=lasts)
            made.tokens[name] = text
        yield made


def apply(exchange: Exchange, who: str = "citizen", **more: object) -> dict[str, Any]:
    answer = exchange.post(PATH, who, {**APPLIED, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def granted(exchange: Exchange, **more: object) -> str:
    """The path of an application that was granted."""
    here = f"{PATH}/{apply(exchange, **more)['number']}"
    assert exchange.post(f"{here}/propose", "clerk", {"consent": True, "reason": "可"}).status_code == 200
    assert exchange.post(f"{here}/confirm", "chief", {}).json()["state"] == "granted"
    return here


def releases(exchange: Exchange, here: str) -> list[dict[str, Any]]:
    answer = exchange.get(f"{here}/releases", "citizen")
    assert answer.status_code == 200, answer.text
    return answer.json()


def newest(exchange: Exchange) -> Path:
    home = Path(exchange.city.settings.lake_root, "conditional", *ID.split("."))
    return home / json.loads((home / "latest.json").read_text())["release"]


# ── from the application to the download ──────────────────────────────────────────────────────────────────


def test_from_the_application_to_the_last_byte(exchange: Exchange) -> None:
    made = apply(exchange)
    assert (made["state"], made["account"], made["provider"]) == ("submitted", "citizen", "health")
    assert made["conditions"] == "限科研与城市治理 For research and governance"
    assert [(each["name"], each["of"]) for each in made["clocks"]] == [("answer", "provider")]
    here = granted(exchange)
    found = releases(exchange, here)
    assert [each["rows"] for each in found] == [400, 400]
    for release in found:
        for file in release["files"]:
            answer = exchange.get(file["url"], "citizen")
            assert answer.status_code == 200
            assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
            assert answer.headers["etag"] == f'"{file["sha256"]}"'
            assert f'filename="{file["name"]}"' in answer.headers["content-disposition"]
            assert answer.headers["content-length"] == str(file["size"])
    sums = exchange.get(f"{here}/releases/{found[0]['release']}/{SUMS}", "citizen").text
    assert sums == (newest(exchange) / SUMS).read_text()


def test_a_file_in_pieces(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    url = releases(exchange, granted(exchange))[0]["files"][0]["url"]
    monkeypatch.setattr(pieces, "SMALL", 0)
    whole = exchange.get(url, "citizen").content
    part = exchange.get(url, "citizen", headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, whole[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(whole)}"
    beyond = exchange.get(url, "citizen", headers={"Range": f"bytes={len(whole)}-"})
    assert beyond.status_code == 416
    head = exchange.client.head(url, headers={"Authorization": f"Bearer {exchange.tokens['citizen']}"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole))


def test_a_download_is_in_the_log_once_a_day_and_its_rows_are_counted(
    exchange: Exchange, clock: Clock
) -> None:
    here = granted(exchange)
    (csv,) = [each for each in releases(exchange, here)[0]["files"] if each["name"] == "visit.csv"]
    for part in ("bytes=0-9", "bytes=10-", None):
        exchange.get(csv["url"], "citizen", headers={"Range": part} if part else {})
    exchange.client.head(csv["url"], headers={"Authorization": f"Bearer {exchange.tokens['citizen']}"})
    attempt, outcome = exchange.log()
    assert (attempt["phase"], attempt["file"], attempt["door"]) == ("attempt", "visit.csv", "open")
    assert (attempt["by"], attempt["department"], attempt["policy"]) == ("citizen", "", "open")
    assert attempt["purpose"] == f"application {here.rpartition('/')[2]}" and attempt["release"] in csv["url"]
    assert (outcome["phase"], outcome["rows"]) == ("outcome", 400)
    clock.wait(days=1)
    exchange.get(csv["url"], "citizen")
    assert len(exchange.log()) == 4
    (found,) = usage(exchange.desk, PEOPLE["clerk"])
    assert (found.account, found.dataset, found.door, found.reads, found.rows) == (
        "citizen",
        ID,
        "open",
        2,
        800,
    )
    assert usage(exchange.desk, PEOPLE["asker"]) == []


def test_a_day_of_downloads_is_the_citys(exchange: Exchange, clock: Clock) -> None:
    """As the usage counts it: what is fetched after the city's midnight is of the new day, and what is fetched at
    eight in the morning, when that of UTC begins, is not new."""
    url = releases(exchange, granted(exchange))[0]["files"][0]["url"]
    day = clock.now.date()
    for hour, minute, entries in ((15, 0, 2), (15, 59, 2), (16, 1, 4)):  # 23:00, 23:59, 00:01 in the city
        clock.now = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
        exchange.get(url, "citizen")
        assert len(exchange.log()) == entries
    clock.wait(hours=8)
    exchange.get(url, "citizen")
    assert len(exchange.log()) == 4


def test_a_download_by_another_application_is_in_the_log_as_that_ones(exchange: Exchange) -> None:
    for here in (granted(exchange), granted(exchange)):
        exchange.get(releases(exchange, here)[0]["files"][0]["url"], "citizen")
    told = [each["purpose"] for each in exchange.log() if each["phase"] == "attempt"]
    assert told == ["application 1", "application 2"]


def test_nothing_leaves_where_the_log_cannot_be_written(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = releases(exchange, granted(exchange))[0]["files"][0]["url"]

    def full(*_: object) -> int:
        raise LakeError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(AuditLog, "append", full)
        answer = exchange.get(url, "citizen")
        assert answer.status_code == 500 and b"V00" not in answer.content
    assert exchange.log() == []
    assert exchange.get(url, "citizen").status_code == 200
    assert len(exchange.log()) == 2  # what was not told is told the next time


@pytest.mark.parametrize("how", ["shorter", "longer", "a link"])
def test_a_file_of_another_size_is_not_given(exchange: Exchange, how: str, tmp_path: Path) -> None:
    url = releases(exchange, granted(exchange))[0]["files"][0]["url"]
    file = newest(exchange) / url.rpartition("/")[2]
    if how == "a link":
        (tmp_path / "other").write_text("somebody else's")
        file.unlink()
        file.symlink_to(tmp_path / "other")
    else:
        data = file.read_bytes()
        file.write_bytes(data[:100] if how == "shorter" else data + b"more")
    for answer in (
        exchange.get(url, "citizen"),
        exchange.get(url, "citizen", headers={"Range": "bytes=0-9"}),
    ):
        problem(answer, 500)
        assert b"V00" not in answer.content and b"somebody" not in answer.content
    head = exchange.client.head(url, headers={"Authorization": f"Bearer {exchange.tokens['citizen']}"})
    assert head.status_code == 500
    assert exchange.log() == []


@pytest.mark.parametrize("seen", [True, False], ids=["downloaded before", "new"])
def test_a_file_of_the_same_size_that_was_changed_is_not_given(
    exchange: Exchange, caplog: pytest.LogCaptureFixture, seen: bool
) -> None:
    """Not where it was whole a moment ago either, and its times say nothing; the operator is told what to do."""
    url = releases(exchange, granted(exchange))[0]["files"][0]["url"]
    whole = exchange.get(url, "citizen").content if seen else b""
    file = newest(exchange) / url.rpartition("/")[2]
    data, times = file.read_bytes(), (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    assert not seen or whole == data
    file.write_bytes(data.replace(b"V00", b"W00"))
    os.utime(file, ns=times)
    logged = exchange.log()
    for part in (None, "bytes=0-9", "bytes=-1"):
        answer = exchange.get(url, "citizen", headers={"Range": part} if part else {})
        problem(answer, 500)
        assert "etag" not in answer.headers and b"W00" not in answer.content
    assert exchange.log() == logged, "what did not leave is not told as handed out"
    assert f"file {file}" in caplog.text and "is given to nobody" in caplog.text
    assert "next: `xuanwu verify` says what else was; put the file back from a backup" in caplog.text
    file.write_bytes(data)
    assert exchange.get(url, "citizen").content == data


def test_a_list_goes_on_behind_a_number(exchange: Exchange) -> None:
    for _ in range(3):
        apply(exchange)
    for path, found in ((PATH, [1, 2, 3]), (f"{PATH}?after=2", [3]), (f"{PATH}?after=3", [])):
        assert [each["number"] for each in exchange.get(path, "citizen").json()] == found
    for kind in ("requests", "objections", "applications"):
        assert exchange.get(f"/api/v1/{kind}?after=7", "bureau").json() == []
        for after in (-1, 2**31, "x"):
            problem(exchange.get(f"/api/v1/{kind}?after={after}", "bureau"), 422)


@pytest.mark.parametrize("number", [2**31, 2**62])
def test_a_number_that_not_every_database_counts_is_malformed(exchange: Exchange, number: int) -> None:
    for path in (f"{PATH}/{number}", f"{PATH}/{number}/releases", f"{PATH}/{number}/releases/x/visit.csv"):
        answer = exchange.get(path, "citizen")
        problem(answer, 422)
        assert "path.number" in answer.text or "path.named.number" in answer.text, answer.text


# ── who has it, and how long ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("who", [None, "neighbour", "asker", "clerk", "bureau", "auditor"])
def test_to_nobody_else(exchange: Exchange, who: str | None) -> None:
    here = granted(exchange)
    url = releases(exchange, here)[0]["files"][0]["url"]
    party = who in ("clerk", "bureau", "auditor")
    for path in (f"{here}/releases", url):
        answer = exchange.get(path, who)
        problem(answer, 401 if who is None else 403 if party else 404)
        assert b"V00" not in answer.content
    assert {each["phase"] for each in exchange.log()} == ({"refused"} if party else set())


@pytest.mark.parametrize(
    ("who", "step"), [("chief", "revoke"), ("citizen", "dispose"), ("bureau", "suspend")]
)
def test_an_end_holds_at_once(exchange: Exchange, who: str, step: str) -> None:
    here = granted(exchange)
    url = releases(exchange, here)[0]["files"][0]["url"]
    assert exchange.get(url, "citizen").status_code == 200
    said = {"reason": "用途不符", "disposal": "已删除"}
    assert exchange.post(f"{here}/{step}", who, said).status_code == 200
    problem(exchange.get(url, "citizen"), 403)
    (*_, last) = exchange.log()
    assert (last["phase"], last["door"], last["dataset"], last["policy"]) == ("refused", "open", ID, "open")


def test_its_time_limit_ends_it(exchange: Exchange, clock: Clock) -> None:
    here = granted(exchange, until="2026-06-01T00:00:00+08:00")
    url = releases(exchange, here)[0]["files"][0]["url"]
    clock.wait(days=120)
    problem(exchange.get(url, "citizen"), 403)
    assert exchange.get(here, "citizen").json()["state"] == "granted"


def test_nothing_before_it_is_granted(exchange: Exchange) -> None:
    here = f"{PATH}/{apply(exchange)['number']}"
    problem(exchange.get(f"{here}/releases", "citizen"), 403)
    problem(exchange.get(f"{here}/releases/{newest(exchange).name}/visit.csv", "citizen"), 403)


def test_files_of_releases_and_no_others(exchange: Exchange) -> None:
    here, release = granted(exchange), newest(exchange)
    (release / "private.csv").write_text("secret")
    for path in (
        "private.csv",
        "index.json",
        "..%2Flatest.json",
        "%2e%2e/latest.json",
        "..%2F..%2F..%2Fcurated",
    ):
        answer = exchange.get(f"{here}/releases/{release.name}/{path}", "citizen")
        problem(answer, 404)
    problem(exchange.get(f"{here}/releases/..%2F{release.name}/visit.csv", "citizen"), 404)
    problem(exchange.get(f"{here}/releases/{release.name}x/visit.csv", "citizen"), 404)


def test_what_is_withdrawn_is_given_no_more(exchange: Exchange) -> None:
    here = granted(exchange)
    url = releases(exchange, here)[0]["files"][0]["url"]
    exchange.city.change(open={"type": "none", "basis": {"zh": "涉及个人信息"}})
    withdraw(exchange.city.ctx)
    assert releases(exchange, here) == []
    problem(exchange.get(url, "citizen"), 404)


def test_a_release_with_a_field_that_was_closed_is_given_no_more(exchange: Exchange) -> None:
    here = granted(exchange)
    url = releases(exchange, here)[0]["files"][0]["url"]
    fields = [name for name in ON_CONDITIONS["fields"] if name != "memo"]
    exchange.city.change(open=ON_CONDITIONS | {"fields": fields})
    exchange.desk.catalogue.entries[ID] = exchange.city.entry
    assert releases(exchange, here) == []
    problem(exchange.get(url, "citizen"), 404)


def test_an_index_that_was_changed_on_the_lakes_disk_leads_nowhere(exchange: Exchange) -> None:
    here = granted(exchange)
    index = newest(exchange) / "index.json"
    told = json.loads(index.read_text())
    told["files"][0]["name"] = "../../../../../etc/passwd"
    index.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    for path in (f"{here}/releases", f"{here}/releases/{newest(exchange).name}/visit.csv"):
        answer = exchange.get(path, "citizen")
        assert answer.status_code == 500 and b"root:" not in answer.content


# ── what people wrote ─────────────────────────────────────────────────────────────────────────────────────


def test_what_people_wrote_is_told_to_the_sides_alone(exchange: Exchange) -> None:
    here = granted(exchange)
    for who in ("citizen", "clerk", "chief", "bureau"):
        told = exchange.get(here, who).json()
        assert (told["applicant"], told["purpose"]) == (WHO, "就诊人次研究")
        assert told["events"][1]["said"] == {"consent": True, "reason": "可"}
    (told,) = exchange.get(PATH, "auditor").json()
    assert told["applicant"] is told["purpose"] is told["safeguards"] is None
    assert [each["said"] for each in told["events"]] == [{}, {}, {}] and told["possible"] == []
    assert exchange.get(PATH, "neighbour").json() == exchange.get(PATH, "other").json() == []
    problem(exchange.get(here, "neighbour"), 404)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (APPLIED | {"use": "marketing"}, 422),
        (APPLIED | {"applicant": "某" * 201}, 422),
        (APPLIED | {"applicant": ""}, 422),
        (APPLIED | {"accepts": False}, 422),
        (APPLIED | {"accepts": 1}, 201),
        (APPLIED | {"until": "2027-01-01"}, 422),
        (APPLIED | {"dataset": "health.nothing"}, 404),
        (APPLIED | {"account": "neighbour"}, 422),
        ({key: text for key, text in APPLIED.items() if key != "purpose"}, 422),
    ],
)
def test_what_an_application_says(exchange: Exchange, said: dict, status: int) -> None:
    answer = exchange.post(PATH, "citizen", said)
    assert answer.status_code == status, answer.text


def test_a_department_asks_for_it_to_be_shared(exchange: Exchange) -> None:
    assert "POST /api/v1/requests" in problem(exchange.post(PATH, "asker", APPLIED), 403)["next_step"]


# ── who looks after it ────────────────────────────────────────────────────────────────────────────────────


def test_operators_and_the_report_count_them_without_a_word(
    exchange: Exchange, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    late, declined, open_one = (apply(exchange)["number"] for _ in range(3))
    for step, who, said in (
        ("propose", "clerk", {"consent": False, "reason": "用途不符"}),
        ("confirm", "chief", {}),
    ):
        exchange.post(f"{PATH}/{declined}/{step}", who, said)
    clock.wait(days=20)
    for step, who, said in (
        ("propose", "clerk", {"consent": True, "reason": "可"}),
        ("confirm", "chief", {}),
    ):
        exchange.post(f"{PATH}/{late}/{step}", who, said)
    ctx = exchange.city.ctx
    assert tallies(listed(ctx)) == [Tally(ID, applied=3, under_way=1, granted=1, declined=1, late=1)]
    page = write_report(ctx, tmp_path / "report.html").read_text("utf-8")
    assert "开放申请" in page and "10个工作日内答复（本平台设定）" in page
    assert WHO not in page and "citizen" not in page
    monkeypatch.setenv("XUANWU_HOME", str(exchange.city.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(exchange.city.settings.catalogue))
    told = CliRunner().invoke(app, ["application", "list", "--json"])
    assert [(each["number"], each["state"], each["late"]) for each in json.loads(told.stdout)] == [
        (late, "granted", True),
        (open_one, "submitted", True),  # by the clock of today
    ]
    every = CliRunner().invoke(app, ["application", "list", "--all"], env={"COLUMNS": "200"})
    assert "不予开放 declined" in every.stdout and "逾期 late" in every.stdout
    assert WHO not in every.stdout and "citizen" not in every.stdout
    assert "there may be more" not in every.stdout and "there may be more" not in told.stderr
    monkeypatch.setattr(cases, "MOST", 1)
    for options, found in (
        ([], [late]),
        (["--after", str(late)], [open_one]),  # past the one that was declined
        (["--after", str(late), "--all"], [declined]),
        (["--after", str(open_one)], []),
    ):
        told = CliRunner().invoke(app, ["application", "list", "--json", *options])
        assert [each["number"] for each in json.loads(told.stdout)] == found
        assert (f"there may be more: --after {(found or [0])[0]}" in told.stderr) == bool(found)
        told = CliRunner().invoke(app, ["application", "list", *options])
        assert ("no application is listed" in told.stderr) != bool(found)
        assert (f"there may be more: --after {(found or [0])[0]}" in told.stdout) == bool(found)
    assert tallies(listed(ctx)) == [Tally(ID, applied=3, under_way=1, granted=1, declined=1, late=1)]
