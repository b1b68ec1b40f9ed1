"""Derived datasets: SQL over pinned curated tables, and nothing else within its reach."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import landing, properties
from lake.records import Landed
from lake.zones import identifier
from pipelines.collect import collect
from pipelines.context import Context
from pipelines.sources.lake import pins
from schemas.arrow import entry_schema
from schemas.errors import LakeError, SourceError
from schemas.model import Entry
from schemas.settings import Settings
from tests.pipelines.building import batch_of, context_of, entry_of

PEOPLE = entry_of(
    "police.people",
    {"kind": "database", "connection": "police", "table": "people"},
    {
        "id": "string",
        "name": "string",
        "born": "date",
        "income": {"type": "decimal", "precision": 12, "scale": 2},
    },
)
DEATHS = entry_of(
    "civil.deaths",
    {"kind": "database", "connection": "civil", "table": "deaths"},
    {"id": "string", "at": "timestamp"},
)
SQL = "SELECT p.id, name, d.id IS NULL AS alive FROM police.people p LEFT JOIN civil.deaths d ON d.id = p.id"


def derived(sql: str = SQL, fields: dict[str, object] | None = None, **more: object) -> Entry:
    source = {"kind": "lake", "sql": sql, "inputs": ["police.people", "civil.deaths"]}
    return entry_of(
        "base.population", source, fields or {"id": "string", "name": "string", "alive": "boolean"}, **more
    )


def merge(ctx: Context, entry: Entry, rows: Iterable[dict[str, object]], batch: str = "b1") -> int:
    """What a merge leaves: the curated table with `_batch`."""
    table = identifier("curated", entry.id)
    schema = entry_schema(entry).append(pa.field("_batch", pa.string()))
    data = pa.Table.from_pylist([row | {"_batch": batch} for row in rows], schema=schema)
    ctx.tables.ensure(table, schema)
    return ctx.tables.replace(table, data.to_reader(), "all", properties.named(batch=batch))


@pytest.fixture
def city(settings: Settings) -> Context:
    ctx = context_of(settings, [PEOPLE, DEATHS, derived()])
    merge(ctx, PEOPLE, [{"id": str(i), "name": f"人{i}"} for i in range(5)])
    merge(ctx, DEATHS, [{"id": "3"}])
    return ctx


def run(ctx: Context, entry: Entry, day: int = 1) -> Landed:
    return collect(ctx, entry, batch_of(entry.id, day, pins(ctx, entry)))


def rows(landed: Landed) -> list[dict[str, object]]:
    return pq.read_table(landed.files[0].path).to_pylist()


def test_lands_what_the_sql_gives_and_what_it_read(city: Context) -> None:
    landed = run(city, derived())
    assert landed.rows == landed.counted == 5
    assert {row["id"]: row["alive"] for row in rows(landed)} == {
        "0": True,
        "1": True,
        "2": True,
        "3": False,
        "4": True,
    }
    assert list(landed.inputs) == ["police.people", "civil.deaths"]
    assert landed.batch.pins == ",".join(f"{name}={snapshot}" for name, snapshot in landed.inputs.items())


def test_a_batch_reads_the_snapshots_it_is_pinned_to(city: Context) -> None:
    batch = batch_of("base.population", pins=pins(city, derived()))
    merge(city, PEOPLE, [{"id": "9", "name": "新"}], batch="b2")
    assert collect(city, derived(), batch).rows == 5
    assert run(city, derived()).rows == 1


def test_pins_are_the_inputs_snapshots_and_change_with_them(city: Context) -> None:
    before = pins(city, derived())
    assert pins(city, derived()) == before
    merge(city, DEATHS, [], batch="b2")
    assert pins(city, derived()) != before
    assert pins(city, PEOPLE) == ""


def test_an_input_that_the_batch_is_not_pinned_to(city: Context) -> None:
    batch = batch_of("base.population", pins=pins(city, derived()).partition(",")[0])
    with pytest.raises(SourceError, match=r"not pinned to civil\.deaths"):
        collect(city, derived(), batch)


def test_a_snapshot_that_is_gone_is_told(city: Context) -> None:
    batch = batch_of("base.population", pins="police.people=1,civil.deaths=2")
    with pytest.raises(LakeError, match="no snapshot 1"):
        collect(city, derived(), batch)


def test_an_input_without_rows_is_an_empty_view(city: Context) -> None:
    merge(city, DEATHS, [], batch="b2")
    assert all(row["alive"] for row in rows(run(city, derived())))
    sql = 'SELECT id, CAST("at" AS VARCHAR) AS name, TRUE AS alive FROM civil.deaths'
    assert run(city, derived(sql), day=2).rows == 0


def test_an_input_without_a_table_is_told_to_be_run_first(settings: Settings) -> None:
    ctx = context_of(settings, [PEOPLE, DEATHS, derived()])
    merge(ctx, PEOPLE, [])
    with pytest.raises(
        SourceError, match=r"civil\.deaths has no curated table yet.*xuanwu run civil\.deaths"
    ):
        pins(ctx, derived())


def test_a_field_newer_than_the_table_is_null_and_a_dropped_one_is_gone(city: Context) -> None:
    newer = PEOPLE.model_copy(
        update={
            "fields": {
                "id": PEOPLE.fields["id"],
                "phone": PEOPLE.fields["name"].model_copy(update={"name": "phone"}),
            }
        }
    )
    ctx = context_of(city.settings, [newer, DEATHS])
    assert [
        r["phone"]
        for r in rows(
            run(ctx, derived("SELECT id, phone FROM police.people", {"id": "string", "phone": "string"}))
        )
    ] == [None] * 5
    with pytest.raises(SourceError, match="name"):
        run(ctx, derived(), day=2)


def test_the_batch_column_is_not_to_be_seen(city: Context) -> None:
    with pytest.raises(SourceError, match="_batch"):
        run(city, derived("SELECT id, _batch AS name, TRUE AS alive FROM police.people"))
    landed = run(city, derived("SELECT *, TRUE AS alive FROM police.people"))
    assert landed.notes == ("not in the entry, so not collected: `born`, `income`",)


def test_missing_columns_are_named(city: Context) -> None:
    with pytest.raises(
        SourceError, match=r"no column `alive`; did you mean `aliv`\?.*columns given: `id`, `name`, `aliv`"
    ):
        run(city, derived("SELECT id, name, 1 AS aliv FROM police.people"))


@pytest.mark.parametrize(
    "table",
    [
        "read_csv('/etc/passwd')",
        "read_text('/etc/passwd')",
        "glob('/etc/*')",
        "'/etc/passwd'",
        "'http://127.0.0.1:1/x.parquet'",
        "read_parquet('https://127.0.0.1:1/x')",
        "read_blob('{file}')",
        "'{file}'",
        "duckdb_secrets()",
        "duckdb_views()",
        "query('SELECT 1')",
        "query_table('police.people')",
        "information_schema.tables",
        "sqlite_master",
        "sqlite_scan('/tmp/x', 'y')",
        "postgres_scan('host=127.0.0.1', 'a', 'b')",
        "(DESCRIBE police.people)",
        "civil.marriages",
        "temp.police.people",
    ],
)
def test_sql_reaches_nothing_but_its_inputs(city: Context, table: str) -> None:
    [file] = city.tables.data_files(identifier("curated", PEOPLE.id))
    sql = f"SELECT 'a' AS id, 'b' AS name, TRUE AS alive FROM {table.replace('{file}', file)}"
    with pytest.raises(SourceError) as error:
        run(city, derived(sql))
    assert error.value.next_step
    assert landing.landed(city.settings, batch_of("base.population", pins=pins(city, derived()))) is None


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{out}'",
        "ATTACH '{out}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "CREATE TABLE x AS SELECT 1",
        "EXPORT DATABASE '{out}'",
        "PRAGMA database_list",
        "SELECT 1; COPY (SELECT 1) TO '{out}'",
        "SELECT 1) TO '{out}'; COPY (SELECT 1",
        "",
        "SELEC 1",
    ],
)
def test_sql_is_one_select(city: Context, tmp_path: Path, sql: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(SourceError, match="the SQL"):
        run(city, derived(sql.replace("{out}", str(out))))
    assert not out.exists()


def test_the_engine_itself_is_locked(city: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the look at the statement to miss something, DuckDB refuses by itself."""
    from pipelines.sources import lake

    monkeypatch.setattr(lake, "single_select", lambda connection, source, dataset: source.sql)
    for table in (
        "read_text('/etc/passwd')",
        "glob('/etc/*')",
        "'/etc/passwd'",
        "'http://127.0.0.1:1/x.csv'",
    ):
        with pytest.raises(SourceError):
            run(city, derived(f"SELECT 'a' AS id, 'b' AS name, TRUE AS alive FROM {table}"))


