"""A person erased from what is opened on conditions: from its releases, from those before them, and from what an
applicant is given."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from exchange.accounts import make_token, open_account
from exchange.applications import apply_for, take
from exchange.desk import Desk
from exchange.people import Principal
from exchange.state import State
from exchange.web.app import make_app
from exchange.web.house import House
from lake import certificates, erasures
from lake.releases import PLACES
from lake.search import Needles, files_below, search
from lake.tables import Tables
from lake.verify import Copy, verify
from lake.zones import published_table
from pipelines.erasure.erase import Erased, erase
from pipelines.gates import disclosure
from pipelines.gates.disclosure import Judged, Opening, judge
from pipelines.proof.certifying import open_log
from schemas.errors import DisclosureRisk
from tests.pipelines.erasure.test_erase import killed_at
from tests.pipelines.erasure.town import KEY, VISIT, Town, csv_of, person, subject, visits

OPENED = ("health.visit", "base.wards")
HOSTS = ("police.person", *OPENED)
CONDITIONAL = (
    "open: {type: conditional, conditions: {zh: 限科研}, fields: [no, ward], downloads: [csv, xlsx, parquet]}"
)
FREE = CONDITIONAL.replace("conditional, conditions: {zh: 限科研}", "unconditional")
CLOSED = "open: {type: none, basis: {zh: 个人}}"
WARDS = f"""
id: base.wards
title: {{zh: 测, en: T}}
summary: {{zh: 测, en: T}}
code: "101003/000001"
owner: health
subject: person
assessed: {{secrecy: {{day: "2026-01-05", number: 保审1号}}, impact: {{day: "2026-01-06", number: 评1号}}, approved: {{day: "2026-01-07", number: 审1号}}}}
source:
  kind: lake
  inputs: [health.visit]
  sql: SELECT no, ward FROM health.visit
key: [no]
merge: {{kind: snapshot}}
share: {{type: unconditional}}
{CONDITIONAL}
fields:
  no: {{type: string, grade: 1, risk: none}}
  ward: {{type: string, grade: 1, risk: none}}
checks:
  - {{expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}}
"""
"""Of persons, whom it does not name: it is made anew of its input."""
WHO = 13
OTHERS = tuple(number for number in range(60) if number != WHO)
"""Some of them are left out of the releases, to hide who is gone."""


LINES = Principal("li", "health", frozenset({"provider"}))
CHIEF = Principal("zhao", "health", frozenset({"provider", "approver"}))
CITIZEN = Principal("citizen", "", frozenset({"public"}))
PATH = "/api/v1/applications"


def numbers(*who: int) -> Needles:
    """Those of these persons' visits, by which the rows are found in a release."""
    return Needles([f"V{day}{each:04}" for day in (1, 2) for each in who])


def change(town: Town, dataset: str, opened: str) -> None:
    """Have the dataset opened in another way."""
    entry = town.settings.catalogue / f"{dataset.replace('.', '/')}.yaml"
    lines = [opened if line.startswith("open: ") else line for line in entry.read_text().splitlines()]
    entry.write_text("\n".join(lines) + "\n")


def begun(root: Path) -> Town:
    """Two days, each with a release of either dataset."""
    town = Town(root)
    visit = VISIT.replace("SOURCE", town.source).replace(
        "no: {type: string, grade: 2", "no: {type: string, grade: 1"
    )
    (town.settings.catalogue / "health/visit.yaml").write_text(visit)
    (town.settings.catalogue / "base/wards.yaml").write_text(WARDS)
    change(town, "health.visit", CONDITIONAL)
    town.people()
    for day in (1, 2):
        town.leave(day, csv_of(visits(day)))
        town.run(day, *HOSTS)
    return town


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Town:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        town = begun(tmp_path_factory.mktemp("town"))
    for each in ("home", "catalogue"):
        shutil.copytree(town.root / each, town.root / "as-it-was" / each)
    return town


@pytest.fixture
def town(lived: Town) -> Town:
    """The same lake at the same place, as it was."""
    for each in ("home", "catalogue"):
        shutil.rmtree(lived.root / each)
        shutil.copytree(lived.root / "as-it-was" / each, lived.root / each)
    lived.later(hours=1)
    return lived


def done(town: Town, *, again: bool = False) -> Erased:
    return erase(town.ctx, subject(person(WHO)[0]), "X-1", beside_runs=again)


