"""The workspace: what somebody may do they do there, as over the API; and nothing else, and nobody else."""

from __future__ import annotations

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient

from exchange.accounts import open_account
from exchange.notices import gather
from exchange.objecting import RULES as OF_OBJECTIONS
from exchange.objections import find as find_objection
from exchange.opening import RULES as OF_APPLICATIONS
from exchange.process import RULES as OF_REQUESTS
from exchange.requests import find
from exchange.web.workspace import MOST_OVER
from exchange.words import CLOCKS, METHODS, SAID, STATES, STEPS
from schemas.workdays import day_of
from tests.exchange.clock import Clock
from tests.exchange.web.conftest import PEOPLE
from tests.exchange.web.login.conftest import ASKED, PASSWORD, TABLE, Browser, Workplace
from tests.pipelines.publishing.making import ID


def test_a_request_from_the_form_to_the_grant(people: Workplace) -> None:
    assert f"/requests/new?table={TABLE}" in people.page("asker", "/requests/new")
    form = people.page("asker", f"/requests/new?table={TABLE}")
    assert 'name="columns" value="fee"' in form and "限履职需要" in form
    here = people.ask()
    assert people.steps("asker", here) == {"withdraw"}
    assert people.steps("head", here) == {"approve", "withdraw"}
    assert people.send("head", f"{here}/approve") == here
    assert people.steps("clerk", here) == {"return", "extend", "propose"}
    people.send("clerk", f"{here}/propose", consent="yes", reason="符合职责")
    assert people.steps("clerk", here) == set()
    people.send("chief", f"{here}/confirm")
    granted = find(people.exchange.desk, PEOPLE["asker"], int(here.rpartition("/")[2]))
    assert (granted.state, granted.terms.columns, granted.terms.until.isoformat()[11:]) == (
        "granted",
        ("fee",),
        "15:59:59+00:00",
    )
    shown = people.page("head", here)
    assert "已授权 granted" in shown and "同意 yes" in shown and "符合职责" in shown
    assert "<b>核验" not in people["head"].here.get(here).text


def test_an_objection_from_the_form_to_its_answer(people: Workplace) -> None:
    here = people.ask()
    people.send("head", f"{here}/approve")
    people.send("clerk", f"{here}/propose", consent="yes", reason="可")
    people.send("chief", f"{here}/confirm")
    own = f"share/{ID}/default__grant_{here.rpartition('/')[2]}"
    assert own in people.page("asker", "/objections/new")
    said = {"table": own, "rows": "V00001\r\n\r\n V00002 ", "wrong": "费用为负", "columns": ["fee"]}
    there = people.send("asker", "/objections", **said)
    claim = find_objection(people.exchange.desk, PEOPLE["asker"], int(there.rpartition("/")[2])).terms
    assert (claim.rows, claim.columns, claim.wrong) == (("V00001", "V00002"), ("fee",), "费用为负")
    assert people.steps("clerk", there) == {"ask", "correct", "uphold"}
    people.send("clerk", f"{there}/ask", missing="哪一天")
    people.send("asker", f"{there}/explain", supplement="三月一日")
    people.send("clerk", f"{there}/uphold", reason="退费")
    assert people.steps("asker", there) == {"accept", "refer"}
    assert "退费" in people.page("asker", there)
    assert "退费" not in people.page("auditor", there) and "费用为负" not in people.page("auditor", there)


def test_the_public_objects_to_what_is_open_and_sees_its_own(people: Workplace) -> None:
    there = people.send("citizen", "/objections", table=f"open/{ID}/open", wrong="有误")
    assert there in people.page("citizen", "/workspace") and there in people.page("clerk", "/workspace")
    assert "申请数据" not in people.page("citizen", "/workspace")
    assert people["passer-by"].here.get(there).status_code == 404
    refused = people.sent("citizen", "/requests", **ASKED)
    assert refused.status_code == 403  # type: ignore[attr-defined]


def test_what_waits_is_told_first_and_what_is_late(people: Workplace, clock: Clock) -> None:
    here = people.ask()
    people.send("head", f"{here}/approve")
    gather(people.exchange.desk)
    page = people.page("clerk", "/workspace")
    assert "待办：已提交" in page and 'class="mine"' in page and "可办理" in page
    number = re.search(r'action="/notices/(\d+)/read"', page)
    assert number
    people.send("clerk", f"/notices/{number[1]}/read")
    assert "未读通知" not in people.page("clerk", "/workspace")
    clock.wait(days=30)
    people.browsers.clear()
    open_account(people.exchange.desk.state, "clerk-2", "health", ["provider"], PASSWORD)
    later = Browser(people.exchange, TestClient(people.exchange.client.app))
    later.by_password("clerk-2")
    assert "逾期 late" in later.here.get("/workspace").text


