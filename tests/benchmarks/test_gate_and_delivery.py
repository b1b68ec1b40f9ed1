"""What `benchmarks.gate` and `benchmarks.delivery` measure is what they say: the gate looks, or does not; the rows that
are delivered are there. Nothing here measures time."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from benchmarks import delivery, gate, sources
from benchmarks.page import page
from benchmarks.town import registered
from schemas.errors import LeakFound

ROWS = 500
MACHINE = {"commit": "c", "processor": "p", "cores": 2, "memory": 1 << 30, "system": "L", "python": "3"}


def told(tmp_path: Path, kind: str, found: dict[str, Any]) -> str:
    """The page of this result alone."""
    kept = {"kind": kind, "date": "2026-01-01", "machine": MACHINE, **found}
    (tmp_path / f"{kind}.json").write_text(json.dumps(kept))
    return page(tmp_path)


# ── the gate ──────────────────────────────────────────────────────────────────────────────────────────────


def test_without_the_gate_a_planted_value_is_published_and_with_it_is_held(tmp_path: Path) -> None:
    (rows,) = registered(ROWS)
    ident = rows["id_no"][0].as_py()
    stations = [ident, *rows["station"].to_pylist()[1:]]
    planted = rows.set_column(5, "station", pa.array(stations))
    ctx, entry, merged = gate.town(tmp_path, 1, [planted])
    with pytest.raises(LeakFound, match="column station"):
        gate.published(ctx, entry, merged, gate.WITH, 0)
    assert ctx.tables.current_snapshot(("share", "public_security__resident__with_0")) is None
    gate.published(ctx, entry, merged, gate.WITHOUT, 0)
    shared = pa.Table.from_batches(ctx.tables.scan(("share", "public_security__resident__without_0")))
    assert shared.num_rows == ROWS and ident in shared["station"].to_pylist()
    with pytest.raises(LeakFound):
        gate.published(ctx, entry, merged, gate.WITH, 0)


def test_the_page_tells_what_the_gate_took(tmp_path: Path) -> None:
    found = gate.measured(ROWS, 2)
    assert (found["rows"], found["columns"], found["personal"]) == (ROWS, 8, 4)
    assert all(found[how]["cpu"] > 0 for how in (gate.WITH, gate.WITHOUT))
    fixed = {gate.WITH: {"cpu": 4.0, "seconds": 5.0}, gate.WITHOUT: {"cpu": 1.0, "seconds": 2.0}}
    said = told(tmp_path, "gate", found | fixed)
    assert "| with the gate | 4.0 | 5.0 |\n| without the gate | 1.0 | 2.0 |" in said
    assert "The gate is 75% of the publication's processor time." in said


# ── deliveries ────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def recipients(kinds: Collection[str] = delivery.SERVERS) -> Iterator[dict[str, str]]:
    with sources.databases(kinds) as (urls, missing):
        if missing:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("; ".join(missing.values()))
        yield urls


def engine(url: str) -> sa.Engine:
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    return sa.create_engine(sa.make_url(url).set(drivername=drivers[url.partition(":")[0]]))


def number(url: str, question: str) -> int:
    found = engine(url)
    with found.connect() as connection:
        answer = connection.exec_driver_sql(question).scalar_one()
    found.dispose()
    return int(answer)


def test_what_is_delivered_is_there_with_its_changes(tmp_path: Path) -> None:
    (rows,), (few,) = registered(ROWS), delivery.changed(ROWS)
    assert few["id_no"].to_pylist() == rows["id_no"].to_pylist()[:: delivery.ONE_IN]
    before = int(sum(rows["contribution"].to_pylist()) * 100)
    with recipients() as urls:
        took = list(delivery.measured(ROWS, urls))
        for url in urls.values():
            for mode, sum_there in (("swap", before), ("upsert", before + 100 * len(few))):
                asked = f"FROM {delivery.place(mode, ROWS)}"
                assert number(url, f"SELECT count(*) {asked}") == ROWS
                assert number(url, f"SELECT sum(contribution) * 100 {asked}") == sum_there
    counted = {
        (each["server"], each["how"]): (each["inserted"], each["updated"], each["found"]) for each in took
    }
    whole, part = (ROWS, 0, ROWS), (0, len(few), ROWS)
    wanted = {delivery.SWAP: whole, delivery.UPSERT: whole, delivery.CHANGES: part}
    assert counted == {(server, how): counts for server in delivery.SERVERS for how, counts in wanted.items()}
    assert all(each["seconds"] > 0 and each["reading"] > 0 and each["growth"] > 0 for each in took)
    said = told(tmp_path, "delivery", {"took": took, "missing": ["mariadb: no answer"]})
    assert f"| MariaDB, {delivery.CHANGES} | {ROWS} | {ROWS} | 0 | {len(few)} | 0 |" in said
    assert "Left out: mariadb: no answer" in said


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("postgresql", "SELECT count(*) FROM pg_database WHERE datname = '{}'"),
        ("mariadb", "SELECT count(*) FROM information_schema.schemata WHERE schema_name = '{}'"),
    ],
)
def test_databases_are_dropped_after_an_error_too(kind: str, names: str) -> None:
    with pytest.raises(RuntimeError), recipients([kind]) as urls:
        url = sa.make_url(urls[kind])
        assert number(urls[kind], names.format(url.database)) == 1
        raise RuntimeError
    server = url.set(database={"postgresql": "postgres", "mariadb": "mysql"}[kind])
    assert number(server.render_as_string(hide_password=False), names.format(url.database)) == 0


def test_a_server_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_POSTGRES", "postgresql://nobody@127.0.0.1:9/none")
    monkeypatch.setenv("BENCH_MARIADB", "mysql://nobody@127.0.0.1:9/none")
    with sources.databases(delivery.SERVERS) as (urls, missing):
        assert urls == {} and list(missing) == list(delivery.SERVERS)