def wrong(town: Town) -> list[str]:
    sums = [str(each.sum) for each in town.ctx.ledger.sums() if not each.sum.holds]
    return [str(finding) for finding in verify(Copy(str(town.lake)))] + sums


def lying(town: Town, place: str = "conditional") -> list[str]:
    """The files of a place, below the lake."""
    return [uri.removeprefix(f"{town.lake}/") for uri in files_below(str(town.lake / place))]


def holding(town: Town, *who: int) -> set[str]:
    """The datasets whose releases, in either place, hold rows of one of these persons."""
    roots = [str(town.lake / place) for place in PLACES]
    found = search([uri for root in roots for uri in files_below(root)], numbers(*who)).found
    return {".".join(uri.removeprefix(f"{town.lake}/").split("/")[1:3]) for uri in found}


# ── what an applicant is given ────────────────────────────────────────────────────────────────────────────


@dataclass
class Applicant:
    """Somebody of the public, with a granted application for each dataset."""

    client: TestClient
    headers: dict[str, str]
    applications: dict[str, int]

    def get(self, path: str) -> Response:
        return self.client.get(path, headers=self.headers)

    def releases(self, dataset: str) -> list[dict[str, Any]]:
        answer = self.get(f"{PATH}/{self.applications[dataset]}/releases")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def urls(self) -> list[str]:
        """Every file of every release."""
        each = (release for dataset in self.applications for release in self.releases(dataset))
        return [file["url"] for release in each for file in release["files"]]

    def told_of(self, folder: Path, *who: int) -> set[str]:
        """The files that hold rows of one of them, by the end of their names, as they were downloaded."""
        for number, url in enumerate(self.urls()):
            answer = self.get(url)
            assert answer.status_code == 200, answer.text
            folder.mkdir(exist_ok=True)
            (folder / f"{number}-{url.rpartition('/')[2]}").write_bytes(answer.content)
        return {uri.rpartition("-")[2] for uri in search(files_below(str(folder)), numbers(*who)).found}


@contextmanager
def applicant(town: Town) -> Iterator[Applicant]:
    desk = Desk(State(town.settings), town.ctx.catalogue, open_log(town.ctx)[0], lambda: town.clock)
    open_account(desk.state, CITIZEN.name, "", ["public"])
    days = timedelta(days=30)
    token, _ = make_token(desk.state, CITIZEN.name, "", ["read"], now=town.clock, lasts=days)
    wanted = {
        "applicant": "某研究所",
        "use": "innovation",
        "purpose": "研究",
        "safeguards": "内网",
        "accepts": True,
    }
    granted = {}
    for dataset in OPENED:
        said = wanted | {"dataset": dataset, "until": (town.clock + days).isoformat()}
        granted[dataset] = apply_for(desk, CITIZEN, said).number
        take(desk, LINES, granted[dataset], "propose", {"consent": True, "reason": "可"})
        take(desk, CHIEF, granted[dataset], "confirm", {})
    with TestClient(make_app(House(desk, town.ctx.tables))) as client:
        yield Applicant(client, {"Authorization": f"Bearer {token}"}, granted)


ALL = {f"{name}.{kind}" for name in ("visit", "wards") for kind in ("csv", "xlsx", "parquet")}


def test_no_release_and_no_answer_holds_who_was_erased(town: Town, tmp_path: Path) -> None:
    """Of a dataset that names its persons, and of one that is derived of it and does not."""
    with applicant(town) as citizen:
        assert citizen.told_of(tmp_path / "before", WHO) == ALL
        before = citizen.urls()
        assert [len(citizen.releases(dataset)) for dataset in OPENED] == [2, 2]
        told = done(town)
        assert told.withdrawn == ()
        assert holding(town, WHO) == set() and holding(town, *OTHERS) == set(OPENED)
        assert [len(citizen.releases(dataset)) for dataset in OPENED] == [1, 1]
        assert citizen.told_of(tmp_path / "after", WHO) == set()
        assert citizen.told_of(tmp_path / "after", *OTHERS) == ALL
        assert {citizen.get(url).status_code for url in before} == {404}
    assert wrong(town) == []
    town.leave(3, csv_of(visits(3)))
    town.run(3, *HOSTS)
    assert holding(town, WHO) == set() and wrong(town) == []


