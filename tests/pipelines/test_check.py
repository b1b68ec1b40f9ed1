"""The check stage on real files and tables: verdict, rejects, quarantine, stop; and no value where none may be."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import quarantine, store, zones
from lake.batch import Batch
from lake.records import Checked, Landed, LandedFile, Standardised, Verdict
from lake.zones import identifier
from pipelines.check import check
from pipelines.context import Context
from schemas.arrow import entry_schema, standard_schema
from schemas.errors import CheckFailed, EngineError
from schemas.load import Catalogue

DAY = datetime(2026, 3, 2, 16, tzinfo=UTC)
ENTRY = """
id: civil.people
title: {zh: 人, en: People}
summary: {zh: 人, en: People}
code: "3010203/1"
owner: civil
assessed: {secrecy: {day: "2026-01-05", number: 保审1号}, impact: {day: "2026-01-06", number: 评1号}, approved: {day: "2026-01-07", number: 审1号}}
source: {kind: file, path: people.csv, format: csv}
schedule: {cron: "0 2 * * *"}
key: [no]
merge: {kind: snapshot}
share: {type: unconditional}
open: {type: none, basis: {zh: 法, en: law}}
fields:
  no: {type: string, grade: 2, title: {zh: 号, en: No}}
  secret: {type: string, grade: 4, title: {zh: 密, en: Secret}, mask: {share: drop, open: drop}}
  amount: {type: decimal, precision: 20, scale: 2, grade: 3, title: {zh: 额, en: Amount}, mask: {share: drop, open: drop}}
  day: {type: date, grade: 1, title: {zh: 日, en: Day}}
  blob: {type: binary, grade: 2, title: {zh: 物, en: Blob}}
checks:
"""
QUARANTINE = """
  - {expect: expect_column_values_to_match_regex, column: no, regex: "^N\\\\d+$", on_fail: quarantine}
  - {expect: expect_column_values_to_be_between, column: amount, min_value: 0, on_fail: quarantine}
  - {expect: expect_column_values_to_not_be_null, column: day, on_fail: warn}
  - {expect: expect_column_max_to_be_between, column: amount, max_value: 5, on_fail: warn}
