"""The sample city on a real cluster, its lake on a real S3 server: every table is what the local engine makes of it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lake.tables import Tables
from lake.zones import Identifier
from sample.city import DAYS
from sample.server import serving
from schemas.settings import Settings
from tests.city.running import KEY, City
from tests.s3 import S3
from tests.spark.cluster import BIN, Cluster, cluster
from tests.waiting import LIMIT, PROGRAM, until

pytestmark = pytest.mark.timeout(3600)
ROWS = 300
DAY_TWO = (
    "market_regulation.enterprise",
    "public_security.resident",
    "ecology.air_quality",
    "health.vaccination",
    "base.legal_person",
)
"""A snapshot, two upserts, an append, a column obtained by sharing, a derived dataset."""
ZONES = ("curated", "share", "open", "quarantine")


@pytest.fixture(scope="module")
def cities(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[City, City]]:
    """Two days of the city by the local engine, and the same on the cluster, a worker of which is killed on day two."""
    root = tmp_path_factory.mktemp("spark")
    local = City(root / "local" / "sources", Settings(home=root / "local"), ROWS)
    lake = f"{s3.bucket('spark')}/city"
    spread = City(root / "spread" / "sources", Settings(home=root / "spread", lake=lake), ROWS)
    with pytest.MonkeyPatch.context() as patch, cluster(root / "cluster", s3.variables) as made:
        for name, value in {**s3.variables, "XUANWU_KEY_1": KEY}.items():
            patch.setenv(name, value)
        for day, datasets in ((1, local.ctx.catalogue.order()), (2, list(DAY_TWO))):
            _run_here(local, day, datasets)
            _run(spread, made, day, datasets)
        yield local, spread


def _run_here(city: City, day: int, datasets: list[str]) -> None:
    city.write(day)
    with serving(city.folder) as served:
        city.connections |= served
        for dataset in datasets:
            city.run(dataset, day)


def _run(city: City, made: Cluster, day: int, datasets: list[str]) -> None:
    """The datasets of a day by the command line of Spark's environment, in one session; on day two a worker dies."""
    city.write(day)
    with serving(city.folder) as served:
        city.connections |= served
        variables = city.variables() | made.variables
        variables |= {
            "XUANWU_LAKE": city.settings.lake_root,
            "XUANWU_ENGINE": "spark",
            "XUANWU_SPARK_MASTER": made.master,
        }
        command = [BIN / "xuanwu", "run", *datasets, "--date", DAYS[day - 1].isoformat()]
        log = made.folder / f"driver-{day}.log"
        with log.open("wb") as out:
            driver = subprocess.Popen(command, env=variables, stdout=out, stderr=out)
        try:
            if day == 2:
                assert _killed_at_work(city, made, driver), log.read_text(errors="replace")[-4000:]
            done = until(lambda: driver.poll() is not None, 1500) and driver.returncode == 0
            assert done, log.read_text(errors="replace")[-4000:]
        finally:
            driver.kill()
            driver.wait(LIMIT)


def _killed_at_work(city: City, made: Cluster, driver: subprocess.Popen[bytes]) -> bool:
    """Kill a worker while the second day's first merge is under way. False where none begins in time; a driver that
    has ended says itself why."""
    before = _merges(city.settings, "running", "done")

    def merging() -> bool:
        return _merges(city.settings, "running", "done") > before

    begun = until(lambda: driver.poll() is not None or merging(), PROGRAM)
    if begun and driver.poll() is None:
        made.kill_worker()
    return begun


def _merges(settings: Settings, *states: str) -> int:
    asked = ", ".join("?" * len(states))
    with closing(sqlite3.connect(settings.home / "ledger.db")) as ledger:
        query = f"SELECT count(*) FROM attempts WHERE stage = 'merge' AND state IN ({asked})"
        return int(ledger.execute(query, states).fetchone()[0])


def rows(tables: Tables, table: Identifier) -> Counter[str]:
    """Every row as text, but for the moments at which it was set aside, and for the batch of a derived dataset, whose id
    tells the snapshots that it was made of."""
    left_out = {"at", "since"} | ({"_batch"} if table[1].startswith(("base__", "theme__")) else set())
    found = tables.scan(table, [name for name in tables.schema(table).names if name not in left_out])
    return Counter(repr(row) for batch in found for row in batch.to_pylist())


def test_every_table_is_the_local_engines_to_the_row(cities: tuple[City, City]) -> None:
    local, spread = (city.ctx.tables for city in cities)
    for zone in ZONES:
        names = local.identifiers(zone)
        assert names
        assert spread.identifiers(zone) == names
        for name in names:
            expected = rows(local, name)
            assert expected.total() or zone == "quarantine", name
            assert rows(spread, name) == expected, name


def test_the_ledger_counts_alike(cities: tuple[City, City]) -> None:
    local, spread = (_counted(city.settings.home) for city in cities)
    assert spread == local
    assert len(local) > 5 * len(cities[0].ctx.catalogue.entries)


def _counted(home: Path) -> dict[tuple[str, ...], Any]:
    """Rows in and out of every stage of every batch, and its other counts but for the ids of snapshots."""
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        found = ledger.execute(
            "SELECT dataset, interval_end, stage, part, state, rows_in, rows_out, counts FROM attempts"
        )
        return {
            each[:4]: (
                *each[4:7],
                {k: v for k, v in json.loads(each[7] or "{}").items() if "snapshot" not in k},
            )
            for each in found
        }


def test_the_workers_did_the_work_and_leave_nothing(cities: tuple[City, City]) -> None:
    """The standardised batches are folders of the workers' files, and what they wrote for the driver is gone."""
    from lake import recordstore, store

    ctx = cities[1].ctx
    for attempt in ctx.ledger.done("public_security.resident"):
        if attempt.stage == "standardise":
            record: Any = recordstore.load(ctx.settings, attempt.batch, "standardise")
            assert store.parts(record.path)
            assert record.path.endswith("/rows")
    left = [path for path in store.list_files(f"{ctx.settings.lake_root}/standard") if "/rows" not in path]
    assert left == []
