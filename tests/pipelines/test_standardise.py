"""Standardise on real files through the real readers: every row is written or set aside, once, with its reasons."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import quarantine
from lake.records import Landed, LandedFile, Standardised
from lake.zones import identifier
from pipelines import standardise as module
from pipelines.casting import converting
from pipelines.context import Context
from pipelines.quarantine import rejects
from pipelines.readers import read
from pipelines.standardise import standardise
from schemas.arrow import entry_schema, standard_schema
from schemas.errors import SourceError, XuanwuError
from schemas.model import Code, Entry
from schemas.settings import Settings
from tests.pipelines.building import NOW, batch_of, context_of, entry_of

FIELDS: dict[str, Any] = {
    "no": {"type": "integer", "source": "编号"},
    "gender": {"type": "string", "source": "性别", "codes": "gender"},
    "day": {"type": "date", "source": "日期"},
    "fee": {"type": "decimal", "source": "费用"},
}
HEADER = "编号,性别,日期,费用\n"
CODES = {"gender": (Code(code="1", zh="男"), Code(code="2", zh="女"))}
Row = dict[str, Any]


def entry(kind: str = "csv", fields: dict[str, Any] | None = None) -> Entry:
    return entry_of("civil.fee", {"kind": "file", "path": "fee", "format": kind}, fields or FIELDS)


@pytest.fixture
def ctx(settings: Settings) -> Context:
    made = context_of(settings, [entry()])
    return replace(made, catalogue=replace(made.catalogue, codes=CODES))


@pytest.fixture
def land(tmp_path: Path) -> Callable[..., Landed]:
    """Landed files of these bytes, with the rows that reading them counts."""

    def make(entry: Entry, **files: bytes) -> Landed:
        landed = []
        for name, data in files.items():
            path = tmp_path / name
            path.write_bytes(data)
            kind = entry.source.format if entry.source.kind == "file" else "parquet"
            digest = hashlib.sha256(data).hexdigest()
            file = LandedFile(path=str(path), origin=name, sha256=digest, size=len(data), rows=0, format=kind)
            rows = sum(batch.num_rows for batch in read(file, entry.source, sources(entry)))
            landed.append(file.model_copy(update={"rows": rows}))
        total = sum(file.rows for file in landed)
        return Landed(batch=batch_of(entry.id), files=tuple(landed), rows=total, collected_at=NOW)

    return make


def sources(entry: Entry) -> list[str]:
    return list(dict.fromkeys(field.source or field.name for field in entry.collected.values()))


def rows(record: Standardised) -> list[Row]:
    return list(pq.read_table(record.path).to_pylist())


def set_aside(ctx: Context, dataset: str = "civil.fee") -> list[Row]:
    found = [row for batch in quarantine.rows(ctx.tables, dataset) for row in batch.to_pylist()]
    return sorted(found, key=lambda row: (row["file"], row["row"]))


def balanced(record: Standardised, rows_in: int) -> bool:
    return record.rows_in == rows_in == record.rows_out + record.quarantined


def test_good_rows_and_bad_rows(ctx: Context, land: Callable[..., Landed]) -> None:
    text = HEADER + '１,男,2026-03-01,"1,234.50"\n2,x,2026-02-30,1.505\n3,,,\n4,女,2026年3月2日,7\n'
    record = standardise(ctx, entry(), land(entry(), a=text.encode()))
    assert balanced(record, 4) and record.quarantined == 1
    assert pq.read_schema(record.path).equals(standard_schema(entry()))
    assert [list(row.values()) for row in rows(record)] == [
        [1, "1", date(2026, 3, 1), Decimal("1234.50"), 0, "a", 2],
        [3, None, None, None, 2, "a", 4],
        [4, "2", date(2026, 3, 2), Decimal("7.00"), 3, "a", 5],
    ]
    (bad,) = set_aside(ctx)
    assert (bad["batch"], bad["stage"], bad["file"], bad["row"], bad["at"]) == (
        record.batch.id,
        "standardise",
        "a",
        3,
        NOW,
    )
    assert [(f["field"], f["rule"]) for f in bad["failures"]] == [
        ("gender", "code_list"),
        ("day", "date"),
        ("fee", "decimal"),
    ]
    assert all(failure["expected"] for failure in bad["failures"])
    assert json.loads(bad["data"]) == {"编号": "2", "性别": "x", "日期": "2026-02-30", "费用": "1.505"}


def test_what_is_expected_quotes_no_value(ctx: Context, land: Callable[..., Landed]) -> None:
    secret = "sesame-7781"
    standardise(ctx, entry(), land(entry(), a=f"{HEADER}{secret},{secret},{secret},{secret}\n".encode()))
    (bad,) = set_aside(ctx)
    assert len(bad["failures"]) == 4 and secret not in str(bad["failures"])


def test_malformed_rows_keep_their_text(ctx: Context, land: Callable[..., Landed]) -> None:
    text = HEADER + "1,男,2026-03-01,1\n2,男\n3,女,2026-03-01,1,extra\n4,bad,2026-03-01,1\n"
    record = standardise(ctx, entry(), land(entry(), a=text.encode()))
    assert balanced(record, 4) and record.rows_out == 1
    ragged, longer, plain = set_aside(ctx)
    assert [row["row"] for row in (ragged, longer, plain)] == [3, 4, 5]
    for bad in (ragged, longer):
        (failure,) = bad["failures"]
        assert (failure["field"], failure["rule"]) == ("", "malformed") and failure["expected"]
    assert "2,男" in json.loads(ragged["data"])["_raw"]
    assert [failure["field"] for failure in plain["failures"]] == ["gender"]


def test_seq_rises_over_the_files_of_a_batch(ctx: Context, land: Callable[..., Landed]) -> None:
    files = {name: (HEADER + "1,男,,\nx,男,,\n3,女,,\n").encode() for name in ("a", "b")}
    record = standardise(ctx, entry(), land(entry(), **files))
    assert [(row["_seq"], row["_file"], row["_row"]) for row in rows(record)] == [
        (0, "a", 2),
        (2, "a", 4),
        (3, "b", 2),
        (5, "b", 4),
    ]
    assert [(row["file"], row["row"]) for row in set_aside(ctx)] == [("a", 3), ("b", 3)]


def test_a_rerun_changes_nothing(ctx: Context, land: Callable[..., Landed]) -> None:
    landed = land(entry(), a=(HEADER + "1,男,2026-03-01,1\nx,男,,\n").encode())
    first = standardise(ctx, entry(), landed)
    before, aside = Path(first.path).read_bytes(), set_aside(ctx)
    assert standardise(ctx, entry(), landed) == first
    assert Path(first.path).read_bytes() == before and set_aside(ctx) == aside


def test_a_mended_rule_empties_the_quarantine(ctx: Context, land: Callable[..., Landed]) -> None:
    landed = land(entry(), a=(HEADER + "1,男,01/03/2026,1\n").encode())
    assert standardise(ctx, entry(), landed).quarantined == 1
    mended = entry(fields={**FIELDS, "day": {**FIELDS["day"], "formats": ["%d/%m/%Y"]}})
    assert standardise(ctx, mended, landed).quarantined == 0
    assert set_aside(ctx) == []


def test_killed_in_the_middle_and_run_again(
    ctx: Context, land: Callable[..., Landed], monkeypatch: pytest.MonkeyPatch
) -> None:
    landed = land(entry(), a=(HEADER + "1,男,,\nx,男,,\n").encode())

    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    for step in ("quarantine.put", "enrich"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(f"{module.__name__}.{step}", killed)
            standardise(ctx, entry(), landed)
        assert list(ctx.settings.scratch.iterdir()) == []
    record = standardise(ctx, entry(), landed)
    assert balanced(record, 2) and len(set_aside(ctx)) == 1


def test_an_unreadable_file_leaves_nothing(ctx: Context, land: Callable[..., Landed]) -> None:
    good = entry("parquet", {"n": "integer"})
    landed = land(good, a=parquet({"n": [1]}))
    Path(landed.files[0].path).write_bytes(b"PAR1 cut short")
    with pytest.raises(SourceError, match="damaged"):
        standardise(ctx, good, landed)
    assert list(ctx.settings.scratch.iterdir()) == []
    assert not list(Path(ctx.settings.lake_root).rglob("*.parquet"))


def test_a_missing_column_names_itself(ctx: Context, land: Callable[..., Landed]) -> None:
    landed = land(entry(), a=(HEADER + "1,男,,\n").encode())
    more = entry(fields={**FIELDS, "name": {"type": "string", "source": "姓名"}})
    with pytest.raises(SourceError, match="姓名"):
        standardise(ctx, more, landed)


def test_an_unknown_code_list(ctx: Context, land: Callable[..., Landed]) -> None:
    landed = land(entry(), a=(HEADER + "1,男,,\n").encode())
    with pytest.raises(XuanwuError, match=r"no code list colours.*field gender.*colours\.csv"):
        standardise(ctx, entry(fields={**FIELDS, "gender": {**FIELDS["gender"], "codes": "colours"}}), landed)


@pytest.mark.parametrize("files", [{}, {"a": HEADER.encode()}])
def test_a_batch_without_rows(ctx: Context, land: Callable[..., Landed], files: dict[str, bytes]) -> None:
    record = standardise(ctx, entry(), land(entry(), **files))
    assert balanced(record, 0) and rows(record) == []
    assert pq.read_schema(record.path).equals(standard_schema(entry()))
    assert not ctx.tables.exists(quarantine.table_of("civil.fee"))


def test_one_source_column_may_give_two_fields(ctx: Context, land: Callable[..., Landed]) -> None:
    twice = {"day": {"type": "date", "source": "at", "formats": ["%Y-%m-%d %H:%M:%S"]}, "at": "timestamp"}
    record = standardise(ctx, entry(fields=twice), land(entry(fields=twice), a=b"at\n2026-03-01 08:00:00\n"))
    (row,) = rows(record)
    assert row["day"] == date(2026, 3, 1) and row["at"].hour == 0


def test_gb18030_through_gzip(ctx: Context, land: Callable[..., Landed]) -> None:
    one = entry()
    declared = one.model_copy(update={"source": one.source.model_copy(update={"encoding": "gb18030"})})
    data = gzip.compress((HEADER + "１,女,2026年3月1日,２．５\n").encode("gb18030"))
    record = standardise(ctx, declared, land(declared, **{"a.csv.gz": data}))
    assert [list(row.values())[:4] for row in rows(record)] == [[1, "2", date(2026, 3, 1), Decimal("2.50")]]


def parquet(columns: dict[str, Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


def test_typed_rows_in_quarantine_are_json(ctx: Context, land: Callable[..., Landed]) -> None:
    fields: dict[str, Any] = {"n": "integer", "d": "decimal", "t": "timestamp", "b": "binary", "f": "number"}
    columns = {
        "n": pa.array([1.5, 1.0, float("nan")]),
        "d": pa.array([Decimal("1.505")] * 3),
        "t": pa.array([10**18 + 1, 10**18, None], pa.timestamp("ns")),
        "b": pa.array([b"\xff", b"ok", None]),
        "f": pa.array([float("inf"), 1.0, None]),
    }
    typed = entry("parquet", fields)
    record = standardise(ctx, typed, land(typed, a=parquet(columns)))
    assert balanced(record, 3) and record.quarantined == 3
    first, _, last = (
        json.loads(row["data"], parse_constant=lambda name: pytest.fail(name)) for row in set_aside(ctx)
    )
    assert first == {"n": 1.5, "d": "1.505", "t": "2001-09-09 01:46:40.000000001", "b": "/w==", "f": "inf"}
    assert last["n"] == "nan" and last["b"] is None


def test_text_that_is_not_utf8_is_set_aside(ctx: Context, land: Callable[..., Landed]) -> None:
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"ok", b"\xff\xfe"]).buffers())
    one = entry("parquet", {"name": "string"})
    record = standardise(ctx, one, land(one, a=parquet({"name": broken})))
    assert balanced(record, 2) and [row["name"] for row in rows(record)] == ["ok"]
    assert json.loads(set_aside(ctx)[0]["data"]) == {"name": "\\xff\\xfe"}


def test_excel_serials_dates_and_numbers(ctx: Context, land: Callable[..., Landed], tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (
        ["编号", "性别", "日期", "费用"],
        [1.0, "男", date(2026, 3, 1), 0.1],
        ["２", "女", 46082, "1,000"],
        [3, "男", "2026-03-01", 1.005],
    ):
        book.active.append(row)
    book.save(tmp_path / "book.xlsx")
    excel = entry("excel")
    record = standardise(ctx, excel, land(excel, **{"b.xlsx": (tmp_path / "book.xlsx").read_bytes()}))
    assert [list(row.values())[:4] for row in rows(record)] == [
        [1, "1", date(2026, 3, 1), Decimal("0.10")],
        [2, "2", date(2026, 3, 1), Decimal("1000.00")],
    ]
    assert [row["row"] for row in set_aside(ctx)] == [4]


RESIDENT = entry_of(
    "police.resident",
    {"kind": "database", "connection": "police", "table": "r"},
    {"id": "string", "name": "string"},
)


def test_shared_columns_are_joined_not_collected(ctx: Context, land: Callable[..., Landed]) -> None:
    origin = {"dataset": "police.resident", "field": "name", "on": "id", "key": "id"}
    fee = entry(fields={"id": "string", "name": {"type": "string", "shared_from": origin}})
    table = identifier("curated", RESIDENT.id)
    schema = entry_schema(RESIDENT).append(pa.field("_batch", pa.string()))
    ctx.tables.ensure(table, schema)
    people = pa.Table.from_pylist([{"id": "p1", "name": "张三"}], schema=schema)
    ctx.tables.replace(table, people.to_reader(), "all", {})
    both = replace(ctx, catalogue=replace(ctx.catalogue, entries={e.id: e for e in (RESIDENT, fee)}))
    record = standardise(both, fee, land(fee, a=b"id,name\np1,forged\np2,forged\n"))
    assert [(row["id"], row["name"]) for row in rows(record)] == [("p1", "张三"), ("p2", None)]
    assert record.unmatched == {"name": 1} and balanced(record, 2)


def test_a_batch_of_which_every_row_fails_is_streamed(
    ctx: Context, land: Callable[..., Landed], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    write = rejects.Spill.write

    def counted(self: rejects.Spill, some: pa.RecordBatch) -> None:
        seen.append(some.num_rows)
        write(self, some)

    monkeypatch.setattr(rejects.Spill, "write", counted)
    one = entry("parquet", {"n": "integer"})
    record = standardise(ctx, one, land(one, a=parquet({"n": np.full(20_000, "bad")})))
    assert balanced(record, 20_000) and record.quarantined == 20_000
    assert max(seen) <= 1000 and sum(seen) == 20_000
    (summary,) = quarantine.summary(ctx.tables, "civil.fee")
    assert (summary.field, summary.rule, summary.rows) == ("n", "integer", 20_000)


def test_large_batches_are_worked_on_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "PIECE_BYTES", 1000)
    batch = pa.RecordBatch.from_pydict({"a": ["x" * 100] * 100})
    pieces = list(converting.pieces(batch))
    assert pa.Table.from_batches(pieces).equals(pa.Table.from_batches([batch]))
    assert max(piece.nbytes for piece in pieces) <= 1200


def test_a_real_list_in_gb18030(ctx: Context, shared: Path, land: Callable[..., Landed]) -> None:
    """Every district of China from a file with a BOM: counted with Python's own csv module."""
    import csv

    path = shared / "admin-modood" / "areas.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        expected = list(csv.DictReader(file))
    areas = entry(fields=dict.fromkeys(expected[0], "string"))
    record = standardise(ctx, areas, land(areas, **{"areas.csv": path.read_bytes()}))
    assert balanced(record, len(expected)) and record.quarantined == 0
    assert [{name: row[name] for name in expected[0]} for row in rows(record)] == expected
