"""What `make bench` rests on: its residents, its arithmetic, its judgement. Nothing here measures time."""

import json
import re
from datetime import date
from types import SimpleNamespace
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks import masks, run
from benchmarks.contest import CATALOGUE, FLOOR, NEXT, OURS, RECEIVED, WAY
from benchmarks.flame import drawn, folded, without_places
from benchmarks.measure import Run
from benchmarks.page import PAGE, _earlier, page
from benchmarks.picture import picture
from benchmarks.residents import PART, SCHEMA, residents
from benchmarks.results import DAY_ROWS, Measured, as_json, beside, goals, lines
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
    verdicts = {goal.goal: goal.met for goal in goals(table, 1)}
    assert verdicts == {
        f"{WAY}: ≤ 2 × the floor": True,
        f"{WAY}: ≥ 4 × faster than pandas + GX": met,
        f"{WAY}: peak memory ≤ 1 GiB": True,
    }


def test_of_a_peer_is_told_what_receiving_alone_leaves_room_for():
    """It is no peer, and comes before all others."""
    of = {"group": "collect postgresql"}
    made = [measured("dlt ConnectorX", 9, **of), measured(OURS, 6, **of), measured(RECEIVED, 4.5, **of)]
    table = lines(made, 1)
    assert [line.contender for line in table] == [RECEIVED, OURS, "dlt ConnectorX"]
    (goal,) = (goal for goal in goals(table, 1) if "dlt" in goal.goal)
    assert (goal.met, goal.measured) == (False, "1.50 × (1.50 × without starting); receiving alone 2.00 ×")


@pytest.mark.parametrize(("seconds", "met"), [(0.19, True), (0.21, False)])
def test_a_day_is_held_against_the_first_load(seconds: float, met: bool):
    day = measured(OURS, 10, group=NEXT)
    day.run.report["phases"] = {
        "first collect": 1.0,
        "first merge": 3.0,
        "change": 50.0,
        "day merge": seconds,
    }
    (line,) = lines([day], 1)
    (verdict,) = (goal for goal in goals([line], DAY_ROWS) if "1 %" in goal.goal)
    assert not [goal for goal in goals([line], DAY_ROWS - 1) if "1 %" in goal.goal]
    assert (line.day, verdict.met) == (pytest.approx(seconds / 4), met)


def test_the_page_tells_goals_stages_growth_and_who_is_faster(tmp_path):
    for rows, seconds in ((1000, 4), (4000, 16)):
        made = [measured(OURS, seconds, 1), measured(FLOOR, 3), measured("pandas + GX", 2)]
        told = as_json(
            made, lines(made, rows), date="2026-01-01", rows=rows, repeat=1, missing=["Spark: no Java"]
        )
        (tmp_path / f"2026-01-01-{rows}.json").write_text(json.dumps(told))
    said = page(tmp_path)
    assert "## Goals, at 4,000 rows" in said
    assert "pandas + GX (whole way: 0.12 × Xuanwu's time)" in said
    assert "Left out: Spark: no Java" in said
    assert "| collect | 15.0 | 100% |" in said
    assert "Exponent from 1,000 to 4,000 rows: 1.16" in said


def test_the_page_tells_the_goals_of_every_large_contest_and_those_of_masks(tmp_path):
    for rows in (200_000, 2_000_000, 20_000_000):
        made = [measured(OURS, rows / 1e5 + 1, 1), measured(FLOOR, rows / 1e5)]
        told = as_json(made, lines(made, rows), date="2026-01-01", rows=rows, repeat=1, missing=[])
        (tmp_path / f"2026-01-01-{rows}.json").write_text(json.dumps(told))
    took = masks.measured(masks.REPEATED, masks.values(6_000, 60), 1) | {"ours": 1.0, "loop": 2.9}
    assert (took["rows"], took["distinct"]) == (6_000, 60)
    machine = {"commit": "c", "processor": "p", "cores": 2, "memory": 1 << 30, "system": "L", "python": "3"}
    kept = {"kind": "masks", "date": "2026-01-01", "machine": machine, "took": [took]}
    (tmp_path / "masks.json").write_text(json.dumps(kept))
    said = page(tmp_path)
    assert "Exponent from 200,000 to 20,000,000 rows: 1.00 (goal: at most 1.05, met)" in said
    assert re.findall("## Goals, at (.*) rows", said) == ["2,000,000", "20,000,000"]
    assert f"| {masks.REPEATED}, 6,000 rows | 1.00 | 2.90 | 2.9 × | ≥ 3 × | **not met** |" in said


