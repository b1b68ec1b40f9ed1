"""The DAGs that the city's own catalogue gives, parsed as the DAG processor parses them."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from schemas import house, stamp
from schemas.house import _read_entry as real
from schemas.load import load_catalogue
from schemas.model import LakeSource
from schemas.policy import policies
from schemas.settings import Settings
from tests.waiting import ran

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def dags() -> dict:
    import dags.datasets

    return {name: dag for name, dag in vars(dags.datasets).items() if "." in name}


def test_every_dataset_has_a_dag_and_no_dag_is_without_one(dags: dict) -> None:
    assert set(dags) == set(load_catalogue().entries)
    assert len(dags) >= 12


def test_a_task_for_each_stage_in_their_order(dags: dict) -> None:
    for name, entry in load_catalogue().entries.items():
        zones = [zone for zone in ("share", "open") if policies(entry, zone)]
        tasks = {task.task_id: task for task in dags[name].tasks}
        assert set(tasks) == {
            "collect",
            "standardise",
            "check",
            "merge",
            *(f"publish_{zone}" for zone in zones),
        }
        for before, after in (("collect", "standardise"), ("standardise", "check"), ("check", "merge")):
            assert after in tasks[before].downstream_task_ids, (name, before, after)
        for zone in zones:
            assert f"publish_{zone}" in tasks["merge"].downstream_task_ids


def test_tasks_are_operators_of_ours_in_a_row(dags: dict) -> None:
    """What makes parsing quick: one relation for each step, no function whose signature is inspected, no template."""
    for dag in dags.values():
        row = ["collect", "standardise", "check", "merge"]
        last = {task.task_id for task in dag.tasks} - {*row}
        for task, after in zip(row, [*({name} for name in row[1:]), last], strict=True):
            assert dag.get_task(task).downstream_task_ids == after
        assert {type(task).__module__.partition(".")[0] for task in dag.tasks} == {"dags"}
        assert not any(task.template_fields for task in dag.tasks)


def test_parsing_stops_the_collector_and_leaves_it_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    import dags.datasets as file

    was, on = gc.isenabled(), []
    real_dag = file.dataset_dag
    monkeypatch.setattr(file, "dataset_dag", lambda *given: on.append(gc.isenabled()) or real_dag(*given))
    assert file.dags(Settings(), ["civil_affairs.marriage"])
    assert on == [False]
    assert gc.isenabled() == was


def test_collection_takes_a_slot_of_the_departments_pool(dags: dict) -> None:
    for name, entry in load_catalogue().entries.items():
        pools = {task.task_id: task.pool for task in dags[name].tasks}
        assert pools.pop("collect") == entry.owner
        assert set(pools.values()) == {"default_pool"}


def test_tables_are_assets_and_derived_datasets_wait_for_them(dags: dict) -> None:
    from airflow.sdk import Asset

    outlets = {
        outlet.uri
        for dag in dags.values()
        for task in dag.tasks
        for outlet in task.outlets
        if isinstance(outlet, Asset)
    }
    for name, entry in load_catalogue().entries.items():
        assert f"xuanwu://curated/{name.replace('.', '/')}" in outlets
        if isinstance(entry.source, LakeSource):
            condition = dags[name].timetable.asset_condition
            waited = {asset.uri for asset in getattr(condition, "objects", [condition])}
            assert waited == {f"xuanwu://curated/{given.replace('.', '/')}" for given in entry.inputs}


def test_what_a_task_reads_is_told_as_lineage(dags: dict) -> None:
    for name, entry in load_catalogue().entries.items():
        inlets = {task.task_id: [asset.uri for asset in task.inlets] for task in dags[name].tasks}
        derived = entry.source.inputs if isinstance(entry.source, LakeSource) else ()
        shared = [given for given in entry.inputs if given not in derived]
        assert inlets["collect"] == [f"xuanwu://curated/{given.replace('.', '/')}" for given in derived]
        assert inlets["standardise"] == [f"xuanwu://curated/{given.replace('.', '/')}" for given in shared]
        for task, read in inlets.items():
            if task.startswith("publish"):
                assert read == [f"xuanwu://curated/{name.replace('.', '/')}"]


def test_a_dag_says_what_it_is_and_whose(dags: dict) -> None:
    for name, entry in load_catalogue().entries.items():
        dag = dags[name]
        assert entry.summary.zh in dag.doc_md
        assert entry.code in dag.doc_md
        assert entry.department in dag.tags
        assert {task.owner for task in dag.tasks} == {entry.owner}
        assert all(task.retries > 0 and task.execution_timeout for task in dag.tasks)
        assert dag.max_active_runs == 1


def test_a_task_parses_its_own_dag_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Airflow parses the file again for every task; the stamp of the first parse holds for all of them."""
    import dags.datasets as file

    monkeypatch.setattr(stamp, "SETTLED", -(10**18))
    settings = Settings(home=tmp_path)
    assert len(file.dags(settings, file.wanted())) == len(load_catalogue().entries)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "civil_affairs.marriage")
    read = []
    monkeypatch.setattr(house, "_read_entry", lambda path: read.append(path.stem) or real(path))
    assert list(file.dags(settings, file.wanted())) == ["civil_affairs.marriage"]
    assert sorted(read) == ["marriage", "resident"]
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "xuanwu_upkeep")
    assert file.dags(settings, file.wanted()) == {}


def test_parsing_loads_nothing_heavy() -> None:
    code = (
        "import sys, dags.datasets; "
        "print([m for m in ('pandas', 'pyiceberg', 'great_expectations') if m in sys.modules])"
    )
    found = ran([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith("[]")
