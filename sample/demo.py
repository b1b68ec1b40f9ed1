"""`make demo`: two days of the sample city through Airflow, then what was made and where to look.

`make up` keeps Airflow running on what the demo left. Both use the same home, `.demo` unless `--home` says otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sample.city import DAYS, write_city
from sample.local_airflow import Airflow, AirflowFailed, airflow, environment, free_port, migrate
from sample.progress import city_entries, unfinished
from sample.server import serving
from schemas.errors import XuanwuError
from schemas.load import Catalogue, load_catalogue
from schemas.model import Entry
from schemas.settings import Settings

console = Console()
ENVIRONMENT = "demo.env"
FINISHED = ("success", "failed")
INTERRUPTED = 130
OTHERS = (
    "XUANWU_LAKE",
    "XUANWU_CATALOGUE",
    "XUANWU_DATABASE",
    "XUANWU_ICEBERG",
    "XUANWU_PORTAL",
    "XUANWU_KEY_VERSION",
)
"""Settings of another lake, which the demo does not touch even where its shell has them."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoFailed(RuntimeError):
    """The demo cannot go on; the message says what to do."""


def home_variables(home: Path) -> dict[str, str]:
    """Xuanwu's settings for this home: its state, a masking key made once, and a calendar that ends with the city's.

    A lost key is not replaced: tables masked under another key would not join with those that are there.
    """
    key = home / "masking.key"
    if not key.exists():
        if (home / "lake" / "share").exists():
            raise DemoFailed(
                f"{key} is gone, and the tables in {home / 'lake'} are masked with it; "
                f"put it back, or begin again without them: rm -rf {home}"
            )
        home.mkdir(parents=True, exist_ok=True)
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(32))
    variables = {
        "XUANWU_HOME": str(home),
        "XUANWU_UNTIL": (DAYS[-1] + timedelta(days=1)).isoformat(),
        "XUANWU_RETRIES": "0",
        "XUANWU_CONN_TO_TRANSPORT": (home / "outbox").resolve().as_uri(),
    }
    for name in OTHERS:
        os.environ.pop(name, None)
    lines = [f"unset {' '.join(OTHERS)}", *(f"export {name}='{value}'" for name, value in variables.items())]
    lines += [f"export XUANWU_KEY_1=$(cat '{key}')", "set -a", f". '{home}/city/connections.env'", "set +a"]
    (home / ENVIRONMENT).write_text("# for `xuanwu` on what the demo made\n" + "\n".join(lines) + "\n")
    return {**variables, "XUANWU_KEY_1": key.read_text().strip()}


@contextmanager
def city_in_airflow(home: Path, port: int, rows: int, day: int) -> Iterator[tuple[Airflow, Catalogue]]:
    """The sample city's sources as on `day`, its HTTP source, and Airflow on top of them."""
    env = environment(home / "airflow", port)
    connections = write_city(home / "city", day, rows)
    migrate(home / "airflow", env)
    with serving(home / "city") as served, airflow(home / "airflow", env) as running:
        running.put_connections({**connections, **served})
        catalogue = load_catalogue(Settings().catalogue)
        running.put_pools({name: item.limit for name, item in catalogue.departments.items()})
        _wait_for_dags(running, set(catalogue.entries))
        yield running, catalogue


def demo(home: Path, rows: int, days: int) -> int:
    """Run the days that have not run, show the result; the exit code."""
    started = time.monotonic()
    os.environ.update(home_variables(home))
    first = unfinished(city_entries(load_catalogue(Settings().catalogue)), _batches(home), DAYS[:days])
    failed = _run_days(home, rows, first, days) if first else []
    if first is None:
        console.print(f"[bold]玄武 Xuanwu[/bold]: {days} days have run here before; nothing is run again.")
    for task in failed:
        console.print(f"[red]failed[/red] {task['dag_id']} {task['task_id']} {task['dag_run_id']}")
    _xuanwu("status")
    _xuanwu("report")
    _xuanwu("portal")
    _deliver(home)
    _show_where(home, time.monotonic() - started, bool(failed))
    return 1 if failed else 0