@pytest.mark.parametrize(
    ("path", "said", "status", "tells"),
    [
        ("/requests", {"table": TABLE, "basis": "x"}, 422, "scenario"),
        ("/requests", {**ASKED, "until": "2020-01-01"}, 422, "has passed"),
        ("/requests", {**ASKED, "until": "tomorrow"}, 422, "malformed"),
        (
            "/requests",
            {**ASKED, "until": "2099-01-01", "table": "share/health.nothing/default"},
            404,
            "no such",
        ),
        ("/requests", {**ASKED, "until": "2099-01-01", "table": "../../etc"}, 404, "no such"),
        ("/requests", {**ASKED, "until": "2099-01-01", "basis": "据" * 4001}, 422, "文字过长"),
        ("/objections", {"table": f"open/{ID}/open"}, 422, "what is wrong"),
        ("/objections", {"table": f"open/{ID}/open", "wrong": "x", "rows": "1\n" * 101}, 422, "rows"),
        ("/objections", {"table": TABLE, "wrong": "x"}, 404, "no such table"),
        ("/requests/1/propose", {"consent": "yes", "reason": "x"}, 403, "provider"),
        ("/requests/1/confirm", {}, 403, "provider"),
        ("/requests/1/nothing", {}, 422, "malformed"),
        ("/requests/x/withdraw", {}, 404, "没有这个资源"),
        ("/workspace", {}, 405, "不支持的方法"),
        ("/requests", {"basis": "x" * 70_000}, 413, "65536 bytes"),
        ("/requests/7/withdraw", {}, 404, "no request 7"),
        (f"/requests/{2**63}/withdraw", {}, 422, "malformed"),
    ],
)
def test_what_is_refused_is_told_on_a_page(
    people: Workplace, path: str, said: dict, status: int, tells: str
) -> None:
    people.ask()
    answer = people.sent("asker", path, **said)
    assert answer.status_code == status, answer.text  # type: ignore[attr-defined]
    assert answer.headers["content-type"].startswith("text/html")  # type: ignore[attr-defined]
    assert tells in unescape(answer.text) and 'role="alert"' in answer.text  # type: ignore[attr-defined]


def test_a_form_that_was_refused_keeps_what_was_written(people: Workplace) -> None:
    page = unescape(people.sent("asker", "/requests", **ASKED | {"until": "2020-01-01"}).text)  # type: ignore[attr-defined]
    assert "条例第三条" in page and 'value="fee" checked' in page and 'value="2020-01-01"' in page


def test_forms_of_other_sites_change_nothing(people: Workplace) -> None:
    here = people.ask()
    for path in (f"{here}/withdraw", "/requests", "/objections", "/objections/1/withdraw", "/notices/1/read"):
        for csrf in ("", "0" * 64):
            answer = people.sent("asker", path, csrf=csrf)
            assert answer.status_code == 403  # type: ignore[attr-defined]
            assert "表单已过期" in answer.text  # type: ignore[attr-defined]
    assert "已起草 drafted" in people.page("asker", here)


def test_who_is_not_logged_in_logs_in(people: Workplace) -> None:
    here = people.ask()
    with TestClient(people.exchange.client.app) as nobody:
        for path in ("/workspace", here, "/requests/new", "/objections/new", "/objections/1"):
            assert nobody.get(path, follow_redirects=False).headers["location"] == "/login"
        for path in (f"{here}/withdraw", "/requests", "/objections", "/notices/1/read"):
            answer = nobody.post(path, follow_redirects=False)
            assert answer.status_code == 401 and "登录已结束，未作任何更改" in answer.text
            assert 'action="/login"' in answer.text


def test_pages_count_against_the_callers_rate(people: Workplace) -> None:
    browser = people["asker"]
    people.exchange.house.per_minute = 5
    last = [browser.here.get("/workspace") for _ in range(20)][-1]
    assert last.status_code == 429 and last.headers["Retry-After"]
    assert 'role="alert">请求过于频繁' in last.text