def test_ctes_comments_unions_and_generators_are_allowed(city: Context) -> None:
    sql = """
        WITH Living AS (SELECT id, name FROM police.people WHERE id NOT IN (SELECT id FROM civil.deaths))
        SELECT id, name, TRUE AS alive FROM living
        UNION ALL SELECT CAST(n AS VARCHAR), NULL, FALSE FROM range(3) r(n) -- the end
        ;
    """
    assert run(city, derived(sql)).rows == 7


def test_a_failing_cast_quotes_no_value(city: Context) -> None:
    sql = "SELECT CAST(name AS INTEGER) AS id, name, TRUE AS alive FROM police.people"
    with pytest.raises(SourceError) as error:
        run(city, derived(sql))
    assert "人" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_cast_that_fails_late_lands_nothing(city: Context) -> None:
    merge(
        city,
        PEOPLE,
        [{"id": str(i), "name": "x" if i == 199_999 else "1"} for i in range(200_000)],
        batch="b2",
    )
    sql = "SELECT id, CAST(name AS INTEGER) AS name, TRUE AS alive FROM police.people"
    entry = derived(sql)
    with pytest.raises(SourceError, match="the SQL failed"):
        run(city, entry)
    assert landing.landed(city.settings, batch_of(entry.id, pins=pins(city, entry))) is None


