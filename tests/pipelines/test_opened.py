"""The public site of a lake: what is released is shown, as it was released; what is closed is not, wherever it lies."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.listing import build_site
from pipelines.listing.opened import LONGEST, ROWS, opened_site
from portal import Dataset
from schemas.errors import SettingsError
from schemas.load import Catalogue
from schemas.settings import Settings
from tests.pipelines.publishing.making import ID, KEY, OPEN, SECRET, City, people
from tests.portal.reading import broken
from tests.waiting import ran

HIDDEN = ("张秘密", "ID-RAW", "1381234")
"""What the people of the test are known by, and no open table holds."""


@pytest.fixture
def city(
    settings: Settings,
    make_catalogue: Callable[[dict[str, str]], Catalogue],
    monkeypatch: pytest.MonkeyPatch,
) -> City:
    monkeypatch.setenv(KEY, SECRET)
    return City(settings, make_catalogue)


def release(city: City, day: int = 1, **more: Any) -> str:
    """The release of a day's people; returns its folder below `downloads/`."""
    published = city.publish(city.curate(day, people(400, day)), "open", **more)
    return "/".join(published.downloads[0].path.split("/")[-4:-1]).removeprefix("downloads/")


def shown(city: City) -> Dataset:
    (dataset,) = opened_site(city.ctx).site.datasets
    return dataset


def test_the_site_of_a_lake(city: City, tmp_path: Path) -> None:
    first, second = release(city), release(city, 2)
    place, site, built = build_site(city.ctx, str(tmp_path / "site"))
    assert built.copied == 12 and built.removed == 0
    assert broken(Path(place)) == []
    home = Path(place, "downloads", *ID.split("."))
    assert json.loads((home / "latest.json").read_text())["earlier"] == [first.rsplit("/", 1)[-1]]
    for folder in (first, second):
        there, here = Path(city.settings.lake_root, "downloads", folder), Path(place, "downloads", folder)
        assert {file.name for file in here.iterdir()} == {file.name for file in there.iterdir()}
        assert all((here / file.name).read_bytes() == file.read_bytes() for file in there.iterdir())
        ran(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=here, check=True)
    assert (home / "latest.json").read_bytes() == Path(
        city.settings.lake_root, "downloads", *ID.split("."), "latest.json"
    ).read_bytes()
    assert [each.rows for each in site.datasets[0].releases] == [400, 400]
    assert build_site(city.ctx, place)[2].unchanged == built.written + built.copied
    for file in Path(place).rglob("*"):
        assert file.is_dir() or not [word for word in HIDDEN if word.encode() in file.read_bytes()]


def test_the_sample_is_the_first_rows_of_the_csv(city: City) -> None:
    folder = release(city)
    with Path(city.settings.lake_root, "downloads", folder, "visit.csv").open(
        encoding="utf-8-sig", newline=""
    ) as lines:
        header, *rows = list(csv.reader(lines))
    dataset = shown(city)
    assert [field.name for field in dataset.fields] == header
    assert len(dataset.sample) == ROWS
    unguarded = [[value.removeprefix("'") for value in row] for row in rows]
    for told in dataset.sample:
        assert ["" if value is None else value.removeprefix("'") for value in told] in unguarded
    assert {
        value for row in dataset.sample for value in row if value is not None and len(value) > LONGEST
    } == set()


def test_how_far_each_field_is_filled(city: City) -> None:
    release(city)
    filled = {field.name: field.filled for field in shown(city).fields}
    blank = sum(row["district"] is None for row in people(400))
    assert filled["district"] == pytest.approx(1 - blank / 400)
    assert filled["visit_no"] == 1.0


def test_how_each_field_is_given(city: City) -> None:
    announced = {field.name: field.given for field in shown(city).fields}
    release(city)
    given = {field.name: field.given for field in shown(city).fields}
    assert given == announced and given["visit_no"] is None
    assert given["born"] is not None and given["born"].zh and given["born"].en


def test_a_dataset_that_has_not_come_yet_is_announced(city: City) -> None:
    dataset = shown(city)
    assert (dataset.releases, dataset.sample, dataset.release) == ((), (), None)
    assert [field.name for field in dataset.fields] == OPEN["fields"]


