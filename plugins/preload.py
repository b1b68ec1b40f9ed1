"""Load the heavy libraries once, in the scheduler, before LocalExecutor forks the processes that run the tasks.

Importing Great Expectations takes seconds and some 100 MB, as does PyIceberg with Arrow: paid here once a machine
instead of once a task. Other components and other executors load what they need when they need it.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import Any

from airflow.jobs.job import Job
from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

HEAVY = (
    "pipelines.collect",
    "pipelines.standardise",
    "pipelines.merge",
    "pipelines.publish",
    "expectations.run",
)


@hookimpl
def on_starting(component: Any) -> None:
    """Called by Airflow as a job starts, before it has a type: the command says which. Also called in every task."""
    if sys.argv[1:2] == ["scheduler"] and isinstance(component, Job):
        for module in HEAVY:
            import_module(module)
        gc.freeze()  # the tasks share these objects: a collector that went through them would copy their pages


class XuanwuPreload(AirflowPlugin):
    """Registers the listener above."""

    name = "xuanwu_preload"
    listeners = [sys.modules[__name__]]  # noqa: RUF012  Airflow's own attribute