def test_what_changes_by_itself_does_not_add_up(city: Context) -> None:
    merge(city, PEOPLE, [{"id": str(i)} for i in range(2000)], batch="b2")
    with pytest.raises(SourceError, match=r"counted .* rows and sent"):
        run(
            city,
            derived(
                "SELECT id, name, TRUE AS alive FROM police.people WHERE id::INT < (SELECT random() * 2000)"
            ),
        )


def test_types_that_parquet_lacks_land_as_text(city: Context) -> None:
    sql = (
        "SELECT id, sum(1::HUGEINT) AS big, INTERVAL 1 DAY AS gap, [1, 2] AS list, 1.50::DECIMAL(38, 2) AS money,"
        " TIMESTAMPTZ '2026-01-01 08:00:00+08' AS at FROM police.people WHERE id = '1' GROUP BY id"
    )
    fields: dict[str, object] = dict.fromkeys(("id", "big", "gap", "list", "money", "at"), "string")
    [row] = rows(run(city, derived(sql, fields)))
    assert (row["big"], row["gap"], row["list"], str(row["money"])) == ("1", "1 day", "[1, 2]", "1.50")
    assert row["at"].isoformat() == "2026-01-01T00:00:00+00:00"  # type: ignore[attr-defined]


def test_a_sort_beyond_the_memory_limit_spills_though_locked(settings: Settings) -> None:
    small = settings.model_copy(update={"memory": "120MB", "threads": 1})
    ctx = context_of(small, [PEOPLE, DEATHS])
    merge(ctx, PEOPLE, ({"id": f"{i * 7919 % 300_000:>100}", "name": f"{i:0100}"} for i in range(300_000)))
    merge(ctx, DEATHS, [])
    landed = run(ctx, derived("SELECT id, name, TRUE AS alive FROM police.people ORDER BY id"))
    assert landed.rows == 300_000
