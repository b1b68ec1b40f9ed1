"""A task of Airflow whose dataset is on Spark submits its stage to the cluster, by the provider's own hook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lake import recordstore, store
from pipelines.batches import batch_for
from sample.city import DAYS
from schemas.settings import Settings
from tests.city.running import KEY, City
from tests.spark.cluster import BIN, cluster

DATASET = "education.school"
pytestmark = pytest.mark.timeout(1200)
TASKS = """\
import json, sys
from airflow.sdk.exceptions import AirflowFailException
from dags import tasks
batch = json.loads(sys.argv[1])
tasks.middle("standardise", batch)
try:
    tasks.merge(batch)
except AirflowFailException as error:
    print("failed:", error)
"""


def test_a_stage_is_submitted_and_its_error_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standardise runs on the cluster; a merge before its check fails there, and here with the same words."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    city = City(tmp_path / "sources", Settings(home=tmp_path / "home"), 100)
    city.write(1)
    ctx = city.ctx
    batch = batch_for(ctx, ctx.catalogue.entry(DATASET), DAYS[0])
    from pipelines.stages import run_stage

    run_stage(ctx, "collect", batch)
    with cluster(tmp_path / "cluster", {}) as made:
        host, _, port = made.master.rpartition(":")
        connection = json.dumps({"conn_type": "spark", "host": host, "port": int(port)})
        variables = city.variables() | made.variables
        variables |= {
            "XUANWU_ENGINE": "spark",
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW_CONN_XUANWU_SPARK": connection,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            [sys.executable, "-c", TASKS, batch.model_dump_json()],
            env=variables, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    record = recordstore.load(ctx.settings, batch, "standardise")
    assert store.parts(record.path)[0].endswith("rows/00000.parquet")  # type: ignore[attr-defined]
    failed = next(line for line in done.stdout.splitlines() if line.startswith("failed:"))
    assert "check has no record" in failed and "next: run check for this batch first" in failed
    assert [each.state for each in ctx.ledger.attempts(batch.id, DATASET)] == ["done", "done", "failed"]
