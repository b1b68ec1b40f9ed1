"""What `make bench` rests on: its residents, its arithmetic, its judgement. Nothing here measures time."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.contest import CATALOGUE, FLOOR, OURS, WAY
from benchmarks.flame import without_places
from benchmarks.measure import Run
from benchmarks.picture import picture
from benchmarks.residents import PART, SCHEMA, residents
from benchmarks.results import Measured, goals, lines
from benchmarks.same import digest
from schemas.identifiers import is_resident_id
from schemas.load import load_catalogue


def test_residents_are_the_same_each_time_with_one_id_in_a_thousand_wrong():
    table = pa.Table.from_batches(residents(20_000))
    assert table.schema == SCHEMA
    assert table == pa.Table.from_batches(residents(20_000))
    assert pc.count_distinct(table["id_no"]).as_py() == 20_000
    wrong = 20_000 - is_resident_id(table["id_no"].combine_chunks()).sum()
    assert 5 < wrong < 50


def test_rows_are_exact_beyond_a_part():
    assert sum(batch.num_rows for batch in residents(PART + 1)) == PART + 1


def test_the_entry_has_fifteen_fields_and_eight_checks_or_more():
    entry = load_catalogue(CATALOGUE).entry("public_security.resident")
    assert list(entry.fields) == SCHEMA.names
    assert len(entry.checks) >= 8


def measured(contender: str, seconds: float, starting: float = 0.0, group: str = WAY) -> Measured:
    run = Run(seconds, seconds, 1 << 29, dict.fromkeys(("rchar", "wchar"), 0), 0, 0, 0)
    run.report = {"phases": {"start and import": starting, "collect": seconds - starting}}
    return Measured(group, contender, 0, run)


def test_ratios_are_to_the_floor_and_to_ours_with_and_without_starting():
    floor, ours = lines([measured(OURS, 6, 2), measured(FLOOR, 3, 1)], 300)
    assert (floor.contender, ours.contender) == (FLOOR, OURS)
    assert (ours.to_floor, ours.work_to_floor, floor.to_ours, floor.rows_per_second) == (2, 2, 0.5, 100)


@pytest.mark.parametrize(("peer", "met"), [(24.1, True), (23.9, False)])
def test_a_goal_is_met_or_not(peer: float, met: bool):
    table = lines([measured(OURS, 6), measured(FLOOR, 3), measured("pandas + GX", peer)], 1)
    verdicts = {goal.goal: goal.met for goal in goals(table)}
    assert verdicts == {
        f"{WAY}: ≤ 2 × the floor": True,
        f"{WAY}: ≥ 4 × faster than pandas + GX": met,
        f"{WAY}: peak memory ≤ 1 GiB": True,
    }


def test_a_contender_that_failed_has_no_line():
    failed = measured("pandas + GX", 1)
    failed.run.error = "exit code 1"
    assert [line.contender for line in lines([measured(OURS, 2), failed], 1)] == [OURS]


def test_the_digest_of_rows_knows_no_order(tmp_path):
    import pyarrow.parquet as pq

    for name, values in {"a": [1, 2, 2], "b": [2, 1, 2], "c": [1, 1, 2]}.items():
        pq.write_table(pa.table({"n": values}), tmp_path / f"{name}.parquet")
    a, b, c = (digest([str(tmp_path / f"{name}.parquet")], ["n"], {}) for name in "abc")
    assert a == b != c


def test_the_picture_is_of_every_line_and_the_flame_graph_tells_no_place():
    assert picture(lines([measured(OURS, 2), measured(FLOOR, 1)], 1), "rows").count("<rect") == 5
    svg = (
        "x (/home/me/.venv/lib/python3.11/site-packages/pyarrow/compute.py:1) /tmp/xuanwu-flame-1a/flame.svg"
    )
    assert without_places(svg) == "x (pyarrow/compute.py:1) flame.svg"
