"""Deliveries in the browser: asked for, looked at and stopped as over the API; and by nobody else."""

from __future__ import annotations

import re
from html import unescape
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient

import exchange.web.delivering as page_of
from exchange import receipts
from exchange.notices import gather
from exchange.receipts import Counts, write
from exchange.subscriptions import Mode, Subscription, find_one, subscriptions
from exchange.words import MODES
from tests.exchange.clock import Clock
from tests.exchange.web.login.conftest import ASKED, TABLE, Workplace
from tests.pipelines.publishing.making import ID

DECLARED = {
    "table": TABLE,
    "method": "batch",
    "place": " inbox.visits ",
    "connection": "store",
    "mode": "swap",
}


@pytest.fixture
def free(people: Workplace) -> Workplace:
    """What is shared without conditions."""
    exchange = people.exchange
    exchange.city.change(share={"type": "unconditional"})
    object.__setattr__(exchange.desk, "catalogue", exchange.city.ctx.catalogue)
    return people


def kept(people: Workplace) -> list[Subscription]:
    return subscriptions(people.exchange.desk)


def receipt(people: Workplace, number: int, why: str = "") -> None:
    desk = people.exchange.desk
    counts = Counts(rows=1234, sent=1234, found=1234)
    write(desk, find_one(desk, number), 7, desk.clock(), counts, digest="d" * 64, why=why)


# ── without a request ─────────────────────────────────────────────────────────────────────────────────────


def test_a_delivery_from_the_form_to_its_end(free: Workplace) -> None:
    assert 'href="/deliveries/new"' in free.page("asker", "/deliveries")
    assert f"/deliveries/new?table={TABLE}" in free.page("asker", "/deliveries/new")
    assert 'action="/deliveries"' in free.page("asker", f"/deliveries/new?table={TABLE}")
    there = free.send("asker", "/deliveries", **DECLARED)
    assert there == "/deliveries/1"
    (made,) = kept(free)
    assert (made.department, made.dataset, made.policy, made.by) == ("education", ID, "default", "asker-1")
    assert (made.method, made.connection, made.place, made.mode) == ("batch", "store", "inbox.visits", "swap")
    assert (made.format, made.keep, made.request) == ("parquet", 3, None)
    page = free.page("asker", there)
    assert "未交付 not yet" in page and "to_education__store" in page and "整表替换 swap the whole" in page
    receipt(free, 1)
    for shown in (free.page("asker", "/deliveries"), free.page("asker", there)):
        assert "已交付 done" in shown and "1,234" in shown
    assert free.send("asker", f"{there}/stop") == there
    assert "已停止 stopped" in free.page("asker", there)
    assert f'action="{there}/stop"' not in free.page("asker", there)
    assert "已停止 stopped" in free.page("asker", "/deliveries")
    assert [each["step"] for each in free.exchange.log("subscription")] == ["declared", "stopped"]
    assert free.send("asker", f"{there}/stop") == there, "it is stopped already"


def test_a_delivery_by_file_has_its_format_and_so_many_stay(free: Workplace) -> None:
    there = free.send("asker", "/deliveries", **DECLARED | {"method": "file", "format": "csv", "keep": "7"})
    (made,) = kept(free)
    assert (made.method, made.format, made.keep) == ("file", "csv", 7)
    assert "csv，保留 7 次 kept" in free.page("asker", there)


