"""Work spread over the workers: each unit once, its report to the driver, its failure as the error that it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from lake import store
from pipelines.spark.session import Spark
from schemas.errors import EngineError, XuanwuError

U = TypeVar("U")
R = TypeVar("R")


@dataclass(frozen=True)
class _Failed:
    error: XuanwuError


class TaskFailed(Exception):
    """A task broke down; its message is the kind of error alone, since those of others quote values."""


def spread(spark: Spark, work: Callable[[U], R], units: Sequence[U]) -> list[R]:
    """The report of each unit, in order. A worker that dies is replaced and its units are done again, so a unit may be
    done twice, and both times must write the same under the same name.

    Raises the first error of ours that a unit raised; EngineError where the cluster failed."""
    if not units:
        return []
    with cluster_errors():
        rows = spark.sparkContext.parallelize(list(units), len(units)).map(guarded(work))
        return raised(rows.collect())


def guarded(work: Callable[[U], R]) -> Callable[[U], R | _Failed]:
    """The work as a worker does it: files are for their owner, and no message of a stranger leaves it."""

    def run(unit: U) -> R | _Failed:
        store.owner_only()
        with telling():
            try:
                return work(unit)
            except XuanwuError as error:
                return _Failed(error)

    return run


@contextmanager
def telling() -> Iterator[None]:
    """An error in a worker, whose text Spark writes into its logs, as the name of its kind."""
    try:
        yield
    except Exception as error:
        raise TaskFailed(str(error) if isinstance(error, XuanwuError) else type(error).__name__) from None


def raised(reports: Sequence[R | _Failed]) -> list[R]:
    """The reports; the first failure among them is raised."""
    done: list[R] = []
    for report in reports:
        if isinstance(report, _Failed):
            raise report.error
        done.append(report)
    return done


@contextmanager
def cluster_errors() -> Iterator[None]:
    """Spark's messages may quote values: ours names the kind of failure."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (Py4JError, PySparkException) as error:
        raise EngineError(
            f"Spark failed ({_kind(error)}); nothing was committed",
            next_step="see the logs of the cluster's workers, then run the stage again",
        ) from None


def _kind(error: Exception) -> str:
    """The class of the Java exception, and what a task of ours said of itself."""
    java = getattr(error, "java_exception", None)
    name = java.getClass().getSimpleName() if java is not None else type(error).__name__
    for line in str(error).splitlines():
        if "TaskFailed: " in line:
            return f"{name}: {line.rpartition('TaskFailed: ')[2].strip()[:200]}"
    return str(name)
