"""The DAG of the lake's upkeep, and what its task does."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

from schemas.settings import Settings
from tests.waiting import ran

pytestmark = pytest.mark.timeout(120)


def test_every_morning_once_and_never_for_the_past(tmp_path: Path) -> None:
    from dags.upkeep import upkeep_dag

    dag = upkeep_dag(Settings(home=tmp_path))
    assert (dag.dag_id, [task.task_id for task in dag.tasks]) == ("xuanwu_upkeep", ["upkeep"])
    assert (dag.catchup, dag.max_active_runs, dag.end_date) == (False, 1, None)
    assert str(dag.timetable.timezone) == "Asia/Shanghai"


def test_a_rehearsal_ends_with_its_last_day(tmp_path: Path) -> None:
    from dags.upkeep import upkeep_dag

    dag = upkeep_dag(Settings(home=tmp_path, until=date(2026, 3, 4)))
    assert dag.end_date is not None and dag.end_date.date() == date(2026, 3, 4)


def test_the_task_does_it_and_says_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dags.upkeep import run

    monkeypatch.setenv("XUANWU_HOME", str(tmp_path))
    counts = run()
    assert {"removed scratch", "removed snapshots", "removed files", "compacted files"} < counts.keys()
    assert sum(counts.values()) == 0


def test_parsing_loads_nothing_heavy() -> None:
    code = (
        "import sys, dags.upkeep; "
        "print([m for m in ('pandas', 'pyiceberg', 'great_expectations', 'duckdb') if m in sys.modules])"
    )
    found = ran([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith("[]")