def test_pages_hold_no_script_and_are_framed_by_nobody(people: Workplace) -> None:
    here = people.ask()
    for page in ("/workspace", here, f"/requests/new?table={TABLE}", "/objections/new", "/requests/99"):
        answer = people["asker"].here.get(page)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "<script" not in answer.text and " src=" not in answer.text


def test_every_step_state_clock_and_word_of_a_case_has_its_words() -> None:
    assert set(STEPS) == {*OF_REQUESTS, *OF_OBJECTIONS, *OF_APPLICATIONS}
    rules = [*OF_REQUESTS.values(), *OF_OBJECTIONS.values(), *OF_APPLICATIONS.values()]
    assert set(SAID) == {need for rule in rules for need in rule.needs}
    states = {rule.to for rule in rules if rule.to}
    assert states | {"granted", "refused", "declined"} == set(STATES)
    assert set(CLOCKS) == {"reply", "supplement", "deliver", "verify", "explain", "dispose", "answer"}
    assert set(METHODS) == {"api", "batch", "file"}


def test_the_longest_texts_come_through_a_form_as_a_browser_sends_it(people: Workplace) -> None:
    """Percent-encoded, two long texts would be more than a body may be; a browser counts a line's end as one sign, and
    sends two."""
    text = ("据" * 79 + "\n") * 50
    form = people.page("asker", f"/objections/new?table=open/{ID}/open")
    assert 'action="/objections" enctype="multipart/form-data"' in form
    said = {
        "table": f"open/{ID}/open",
        "wrong": text.replace("\n", "\r\n"),
        "proposed": text,
        "columns": "fee",
    }
    said |= {"csrf": people["citizen"].csrf(), "rows": "\r\n".join(f"{place:0>198}" for place in range(100))}
    answer = people["citizen"].here.post(
        "/objections", files=[(name, (None, value)) for name, value in said.items()], follow_redirects=False
    )
    assert answer.status_code == 303, answer.text
    number = int(answer.headers["location"].rpartition("/")[2])
    claim = find_objection(people.exchange.desk, PEOPLE["bureau"], number).terms
    assert (claim.wrong, len(claim.rows)) == (text, 100)


def test_a_snapshot_is_one_of_the_tables_and_no_text(people: Workplace) -> None:
    """It stands in the audit log and on auditors' pages, where no word of a person's stands."""
    said = {"table": f"open/{ID}/open", "wrong": "有误", "snapshot": "320102199001010017"}
    answer = people.sent("citizen", "/objections", **said)
    assert answer.status_code == 422 and "没有这个快照" in answer.text  # type: ignore[attr-defined]
    assert people.exchange.log("objection") == []


def test_what_was_granted_once_may_be_objected_to_there_too(people: Workplace) -> None:
    here = people.ask()
    for who, step, said in (
        ("head", "approve", {}),
        ("clerk", "propose", {"consent": "yes", "reason": "可"}),
        ("chief", "confirm", {}),
        ("chief", "revoke", {"reason": "用途不符"}),
    ):
        people.send(who, f"{here}/{step}", **said)
    own = f"share/{ID}/default__grant_{here.rpartition('/')[2]}"
    assert own in people.page("asker", "/objections/new")
    form = people.page("asker", f"/objections/new?table={own}")
    assert 'value="fee"' in form and 'value="visit_no"' not in form
    assert "/objections/new" not in people.page("clerk", "/workspace")
    assert "没有这样的角色" in people.page("clerk", "/objections/new")


def test_a_page_tells_whose_turn_it_is_and_how_to_read_what_was_granted(people: Workplace) -> None:
    here = people.ask()
    assert "审批通过 approve（需求方 requester，审批人 approver）" in people.page("asker", here)
    people.send("head", f"{here}/approve")
    people.send("clerk", f"{here}/propose", consent="yes", reason="可")
    assert "读取数据" not in people.page("asker", here)
    people.send("chief", f"{here}/confirm")
    assert "一刻钟内生成" in people.page("asker", here)
    assert "读取数据" not in people.page("clerk", here)
    assert here in people.page("asker", "/tables") and "一刻钟内生成" in people.page("asker", "/tables")
    assert here not in people.page("clerk", "/tables")
    assert people["citizen"].here.get("/tables").status_code == 403


def test_a_step_that_was_refused_keeps_what_was_written(people: Workplace) -> None:
    here = people.ask()
    people.send("head", f"{here}/approve")
    answer = people.sent("clerk", f"{here}/extend", reason="尚需核对", working_days="11")
    assert answer.status_code == 422 and "尚需核对</textarea>" in answer.text  # type: ignore[attr-defined]
    assert "填写的内容不合要求" in answer.text and 'value="11"' in answer.text  # type: ignore[attr-defined]


