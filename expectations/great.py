"""The only door to Great Expectations: telemetry is off before it is imported, and DuckDB is made known to it
after.

Importing it takes seconds and some 100 MB, so this module is imported by functions that are about to check
data, never at the top of one that Airflow parses. Everything of the library that the other modules use is
named here.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, TypeVar

os.environ["GX_ANALYTICS_ENABLED"] = "False"  # law 8: the library reads it once, at import
logging.getLogger("great_expectations").setLevel(logging.CRITICAL + 1)
# law 3: its log lines quote SQL and the driver's errors, and so values of the data

T = TypeVar("T")
_LOCK: Final = threading.Lock()
ROOM: Final = 1 << 16
"""Places on Python's stack, of eight bytes."""


class _Later(ModuleType):
    """A module that is imported when something of it is asked for. Python 3.11's own, of `LazyLoader`, is imported as
    soon as another module names it."""

    def __getattr__(self, name: str) -> Any:
        with _LOCK:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _later(name: str) -> None:
    spec = importlib.util.find_spec(name)
    if name in sys.modules or spec is None:
        return
    module = sys.modules[name] = _Later(name)
    module.__spec__, module.__file__ = spec, spec.origin
    package, _, own = name.rpartition(".")
    if package:
        setattr(sys.modules[package], own, module)


for _unasked in ("scipy.stats", "altair"):
    _later(_unasked)  # a third of the time of importing and 70 MB, for distributions and pictures of them


def in_room(call: Callable[[], T]) -> T:
    """What the call gives. Python keeps the frames of functions in pieces of 16 KiB, and takes a piece from the system
    and gives it back (mmap, a page to clear, munmap) each time that a call goes over the end of one: in the depth of
    an import that is a quarter of the processor's time. The frame of this function says that it needs more than a
    piece holds, so that it gets one twice as large, and leaves half of it for those that are called."""
    return call()


in_room.__code__ = in_room.__code__.replace(co_stacksize=ROOM)
in_room(lambda: importlib.import_module("great_expectations.expectations.core"))

from great_expectations.compatibility import pydantic  # noqa: E402
from great_expectations.exceptions import GreatExpectationsError  # noqa: E402
from great_expectations.execution_engine import (  # noqa: E402
    SparkDFExecutionEngine,
    SqlAlchemyExecutionEngine,
    sqlalchemy_execution_engine,
)
from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData  # noqa: E402
from great_expectations.expectations import core  # noqa: E402
from great_expectations.expectations.expectation import (  # noqa: E402
    BatchExpectation,
    ColumnAggregateExpectation,
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    Expectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.metrics.map_metric_provider import (  # noqa: E402
    ColumnMapMetricProvider,
    column_condition_partial,
)
from great_expectations.expectations.metrics.metric_provider import metric_value  # noqa: E402
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider  # noqa: E402
from great_expectations.expectations.registry import (  # noqa: E402
    _registered_metrics,
    get_expectation_impl,
    get_metric_kwargs,
    list_registered_expectation_implementations,
)
from great_expectations.validator.metric_configuration import MetricConfiguration  # noqa: E402
from great_expectations.validator.metrics_calculator import MetricsCalculator  # noqa: E402
from tqdm import tqdm  # noqa: E402

__all__ = [
    "BatchExpectation",
    "ColumnAggregateExpectation",
    "ColumnMapExpectation",
    "ColumnMapMetricProvider",
    "ColumnPairMapExpectation",
    "Expectation",
    "GreatExpectationsError",
    "MetricConfiguration",
    "MetricsCalculator",
    "MulticolumnMapExpectation",
    "SparkDFExecutionEngine",
    "SqlAlchemyBatchData",
    "SqlAlchemyExecutionEngine",
    "TableMetricProvider",
    "column_condition_partial",
    "core",
    "get_expectation_impl",
    "get_metric_kwargs",
    "list_registered_expectation_implementations",
    "metric_value",
    "pydantic",
]

DUCKDB = "duckdb"


def accept_duckdb() -> None:
    """Have the library keep one DuckDB connection open. It knows no such dialect, and so would open a
    connection per query and fail on each of them: the views and functions of a batch live in the connection
    that made them."""
    module: Any = sqlalchemy_execution_engine
    if DUCKDB not in module._PERSISTED_CONNECTION_DIALECTS:
        module._PERSISTED_CONNECTION_DIALECTS = (*module._PERSISTED_CONNECTION_DIALECTS, DUCKDB)


def honour_row_conditions() -> None:
    """Let `expect_column_pair_values_to_be_in_set` see its `row_condition`: the library's metric forgets to
    take it, and so fails rows that the check leaves out."""
    for name, metric in _registered_metrics.items():
        if name.startswith("column_pair_values.in_set"):
            keys = dict.fromkeys((*metric["metric_domain_keys"], "row_condition", "condition_parser"))
            metric["metric_domain_keys"] = tuple(keys)


warnings.filterwarnings(
    "ignore", message=".*GX Core", category=DeprecationWarning
)  # row conditions are texts in YAML
tqdm.set_lock(threading.RLock())
# the library's progress bars: their own lock between processes would be told as leaked where Ctrl-C ends this one
accept_duckdb()
honour_row_conditions()
