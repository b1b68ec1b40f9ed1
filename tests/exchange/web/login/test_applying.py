"""Applying for what is opened on conditions, in a browser: from the public site's link to the download."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.load import Catalogue
from schemas.settings import Settings
from tests.exchange.clock import Clock
from tests.exchange.web.conftest import CONDITIONAL, Exchange, opened
from tests.exchange.web.login.conftest import Workplace
from tests.exchange.web.test_applications import ON_CONDITIONS
from tests.pipelines.publishing.making import ID, KEY, SECRET, City, people

FORM = f"/applications/new?dataset={ID}"


@pytest.fixture
def exchange(
    settings: Settings,
    make_catalogue: Callable[[dict[str, str]], Catalogue],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Exchange]:
    monkeypatch.setenv(KEY, SECRET)
    city = City(settings, make_catalogue, share=CONDITIONAL, open=ON_CONDITIONS)
    city.publish(city.curate(1, people(400)), "open")
    with opened(city, clock) as made:
        yield made


def said(clock: Clock, **more: object) -> dict[str, object]:
    return {
        "dataset": ID,
        "applicant": "<b>某某研究所",
        "use": "governance",
        "purpose": "就诊人次研究",
        "safeguards": "内网使用",
        "until": (clock.now + timedelta(days=60)).date().isoformat(),
        "accepts": "yes",
        **more,
    }


def test_from_the_form_to_the_download(people: Workplace, clock: Clock) -> None:
    assert FORM in people.page("citizen", "/applications/new")
    assert "限科研与城市治理 For research and governance" in people.page("citizen", FORM)
    here = people.send("citizen", "/applications", **said(clock))
    assert people.steps("citizen", here) == {"withdraw"}
    assert people.steps("clerk", here) == {"return", "propose"}
    assert here in people.page("clerk", "/workspace") and "<b>某某研究所" in people.page("clerk", here)
    assert "<b>某某" not in people["clerk"].here.get(here).text
    people.send("clerk", f"{here}/propose", consent="yes", reason="符合开放条件")
    people.send("chief", f"{here}/confirm")
    page = people.page("citizen", here)
    assert "已授权 granted" in page and "城市治理 city governance" in page and "已接受的条件" in page
    found = dict(re.findall(r'href="(/api/v1/applications/\d+/releases/[^"]+)" download="([^"]+)"', page))
    assert {"visit.csv", "visit.parquet", "data_dictionary.json"} <= set(found.values())
    for place in found:
        answer = people["citizen"].here.get(place)
        assert answer.status_code == 200 and hashlib.sha256(answer.content).hexdigest() in page
    for other in ("clerk", "bureau", "auditor"):
        assert "/releases/" not in people.page(other, here)
    assert "某某研究所" not in people.page("auditor", here)
    people.send("citizen", f"{here}/dispose", disposal="已删除")
    assert "/releases/" not in people.page("citizen", here)


def test_nobody_confirms_another_answer_than_was_shown(people: Workplace, clock: Clock) -> None:
    here = people.send("citizen", "/applications", **said(clock))
    people.send("clerk", f"{here}/propose", consent="yes", reason="符合开放条件")
    (seen,) = set(re.findall(r'name="seen" value="(\d+)"', people.page("chief", here)))
    people.send("chief", f"{here}/send_back", reason="再议", seen=seen)
    people.send("clerk", f"{here}/propose", consent="no", reason="用途不符")
    late = people.sent("chief", f"{here}/confirm", seen=seen)
    assert late.status_code == 422 and "请再看一遍" in late.text  # type: ignore[attr-defined]
    assert "待确认 proposed" in people.page("citizen", here)
    (seen,) = set(re.findall(r'name="seen" value="(\d+)"', people.page("chief", here)))
    people.send("chief", f"{here}/confirm", seen=seen)
    assert "不予开放 declined" in people.page("citizen", here)


@pytest.mark.parametrize("name", ["data_dictionary.json", "index.json"])
def test_a_release_that_cannot_be_read_takes_nothing_else_of_the_page(
    people: Workplace, clock: Clock, name: str
) -> None:
    here = people.send("citizen", "/applications", **said(clock))
    people.send("clerk", f"{here}/propose", consent="yes", reason="符合开放条件")
    people.send("chief", f"{here}/confirm")
    (file,) = Path(people.exchange.city.settings.lake_root, "conditional").rglob(name)
    file.write_text("{")
    page = people.page("citizen", here)
    assert "数据暂时无法读取" in page and "/releases/" not in page and str(file) not in page
    people.send("citizen", f"{here}/dispose", disposal="已删除")


def test_a_refused_form_keeps_what_was_written(people: Workplace, clock: Clock) -> None:
    answer = people.sent("citizen", "/applications", **said(clock, accepts=""))
    assert answer.status_code == 422  # type: ignore[attr-defined]
    text = answer.text  # type: ignore[attr-defined]
    assert "请阅读并接受开放条件" in text and "就诊人次研究" in text and 'value="governance" selected' in text
    long = people.sent("citizen", "/applications", **said(clock, applicant="某" * 201))
    assert long.status_code == 422  # type: ignore[attr-defined]
    assert "申请主体名称过长" in long.text and "就诊人次研究" in long.text  # type: ignore[attr-defined]
    assert people.exchange.log("application") == []


@pytest.mark.parametrize("who", ["asker", "clerk", "bureau", "auditor"])
def test_who_is_no_member_of_the_public_is_led_elsewhere(people: Workplace, who: str) -> None:
    page = people.page(who, FORM)
    assert 'action="/applications"' not in page and "部门请" in page
    assert "/applications/new" not in people.page(who, "/workspace")


def test_the_public_is_not_told_of_share_requests(people: Workplace) -> None:
    page = people.page("citizen", "/workspace")
    assert "开放申请" in page and "共享申请" not in page
    assert "共享申请" in people.page("asker", "/workspace")


def test_a_form_that_was_not_given_to_this_browser_does_nothing(people: Workplace, clock: Clock) -> None:
    people.page("citizen", FORM)
    answer = people["citizen"].here.post("/applications", data={**said(clock), "csrf": "0" * 64})
    assert answer.status_code == 403 and people.exchange.log("application") == []