def test_the_certificate_tells_of_them(town: Town) -> None:
    """How many files were replaced, and by the certificates of what: they name the releases as they lie now."""
    places = [f"conditional/{dataset.replace('.', '/')}/" for dataset in OPENED]
    before = [sum(path.startswith(place) for path in lying(town)) for place in places]
    told = done(town).erasure
    counted = {(each.zone, each.dataset): each.files for each in told.places}
    assert [counted["downloads", dataset] for dataset in OPENED] == before == [15, 15]
    assert counted["open", "base.wards"] == counted["share", "base.wards"] == 2
    tables = sorted(proof.path.split("/")[-2] for proof in told.publications)
    shared = [f"{dataset.replace('.', '__')}__default" for dataset in HOSTS]
    assert tables == sorted(["health__visit", "base__wards", *shared])
    proofs = [each for each in told.publications if "/open/" in each.path]
    now = [certificates.load(str(town.lake), each.path) for each in proofs]
    assert sorted(proof.path for each in now if each for proof in each.downloads) == lying(town)
    assert not numbers(WHO).among((town.lake / erasures.path_of(told.id)).read_bytes())


def test_a_release_that_is_put_back_is_found(town: Town, tmp_path: Path) -> None:
    shutil.copytree(town.lake / "conditional", tmp_path / "kept")
    before = set(lying(town))
    done(town)
    shutil.copytree(tmp_path / "kept", town.lake / "conditional", dirs_exist_ok=True)
    found = {each.partition(": ")[0] for each in wrong(town)}
    assert found == before, "and `latest.json`, which is not the certified one"


# ── not as it should go ───────────────────────────────────────────────────────────────────────────────────


def refused(opening: Opening) -> Judged:
    if opening.zone == "open":
        raise DisclosureRisk("persons would be singled out")
    return judge(opening)


def killing(first: Callable[..., None] | None) -> Callable[..., None]:
    def kill(*arguments: Any) -> None:
        if first:
            first(*arguments)
        raise KeyboardInterrupt

    return kill


@pytest.mark.parametrize("killed", ["", "before the drop", "after it"])
def test_what_does_not_pass_its_gates_without_them_is_withdrawn(
    town: Town, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    """And its releases with it, also where the process was killed in between."""
    with applicant(town) as citizen:
        before = citizen.urls()
        monkeypatch.setattr(disclosure, "judge", refused)
        if killed:
            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr(Tables, "drop", killing(Tables.drop if killed == "after it" else None))
                done(town)
            town.later(hours=1)
        told = done(town, again=bool(killed))
        assert sorted(told.withdrawn) == ["open.base__wards", "open.health__visit"]
        assert lying(town) == []
        assert [citizen.releases(dataset) for dataset in OPENED] == [[], []]
        assert {citizen.get(url).status_code for url in before} == {404}
    assert wrong(town) == []


@pytest.mark.parametrize("step", [20, 60, 90, 120, 150, 180])
def test_killed_and_run_again_nothing_is_left_in_a_release(town: Town, step: int) -> None:
    ctx = town.ctx
    assert killed_at(step, lambda: erase(ctx, subject(person(WHO)[0]), "X-1"))
    town.later(hours=1)
    told = done(town, again=True).erasure
    assert holding(town, WHO) == set() and holding(town, *OTHERS) == set(OPENED)
    assert len({path.split("/")[-2] for path in lying(town)} - {"visit", "wards"}) == 2, "one release each"
    counted = {(each.zone, each.dataset): each.files for each in told.places}
    assert [counted["downloads", dataset] for dataset in OPENED] == [15, 15]
    assert wrong(town) == []


@pytest.mark.parametrize("dataset", OPENED)
@pytest.mark.parametrize("opened", [CLOSED, FREE])
def test_what_is_opened_no_more_or_in_another_way_goes_with_them(
    town: Town, dataset: str, opened: str
) -> None:
    """Though neither a publication nor upkeep came since."""
    change(town, dataset, opened)
    done(town)
    place = f"{dataset.replace('.', '/')}/"
    assert not [path for path in lying(town) if path.startswith(f"conditional/{place}")]
    assert bool(lying(town, "downloads")) == (opened == FREE)
    assert holding(town, WHO) == set() and wrong(town) == []
    assert town.ctx.tables.exists(published_table(dataset, "open", "")) == (opened == FREE)