def test_a_release_with_a_field_that_is_closed_now_is_not_shown(city: City, tmp_path: Path) -> None:
    release(city)
    site = str(tmp_path / "site")
    build_site(city.ctx, site)
    city.change(open=OPEN | {"fields": [name for name in OPEN["fields"] if name != "memo"]})
    _, left, built = build_site(city.ctx, site)
    assert left.datasets[0].releases == () and built.removed > 0
    assert not list(Path(site).glob("downloads/**/*"))
    assert "memo" not in "".join(file.read_text() for file in Path(site).rglob("*.html"))
    assert not json.loads(Path(site, "catalog.jsonld").read_text())["dcat:dataset"]
    release(city)
    assert build_site(city.ctx, site)[1].datasets[0].release is not None


def test_a_dataset_that_is_not_open_any_more_leaves_the_site(city: City, tmp_path: Path) -> None:
    release(city)
    site = tmp_path / "site"
    build_site(city.ctx, str(site))
    assert (site / f"datasets/{ID.replace('.', '/')}.html").exists()
    text = {"zh": "不开放", "en": "closed"}
    city.change(open={"type": "none", "basis": text})
    _, left, _ = build_site(city.ctx, str(site))
    assert left.datasets == () and not (site / "downloads").exists()
    assert not [file for file in site.rglob("*") if file.is_file() and ID.encode() in file.read_bytes()]


def test_what_is_opened_on_conditions_is_described_and_not_given(city: City, tmp_path: Path) -> None:
    text = {"zh": "申请后提供", "en": "on application"}
    city.change(open=OPEN | {"type": "conditional", "conditions": text})
    release(city)
    place, site, built = build_site(city.ctx, str(tmp_path / "site"))
    (dataset,) = site.datasets
    assert (built.copied, dataset.sample, dataset.free) == (0, (), False)
    assert dataset.release is not None and dataset.release.rows == 400
    assert "申请后提供" in Path(place, f"datasets/{ID.replace('.', '/')}.html").read_text()
    assert not Path(place, "downloads").exists() and broken(Path(place)) == []
    (told,) = json.loads(Path(place, "catalog.jsonld").read_text())["dcat:dataset"]
    assert told["dct:accessRights"]["@id"].endswith("/RESTRICTED") and "dcat:distribution" not in told
    city.change(open=OPEN)
    release(city, 2)
    assert build_site(city.ctx, place)[2].copied > 0
    city.change(open=OPEN | {"type": "conditional", "conditions": text})
    build_site(city.ctx, place)
    assert not Path(place, "downloads").exists(), "what is bound to conditions now goes"


def test_what_is_opened_on_conditions_is_applied_for_at_the_exchange(city: City, tmp_path: Path) -> None:
    text = {"zh": "申请后提供", "en": "on application"}
    city.settings = city.settings.model_copy(update={"portal_exchange": "https://exchange.example/"})
    city.change(open=OPEN | {"type": "conditional", "conditions": text})
    release(city)
    place, _, _ = build_site(city.ctx, str(tmp_path / "site"))
    address = f"https://exchange.example/applications/new?dataset={ID}"
    assert address in Path(place, f"datasets/{ID.replace('.', '/')}.html").read_text()
    (told,) = json.loads(Path(place, "catalog.jsonld").read_text())["dcat:dataset"]
    assert {each["dcat:accessURL"]["@id"] for each in told["dcat:distribution"]} == {address}
    assert "downloadURL" not in json.dumps(told)
    city.change(open=OPEN)
    release(city, 2)
    build_site(city.ctx, place)
    (told,) = json.loads(Path(place, "catalog.jsonld").read_text())["dcat:dataset"]
    assert told["dct:accessRights"]["@id"].endswith("/PUBLIC") and "applications" not in json.dumps(told)


@pytest.mark.parametrize("place", ["home", "home/lake", "home/lake/site", "home/lake/downloads", ""])
def test_the_site_lies_apart_from_the_lake(city: City, tmp_path: Path, place: str) -> None:
    """Once built there, it would be served with what is in it; and in the lake a publication would remove it."""
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / place / ".portal.json").write_text("[]")
    with pytest.raises(SettingsError, match="the public site cannot lie at"):
        build_site(city.ctx, str(tmp_path / place))
    assert not (tmp_path / place / "index.html").exists()