def _batches(home: Path) -> list[dict[str, Any]]:
    """What the ledger says of every batch; nothing on a new home."""
    if not (home / "ledger.db").exists():
        return []
    command = [sys.executable, "-m", "pipelines.cli", "status", "--all", "--json"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603
    return list(json.loads(answer.stdout)["batches"])


def _run_days(home: Path, rows: int, first: int, days: int) -> list[dict[str, Any]]:
    """Run the days from `first` on, each with the sources as on that day; the tasks that failed."""
    goes_on = f", from day {first} on" if (home / "ledger.db").exists() else ""
    console.print(f"[bold]玄武 Xuanwu[/bold]: writing the sample city and starting Airflow{goes_on} …")
    with city_in_airflow(home, free_port(), rows, first) as (running, catalogue):
        entries = city_entries(catalogue)
        running.retry_failed({entry.id for entry in entries})
        for day in range(first, days + 1):
            if day > first:
                write_city(home / "city", day, rows)
            _run_day(running, entries, day)
        return [task for task in running.failed_tasks() if task["dag_id"] in {entry.id for entry in entries}]


def _wait_for_dags(running: Airflow, expected: set[str], patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    while missing := expected - set(running.dags()):
        running.check_alive()
        if time.monotonic() > deadline:
            raise AirflowFailed(
                f"{len(missing)} DAGs were not parsed within {patience:.0f} s, such as {min(missing)}"
            )
        time.sleep(0.5)


def _run_day(running: Airflow, entries: list[Entry], day: int) -> None:
    """Run one day of every scheduled DAG; the derived ones follow by their assets. A dataset that obtains columns
    from others, or is checked against them, waits for them: its own schedule is later in the night."""
    scheduled = [entry for entry in entries if entry.schedule is not None]
    with console.status(f"day {day}, {DAYS[day - 1]}") as line:
        needs = {entry.id: {*entry.inputs, *entry.references} for entry in scheduled}
        for wave in ([e for e in scheduled if not needs[e.id]], [e for e in scheduled if needs[e.id]]):
            for entry in wave:
                running.trigger(entry.id, DAYS[day - 1])
            _wait_for_runs(running, [entry.id for entry in wave], day, line.update)
        derived = [entry.id for entry in entries if entry.schedule is None]
        _wait_for_runs(running, derived, day, line.update)
    console.print(f"day {day}, {DAYS[day - 1]}: every DAG has run")


def _wait_for_runs(running: Airflow, dags: list[str], day: int, say: object, patience: float = 600) -> None:
    """Wait until each of the DAGs has finished `day` runs and none is under way; a failed one is shown at the end."""
    deadline = time.monotonic() + patience
    quiet = 0
    while True:
        running.check_alive()
        runs = running.runs()
        finished = [
            dag for dag in dags if sum(r["dag_id"] == dag and r["state"] in FINISHED for r in runs) >= day
        ]
        active = [r for r in runs if r["state"] not in FINISHED]
        say(f"day {day}: {len(finished)} of {len(dags)} datasets, {len(active)} runs under way")  # type: ignore[operator]
        quiet = 0 if active else quiet + 1
        if len(finished) == len(dags) and not active:
            return
        if quiet > 40:
            missing = sorted(set(dags) - set(finished))
            raise AirflowFailed(f"nothing runs any more, and these have not run: {', '.join(missing)}")
        if time.monotonic() > deadline:
            raise AirflowFailed(f"day {day} was not done within {patience:.0f} s")
        time.sleep(0.5)


def _xuanwu(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pipelines.cli", *arguments], check=True)  # noqa: S603


def _deliver(home: Path) -> None:
    """One shared table into a folder of a department's, as the exchange does with every new snapshot. Where it fails
    the command says why, and the demo goes on."""
    outbox = home / "outbox"
    console.print("\n[bold]交付 Delivery[/bold] of education.school into a folder of the transport bureau's:")
    with suppress(subprocess.CalledProcessError):
        if not outbox.exists():
            outbox.mkdir(mode=0o700)
            _xuanwu("deliveries", "declare", "education.school", "--to", "transport", "--place", "schools")
        _xuanwu("deliveries", "run")


def _show_where(home: Path, seconds: float, failed: bool) -> None:
    here = Path.cwd()
    place = home.relative_to(here) if home.is_relative_to(here) else home
    table = Table(box=None, padding=(0, 1, 0, 2), show_header=False)
    for name, zh, en in (
        ("report.html", "质量报告", "the quality report"),
        ("portal/index.html", "开放门户", "the public site: CSV, JSON Lines, Parquet, XLSX"),
        ("lake/share/", "共享表", "masked tables (Iceberg)"),
        ("outbox/schools/", "交付", "what was delivered, with manifest and certificate"),
        ("city/faults.json", "埋下的问题", "the faults that were planted"),
    ):
        table.add_row(f"{place}/{name}", zh, en)
    console.print(f"[bold]{seconds:.0f} s[/bold] for everything above. 去哪里看 Where to look:", table)
    if failed:
        console.print("[red]Tasks failed[/red]: the reasons are above; `make demo` tries them again.")
    console.print("下一步 Next: [bold]make up[/bold] opens Airflow on these DAGs. Or look into the lake:")
    console.print(f"  . .venv/bin/activate && . {place}/{ENVIRONMENT}", soft_wrap=True)
    console.print("  xuanwu quarantine list education.school")
    console.print("  xuanwu evaluation transport.bus_ride")


def up(home: Path, rows: int, port: int) -> int:
    """Keep Airflow running until interrupted."""
    _refuse_taken(port)
    os.environ.update(home_variables(home))
    console.print("[bold]玄武 Xuanwu[/bold]: starting Airflow …")
    with city_in_airflow(home, port, rows, len(DAYS)) as (running, _):
        console.print(f"""Airflow: [bold]{running.url}[/bold]
user [bold]admin[/bold], password [bold]{running.password()}[/bold]
Ctrl-C stops it.""")
        with suppress(KeyboardInterrupt):
            while True:
                running.check_alive()
                time.sleep(1)
    return 0


def _refuse_taken(port: int) -> None:
    """DemoFailed where something listens on the port, before anything is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoFailed(
                f"port {port} cannot be used ({error.strerror}); choose another: make up PORT={port + 1}"
            ) from None


def _interrupt(number: int, frame: object) -> None:
    """Stop in order, once: asking again does not leave half of Airflow running."""
    for asked in SIGNALS:
        signal.signal(asked, signal.SIG_IGN)
    console.print("stopping Airflow …")
    raise KeyboardInterrupt


def main() -> None:
    """Parse the arguments and run; a failure is one message and exit code 1, an interruption 130."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("command", choices=("demo", "up"), nargs="?", default="demo")
    parser.add_argument("--home", type=Path, default=Path(".demo"))
    parser.add_argument("--rows", type=int, default=2000, help="residents of the city")
    parser.add_argument("--days", type=int, default=2, choices=(1, 2, 3))
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    home = arguments.home.resolve()
    for asked in SIGNALS:
        signal.signal(asked, _interrupt)
    try:
        if arguments.command == "up":
            sys.exit(up(home, arguments.rows, arguments.port))
        sys.exit(demo(home, arguments.rows, arguments.days))
    except (AirflowFailed, DemoFailed, XuanwuError) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    except subprocess.CalledProcessError:  # it has said why
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on from here")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
