"""Airflow on one machine: its settings, its processes, and the few calls of its REST API that the demo needs.

Everything lies under one home and listens on loopback only. Nothing here imports Airflow: it is run as its own
commands (`airflow api-server`, `scheduler`, `dag-processor`, `triggerer`), as it is in production.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import psutil

REPOSITORY = Path(__file__).parents[1]
AIRFLOW = Path(sys.executable).with_name("airflow")
COMPONENTS: dict[str, list[str]] = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
CITY = ZoneInfo("Asia/Shanghai")
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between tries of a call that Airflow could not answer: its SQLite database may be locked for a moment."""
PATIENCE = 10.0
"""Seconds that a component, and the tasks under way, have to end."""
PASSWORDS = "simple_auth_manager_passwords.json.generated"


class AirflowFailed(RuntimeError):
    """A component stopped or a call was refused; the message says where to look."""


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def environment(home: Path, port: int, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Airflow's settings for this home: our DAGs and plugins, SQLite, LocalExecutor, no telemetry (law 8)."""
    url = f"http://127.0.0.1:{port}"
    core = {
        "CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": str(os.cpu_count() or 2),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__SENSITIVE_VAR_CONN_NAMES": "url",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / PASSWORDS),
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": url,
        "API__WORKERS": "1",
        "API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
        "LOGGING__LOGGING_LEVEL": "WARNING",
    }
    return {
        **os.environ,
        **{f"AIRFLOW__{name}": value for name, value in core.items()},
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])),
        "PATH": os.pathsep.join([str(AIRFLOW.parent), os.environ.get("PATH", "")]),
        "GX_ANALYTICS_ENABLED": "False",
        **(extra or {}),
    }