@pytest.mark.parametrize(
    ("said", "status", "tells"),
    [
        ({"place": ""}, 422, "表名不正确"),
        ({"place": "a;drop"}, 422, "表名不正确"),
        ({"place": "xuanwu_delivered"}, 422, "表名不正确"),
        ({"place": "../x", "method": "file"}, 422, "文件夹名不正确"),
        ({"connection": "../x"}, 422, "连接名不正确"),
        ({"connection": "to_health"}, 303, ""),  # education's own `to_education__to_health`
        ({"mode": "append"}, 422, "没有这种更新方式"),
        ({"format": "xlsx"}, 422, "没有这种更新方式"),
        ({"method": "api"}, 422, "库表交换或文件"),
        *(({"keep": keep}, 422, "保留次数超出范围") for keep in ("0", "-1", "1001", "x", "1e3", "9" * 10)),
        ({"keep": "9" * 5000}, 422, "malformed: body.keep"),
        ({"place": "x" * 201}, 422, "malformed: body.place"),
        ({"table": "share/health.nothing/default"}, 404, "没有这样的共享数据"),
        ({"table": f"share/{ID}/nothing"}, 404, "没有这样的共享数据"),
        ({"table": "../../etc"}, 404, "没有这样的共享数据"),
        ({"csrf": "0" * 64}, 403, "表单已过期"),
    ],
)
def test_what_does_not_fit_is_told_on_the_page(
    free: Workplace, said: dict[str, str], status: int, tells: str
) -> None:
    answer: Any = free.sent("asker", "/deliveries", **DECLARED | said)
    assert answer.status_code == status, answer.text
    assert len(kept(free)) == (status == 303)
    if status != 303:
        assert tells in answer.text and 'role="alert"' in answer.text


def test_a_form_that_was_refused_keeps_what_was_written(free: Workplace) -> None:
    answer: Any = free.sent(
        "asker", "/deliveries", **DECLARED | {"place": "<b>;", "keep": "x", "method": "file", "format": "csv"}
    )
    page = unescape(answer.text)
    assert 'name="place" maxlength="200" value="<b>;"' in page and "<b>;" not in answer.text
    assert 'value="store"' in page and 'value="x"' in page
    assert '<option value="file" selected>' in page and "<option selected>csv" in page


def test_two_to_one_place_are_refused_with_the_number_of_the_other(free: Workplace) -> None:
    free.send("asker", "/deliveries", **DECLARED)
    answer: Any = free.sent("head", "/deliveries", **DECLARED)
    assert answer.status_code == 422 and "第1号交付也以此为去处" in answer.text
    assert free.send("other", "/deliveries", **DECLARED) == "/deliveries/2", "another department's is another"


# ── with a request ────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_says_where_it_is_delivered_and_its_provider_sees_it(people: Workplace) -> None:
    assert 'name="place"' in people.page("asker", f"/requests/new?table={TABLE}")
    until = {"until": "2099-01-01"}
    where = {"method": "batch", "place": "inbox.visits", "mode": "swap"}
    here = people.send("asker", "/requests", **ASKED | until | where)
    (made,) = kept(people)
    assert (f"/requests/{made.request}", made.place, made.department) == (here, "inbox.visits", "education")
    for who in ("asker", "clerk"):
        page = people.page(who, here)
        assert 'href="/deliveries/1"' in page and "inbox.visits" in page
        assert "授权未开始" in people.page(who, "/deliveries/1")
        assert here in people.page(who, "/deliveries/1")
    for who, step, said in (
        ("head", "approve", {}),
        ("clerk", "propose", {"consent": "yes", "reason": "可"}),
        ("chief", "confirm", {}),
    ):
        people.send(who, f"{here}/{step}", **said)
    assert "未交付 not yet" in people.page("asker", "/deliveries")


def test_a_request_without_a_place_declares_nothing(people: Workplace) -> None:
    people.send("asker", "/requests", **ASKED | {"until": "2099-01-01", "method": "batch", "place": "  "})
    assert kept(people) == []


def test_a_delivery_that_does_not_fit_makes_no_request(people: Workplace) -> None:
    for said, tells in (
        ({"method": "batch", "place": "a;drop"}, "表名不正确"),
        ({"method": "api", "place": "visits"}, "库表交换或文件"),
    ):
        answer: Any = people.sent("asker", "/requests", **ASKED | {"until": "2099-01-01"} | said)
        assert answer.status_code == 422 and tells in answer.text and "<details open>" in answer.text
    assert "/requests/1" not in people.page("asker", "/workspace")
    assert kept(people) == []


def test_what_is_shared_by_request_is_asked_for_in_one(people: Workplace) -> None:
    assert TABLE not in people.page("asker", "/deliveries/new")
    answer: Any = people.sent("asker", "/deliveries", **DECLARED)
    assert answer.status_code == 422 and "该数据须经申请" in answer.text
    assert kept(people) == []


# ── who may ───────────────────────────────────────────────────────────────────────────────────────────────


