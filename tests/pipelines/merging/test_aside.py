"""Rows that could not be standardised are still held by their source: a snapshot is no reason to delete their keys."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.records import Checked, Landed, LandedFile, Merged
from pipelines.context import Context
from pipelines.merge import merge
from pipelines.standardise import standardise
from schemas.model import Entry
from schemas.settings import Settings
from tests.pipelines.building import batch_of, context_of, entry_of
from tests.pipelines.merging.making import counts

DATASET = "parks.tree"
Run = Callable[[int, Path], Merged]
Rows = Sequence[Sequence[Any]]


def entry(kind: str, key: Sequence[str], fields: dict[str, Any]) -> Entry:
    source = {"kind": "file", "path": "trees", "format": kind}
    return entry_of(DATASET, source, fields, key=tuple(key), merge={"kind": "snapshot"})


def day(ctx: Context, entry: Entry, number: int, path: Path) -> Merged:
    """A day's file standardised, checked by nothing, and merged."""
    batch = batch_of(DATASET, number)
    file = LandedFile(
        path=str(path),
        origin=path.name,
        sha256="",
        size=1,
        rows=0,
        format=entry.source.format,
        encoding="utf-8",
    )
    landed = Landed(batch=batch, files=(file,), rows=0, collected_at=ctx.clock())
    done = standardise(ctx, entry, landed)
    rows = done.rows_out
    checked = Checked(
        batch=batch, path=done.path, rejects=None, verdict="", rows_in=rows, rows_out=rows, quarantined=0
    )
    return merge(ctx, entry, checked)


def csv_of(folder: Path, number: int, *lines: str) -> Path:
    path = folder / f"{number}.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def run(settings: Settings) -> Callable[[Entry], Run]:
    def of(made: Entry) -> Run:
        ctx = context_of(settings, [made])
        return lambda number, path: day(ctx, made, number, path)

    return of


def test_a_row_that_does_not_convert_is_no_deletion(run: Callable[[Entry], Run], tmp_path: Path) -> None:
    on = run(
        entry(
            "csv",
            ["no"],
            {"no": {"type": "string", "source": "编号", "normalise": ["trim"]}, "girth": "integer"},
        )
    )
    on(1, csv_of(tmp_path, 1, "编号,girth", "T1,1", "T2,2", "T3,3"))
    assert counts(on(2, csv_of(tmp_path, 2, "编号,girth", "T1,1", " T2 ,two"))) == {
        "unchanged": 1,
        "deleted": 1,
    }
    assert counts(on(3, csv_of(tmp_path, 3, "编号,girth", "T1,1"))) == {"unchanged": 1, "deleted": 1}


def test_a_row_whose_key_cannot_be_read_protects_nothing(run: Callable[[Entry], Run], tmp_path: Path) -> None:
    on = run(entry("csv", ["no", "on"], {"no": "integer", "on": {"type": "date"}, "girth": "integer"}))
    on(1, csv_of(tmp_path, 1, "no,on,girth", "1,2026-03-01,1", "2,2026-03-01,2", "3,2026-03-01,3"))
    second = on(2, csv_of(tmp_path, 2, "no,on,girth", "1,2026-03-01,x", "2,2026-02-30,2", "3,2026-03-01"))
    assert counts(second) == {"deleted": 2}


def test_merged_again_after_a_correction_it_is_deleted_no_more_and_changed(
    run: Callable[[Entry], Run], tmp_path: Path
) -> None:
    """The keys set aside are part of what a merge is made of: another standardising is another merge."""
    on = run(entry("csv", ["no"], {"no": "string", "girth": "integer"}))
    on(1, csv_of(tmp_path, 1, "no,girth", "T1,1", "T2,2"))
    assert counts(on(2, csv_of(tmp_path, 2, "no,girth", "T1,1", "T2,two"))) == {"unchanged": 1}
    assert counts(on(2, csv_of(tmp_path, 2, "no,girth", "T1,1", "T3,two"))) == {"unchanged": 1, "deleted": 1}


def test_keys_are_read_as_their_source_types_them(run: Callable[[Entry], Run], tmp_path: Path) -> None:
    """What is set aside is text: of a date that was one at the source in ISO 8601, whatever the field's own form."""
    fields = {
        "no": "string",
        "on": {"type": "date", "formats": ("%d/%m/%Y",)},
        "at": "timestamp",
        "girth": "integer",
    }
    on = run(entry("parquet", ["no", "on", "at"], fields))
    at = dt.datetime(2026, 3, 1, 8, 30, 0, 500000, tzinfo=dt.UTC)
    for number, girth in ((1, ["1", "2"]), (2, ["x", "2"])):
        rows = {"no": [7, 8], "on": [dt.date(2026, 3, 1)] * 2, "at": [at] * 2, "girth": girth}
        pq.write_table(pa.table(rows), tmp_path / f"{number}.parquet")
    on(1, tmp_path / "1.parquet")
    assert counts(on(2, tmp_path / "2.parquet")) == {"unchanged": 1}


def test_keys_of_a_workbook(run: Callable[[Entry], Run], tmp_path: Path) -> None:
    on = run(entry("excel", ["no", "on"], {"no": "string", "on": "date", "girth": "integer"}))
    for number, girth in ((1, 2), (2, "two")):
        book = openpyxl.Workbook()
        for line in (
            ["no", "on", "girth"],
            [320102, dt.date(2026, 3, 1), 1],
            [320104, dt.date(2026, 3, 1), girth],
        ):
            book.active.append(line)
        book.save(tmp_path / f"{number}.xlsx")
    on(1, tmp_path / "1.xlsx")
    assert counts(on(2, tmp_path / "2.xlsx")) == {"unchanged": 1}