def test_the_site_lies_apart_from_a_lake_on_s3(city: City) -> None:
    city.ctx = replace(city.ctx, settings=city.settings.model_copy(update={"lake": "s3://bucket/lake"}))
    for place in ("/", "s3://bucket", "s3://bucket/lake/", "s3://bucket/lake/site"):
        with pytest.raises(SettingsError, match="the public site cannot lie at"):
            build_site(city.ctx, place)


def test_a_format_that_was_left_out_is_told(
    settings: Settings, make_catalogue: Callable[[dict[str, str]], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, SECRET)
    city = City(settings.model_copy(update={"xlsx_cells": 10}), make_catalogue)
    release(city)
    (told,) = shown(city).releases
    assert [name for name, _ in told.left_out] == ["xlsx"] and "xlsx" not in {
        file.format for file in told.data
    }


def test_the_command_and_its_settings(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release(city)
    monkeypatch.setenv("XUANWU_HOME", str(city.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(tmp_path / "catalogue"))
    monkeypatch.setenv("XUANWU_PORTAL", str(tmp_path / "site"))
    monkeypatch.setenv("XUANWU_PORTAL_ADDRESS", "https://data.city.example/")
    monkeypatch.setenv("XUANWU_PORTAL_NAME", "某市公共数据开放平台")
    monkeypatch.setenv("XUANWU_PORTAL_EXCHANGE", "https://exchange.city.example/")
    done = CliRunner().invoke(app, ["portal"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == str(tmp_path / "site")
    assert "1 of 1 open datasets have a release" in done.stdout
    page = (tmp_path / f"site/datasets/{ID.replace('.', '/')}.html").read_text()
    assert "某市公共数据开放平台" in page
    assert f"https://exchange.city.example/objections/new?table=open/{ID}/open" in page
    catalog = json.loads((tmp_path / "site/catalog.jsonld").read_text())
    for each in catalog["dcat:dataset"][0]["dcat:distribution"]:
        place = each["dcat:downloadURL"]["@id"].removeprefix("https://data.city.example/")
        assert (tmp_path / "site" / place).is_file()
    assert CliRunner().invoke(app, ["portal", str(tmp_path / "catalogue")]).exit_code == 1


@pytest.mark.parametrize("place", ["s3://", "s3:///", "file:///"])
def test_an_address_of_nothing_is_no_folder_of_that_name(
    city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=f"{place} names no place"):
        build_site(city.ctx, place)
    assert not (tmp_path / "s3:").exists()


def test_a_licence_changes_the_pages_and_no_release(city: City, tmp_path: Path) -> None:
    """Files that were released say nothing of it: they need not be made anew."""
    curated, site = city.curate(1, people(400)), str(tmp_path / "site")
    before = city.publish(curated, "open").downloads
    build_site(city.ctx, site)
    licence = {"zh": "某市许可", "en": "The city's", "url": "https://data.city.example/licence"}
    city.change(open=OPEN | {"licence": licence})
    assert city.publish(curated, "open").downloads == before
    _, _, built = build_site(city.ctx, site)
    page = Path(site, f"datasets/{ID.replace('.', '/')}.html").read_text()
    assert built.copied == 0 and 'rel="license" href="https://data.city.example/licence"' in page
    assert "某市许可" in Path(site, "catalog.jsonld").read_text()


def test_the_citys_licence_is_told_once_and_on_every_page(
    settings: Settings, make_catalogue: Callable[[dict[str, str]], Catalogue], tmp_path: Path
) -> None:
    policy = "open: {licence: {zh: 某市许可, en: The city's, url: 'https://data.city.example/licence'}}\n"
    city = City(settings, lambda files: make_catalogue(files | {"policy.yaml": policy}))
    place, site, _ = build_site(city.ctx, str(tmp_path / "site"))
    assert site.licence is not None and site.licence == site.datasets[0].opened.licence
    for page in ("about.html", f"datasets/{ID.replace('.', '/')}.html"):
        assert "某市许可" in Path(place, page).read_text(), page