def test_growth_is_told_of_one_kind_of_processor(tmp_path):
    for rows, processor in ((200_000, "another"), (2_000_000, "one"), (20_000_000, "one")):
        made = [measured(OURS, rows / 1e5 + 1, 1)]
        told = as_json(made, lines(made, rows), date="2026-01-01", rows=rows, repeat=1, missing=[])
        told["taken"][WAY]["processor"] = processor
        (tmp_path / f"2026-01-01-{rows}.json").write_text(json.dumps(told))
    assert "Exponent from 2,000,000 to 20,000,000 rows: 1.00" in page(tmp_path)


def test_a_group_that_is_measured_later_is_put_beside_the_others():
    def told(group: str, seconds: float, **more: object) -> dict[str, object]:
        made = [measured(OURS, seconds, group=group), measured(FLOOR, 3, group=group)]
        return as_json(made, lines(made, 1), rows=1, date="2026-03-02", missing=["Java"], **more)

    both = beside(told("collect csv", 3), told(WAY, 12))
    assert [(line["group"], line["seconds"]) for line in both["table"][1::2]] == [
        ("collect csv", 3),
        (WAY, 12),
    ]
    assert {goal["goal"]: goal["met"] for goal in both["goals"] if "floor" in goal["goal"]} == {
        "collect csv: ≤ 1.2 × the floor": True,
        f"{WAY}: ≤ 2 × the floor": False,
    }
    both["taken"]["collect csv"]["commit"] = "before"
    assert beside(both, told(WAY, 12))["taken"]["collect csv"]["commit"] == "before"
    assert "commit before" in "".join(_earlier(both, "collect csv")) and not [*_earlier(both, WAY)]
    again = beside(both, told("collect csv", 30))
    assert again["taken"]["collect csv"]["commit"] == again["machine"]["commit"] != "before"
    assert [line["seconds"] for line in again["table"]] == [3, 30, 3, 12]
    assert (len(again["runs"]), again["missing"]) == (4, ["Java"])


def test_what_was_measured_on_another_day_stays_in_the_newest_file(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "RESULTS", tmp_path)
    for day, group, rows in (
        ("01", "collect csv", 9),
        ("02", WAY, 9),
        ("02", WAY, 7),
        ("03", "collect parquet", 9),
    ):
        made = [measured(OURS, 3, group=group)]
        monkeypatch.setattr(run, "date", SimpleNamespace(today=lambda day=day: date(2026, 3, int(day))))
        run._keep(made, lines(made, rows), rows=rows, missing=[])
    left = {"2026-03-02-7", "2026-03-03-9"}
    assert {file.name for file in tmp_path.iterdir()} == {
        f"{name}.{end}" for name in left for end in ("json", "svg")
    }
    table = json.loads((tmp_path / "2026-03-03-9.json").read_text())["table"]
    assert {line["group"] for line in table} == {"collect csv", "collect parquet", WAY}


def test_the_page_is_made_of_the_results_that_are_kept():
    assert PAGE.read_text() == page(), "python -m benchmarks.page"


def test_a_flame_graph_has_a_frame_for_each_function_and_no_script():
    tree = folded(
        [
            "_run_code (<frozen runpy>);a (x.py);b (pipelines/y.py) 3",
            "a (x.py);c <z> (x.py) 1",
            "a (x.py);_load (<frozen importlib>) 4",
        ]
    )
    assert (tree.samples, tree.called["a (x.py)"].called["import"].samples) == (8, 4)
    svg = drawn(tree, "whole & way")
    assert ElementTree.fromstring(svg) is not None
    assert svg.count("<title>") == 5
    assert "script" not in svg
    assert "c &lt;z&gt; (x.py): 12.5%" in svg


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
