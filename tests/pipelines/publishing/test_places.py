"""Where releases lie: what is opened on conditions never in the folder that a city may serve, and what lies there still
goes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lake import releases
from lake.verify import Copy, verify
from pipelines.cli import app
from pipelines.downloads import releasing
from pipelines.erasure.proving import _is_public
from pipelines.leftover import left_over
from pipelines.listing import build_site, export
from pipelines.publishing import withdrawal
from pipelines.publishing.withdrawal import withdraw
from pipelines.stages import run_stage
from pipelines.upkeep import upkeep
from portal import Built
from schemas.errors import XuanwuError
from schemas.model import Entry
from tests.pipelines.badinput.town import DATASET, KEY, Town, batch_of, csv_of, path_source, rows

FREE = "open: {type: unconditional, fields: [no, district], downloads: [csv]}"
APPLIED_FOR = FREE.replace("unconditional", "conditional, conditions: {zh: 依申请}")
WITHOUT = FREE.replace("[csv]", "[]")
Opens = Callable[[str], Town]


@pytest.fixture
def opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opens:
    """A town whose dataset is opened in this way, after a day."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)

    def made(opened: str) -> Town:
        town = Town(tmp_path, path_source("csv", "csv", encoding="utf-8"))
        change(town, opened)
        for day in (1, 2):
            town.leave(f"0{day}", csv_of(rows(day)))
            town.run(day)
        return town

    return made


def change(town: Town, opened: str) -> None:
    entry = town.catalogue / "police/person.yaml"
    lines = [opened if line.startswith("open: ") else line for line in entry.read_text().splitlines()]
    entry.write_text("\n".join(lines) + "\n")


def files(town: Town, place: str) -> list[str]:
    root = Path(town.settings.lake_root, place)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def wrong(town: Town) -> list[str]:
    return [str(finding) for finding in verify(Copy(town.settings.lake_root))]


def site(town: Town) -> Built:
    return build_site(town.ctx)[2]


def test_what_is_opened_on_conditions_lies_apart(opens: Opens, tmp_path: Path) -> None:
    """Whatever the lists lead to is open to all."""
    town = opens(APPLIED_FOR)
    assert files(town, "downloads") == [] and site(town).copied == 0
    found = files(town, "conditional")
    assert {path.rsplit("/", 1)[-1] for path in found} >= {"latest.json", "index.json", "person.csv"}
    assert len([path for path in found if path.endswith("person.csv")]) == 2
    assert wrong(town) == []
    *_, catalog = export(town.ctx, tmp_path / "lists", base="https://data.city.example/downloads")
    (told,) = json.loads(catalog.read_text())["dcat:dataset"]
    assert "dcat:distribution" not in told and "dct:modified" in told
    uri = str(Path(town.settings.lake_root, "conditional", found[0]))
    assert _is_public(town.ctx, uri), "an erasure looks there for tokens"


@pytest.mark.parametrize(
    ("before", "after", "old", "new"),
    [(FREE, APPLIED_FOR, "downloads", "conditional"), (APPLIED_FOR, FREE, "conditional", "downloads")],
)
@pytest.mark.parametrize("day", [2, 3])
def test_the_next_publication_leaves_nothing_in_the_old_place(
    opens: Opens, caplog: pytest.LogCaptureFixture, before: str, after: str, old: str, new: str, day: int
) -> None:
    """A batch that is published again, and one that is new."""
    town = opens(before)
    assert files(town, old) and files(town, new) == []
    change(town, after)
    assert site(town).copied == 0, "nobody has it before it is released in its place"
    caplog.clear()
    if day == 3:
        town.leave("03", csv_of(rows(3)))
        town.run(day)
    else:
        run_stage(town.ctx, "publish", batch_of(day), "open/open")
    assert files(town, old) == [] and files(town, new)
    assert f"the releases of {DATASET} are gone from {old}/" in caplog.text
    assert "xuanwu run" not in caplog.text, "it is published"
    assert wrong(town) == []
    assert (site(town).copied > 0) == (new == "downloads")
    caplog.clear()
    town.run(day, "publish")
    assert "are gone" not in caplog.text and wrong(town) == []


