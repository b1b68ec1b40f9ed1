"""What an executor starts its Python workers from: PySpark's own daemon, which has loaded what they need.

Loading it takes seconds, and a worker is forked for every task at a time: paid once for each executor.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

MODULES: Final = (
    "pandas",
    "pyspark.sql.pandas.serializers",
    "pipelines.spark.worker.convert",
    "pipelines.spark.worker.flagged",
    "pipelines.spark.worker.join",
    "pipelines.spark.worker.mask",
    "pipelines.spark.worker.rowjson",
)


def main() -> None:
    for module in MODULES:
        import_module(module)
    import_module("pyspark.daemon").manager()


if __name__ == "__main__":
    main()
