"""Stages that Spark does are submitted to its cluster, by the hook of Airflow's Spark provider; others run here.

The connection `xuanwu_spark` says where the cluster is. `spark-submit` is found on the PATH of Airflow's workers: that
of `.venv-spark`. The driver gets this process's environment; of Airflow's connections the masking keys alone. So the
cluster is a standalone one: to the driver of any other the hook tells them in the arguments of `spark-submit`, which
everybody on the machine can read.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from airflow.sdk.exceptions import AirflowException

if TYPE_CHECKING:
    from lake.batch import Batch
    from lake.records import Record, Stage
    from pipelines.context import Context

CONNECTION: Final = "xuanwu_spark"
MASTERS: Final = ("spark://", "local")
APPLICATION: Final = Path(__file__).parents[1] / "pipelines" / "spark" / "submit.py"


def run_stage(ctx: Context, stage: Stage, batch: Batch, part: str = "") -> Record:
    """Run one stage where its dataset's engine is. Raises what the stage raised, wherever it ran; EngineError where the
    cluster's driver ended without a word."""
    from pipelines.stages import engine_of
    from pipelines.stages import run_stage as run_here

    if stage == "collect" or engine_of(ctx, ctx.catalogue.entry(batch.dataset)) == "local":
        return run_here(ctx, stage, batch, part)
    return _submitted(ctx, stage, batch, part)


def _submitted(ctx: Context, stage: Stage, batch: Batch, part: str) -> Record:
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook

    from lake import recordstore
    from schemas.errors import EngineError

    require_standalone()
    with TemporaryDirectory(prefix="xuanwu-") as folder:
        answer = Path(folder) / "answer"
        hook = SparkSubmitHook(
            conn_id=CONNECTION,
            name=f"{batch.dataset} {stage}",
            application_args=[stage, batch.model_dump_json(), part, str(answer)],
            env_vars=_keys(ctx),
        )
        try:
            hook.submit(str(APPLICATION))
        except AirflowException:
            if answer.exists():
                raise pickle.loads(answer.read_bytes()) from None  # noqa: S301  written by our own process
            raise EngineError(
                "spark-submit failed before the stage could say why",
                dataset=batch.dataset,
                batch=batch.id,
                next_step=f"see this task's log and the connection {CONNECTION}, then clear the task",
            ) from None
    return recordstore.load(ctx.settings, batch, stage, part)


def require_standalone() -> None:
    """SettingsError unless the connection is there and names a cluster whose driver runs here."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

    from schemas.errors import SettingsError

    try:
        found = BaseHook.get_connection(CONNECTION)
        master = found.host or ""
        master = master if "://" in master or not found.port else f"{found.conn_type}://{master}"
    except (AirflowNotFoundException, AirflowRuntimeError):
        master = ""
    if not master.startswith(MASTERS):
        raise SettingsError(
            f"the connection {CONNECTION!r} "
            + ("is for another kind of cluster" if master else "is missing"),
            expected="type spark, host spark://host and its port: the master of a standalone cluster",
            next_step="see docs/scaling.md; YARN and Kubernetes would tell the masking keys to the whole machine",
        )


def _keys(ctx: Context) -> dict[str, str]:
    """The connection that holds the masking keys, where Airflow has it: a driver cannot ask Airflow."""
    from schemas.errors import SettingsError

    try:
        return {"XUANWU_CONN_XUANWU_KEYS": ctx.connect("xuanwu_keys")}
    except SettingsError:
        return {}
