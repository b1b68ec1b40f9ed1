"""What workers do, without a cluster: their units make up the batch as the local engine standardises it."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from expectations.conditions import flag
from expectations.flags import raised
from expectations.known import Known
from lake import store
from lake.records import Landed, LandedFile
from pipelines.casting.converting import plan
from pipelines.context import Context
from pipelines.quarantine.laid import Corrections
from pipelines.spark import standardise as spark
from pipelines.spark.sql import translated
from pipelines.spark.standardise import shared_out, unknown_codes
from pipelines.spark.worker.convert import Done, Shared, Unit, convert
from pipelines.standardise import standardise
from schemas.errors import ColumnsMissing, EngineError, Unbalanced
from schemas.model import Check, Code
from schemas.settings import Settings
from tests.conftest import NOW
from tests.pipelines.building import batch_of, context_of, entry_of

FIELDS: dict[str, Any] = {
    "no": {"type": "integer"},
    "gender": {"type": "string", "codes": "gender"},
    "day": {"type": "date"},
}
ENTRY = entry_of("civil.fee", {"kind": "file", "path": "fee", "format": "parquet"}, FIELDS)
CODES = {"gender": (Code(code="1", zh="男"), Code(code="2", zh="女"))}


@pytest.fixture
def ctx(settings: Settings) -> Context:
    made = context_of(settings, [ENTRY])
    return replace(made, catalogue=replace(made.catalogue, codes=CODES))


@pytest.fixture
def landed(tmp_path: Path) -> Landed:
    """Two files of 250 rows in groups of 100, of which every seventh does not convert."""
    files = []
    for name in ("a", "b"):
        rows = pa.table(
            {
                "no": pa.array(range(250)),
                "gender": [("男", "女", "x")[2 if n % 7 == 3 else n % 2] for n in range(250)],
                "day": ["2026-03-01"] * 250,
            }
        )
        path = tmp_path / f"{name}.parquet"
        pq.write_table(rows, path, row_group_size=100)
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        file = LandedFile(
            path=str(path), origin=name, sha256=digest, size=len(data), rows=250, format="parquet"
        )
        files.append(file)
    return Landed(batch=batch_of(ENTRY.id), files=tuple(files), rows=500, collected_at=NOW)


def test_units_are_the_batch(
    ctx: Context, landed: Landed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row once, with the number that the local engine gives it; counts and unknown codes add up to its own."""
    monkeypatch.setattr(spark, "TASK_ROWS", 150)
    units = list(shared_out(landed.files))
    assert [(unit.first, unit.rows, unit.groups) for unit in units] == [
        (0, 100, (0,)), (100, 150, (1, 2)), (250, 100, (0,)), (350, 150, (1, 2)),
    ]  # fmt: skip
    shared = Shared(
        ENTRY, plan(ENTRY, ctx.catalogue), Corrections(), landed.batch.id, NOW, str(tmp_path / "batch")
    )
    done = [convert(*pickle.loads(pickle.dumps((shared, unit)))) for unit in units]
    record = standardise(ctx, ENTRY, landed)
    found = pa.concat_tables(map(pq.read_table, store.list_files(str(tmp_path / "batch" / "rows"))))
    assert found.equals(pq.read_table(record.path))
    assert sum(each.rows_in for each in done) == record.rows_in == 500
    assert sum(each.rows_out for each in done) == record.rows_out
    aside = pa.concat_tables(pq.read_table(each.rejects) for each in done if each.rejects)
    assert aside.num_rows == record.quarantined > 0
    assert unknown_codes(done) == record.unknown_codes


def test_a_unit_that_lost_rows_does_not_tell_whom_its_file_is_called_after(landed: Landed) -> None:
    file = landed.files[0].model_copy(update={"origin": "a.zip", "member": "13987651234.parquet"})
    with pytest.raises(Unbalanced, match=r"file a\.zip!\[手机号\]\.parquet"):
        spark._require_all(Unit(0, file, 0, 250, None), Done(249, 249, 0, None, {}), "civil.fee")


def test_a_file_with_erased_rows_is_one_unit(landed: Landed) -> None:
    file = landed.files[0].model_copy(update={"erased": (3,), "rows": 249})
    units = list(shared_out([file, landed.files[1]]))
    assert [(unit.first, unit.groups) for unit in units] == [(0, None), (249, (0, 1, 2))]


