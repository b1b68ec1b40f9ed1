"""The DAG of the exchange's errands, and what its tasks do."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

from schemas.settings import Settings
from tests.waiting import ran

pytestmark = pytest.mark.timeout(120)


def test_three_errands_every_quarter_and_never_for_the_past(tmp_path: Path) -> None:
    from dags.errands import exchange_dag

    dag = exchange_dag(Settings(home=tmp_path, until=date(2026, 3, 4)))
    assert sorted(task.task_id for task in dag.tasks) == ["deliveries", "grants", "notices"]
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert dag.end_date is not None and dag.end_date.date() == date(2026, 3, 4)


def test_without_an_exchange_there_is_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dags.due import due
    from dags.errands import notify, refresh

    monkeypatch.setenv("XUANWU_HOME", str(tmp_path))
    assert (refresh(), notify(), due()) == (0, {}, [])
    assert not (tmp_path / "exchange.db").exists()


def test_parsing_loads_nothing_heavy() -> None:
    code = (
        "import sys, dags.errands, dags.deliveries; "
        "print([m for m in ('pandas', 'pyiceberg', 'great_expectations', 'duckdb', 'fastapi') if m in sys.modules])"
    )
    found = ran([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith("[]")
