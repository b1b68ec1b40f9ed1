"""Corrections laid over what landed: as if the source had written it so, whatever is corrected."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lake import handling, quarantine, recordstore, store
from lake.handling import VALUES, Said
from lake.records import Landed, LandedFile, Standardised
from pipelines.context import Context
from pipelines.proof.certifying import open_log
from pipelines.quarantine.corrections import waiting
from pipelines.standardise import standardise
from schemas.errors import LakeError
from schemas.model import Code
from schemas.settings import Settings
from tests.pipelines.building import NOW, batch_of, context_of, entry_of

FIELDS: dict[str, Any] = {
    "no": {"type": "string", "source": "编号"},
    "gender": {"type": "string", "source": "性别", "codes": "gender"},
    "label": {"type": "string", "source": "性别"},
    "day": {"type": "date", "source": "日期"},
    "fee": {"type": "decimal", "source": "费用"},
}
COLUMNS = ("编号", "性别", "日期", "费用")
CODES = {"gender": (Code(code="1", zh="男"), Code(code="2", zh="女"))}
ENTRY = entry_of("civil.fee", {"kind": "file", "path": "fee", "format": "csv"}, FIELDS)
Table = list[list[str]]


def context(home: Path) -> Context:
    made = context_of(Settings(home=home), [ENTRY])
    return replace(made, catalogue=replace(made.catalogue, codes=CODES))


def land(root: Path, rows: Table, name: str = "fee.csv") -> Landed:
    out = io.StringIO()
    csv.writer(out).writerows([COLUMNS, *rows])
    data = out.getvalue().encode()
    root.mkdir(parents=True, exist_ok=True)
    path = root / name
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    file = LandedFile(
        path=str(path), origin=name, sha256=digest, size=len(data), rows=len(rows), format="csv"
    )
    return Landed(batch=batch_of(ENTRY.id), files=(file,), rows=len(rows), collected_at=NOW)


def lay(
    ctx: Context, landed: Landed, cells: dict[tuple[int, str], str | None], file: str = "fee.csv"
) -> None:
    """Record corrections by row of the file (the header is the first) and column."""
    rows = [
        {"file": file, "row": row, "column": name, "value": value} for (row, name), value in cells.items()
    ]
    handling.record(
        ctx.settings,
        open_log(ctx)[0],
        (ENTRY.id, landed.batch.id),
        "correct",
        pa.Table.from_pylist(rows, schema=VALUES),
        said=Said("li", NOW),
    )


def result(ctx: Context, done: Standardised) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The typed rows, and what is set aside."""
    typed = [row for path in store.parts(done.path) for row in pq.read_table(path).to_pylist()]
    aside = [row for part in quarantine.rows(ctx.tables, ENTRY.id) for row in part.to_pylist()]
    return typed, sorted(aside, key=lambda row: row["row"])


CELLS = {
    "编号": st.sampled_from(["A1", "Ａ２", " A3 "]),
    "性别": st.sampled_from(["1", "男", "女", "雄", "", "３"]),
    "日期": st.sampled_from(["2026-03-01", "2026-02-30", "20260301", "无", ""]),
    "费用": st.sampled_from(["1", "1.5", "一百", "1e99", "", "-0.01"]),
}
ROWS = st.lists(st.tuples(*CELLS.values()).map(list), min_size=1, max_size=8)


@st.composite
def corrected(draw: st.DrawFn) -> tuple[Table, dict[tuple[int, str], str | None]]:
    rows = draw(ROWS)
    places = draw(
        st.lists(st.tuples(st.integers(0, len(rows) - 1), st.sampled_from(COLUMNS)), unique=True, max_size=8)
    )
    cells = {(row + 2, name): draw(CELLS[name]) for row, name in places}
    return rows, {place: value or None for place, value in cells.items()}