"""
CANARY = "金丝雀Canary77"
Make = Callable[[dict[str, str]], Catalogue]


@pytest.fixture
def city(ctx: Context, make_catalogue: Make) -> Callable[[str], Context]:
    return lambda checks: replace(ctx, catalogue=make_catalogue({"civil/people.yaml": ENTRY + checks}))


def batch_of(day: datetime = DAY) -> Batch:
    return Batch(dataset="civil.people", start=day - timedelta(days=1), end=day)


def standardised(ctx: Context, rows: list[dict[str, Any]], batch: Batch | None = None) -> Standardised:
    entry, batch = ctx.catalogue.entry("civil.people"), batch or batch_of()
    columns = {name: [row.get(name) for row in rows] for name in entry.fields}
    origin = {
        "_seq": list(range(len(rows))),
        "_file": ["people.csv"] * len(rows),
        "_row": [i + 2 for i in range(len(rows))],
    }
    path = store.join(zones.folder(ctx.settings, "standard", batch.dataset, batch.id), "rows.parquet")
    table = pa.table({**columns, **origin}, standard_schema(entry))
    with store.atomic_parquet(path, table.schema) as writer:
        writer.write_table(table)
    return Standardised(batch=batch, path=path, rows_in=len(rows), rows_out=len(rows), quarantined=0)


def run(ctx: Context, rows: list[dict[str, Any]], batch: Batch | None = None) -> Checked:
    return check(ctx, ctx.catalogue.entry("civil.people"), standardised(ctx, rows, batch))


def good(number: int) -> dict[str, Any]:
    return {
        "no": f"N{number}",
        "secret": "s",
        "amount": Decimal("1.50"),
        "day": date(2026, 3, 2),
        "blob": b"\x00\xff",
    }


def set_aside(ctx: Context) -> list[dict[str, Any]]:
    batches = list(quarantine.rows(ctx.tables, "civil.people"))
    return sorted((row for b in batches for row in b.to_pylist()), key=lambda row: row["row"])


ROWS = [
    good(0),
    {**good(1), "no": CANARY},
    {**good(2), "no": CANARY, "amount": Decimal("-98765432101234567.89")},
    {**good(3), "day": None},
]


def test_failing_rows_are_set_aside_once_with_all_their_failures(city: Callable[[str], Context]) -> None:
    ctx = city(QUARANTINE)
    checked = run(ctx, ROWS)
    assert (checked.rows_in, checked.rows_out, checked.quarantined, checked.warnings) == (4, 2, 2, 1)
    assert pq.read_table(checked.rejects).to_pydict() == {"_seq": [1, 2]}
    first, second = set_aside(ctx)
    assert (first["file"], first["row"], first["stage"], first["batch"]) == (
        "people.csv",
        3,
        "check",
        batch_of().id,
    )
    assert [(f["field"], f["rule"]) for f in first["failures"]] == [
        ("no", "expect_column_values_to_match_regex")
    ]
    assert first["failures"][0]["expected"] == r"to match regex (regex ^N\d+$)"
    assert [f["field"] for f in second["failures"]] == ["no", "amount"]
    assert json.loads(second["data"]) == {
        "no": CANARY, "secret": "s", "amount": "-98765432101234567.89", "day": "2026-03-02", "blob": "AP8=",
    }  # fmt: skip


def test_rows_are_set_aside_in_the_batchs_order(city: Callable[[str], Context]) -> None:
    """Of many row groups, which are read by several threads."""
    ctx = city(QUARANTINE)
    rows = [{**good(n), "no": "bad" if n % 3 == 0 else f"N{n}"} for n in range(30_000)]
    batch = standardised(ctx, rows)
    pq.write_table(pq.read_table(batch.path), batch.path, row_group_size=1_000)
    checked = check(ctx, ctx.catalogue.entry("civil.people"), batch)
    batches = quarantine.rows(ctx.tables, "civil.people")
    aside = [row for b in batches for row in b.column("row").to_pylist()]
    assert checked.quarantined == len(aside) == 10_000
    assert aside == sorted(aside)


def test_what_json_has_no_number_for_is_set_aside_as_text(ctx: Context, make_catalogue: Make) -> None:
    field = "fields:\n  ratio: {type: number, grade: 2, title: {zh: 率, en: Ratio}}\n"
    yaml = ENTRY.replace("fields:\n", field) + QUARANTINE
    ctx = replace(ctx, catalogue=make_catalogue({"civil/people.yaml": yaml}))
    numbers = [math.nan, math.inf, -math.inf, 0.1, None]
    run(ctx, [{**good(n), "no": "X", "ratio": value} for n, value in enumerate(numbers)])

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    rows = [json.loads(row["data"], parse_constant=refuse) for row in set_aside(ctx)]
    assert [row["ratio"] for row in rows] == ["nan", "inf", "-inf", 0.1, None]


def test_the_verdict_is_kept_as_json(city: Callable[[str], Context]) -> None:
    ctx = city(QUARANTINE)
    verdict = Verdict.model_validate_json(store.read_bytes(run(ctx, ROWS).verdict))
    assert verdict.rows == 4 and verdict.batch == batch_of()
    counts = [(r.expect, r.success, r.evaluated, r.failed, r.dimension) for r in verdict.results[:4]]
    assert counts == [
        ("expect_column_values_to_match_regex", False, 4, 2, "conformity"),
        ("expect_column_values_to_be_between", False, 4, 1, "accuracy"),
        ("expect_column_values_to_not_be_null", False, 4, 1, "completeness"),
        ("expect_column_max_to_be_between", True, 1, 0, "accuracy"),
    ]
    assert verdict.results[3].observed is None, "the largest amount of a field graded 3 is somebody's amount"


def test_running_again_gives_the_same(city: Callable[[str], Context]) -> None:
    ctx = city(QUARANTINE)
    first = run(ctx, ROWS)
    rejects, verdict, rows = (
        Path(first.rejects or "").read_bytes(),
        Path(first.verdict).read_bytes(),
        set_aside(ctx),
    )
    assert run(ctx, ROWS) == first
    assert (Path(first.rejects or "").read_bytes(), Path(first.verdict).read_bytes()) == (rejects, verdict)
    assert set_aside(ctx) == rows


def test_a_corrected_batch_takes_its_rows_out_of_quarantine(city: Callable[[str], Context]) -> None:
    ctx = city(QUARANTINE)
    run(ctx, ROWS)
    checked = run(ctx, [good(n) for n in range(4)])
    assert (checked.rejects, checked.quarantined, checked.rows_out) == (None, 0, 4)
    assert set_aside(ctx) == []
    assert not Path(checked.verdict).with_name("rejects.parquet").exists()


STOP = (
    QUARANTINE
    + """
  - {expect: expect_column_values_to_be_unique, column: no, on_fail: stop}
  - {expect: expect_table_row_count_to_be_between, min_value: 10, on_fail: stop}
