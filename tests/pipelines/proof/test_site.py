"""`xuanwu verify --site`: the public site's downloads are those that the lake's certificates name, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lake.releases import as_json
from pipelines.cli import app
from pipelines.listing import build_site
from tests.pipelines.badinput.town import KEY, Town, csv_of, path_source, rows


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """A town that has published a day, and its site."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    town = Town(tmp_path, path_source("csv", "csv", encoding="utf-8"))
    town.leave("01", csv_of(rows(1)))
    town.run(1)
    build_site(town.ctx)
    monkeypatch.setenv("XUANWU_HOME", str(town.settings.home))
    yield town


def verified(town: Town, *more: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["verify", "--site", town.settings.portal_root, *more])
    return done.exit_code, done.stdout


def pointer(town: Town) -> Path:
    return Path(town.settings.portal_root, "downloads/police/person/latest.json")


def download(town: Town) -> Path:
    return next(Path(town.settings.portal_root, "downloads").rglob("*.csv"))


def test_a_site_as_it_was_built(town: Town) -> None:
    code, said = verified(town)
    count = sum(path.is_file() for path in Path(town.settings.portal_root, "downloads").rglob("*"))
    assert code == 0 and f"site: {count} downloads are as certified" in said and count >= 6


def test_a_download_that_was_changed(town: Town) -> None:
    file = download(town)
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    code, said = verified(town)
    assert code == 1 and f"{file.name}: the file is not the one that was certified" in said
    assert "are as certified" not in said


def test_a_download_that_somebody_put_there(town: Town) -> None:
    (download(town).parent / "more.csv").write_text("x")
    code, said = verified(town)
    assert code == 1 and "more.csv: no certificate of the lake names this download" in said


def test_what_was_withdrawn_and_stays_on_the_site(town: Town) -> None:
    town.leave("02", csv_of(rows(2)))
    town.run(2)
    code, said = verified(town, "--all")
    assert code == 1 and "latest.json: the file is not the one that was certified" in said
    build_site(town.ctx)
    assert verified(town)[0] == 0


def test_a_field_that_was_closed_takes_all_releases_with_it(town: Town) -> None:
    """Those that `latest.json` names are under the same masks, which are of the same fields: the site never has a
    part of them, and its `latest.json` is the one that was certified, or there is none."""
    town.leave("02", csv_of(rows(2)))
    town.run(2)
    build_site(town.ctx)
    assert len(json.loads(pointer(town).read_text())["earlier"]) == 1
    entry = town.catalogue / "police/person.yaml"
    entry.write_text(entry.read_text().replace("fields: [no, district]", "fields: [no]"))
    build_site(town.ctx)
    assert not pointer(town).exists() and verified(town)[0] == 0
    town.leave("03", csv_of(rows(3)))
    town.run(3)
    build_site(town.ctx)
    assert json.loads(pointer(town).read_text())["earlier"] == []
    assert verified(town)[0] == 0


@pytest.mark.parametrize("name", ["20260301T000000Z-1f0c9a2e-3b4d5a6f", ""])
def test_who_is_sent_elsewhere_than_the_certificate_says(town: Town, name: str) -> None:
    """To a release that no certificate names, or away from the newest, which is one that may be shown."""
    town.leave("02", csv_of(rows(2)))
    town.run(2)
    build_site(town.ctx)
    said = json.loads(pointer(town).read_text())
    name = name or said["earlier"][0]
    pointer(town).write_bytes(as_json(said | {"release": name, "index": f"{name}/index.json", "earlier": []}))
    code, found = verified(town, "--all")
    assert code == 1 and "latest.json: the file is not the one that was certified" in found


def test_a_site_that_lacks_some_is_none_that_is_wrong(town: Town) -> None:
    for path in sorted(Path(town.settings.portal_root, "downloads").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert verified(town)[0] == 0


def test_a_lake_that_is_wrong_is_told_first(town: Town) -> None:
    file = next(Path(town.settings.lake_root, "downloads").rglob("*.csv"))
    file.chmod(0o600)
    file.write_bytes(file.read_bytes() + b"x")
    code, said = verified(town)
    assert code == 1 and "site" not in said and file.name in said


def test_where_there_is_no_site(town: Town, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["verify", "--site", str(tmp_path / "nowhere")])
    assert done.exit_code == 1 and "there is no public site" in str(done.exception)