def test_both_sides_see_it_and_its_recipient_alone_stops_it(free: Workplace) -> None:
    there = free.send("asker", "/deliveries", **DECLARED)
    receipt(free, 1, why="表已存在 a table of that name is there")
    for who in ("asker", "head", "clerk", "auditor", "bureau"):
        page = free.page(who, there)
        assert "失败 failed" in page and "a table of that name is there" in page
        assert there in free.page(who, "/deliveries")
        assert (f'action="{there}/stop"' in page) == (who in ("asker", "head"))
    for who, status in (("clerk", 403), ("auditor", 403), ("bureau", 403), ("other", 404), ("citizen", 404)):
        answer: Any = free.sent(who, f"{there}/stop")
        assert answer.status_code == status and 'role="alert"' in answer.text, who
    assert free["other"].here.get(there).status_code == 404
    assert there not in free.page("other", "/deliveries")
    assert kept(free)[0].ended is None
    for who in ("clerk", "auditor", "citizen"):
        refused: Any = free.sent(who, "/deliveries", **DECLARED)
        assert refused.status_code == 403 and "没有这样的角色" in refused.text, who
    assert free["citizen"].here.get("/deliveries").status_code == 403
    assert 'href="/deliveries"' not in free.page("citizen", "/workspace")
    assert len(kept(free)) == 1


def test_receipts_go_on_where_the_page_is_cut(free: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    there = free.send("asker", "/deliveries", **DECLARED)
    receipt(free, 1)
    receipt(free, 1, why="表已存在 a table of that name is there")
    assert "更早的 Earlier" not in free.page("asker", there)
    monkeypatch.setattr(receipts, "MOST", 1)
    monkeypatch.setattr(page_of, "MOST", 1)
    page = free.page("asker", there)
    assert "a table of that name" in page and 'href="?before=2"' in page
    page = free.page("asker", f"{there}?before=2")
    assert "a table of that name" not in page and 'href="?before=1"' in page
    assert "失败 failed" in page, "the state is the newest's"
    assert "还没有 None yet" in free.page("asker", f"{there}?before=1")


def test_forms_of_other_sites_change_nothing(free: Workplace) -> None:
    there = free.send("asker", "/deliveries", **DECLARED)
    for csrf in ("", "0" * 64, "🚪"):
        for path in ("/deliveries", f"{there}/stop"):
            answer: Any = free.sent("asker", path, **DECLARED | {"csrf": csrf, "place": "other"})
            assert answer.status_code == 403 and "表单已过期" in answer.text
    assert [each.ended for each in kept(free)] == [None]


def test_who_is_not_logged_in_logs_in(free: Workplace) -> None:
    there = free.send("asker", "/deliveries", **DECLARED)
    with TestClient(free.exchange.client.app) as nobody:
        for path in ("/deliveries", "/deliveries/new", there):
            assert nobody.get(path, follow_redirects=False).headers["location"] == "/login"
        for path in ("/deliveries", f"{there}/stop"):
            assert nobody.post(path, data=DECLARED).status_code == 401
    assert [each.ended for each in kept(free)] == [None]


@pytest.mark.parametrize(
    "path", ["/deliveries/99", f"/deliveries/{2**63}", "/deliveries/x", "/deliveries/-1"]
)
def test_what_is_not_there_is_told_on_a_page(free: Workplace, path: str) -> None:
    answer = free["asker"].here.get(path)
    assert answer.status_code in (404, 422) and 'role="alert"' in answer.text


def test_a_notice_of_a_failure_leads_to_its_receipts(free: Workplace, clock: Clock) -> None:
    there = free.send("asker", "/deliveries", **DECLARED)
    receipt(free, 1, why="x")
    gather(free.exchange.desk)
    for who in ("asker", "clerk"):
        assert f'<a href="{there}">第1号数据交付失败' in free.page(who, "/workspace")


def test_pages_hold_no_script(free: Workplace) -> None:
    there = free.send("asker", "/deliveries", **DECLARED)
    for path in ("/deliveries", "/deliveries/new", f"/deliveries/new?table={TABLE}", there):
        answer = free["asker"].here.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "<script" not in answer.text and not re.search(r"\ssrc=", answer.text)


def test_every_mode_has_its_words() -> None:
    assert set(MODES) == set(get_args(Mode))