def test_rows_of_a_unit_are_counted_in_the_whole_file(ctx: Context, landed: Landed, tmp_path: Path) -> None:
    shared = Shared(
        ENTRY, plan(ENTRY, ctx.catalogue), Corrections(), landed.batch.id, NOW, str(tmp_path / "batch")
    )
    convert(shared, Unit(0, landed.files[0], 200, 50, (2,)))
    (path,) = store.list_files(str(tmp_path / "batch" / "rows"))
    rows = pq.read_table(path)
    assert pc.min(rows["_row"]).as_py() == 201
    assert pc.min(rows["_seq"]).as_py() == 200


def test_an_error_of_a_worker_keeps_its_place() -> None:
    error = ColumnsMissing("lacks", missing=["a"], found={"b": "int"}, dataset="civil.fee", next_step="ask")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "lacks; [dataset civil.fee]; next: ask"
    assert again.place == error.place and again.missing == ("a",)


CHECKS = (
    {
        "expect": "expect_column_values_to_match_regex",
        "column": "id_no",
        "regex": r"^\d{17}[\dX]$",
        "on_fail": "stop",
    },
    {"expect": "expect_column_values_to_be_valid_resident_id", "column": "id_no", "on_fail": "stop"},
    {
        "expect": "expect_column_values_to_be_in_code_list",
        "column": "at",
        "codes": "gender",
        "on_fail": "stop",
    },
)


def test_rules_of_single_rows_are_told_by_duckdb() -> None:
    """The flags of rows, whatever their names; a name that is a keyword, a pattern with a quote and a percent sign."""
    from expectations.spark import flags
    from expectations.suite import prepare

    odd = {
        "expect": "expect_column_values_to_not_match_regex",
        "column": "at",
        "regex": "'%\\d?",
        "on_fail": "stop",
    }
    fields = {"id_no": {"type": "string"}, "at": {"type": "string"}}
    entry = entry_of("civil.fee", {"kind": "file", "path": "fee", "format": "csv"}, fields)
    entry = entry.model_copy(update={"checks": tuple(Check(**each) for each in (*CHECKS, odd))})
    known = Known(NOW, codes={"gender": ["1", "2"]})
    made = flags(prepare(entry, known), known)
    batch = pa.record_batch(
        {
            "id_no": pa.array(["11010519491231002X", "110105194912310021", "x", None]),
            "at": pa.array(["1", "3", "'%5", None]),
            "_seq": pa.array([10, 11, 12, 13]),
        }
    )
    (told,) = raised(pickle.loads(pickle.dumps(made)), iter([batch]))
    assert told.schema.names == ["id_no", "at", "_seq", *made.names]
    regex = flag("column_values.match_regex", "id_no", {"regex": r"^\d{17}[\dX]$"})
    assert told.column(regex).to_pylist() == [True, True, False, None]
    assert told.column(flag("column_values.valid_resident_id", "id_no", {})).to_pylist() == [
        True,
        False,
        False,
        None,
    ]
    listed = flag("column_values.in_code_list", "at", {"codes": "gender"})
    assert told.column(listed).to_pylist()[:3] == [True, False, False]
    quoted = flag("column_values.not_match_regex", "at", {"regex": "'%\\d?"})
    assert told.column(quoted).to_pylist() == [True, True, False, None]


def test_a_check_that_is_not_known_on_spark_is_refused() -> None:
    from expectations.spark import refuse

    outlier = Check(expect="expect_column_values_to_not_be_outliers", column="no", on_fail="warn")
    with pytest.raises(EngineError, match="spark does not do expect_column_values_to_not_be_outliers"):
        refuse(ENTRY.model_copy(update={"checks": (outlier,)}))


def test_statements_are_put_into_sparks_words() -> None:
    query = (
        'SELECT o."at" FROM own AS o SEMI JOIN civil."fee" USING (_seq) WHERE o."at" IS NOT DISTINCT FROM o.b'
    )
    assert translated(query, {"civil.fee": "v"}) == (
        "SELECT o.`at` FROM own AS o SEMI JOIN v USING (_seq) WHERE o.`at` IS NOT DISTINCT FROM o.b"
    )
