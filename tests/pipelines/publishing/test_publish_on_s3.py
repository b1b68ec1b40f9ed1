"""Publication into a lake on a real S3 server: the table begins anew, the release is switched, all of it is removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lake import store
from pipelines.publishing.withdrawal import withdraw
from schemas.load import Catalogue
from schemas.settings import Settings
from tests.pipelines.publishing.making import KEY, OPEN, SECRET, City, people
from tests.s3 import S3


def test_publish_renew_withdraw(
    s3: S3,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_catalogue: Callable[[dict[str, str]], Catalogue],
) -> None:
    for name, value in {**s3.variables, KEY: SECRET}.items():
        monkeypatch.setenv(name, value)
    city = City(Settings(home=tmp_path / "home", lake=f"{s3.bucket('lake')}/publish"), make_catalogue)
    merged = city.curate(1, people())
    first = city.publish(merged, "open")
    home = store.join(city.settings.lake_root, "downloads", "health", "visit")
    pointer = json.loads(store.read_bytes(store.join(home, "latest.json")))
    assert {file.path for file in first.downloads} < set(
        store.list_files(store.join(home, pointer["release"]))
    )
    old = set(store.list_files(city.ctx.tables.location(("open", "health__visit"))))

    city.change(open={**OPEN, "fields": ["visit_no", "district"]})
    second = city.publish(merged, "open")
    left = set(store.list_files(city.ctx.tables.location(("open", "health__visit"))))
    assert left and not left & old
    assert set(city.rows(second)[0]) == {"visit_no", "district"}
    assert city.publish(merged, "open").reused
    assert all(first_file.path not in store.list_files(home) for first_file in first.downloads)

    city.change(open={"type": "none", "basis": {"zh": "依据"}})
    assert withdraw(city.ctx, city.entry) == ["open.health__visit"]
    assert store.list_files(home) == []
    assert store.list_files(city.ctx.tables.location(("open", "health__visit"))) == []
