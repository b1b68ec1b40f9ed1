"""Columns obtained by sharing: rows neither multiply nor vanish, and those without a partner are counted."""

from __future__ import annotations

import traceback
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.zones import identifier
from pipelines.context import Context
from pipelines.enrich import enrich
from schemas.arrow import entry_schema, standard_schema
from schemas.errors import EngineError, LakeError, SourceError
from schemas.model import Entry
from schemas.settings import Settings
from tests.pipelines.building import context_of, entry_of

RESIDENT = entry_of(
    "police.resident",
    {"kind": "database", "connection": "police", "table": "resident"},
    {
        "id": "string",
        "name": "string",
        "born": "date",
        "income": {"type": "decimal", "precision": 12, "scale": 2},
    },
)


def shared(field: str, on: str = "person", kind: str = "string", **more: object) -> dict[str, object]:
    origin = {"dataset": "police.resident", "field": field, "on": on, "key": "id"}
    return {"type": kind, "shared_from": origin} | more


MARRIAGE = entry_of(
    "civil.marriage",
    {"kind": "database", "connection": "civil", "table": "marriage"},
    {
        "no": "integer",
        "person": "string",
        "name": shared("name"),
        "partner": "string",
        "partner_name": shared("name", "partner"),
        "partner_income": shared("income", "partner", "decimal", precision=12, scale=2),
    },
)


@pytest.fixture
def ctx(settings: Settings) -> Context:
    return context_of(settings, [RESIDENT, MARRIAGE])


def residents(ctx: Context, rows: list[dict[str, object]], entry: Entry = RESIDENT) -> None:
    table = identifier("curated", entry.id)
    schema = entry_schema(entry).append(pa.field("_batch", pa.string()))
    ctx.tables.ensure(table, schema)
    ctx.tables.replace(table, pa.Table.from_pylist(rows, schema=schema).to_reader(), "all", {})


def standardised(folder: Path, rows: list[dict[str, object]], entry: Entry = MARRIAGE) -> str:
    """What standardise has written before its last step: the shared columns are there, and null."""
    path = folder / "rows.parquet"
    numbered = [{"_seq": n, "_file": "f", "_row": n + 2} | row for n, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(numbered, schema=standard_schema(entry)), path)
    return str(path)


PEOPLE: list[dict[str, object]] = [
    {"id": "a", "name": "甲", "income": 1},
    {"id": "b", "name": "乙"},
    {"id": "c"},
]


def test_columns_come_from_the_other_dataset(ctx: Context, tmp_path: Path) -> None:
    residents(ctx, PEOPLE)
    path = standardised(
        tmp_path,
        [
            {"no": 1, "person": "a", "partner": "b"},
            {"no": 2, "person": "zz", "partner": "a"},
            {"no": 3, "person": None, "partner": "c"},
            {"no": 4, "person": "a", "partner": None},
        ],
    )
    assert enrich(ctx, MARRIAGE, path) == {"name": 2, "partner_name": 1, "partner_income": 1}
    table = pq.read_table(path)
    assert table.schema.equals(standard_schema(MARRIAGE))
    assert table["no"].to_pylist() == [1, 2, 3, 4]
    assert table["name"].to_pylist() == ["甲", None, None, "甲"]
    assert table["partner_name"].to_pylist() == ["乙", "甲", None, None]
    assert [str(v) for v in table["partner_income"].to_pylist()] == ["None", "1.00", "None", "None"]
    assert table["_row"].to_pylist() == [2, 3, 4, 5]


def test_it_can_be_run_again(ctx: Context, tmp_path: Path) -> None:
    residents(ctx, PEOPLE)
    path = standardised(tmp_path, [{"no": 1, "person": "a"}])
    first, before = enrich(ctx, MARRIAGE, path), pq.read_table(path)
    assert enrich(ctx, MARRIAGE, path) == first
    assert pq.read_table(path).equals(before)
    assert [found.name for found in tmp_path.glob("*.parquet*")] == ["rows.parquet"]


def test_many_rows_keep_their_number_and_order(ctx: Context, tmp_path: Path) -> None:
    residents(ctx, [{"id": str(n), "name": f"n{n}"} for n in range(0, 300_000, 2)])
    path = standardised(tmp_path, [{"no": n, "person": str(299_999 - n)} for n in range(300_000)])
    assert enrich(ctx, MARRIAGE, path)["name"] == 150_000
    table = pq.read_table(path)
    assert table["_seq"].to_pylist() == list(range(300_000))
    assert table["name"].to_pylist()[:4] == [None, "n299998", None, "n299996"]


def test_an_entry_without_shared_fields_is_left_alone(ctx: Context, tmp_path: Path) -> None:
    assert enrich(ctx, RESIDENT, str(tmp_path / "is not even there")) == {}


def test_a_missing_table_says_what_to_run(ctx: Context, tmp_path: Path) -> None:
    path = standardised(tmp_path, [{"no": 1}])
    before = Path(path).read_bytes()
    with pytest.raises(
        SourceError, match=r"police\.resident has no curated table yet.*xuanwu run police\.resident"
    ):
        enrich(ctx, MARRIAGE, path)
    assert Path(path).read_bytes() == before


def test_an_empty_table_matches_nothing(ctx: Context, tmp_path: Path) -> None:
    residents(ctx, [])
    path = standardised(tmp_path, [{"no": 1, "person": "a", "partner": "b"}])
    assert enrich(ctx, MARRIAGE, path) == {"name": 1, "partner_name": 1, "partner_income": 1}
    assert enrich(ctx, MARRIAGE, standardised(tmp_path, [])) == {
        "name": 0,
        "partner_name": 0,
        "partner_income": 0,
    }


def test_a_key_that_is_there_twice_stops(ctx: Context, tmp_path: Path) -> None:
    residents(ctx, [*PEOPLE, {"id": "a", "name": "甲二"}])
    with pytest.raises(LakeError, match="holds 1 rows whose key is there already"):
        enrich(ctx, MARRIAGE, standardised(tmp_path, [{"no": 1, "person": "a"}]))


def test_keys_of_different_types_meet_as_text(ctx: Context, tmp_path: Path) -> None:
    entry = MARRIAGE.model_copy(
        update={
            "fields": MARRIAGE.fields
            | {"person": MARRIAGE.fields["person"].model_copy(update={"type": "integer"})}
        }
    )
    residents(ctx, [{"id": "7", "name": "七"}, {"id": "not a number", "name": "x"}])
    path = standardised(tmp_path, [{"no": 1, "person": 7}], entry)
    assert enrich(ctx, entry, path)["name"] == 0
    assert pq.read_table(path)["name"].to_pylist() == ["七"]


@pytest.mark.parametrize("kind", [duckdb.OutOfMemoryException, pa.ArrowInvalid])
def test_an_engine_that_fails_is_an_error_of_ours_that_quotes_no_value(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def fails(*_: object) -> None:
        raise kind("Could not convert '张秘密'")

    residents(ctx, [])
    monkeypatch.setattr("pipelines.enrich._rewrite", fails)
    with pytest.raises(EngineError, match=rf"could not join what is shared \({kind.__name__}\)") as caught:
        enrich(ctx, MARRIAGE, str(tmp_path / "rows.parquet"))
    told = "".join(traceback.format_exception(caught.value))
    assert "run standardise again" in told and "civil.marriage" in told and "张秘密" not in told
