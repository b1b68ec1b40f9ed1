"""Load the heavy libraries once, before LocalExecutor forks the processes that run the tasks.

Importing Great Expectations takes seconds and some 100 MB, as does PyIceberg with Arrow: paid here once a machine
instead of once a task. Where worker processes are forks of the scheduler (Python's default on Linux before 3.14) it is
the scheduler that loads them; where they are forks of a server of its own (`forkserver`, the default since), that does.
Other components and other executors load what they need when they need it.
"""

from __future__ import annotations

import gc
import multiprocessing
import sys
from importlib import import_module
from typing import Any

from airflow.configuration import conf
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
    if sys.argv[1:2] != ["scheduler"] or not isinstance(component, Job):
        return
    if multiprocessing.get_start_method() == "fork":
        for module in HEAVY:
            import_module(module)
        gc.freeze()  # the tasks share these objects: a collector that went through them would copy their pages
    else:
        said = (
            conf.get(section, "mp_forkserver_preload", fallback=None) for section in ("scheduler", "core")
        )
        theirs = next(filter(None, said), "").split(
            ","
        )  # ours are loaded beside what the configuration names
        multiprocessing.set_forkserver_preload([*filter(None, map(str.strip, theirs)), *HEAVY])


class XuanwuPreload(AirflowPlugin):
    """Registers the listener above."""

    name = "xuanwu_preload"
    listeners = [sys.modules[__name__]]  # noqa: RUF012  Airflow's own attribute
