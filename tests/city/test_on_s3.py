"""The whole sample city with its lake on a real S3 server: as on a disk, to the row, and proved there and from a copy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lake import search, store
from lake.releases import PLACES
from lake.verify import Copy, catalogue, ledger, verify
from pipelines.cli import app
from pipelines.report import write_report
from pipelines.upkeep import upkeep
from schemas.settings import Settings
from tests.city.facts import Facts, different, facts
from tests.city.running import KEY, City
from tests.s3 import S3

pytestmark = pytest.mark.timeout(1800)
ROWS, DAYS = 60, (1, 2)


@dataclass(frozen=True)
class Two:
    """A city whose lake lies on S3, what it holds, and what one holds whose lake lies on a disk, after the same days."""

    city: City
    found: Facts
    expected: Facts

    @property
    def root(self) -> str:
        return self.city.settings.lake_root


@pytest.fixture(scope="module")
def two(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    root = tmp_path_factory.mktemp("two")
    disk = City(root / "disk", Settings(home=root / "disk-home"), ROWS)
    there = City(root / "s3", Settings(home=root / "s3-home", lake=f"{s3.bucket('city')}/lake"), ROWS)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**s3.variables, "XUANWU_KEY_1": KEY}.items():
            patch.setenv(name, value)
        for day in DAYS:
            disk.run_day(day)
            there.run_day(day)
        yield Two(there, facts(there.ctx), facts(disk.ctx))


def test_every_zone_holds_the_same(two: Two) -> None:
    assert different(two.found, two.expected) == []
    kinds = {name.split(" ")[0] for name, value in two.found.items() if value}
    assert kinds == {"curated", "share", "open", "quarantine", "download", "landing", "ledger"}
    assert sum(name.startswith("curated") for name in two.found) >= 16


def test_all_of_it_lies_on_s3_and_nothing_unfinished(two: Two) -> None:
    files = [uri.removeprefix(f"{two.root}/") for uri in search.files_below(two.root)]
    assert {path.split("/")[0] for path in files} > {
        "landing",
        "curated",
        "share",
        "open",
        "proof",
        "downloads",
        "conditional",
    }
    assert not [path for path in files if store.is_unfinished(path)]
    home = two.city.settings.home
    at_home = {path.relative_to(home) for path in home.rglob("*") if path.suffix in {".parquet", ".avro"}}
    assert {path.parts[0] for path in at_home} == {"absent"}, "digests only: what the leak gate did not find"


def test_it_is_proved_from_a_copy_and_beside_the_databases(two: Two, tmp_path: Path) -> None:
    for uri in search.files_below(two.root):
        place = tmp_path / uri.removeprefix(f"{two.root}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(store.read_bytes(uri))
    copy = Copy(str(tmp_path))
    assert [str(each) for each in verify(copy)] == []
    assert len(copy.certificates) > 40
    assert [str(each) for each in ledger.check(two.city.ctx.ledger, copy.certificates)] == []
    copy.root = two.root
    assert [str(each) for each in catalogue.check(two.city.ctx.tables, copy)] == []


def test_the_command_verifies_an_address(two: Two) -> None:
    """And names a file of which one byte was changed there."""
    good = CliRunner().invoke(app, ["verify", two.root])
    assert good.exit_code == 0, good.output
    assert "通过 verified" in good.output
    uri = next(each for each in store.list_files(store.join(two.root, "open")) if each.endswith(".parquet"))
    data = store.read_bytes(uri)
    store.write_atomic(uri, data[:100] + bytes([data[100] ^ 1]) + data[101:])
    bad = CliRunner().invoke(app, ["verify", two.root])
    store.write_atomic(uri, data)
    assert bad.exit_code == 1
    assert uri.removeprefix(f"{two.root}/") in bad.output.replace("\n", "")


def test_a_download_leads_to_its_files(two: Two) -> None:
    uris = [uri for place in PLACES for uri in store.list_files(store.join(two.root, place))]
    pointers = [uri for uri in uris if uri.endswith("/latest.json")]
    assert len(pointers) >= 8
    for uri in pointers:
        assert uri.removesuffix("latest.json") + json.loads(store.read_bytes(uri))["index"] in uris


def test_report_and_upkeep(two: Two, tmp_path: Path) -> None:
    """Upkeep of a later day forgets old snapshots and their files; readers see the same, and the proof holds."""
    ctx = two.city.ctx
    page = write_report(ctx, tmp_path / "report.html").read_text(encoding="utf-8")
    published = [*ctx.tables.identifiers("share"), *ctx.tables.identifiers("open")]
    assert page.count("已认证：") == len(published)
    stray = store.join(two.root, "landing", ".killed.0a1b2c3d.tmp")
    store.write_atomic(stray, b"half of a file")
    counts = upkeep(replace(ctx, clock=lambda: datetime.now(UTC) + timedelta(days=91))).counts
    assert counts["removed snapshots"] >= 16 and counts["removed files"] >= 16
    assert counts["removed unfinished"] == 1 and not store.exists(stray)
    assert different(facts(ctx), two.expected) == []
    assert [str(each) for each in verify(Copy(two.root))] == []
