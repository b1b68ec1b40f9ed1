"""What the scheduler has loaded need no task load: its worker processes have it, however they are started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.preload import HEAVY

REPOSITORY = Path(__file__).parents[2]
STARTING = """
import multiprocessing, sys
from airflow.jobs.job import Job
from plugins import preload

def said():
    print(*(name for name in (*preload.HEAVY, "great_expectations", "pyiceberg.table", "wave") if name in sys.modules))

if __name__ == "__main__":
    method, *command = sys.argv[1:]
    multiprocessing.set_start_method(method)
    sys.argv = ["airflow", *command]
    preload.on_starting(Job())
    worker = multiprocessing.Process(target=said)
    worker.start()
    worker.join()
"""


def loaded(folder: Path, *arguments: str, **variables: str) -> list[str]:
    """What a worker process has loaded as it starts, of a component of Airflow that the command names."""
    (script := folder / "starting.py").write_text(STARTING)
    env = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "AIRFLOW_HOME": str(folder),
        "GX_ANALYTICS_ENABLED": "False",
        **variables,
    }
    ended = subprocess.run(
        [sys.executable, str(script), *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return ended.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_a_worker_of_the_scheduler_has_loaded_what_tasks_need(tmp_path: Path, method: str) -> None:
    assert loaded(tmp_path, method, "scheduler") == [*HEAVY, "great_expectations", "pyiceberg.table"]


@pytest.mark.parametrize("section", ["SCHEDULER", "CORE"])
def test_what_the_configuration_names_is_loaded_too(tmp_path: Path, section: str) -> None:
    variables = {f"AIRFLOW__{section}__MP_FORKSERVER_PRELOAD": "this_is_none, wave"}
    assert loaded(tmp_path, "forkserver", "scheduler", **variables)[-1] == "wave"


def test_other_components_load_nothing_of_it(tmp_path: Path) -> None:
    assert loaded(tmp_path, "fork", "triggerer") == []
