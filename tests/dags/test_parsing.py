"""What Airflow's own DagBag finds in the folder: the files that have DAGs and no others, each DAG in its own file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from dags import __file__ as package
from tests.waiting import ran

pytestmark = pytest.mark.timeout(300)
FOLDER = Path(package).parent
CODE = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
from airflow.utils.file import list_py_file_paths
folder = Path(sys.argv[1])
bag = DagBag(folder, bundle_path=folder, bundle_name="city")
found = {name: (dag.fileloc, dag.relative_fileloc) for name, dag in bag.dags.items()}
print("FOUND", json.dumps([list_py_file_paths(folder), found, bag.import_errors]))
"""
"""A process of its own: the bag keeps Airflow's settings as it found them."""
OF_THE_CITY = {
    "xuanwu_upkeep": "upkeep.py",
    "xuanwu_exchange": "errands.py",
    "xuanwu_portal": "publicsite.py",
    "xuanwu_delivery": "deliveries.py",
}


def test_each_dag_is_found_in_its_own_file(tmp_path: Path) -> None:
    own = {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "XUANWU_HOME": str(tmp_path / "home"),
        "XUANWU_PORTAL": str(tmp_path / "site"),
        "PYTHONPATH": str(FOLDER.parent),
    }
    command = [sys.executable, "-c", CODE, str(FOLDER)]
    done = ran(command, env=os.environ | own, capture_output=True, text=True, check=True)
    paths, found, errors = json.loads(done.stdout.rpartition("FOUND")[2].splitlines()[0])
    assert errors == {}
    assert {Path(path).name for path in paths} == {"datasets.py", *OF_THE_CITY.values()}
    places = {name: OF_THE_CITY.get(name, "datasets.py") for name in found}
    assert found == {name: [str(FOLDER / file), file] for name, file in places.items()}
    assert OF_THE_CITY.keys() < found.keys()


def test_no_file_hides_a_package() -> None:
    """Airflow appends its folders to `sys.path`, where they come before what was installed in place (`make setup`)."""
    house = FOLDER.parent
    packages = {path.parent.name for path in house.glob("*/__init__.py")}
    files = {path.stem for folder in ("dags", "plugins") for path in (house / folder).glob("*.py")}
    assert {"exchange", "portal"} <= packages
    assert files.isdisjoint(packages)