@dataclass(frozen=True)
class Airflow:
    """A running Airflow. Calls raise AirflowFailed with Airflow's own reason."""

    home: Path
    port: int
    processes: dict[str, subprocess.Popen[bytes]]
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """One call of Airflow's public API, `/api/v2`; its answer as JSON."""
        for pause in (*PAUSES, None):
            answer = self.client.request(method, f"/api/v2{path}", **kwargs)
            if not answer.is_server_error or pause is None:
                break
            time.sleep(pause)
        if answer.is_error:
            raise AirflowFailed(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None

    def trigger(self, dag: str, day: date) -> None:
        """Run a DAG for the data of a day in the city's zone, unless that day has been run; Airflow infers the
        interval from the moment by which it was complete."""
        complete = datetime.combine(day + timedelta(days=2), datetime.min.time(), CITY) - timedelta(seconds=1)
        run = f"city__{day.isoformat()}"
        if self.client.get(f"/api/v2/dags/{dag}/dagRuns/{run}").status_code != httpx.codes.OK:
            body = {"dag_run_id": run, "logical_date": complete.isoformat()}
            self.call("POST", f"/dags/{dag}/dagRuns", json=body)

    def password(self) -> str:
        """The administrator's password, which Airflow made for this home."""
        return str(json.loads((self.home / PASSWORDS).read_text())["admin"])

    def check_alive(self) -> None:
        """Raise AirflowFailed when a component has stopped."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise AirflowFailed(
                    f"airflow {name} stopped with {process.returncode}; see {log_file(self.home, name)}"
                )

    def put_connections(self, connections: Mapping[str, str]) -> None:
        """Store department connections; Airflow keeps `url` encrypted in its own database."""
        for name, url in connections.items():
            body = {"connection_id": name, "conn_type": "generic", "extra": json.dumps({"url": url})}
            known = self.client.get(f"/api/v2/connections/{name}").status_code == httpx.codes.OK
            self.call(
                "PATCH" if known else "POST", f"/connections/{name}" if known else "/connections", json=body
            )

    def put_pools(self, pools: Mapping[str, int]) -> None:
        """A pool per department: its slots are how many collections its sources stand at a time."""
        for name, slots in pools.items():
            body = {"name": name, "slots": slots, "include_deferred": False}
            known = self.client.get(f"/api/v2/pools/{name}").status_code == httpx.codes.OK
            if not known:
                self.call("POST", "/pools", json=body)

    def dags(self) -> list[str]:
        """DAGs that Airflow has parsed; AirflowFailed with the reason when a file did not import."""
        errors = self.call("GET", "/importErrors")["import_errors"]
        if errors:
            raise AirflowFailed(f"{errors[0]['filename']} does not import: {errors[0]['stack_trace'][-800:]}")
        return [dag["dag_id"] for dag in self.call("GET", "/dags?limit=1000")["dags"]]

    def runs(self) -> list[dict[str, Any]]:
        """Every DAG run, newest first, at most the last thousand."""
        return list(self.call("GET", "/dags/~/dagRuns?limit=1000&order_by=-run_after")["dag_runs"])

    def retry_failed(self, dags: Collection[str]) -> None:
        """Clear what failed or was left undone in these DAGs' failed runs, so that it runs again; the rest keeps its
        result."""
        for run in self.runs():
            if run["state"] == "failed" and run["dag_id"] in dags:
                path = f"/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/clear"
                self.call("POST", path, json={"dry_run": False, "only_failed": True})

    def failed_tasks(self) -> list[dict[str, Any]]:
        return list(
            self.call("GET", "/dags/~/dagRuns/~/taskInstances?state=failed&limit=100")["task_instances"]
        )


def log_file(home: Path, component: str) -> Path:
    return home / f"{component}.log"


def migrate(home: Path, env: Mapping[str, str]) -> None:
    """Make or update Airflow's own database."""
    home.mkdir(parents=True, exist_ok=True)
    with log_file(home, "migrate").open("wb") as log:
        code = subprocess.call([str(AIRFLOW), "db", "migrate"], env=dict(env), stdout=log, stderr=log)  # noqa: S603
    if code:
        raise AirflowFailed(f"airflow db migrate stopped with {code}; see {log_file(home, 'migrate')}")


@contextmanager
def airflow(
    home: Path, env: Mapping[str, str], components: tuple[str, ...] = tuple(COMPONENTS)
) -> Iterator[Airflow]:
    """Start the components, wait until the API answers, and stop them all at the end, whatever happens."""
    port = int(env["AIRFLOW__API__PORT"])
    processes = {name: _start(home, name, env) for name in components}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            running = Airflow(home, port, processes, client)
            _log_in(running)
            yield running
    finally:
        _stop(processes)


def _stop(processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """The scheduler first, while its tasks can still report what they did, then the other components; each has
    PATIENCE to end. Then whatever is left of them or was begun by them is killed: a batch can be killed anywhere."""
    family: set[psutil.Process] = set()
    for names in ({"scheduler"}, set(processes) - {"scheduler"}):
        running = [process for name, process in processes.items() if name in names and process.poll() is None]
        family.update(*(_family(process.pid) for process in running))
        for process in running:
            process.terminate()
        deadline = time.monotonic() + PATIENCE
        while any(process.poll() is None for process in running) and time.monotonic() < deadline:
            time.sleep(0.1)
    family.update(*(_family(process.pid) for process in tuple(family)))
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    for process in processes.values():
        process.wait()


def _family(pid: int) -> list[psutil.Process]:
    """The process and all its descendants; tasks have process groups of their own."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _start(home: Path, name: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a component in a session of its own, so that Ctrl-C on the terminal reaches only whoever stops them."""
    with log_file(home, name).open("wb") as log:
        command = [str(AIRFLOW), *COMPONENTS[name]]
        return subprocess.Popen(command, env=dict(env), stdout=log, stderr=log, start_new_session=True)  # noqa: S603


def _log_in(running: Airflow, patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        running.check_alive()
        try:
            answer = running.client.post(
                "/auth/token", json={"username": "admin", "password": running.password()}
            )
            running.client.headers["Authorization"] = (
                f"Bearer {answer.raise_for_status().json()['access_token']}"
            )
            return
        except (httpx.HTTPError, OSError, json.JSONDecodeError, KeyError):
            time.sleep(0.3)
    raise AirflowFailed(
        f"Airflow did not answer within {patience:.0f} s; see {log_file(running.home, 'api-server')}"
    )