def test_a_form_that_has_gone_stale_is_given_again_with_what_was_written(people: Workplace) -> None:
    answer = people.sent("asker", "/requests", **ASKED, csrf="0" * 64)
    assert answer.status_code == 403 and "表单已过期" in answer.text  # type: ignore[attr-defined]
    assert "条例第三条</textarea>" in answer.text and people["asker"].csrf() in answer.text  # type: ignore[attr-defined]


def test_a_notice_leads_to_what_it_is_about(people: Workplace) -> None:
    here = people.ask()
    gather(people.exchange.desk)
    assert f'<a href="{here}">共享申请1：待办' in people.page("head", "/workspace")


def test_notices_go_on_where_the_lists_are_cut(people: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = people.ask(), people.ask()
    gather(people.exchange.desk)
    assert "更早的 Earlier" not in people.page("head", "/workspace") + people.page("head", "/notices")
    for where in ("exchange.notices", "exchange.web.workspace"):
        monkeypatch.setattr(f"{where}.MOST", 1)
    newest = people.exchange.get("/api/v1/notices", "head").json()
    earlier = people.exchange.get("/api/v1/notices", "head", params={"before": newest[0]["number"]}).json()
    assert [each["request"] for each in (*newest, *earlier)] == [2, 1]
    on = f"unread_before={newest[0]['number']}"
    page = people.page("head", "/workspace")
    assert f'href="{second}">' in page.partition("<h2>共享")[0] and f'href="/notices?{on}"' in page
    assert f'href="?{on}"' in people.page("head", "/notices")
    page = people.page("head", f"/notices?{on}")
    assert f'href="{first}">' in page and f'href="{second}">' not in page
    for each in (*newest, *earlier):
        people.send("head", f"/notices/{each['number']}/read")
    page = people.page("head", "/notices")
    assert f'href="?read_before={newest[0]["number"]}"' in page and "unread_before" not in page
    page = people.page("head", f"/notices?read_before={newest[0]['number']}")
    assert f'href="{first}">' in page and f'href="{second}">' not in page


def test_what_was_read_stays_to_be_seen_below_what_was_not(people: Workplace, clock: Clock) -> None:
    first, second = people.ask(), people.ask()
    gather(people.exchange.desk)
    page = people.page("head", "/workspace")
    assert 'href="/notices"' in page
    numbers = re.findall(r'action="/notices/(\d+)/read"', page)
    assert len(numbers) == 2
    clock.wait(hours=1)
    assert people.send("head", f"/notices/{numbers[1]}/read", back="/notices") == "/notices"
    unread, _, read = people.page("head", "/notices").partition("<h2>已读 Read</h2>")
    assert f'href="{second}"' in unread and f'href="{first}"' not in unread
    assert (
        f'href="{first}"' in read
        and f"已读 read {day_of(clock.now)}" in read
        and f'href="{second}"' not in read
    )
    assert re.findall(r'action="/notices/(\d+)/read"', unread + read) == [numbers[0]]
    assert people.send("head", f"/notices/{numbers[0]}/read") == "/workspace"
    page = people.page("head", "/workspace")
    assert "未读通知" not in page and 'href="/notices"' in page
    read = people.page("head", "/notices").partition("<h2>已读 Read</h2>")[2]
    assert read.index(f'href="{second}"') < read.index(f'href="{first}"')
    for who in ("clerk", "auditor", "citizen"):
        assert "/requests/" not in people.page(who, "/notices")
    assert 'href="/notices"' not in people.page("auditor", "/workspace")
    answer = people.sent("head", f"/notices/{numbers[0]}/read", back="//evil.example")
    assert answer.status_code == 422 and "location" not in answer.headers  # type: ignore[attr-defined]


def test_of_what_is_over_the_newest_are_shown_and_the_rest_is_counted(people: Workplace) -> None:
    for _ in range(MOST_OVER + 2):
        people.send("asker", f"{people.ask()}/withdraw")
    open_one = people.ask()
    page = people.page("asker", "/workspace")
    shown = [int(number) for number in re.findall(r'href="/requests/(\d+)"', page)]
    last = int(open_one.rpartition("/")[2])
    assert shown == [last, *range(last - 1, last - 1 - MOST_OVER, -1)]
    assert "另有已办结 2 件" in page