@given(case=corrected())
@examples(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_correction_is_as_if_the_source_had_written_it(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[Table, dict[tuple[int, str], str | None]]
) -> None:
    """Typed rows, reasons and data of what is set aside, unknown codes and counts, beside those of a file that was
    written so; and the rows balance."""
    rows, cells = case
    written = [
        [cells.get((n + 2, name), cell) or "" for name, cell in zip(COLUMNS, row, strict=True)]
        for n, row in enumerate(rows)
    ]
    own, other = (tmp_path_factory.mktemp("lake") for _ in range(2))
    ctx, plain = context(own), context(other)
    landed = land(own / "in", rows)
    if cells:
        lay(ctx, landed, cells)
    done = standardise(ctx, ENTRY, landed)
    expected = standardise(plain, ENTRY, land(other / "in", written))
    assert done.rows_in == len(rows) == done.rows_out + done.quarantined
    assert done.corrected == len(cells) and len(done.corrections) == bool(cells)
    alike = {"path", "corrected", "corrections"}
    assert done.model_dump(exclude=alike) == expected.model_dump(exclude=alike)
    typed, aside = result(ctx, done)
    wanted, wanted_aside = result(plain, expected)
    assert typed == wanted
    assert [{**row, "data": _told(row)} for row in aside] == [
        {**row, "data": _told(row)} for row in wanted_aside
    ]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """The row's data; an empty text and no value are the same to whoever corrects it."""
    return {name: value or None for name, value in json.loads(row["data"]).items()}


def test_a_row_that_could_not_be_read_is_one_that_can(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    landed = land(
        tmp_path / "in", [["A1", "男", "2026-03-01", "1"], ["A2", "男"], ["A3", "男", "无", "2", "多"]]
    )
    assert standardise(ctx, ENTRY, landed).quarantined == 2
    lay(ctx, landed, {(3, "编号"): "A2", (3, "费用"): "7"})
    done = standardise(ctx, ENTRY, landed)
    assert (done.rows_out, done.quarantined, done.corrected) == (2, 1, 2)
    typed, (aside,) = result(ctx, done)
    assert typed[1]["no"] == "A2" and typed[1]["gender"] is None and typed[1]["_row"] == 3
    assert "_raw" in json.loads(aside["data"])


def test_later_corrections_count_and_one_that_is_not_collected_any_more_does_not(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    landed = land(tmp_path / "in", [["A1", "雄", "2026-03-01", "1"]])
    lay(ctx, landed, {(2, "性别"): "女", (2, "备注"): "x"})
    lay(ctx, landed, {(2, "性别"): "男"})
    done = standardise(ctx, ENTRY, landed)
    assert (done.corrected, len(done.corrections)) == (1, 2)
    assert result(ctx, done)[0][0]["gender"] == "1"


@pytest.mark.parametrize("place", [("fee.csv", 9), ("other.csv", 2)])
def test_a_correction_that_finds_no_row_stops_the_batch(tmp_path: Path, place: tuple[str, int]) -> None:
    ctx = context(tmp_path)
    landed = land(tmp_path / "in", [["A1", "男", "2026-03-01", "1"]])
    lay(ctx, landed, {(place[1], "性别"): "女"}, place[0])
    with pytest.raises(LakeError, match="0 values were corrected and 1 corrections are there"):
        standardise(ctx, ENTRY, landed)


def test_a_correction_that_somebody_put_there_stops_the_batch(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    landed = land(tmp_path / "in", [["A1", "雄", "2026-03-01", "1"]])
    lay(ctx, landed, {(2, "性别"): "女"})
    (act,) = handling.acts(ctx.settings, ENTRY.id, landed.batch.id)
    folder = Path(handling.folder(ctx.settings, ENTRY.id, landed.batch.id))
    forged = handling._parquet(
        pa.Table.from_pylist([{"file": "fee.csv", "row": 2, "column": "性别", "value": "男"}], schema=VALUES)
    )
    name, digest = "00002-forged00", hashlib.sha256(forged).hexdigest()
    (folder / f"{name}.parquet").write_bytes(forged)
    made = act.model_copy(update={"name": name, "sha256": digest, "size": len(forged)})
    (folder / f"{name}.json").write_text(made.model_dump_json())
    with pytest.raises(LakeError, match="not the one in the audit log"):
        standardise(ctx, ENTRY, landed)


def test_which_batches_wait(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    landed = land(tmp_path / "in", [["A1", "雄", "2026-03-01", "1"]])
    ctx.ledger.begin(landed.batch, "collect")
    assert list(waiting(ctx, ENTRY.id)) == []
    lay(ctx, landed, {(2, "性别"): "女"})
    assert list(waiting(ctx, ENTRY.id)) == [landed.batch.id]
    recordstore.save(ctx.settings, standardise(ctx, ENTRY, landed), "standardise")
    assert list(waiting(ctx, ENTRY.id)) == []
    lay(ctx, landed, {(2, "性别"): "男"})
    assert list(waiting(ctx, ENTRY.id)) == [landed.batch.id]