"""
)


def test_a_stop_names_the_checks_and_the_rows_and_sets_nothing_aside(city: Callable[[str], Context]) -> None:
    ctx = city(STOP)
    with pytest.raises(CheckFailed) as caught:
        run(ctx, ROWS)
    text = str(caught.value)
    assert (
        "expect_column_values_to_be_unique on no: 2 of 4 rows failed, the first at people.csv row 3, people.csv row 4"
        in text
    )
    assert "expect_table_row_count_to_be_between: does not hold for the 4 rows (it is 4)" in text
    assert "row count to be between (min_value 10)" in text
    assert "the rows come with the next batch" in text and "collect again" not in text
    assert text.endswith(f"xuanwu run civil.people --batch {batch_of().id} --from check")
    assert set_aside(ctx) == []
    folder = zones.folder(ctx.settings, "verdicts", "civil.people", batch_of().id)
    assert [Path(path).name for path in store.list_files(folder)] == ["verdict.json"]


def test_no_value_leaves_but_for_the_quarantine(
    city: Callable[[str], Context], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = []
    for checks in (QUARANTINE, STOP, BROKEN):
        try:
            texts.append(store.read_bytes(run(city(checks), ROWS).verdict).decode())
        except (CheckFailed, EngineError) as error:
            texts.append(f"{error!r} {error} {error.__cause__!r} {error.place} {error.expected}")
    for path in store.list_files(zones.folder(city(STOP).settings, "verdicts", "civil.people")):
        texts.append(store.read_bytes(path).decode(errors="replace"))
    streams = capfd.readouterr()
    said = "\n".join((*texts, streams.out, streams.err, caplog.text))
    assert CANARY not in said and "98765432101234567" not in said
    assert "expect_column_values_to_match_regex" in said


BROKEN = """
  - {expect: expect_column_values_to_be_between, column: no, min_value: 0, on_fail: quarantine}
"""


def test_an_engine_error_is_no_failed_check(city: Callable[[str], Context]) -> None:
    ctx = city(BROKEN)
    with pytest.raises(EngineError, match="the data are not judged") as caught:
        run(ctx, ROWS)
    assert caught.value.place["rule"].startswith("expect_column_values_to_be_between")
    assert caught.value.place["field"] == "no"
    assert store.list_files(zones.folder(ctx.settings, "verdicts", "civil.people")) == []


def test_a_damaged_file_is_an_engine_error(city: Callable[[str], Context]) -> None:
    ctx = city(QUARANTINE)
    given = standardised(ctx, ROWS)
    Path(given.path).write_bytes(Path(given.path).read_bytes()[:200])
    with pytest.raises(EngineError, match="not judged"):
        check(ctx, ctx.catalogue.entry("civil.people"), given)


DROP = """
  - {expect: expect_table_row_count_not_to_drop, max_drop: 0.5, on_fail: stop}
"""


def write_down(ctx: Context, checked: Checked) -> None:
    """The batch in the ledger, from its landing to its check."""
    batch, rows = checked.batch, checked.rows_in
    file = LandedFile(path="f", origin="f", sha256="0", size=1, rows=rows, format="csv")
    standard = Standardised(batch=batch, path=checked.path, rows_in=rows, rows_out=rows, quarantined=0)
    landed = Landed(batch=batch, files=(file,), rows=rows, collected_at=batch.end)
    for stage, record in (("collect", landed), ("standardise", standard), ("check", checked)):
        ctx.ledger.finish(ctx.ledger.begin(batch, stage), record)


def test_a_drop_against_the_batch_before(city: Callable[[str], Context]) -> None:
    ctx = city(DROP)
    first = run(ctx, [good(n) for n in range(10)])
    write_down(ctx, first)
    later = batch_of(DAY + timedelta(days=1))
    assert run(ctx, [good(n) for n in range(5)], later).rows_out == 5
    with pytest.raises(CheckFailed, match="expect_table_row_count_not_to_drop"):
        run(ctx, [good(n) for n in range(4)], later)
    assert run(ctx, [good(0)], batch_of(DAY - timedelta(days=1))).rows_out == 1, (
        "no batch stands before the first"
    )


REFERS = """
  - {expect: expect_column_values_to_exist_in_dataset, column: no, dataset: civil.people, field: no, on_fail: quarantine}
"""


def test_a_key_of_another_dataset(city: Callable[[str], Context]) -> None:
    ctx = city(REFERS)
    with pytest.raises(EngineError, match="no curated table"):
        run(ctx, ROWS)
    schema = entry_schema(ctx.catalogue.entry("civil.people"))
    table = identifier("curated", "civil.people")
    ctx.tables.ensure(table, schema)
    assert run(ctx, ROWS).quarantined == 4, "an empty table holds no key"
    stored = pa.table({name: [good(0).get(name)] for name in schema.names}, schema)
    ctx.tables.replace(table, stored.to_reader(), (), {})
    assert run(ctx, ROWS).quarantined == 3


def test_more_checks_than_a_word_has_bits(city: Callable[[str], Context]) -> None:
    line = "  - {expect: expect_column_value_lengths_to_equal, column: no, value: %d, on_fail: quarantine}\n"
    ctx = city("".join(line % n for n in range(3, 133)))
    checked = run(ctx, [good(1), {**good(2), "no": "N23"}])
    assert checked.quarantined == 2
    assert [len(row["failures"]) for row in set_aside(ctx)] == [130, 129]
