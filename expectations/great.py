"""The only door to Great Expectations: telemetry is off before it is imported, and DuckDB is made known to it after.

Importing it takes seconds and some 300 MB, so this module is imported by functions that are about to check data,
never at the top of one that Airflow parses. Everything of the library that the other modules use is named here.
"""

from __future__ import annotations

import logging
import os

os.environ["GX_ANALYTICS_ENABLED"] = "False"  # law 8: the library reads it once, at import
_SILENT = logging.getLogger("great_expectations")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False  # law 3: its log lines quote SQL and driver errors, and so values of the data

from great_expectations.compatibility import pydantic  # noqa: E402
from great_expectations.core.batch import Batch  # noqa: E402
from great_expectations.exceptions import GreatExpectationsError  # noqa: E402
from great_expectations.execution_engine import SqlAlchemyExecutionEngine, sqlalchemy_execution_engine  # noqa: E402
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
from great_expectations.expectations.registry import (  # noqa: E402
    get_expectation_impl,
    get_metric_kwargs,
    list_registered_expectation_implementations,
)
from great_expectations.validator.metric_configuration import MetricConfiguration  # noqa: E402
from great_expectations.validator.metrics_calculator import MetricsCalculator  # noqa: E402

__all__ = [
    "Batch",
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
    "SqlAlchemyBatchData",
    "SqlAlchemyExecutionEngine",
    "column_condition_partial",
    "core",
    "get_expectation_impl",
    "get_metric_kwargs",
    "list_registered_expectation_implementations",
    "pydantic",
]

DUCKDB = "duckdb"


def accept_duckdb() -> None:
    """Have the library keep one DuckDB connection open. It knows no such dialect, and so would open a connection
    per query and fail on each of them: the views and functions of a batch live in the connection that made them."""
    known = sqlalchemy_execution_engine._PERSISTED_CONNECTION_DIALECTS
    if DUCKDB not in known:
        sqlalchemy_execution_engine._PERSISTED_CONNECTION_DIALECTS = (*known, DUCKDB)


accept_duckdb()
