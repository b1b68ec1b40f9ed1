"""The DAG of the public site: there where the city has one, and doing what `xuanwu portal` does."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

from schemas.settings import Settings
from tests.waiting import ran

pytestmark = pytest.mark.timeout(120)


def test_twice_an_hour_until_a_rehearsal_ends(tmp_path: Path) -> None:
    from dags.publicsite import portal_dag

    dag = portal_dag(Settings(home=tmp_path, until=date(2026, 3, 4)))
    assert (dag.dag_id, [task.task_id for task in dag.tasks]) == ("xuanwu_portal", ["portal"])
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert dag.end_date is not None and dag.end_date.date() == date(2026, 3, 4)


def test_the_task_builds_it_and_says_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dags.publicsite import build

    monkeypatch.setenv("XUANWU_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XUANWU_PORTAL", str(tmp_path / "site"))
    counts = build()
    assert counts.keys() == {"copied", "written", "removed", "unchanged"} and counts["written"] > 0
    assert (tmp_path / "site/index.html").exists()
    assert build()["unchanged"] == counts["written"]


@pytest.mark.parametrize(("portal", "dags"), [("", "[]"), ("site", "['xuanwu_portal']")])
def test_there_is_one_where_there_is_a_site_and_parsing_loads_nothing_heavy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portal: str, dags: str
) -> None:
    monkeypatch.setenv("XUANWU_PORTAL", portal and str(tmp_path / portal))
    code = (
        "import sys, dags.publicsite as module; "
        "print([v.dag_id for k, v in vars(module).items() if k.startswith('xuanwu_')], "
        "[m for m in ('pandas', 'pyiceberg', 'great_expectations', 'duckdb', 'pyarrow', 'portal') if m in sys.modules])"
    )
    found = ran([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith(f"{dags} []")