def test_a_lake_from_before_has_its_conditional_releases_moved(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(releases, "place_of", lambda entry: "downloads")
        town = opens(APPLIED_FOR)
    assert len([path for path in files(town, "downloads") if path.endswith("person.csv")]) == 2
    assert files(town, "conditional") == [] and wrong(town) == []
    town.run(2, "publish")
    assert files(town, "downloads") == [] and wrong(town) == []
    (csv,) = (path for path in files(town, "conditional") if path.endswith("person.csv"))
    assert Path(town.settings.lake_root, "conditional", csv).read_bytes()


def test_upkeep_of_a_lake_from_before_says_what_gives_applicants_their_releases_again(
    opens: Opens, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It removes them at once: everybody may be served that folder."""
    with monkeypatch.context() as before:
        before.setattr(releases, "place_of", lambda entry: "downloads")
        town = opens(APPLIED_FOR)
    entry = town.ctx.catalogue.entry(DATASET)
    upkeep(town.ctx)
    assert files(town, "downloads") == files(town, "conditional") == [] and wrong(town) == []
    assert releases.shown(town.ctx.tables, entry) == []
    told = f"gone from downloads/; conditional/ has none before it is published: xuanwu run {DATASET} --from publish"
    assert told in caplog.text
    monkeypatch.setenv("XUANWU_HOME", str(town.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(town.settings.catalogue))
    ran = CliRunner().invoke(app, told.rpartition("xuanwu ")[2].split())
    assert ran.exit_code == 0, ran.output
    (release,) = releases.shown(town.ctx.tables, entry)
    assert release[0].startswith("conditional/") and wrong(town) == []


def test_upkeep_after_a_publication_that_was_killed_asks_for_no_other(
    opens: Opens, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The new release lies in its place, and the old one is there still."""
    town = opens(FREE)
    change(town, APPLIED_FOR)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(releasing, "withdraw_misplaced", killed)
        with pytest.raises(KeyboardInterrupt):
            town.run(2, "publish")
    upkeep(town.ctx)
    assert files(town, "downloads") == [] and files(town, "conditional")
    assert "are gone from downloads/" in caplog.text and "xuanwu run" not in caplog.text


@pytest.mark.parametrize("opened", [APPLIED_FOR, WITHOUT])
def test_upkeep_takes_away_what_lies_where_it_is_not_opened(
    opens: Opens, caplog: pytest.LogCaptureFixture, opened: str
) -> None:
    """Where the next publication is far or fails; and that makes it anew in its place. What lies in the wrong place is
    told as it goes: somebody looks for it there; what is no longer offered at all is not."""
    town = opens(FREE)
    change(town, opened)
    caplog.set_level(logging.WARNING)
    upkeep(town.ctx)
    assert files(town, "downloads") == files(town, "conditional") == []
    told = f"the releases of {DATASET} are gone from downloads/" in caplog.text
    assert told == (opened == APPLIED_FOR)
    assert wrong(town) == []
    town.run(2, "publish")
    assert files(town, "downloads") == [] and wrong(town) == []
    assert bool(files(town, "conditional")) == (opened == APPLIED_FOR)


@pytest.mark.parametrize("after", [0, 1])
def test_a_withdrawal_that_was_killed_goes_on(
    opens: Opens, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    town = opens(FREE)
    change(town, APPLIED_FOR)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    rooms = ((withdrawal.certifying, "attest"), (releases, "withdraw"))
    with monkeypatch.context() as patch:
        patch.setattr(*rooms[after], killed)
        with pytest.raises(KeyboardInterrupt):
            withdraw(town.ctx)
    if after:
        assert any("no certificate names this download" in each for each in wrong(town))
    withdraw(town.ctx)
    assert files(town, "downloads") == [] and wrong(town) == []


def test_a_publication_that_fails_leaves_the_rest_to_upkeep(opens: Opens) -> None:
    town = opens(FREE)
    change(town, APPLIED_FOR)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XUANWU_KEY_1")
        with pytest.raises(XuanwuError):
            town.run(2, "publish")
    withdraw(town.ctx)
    assert files(town, "downloads") == [] and wrong(town) == []


@pytest.mark.parametrize("places", [("conditional",), ("downloads", "conditional")])
def test_a_dataset_that_goes_takes_both_places_with_it(opens: Opens, places: tuple[str, ...]) -> None:
    town = opens(APPLIED_FOR)
    if "downloads" in places:
        stray = Path(town.settings.lake_root, "downloads", *DATASET.split("."), "old/person.csv")
        stray.parent.mkdir(parents=True)
        stray.write_text("left by a kill")
    other = (town.catalogue / "police/person.yaml").read_text()
    (town.catalogue / "police/person.yaml").unlink()
    (town.catalogue / "police/other.yaml").write_text(
        other.replace("id: police.person", "id: police.other").replace("000001", "000002")
    )
    (left,) = left_over(town.ctx)
    assert tuple(each for each in left.readable if "." not in each) == places
    withdraw(town.ctx)
    assert files(town, "downloads") == files(town, "conditional") == []


@pytest.mark.parametrize("place", ["downloads", "conditional"])
def test_what_nobody_certified_is_found_in_either_place(opens: Opens, place: str) -> None:
    town = opens(APPLIED_FOR)
    stray = Path(town.settings.lake_root, place, *DATASET.split("."), "more.csv")
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_text("x")
    assert wrong(town) == [f"{place}/police/person/more.csv: no certificate names this download"]


def test_a_conditional_file_on_the_public_site_is_found(opens: Opens) -> None:
    from lake.verify.downloads import check_site

    town = opens(APPLIED_FOR)
    site(town)
    (path, *_) = (each for each in files(town, "conditional") if each.endswith("person.csv"))
    put = Path(town.settings.portal_root, "downloads", path)
    put.parent.mkdir(parents=True)
    put.write_bytes(Path(town.settings.lake_root, "conditional", path).read_bytes())
    lake, found = Copy(town.settings.lake_root), Copy(town.settings.portal_root)
    assert list(verify(lake)) == []
    (finding,) = check_site(found, lake.downloads)
    assert finding.place == f"downloads/{path}" and "no certificate of the lake names" in finding.what


def test_a_changed_conditional_file_is_found(opens: Opens) -> None:
    town = opens(APPLIED_FOR)
    (path, *_) = (each for each in files(town, "conditional") if each.endswith("person.csv"))
    file = Path(town.settings.lake_root, "conditional", path)
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert wrong(town) == [f"conditional/{path}: the file is not the one that was certified: it was changed"]


def test_the_place_goes_by_the_condition(opens: Opens) -> None:
    town = opens(APPLIED_FOR)
    entry: Entry = town.ctx.catalogue.entry(DATASET)
    assert releases.place_of(entry) == "conditional"
    (folder, _) = next(releases.standing(town.settings.lake_root, entry))
    assert folder.startswith("conditional/police/person/")
