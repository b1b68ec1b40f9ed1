"""`make demo`: two days of the sample city through Airflow, then what was made and where to look.

`make up` keeps Airflow running on what the demo left. Both use the same home, `.demo` unless `--home` says otherwise.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sample.city import DAYS, write_city
from sample.local_airflow import Airflow, AirflowFailed, airflow, environment, free_port, migrate
from sample.server import serving
from schemas.load import Catalogue, load_catalogue
from schemas.settings import Settings

console = Console()
ENVIRONMENT = "demo.env"
FINISHED = ("success", "failed")


def home_variables(home: Path) -> dict[str, str]:
    """Xuanwu's settings for this home: its state, a masking key made once, and a calendar that ends with the city's."""
    key = home / "masking.key"
    if not key.exists():
        home.mkdir(parents=True, exist_ok=True)
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(32))
    variables = {
        "XUANWU_HOME": str(home),
        "XUANWU_UNTIL": (DAYS[-1] + timedelta(days=1)).isoformat(),
        "XUANWU_RETRIES": "0",
    }
    lines = [f"export {name}='{value}'" for name, value in variables.items()]
    lines += [f"export XUANWU_KEY_1=$(cat '{key}')", "set -a", f". '{home}/city/connections.env'", "set +a"]
    (home / ENVIRONMENT).write_text("# for `xuanwu` on what the demo made\n" + "\n".join(lines) + "\n")
    return {**variables, "XUANWU_KEY_1": key.read_text().strip()}


@contextmanager
def city_in_airflow(home: Path, port: int, rows: int, day: int) -> Iterator[tuple[Airflow, Catalogue]]:
    """The sample city's sources as on `day`, its HTTP source, and Airflow on top of them."""
    os.environ.update(home_variables(home))
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
    """Run the days, show the result; the exit code."""
    started = time.monotonic()
    console.print("[bold]玄武 Xuanwu[/bold]: writing the sample city and starting Airflow …")
    with city_in_airflow(home, free_port(), rows, 1) as (running, catalogue):
        for day in range(1, days + 1):
            if day > 1:
                write_city(home / "city", day, rows)
            _run_day(running, catalogue, day)
        failed = running.failed_tasks()
    for task in failed:
        console.print(f"[red]failed[/red] {task['dag_id']} {task['task_id']} {task['dag_run_id']}")
    _xuanwu("status")
    _xuanwu("report")
    _show_where(home, time.monotonic() - started)
    return 1 if failed else 0


def _wait_for_dags(running: Airflow, expected: set[str], patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    while missing := expected - set(running.dags()):
        running.check_alive()
        if time.monotonic() > deadline:
            raise AirflowFailed(
                f"{len(missing)} DAGs were not parsed within {patience:.0f} s, such as {min(missing)}"
            )
        time.sleep(0.5)


def _run_day(running: Airflow, catalogue: Catalogue, day: int) -> None:
    """Run one day of every scheduled DAG; the derived ones follow by their assets. A dataset that obtains columns
    from others, or is checked against them, waits for them: its own schedule is later in the night."""
    scheduled = [entry for entry in catalogue.entries.values() if entry.schedule is not None]
    with console.status(f"day {day}, {DAYS[day - 1]}") as line:
        needs = {entry.id: {*entry.inputs, *entry.references} for entry in scheduled}
        for wave in ([e for e in scheduled if not needs[e.id]], [e for e in scheduled if needs[e.id]]):
            for entry in wave:
                running.trigger(entry.id, DAYS[day - 1])
            _wait_for_runs(running, [entry.id for entry in wave], day, line.update)
        derived = [entry.id for entry in catalogue.entries.values() if entry.schedule is None]
        _wait_for_runs(running, derived, day, line.update)
    console.print(f"day {day}, {DAYS[day - 1]}: done")


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


def _show_where(home: Path, seconds: float) -> None:
    here = Path.cwd()
    place = home.relative_to(here) if home.is_relative_to(here) else home
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    for name, words in (
        ("report.html", "质量报告 the quality report for auditors"),
        ("lake/downloads/", "开放数据 open data: CSV, JSON Lines, Parquet, XLSX"),
        ("lake/share/ lake/open/", "脱敏表 masked tables (Apache Iceberg)"),
        ("city/faults.json", "样例中埋下的问题 the faults that were planted"),
    ):
        table.add_row(" ".join(f"{place}/{part}" for part in name.split()), words)
    console.print(f"[bold]{seconds:.0f} s[/bold] for everything above. 去哪里看 Where to look:", table)
    console.print("下一步 Next: [bold]make up[/bold] opens Airflow on these DAGs. Or look into the lake:")
    console.print(
        f"  . .venv/bin/activate && . {place}/{ENVIRONMENT} && xuanwu quarantine list education.school"
    )


def up(home: Path, rows: int, port: int) -> int:
    """Keep Airflow running until interrupted."""
    with city_in_airflow(home, port, rows, len(DAYS)) as (running, _):
        console.print(f"""Airflow: [bold]{running.url}[/bold]
user [bold]admin[/bold], password in {running.home}/simple_auth_manager_passwords.json.generated
Ctrl-C stops it.""")
        try:
            while True:
                running.check_alive()
                time.sleep(1)
        except KeyboardInterrupt:
            return 0


def main() -> None:
    """Parse the arguments and run; a failure is one message and exit code 1."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("command", choices=("demo", "up"), nargs="?", default="demo")
    parser.add_argument("--home", type=Path, default=Path(".demo"))
    parser.add_argument("--rows", type=int, default=2000, help="residents of the city")
    parser.add_argument("--days", type=int, default=2, choices=(1, 2, 3))
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    home = arguments.home.resolve()
    try:
        if arguments.command == "up":
            sys.exit(up(home, arguments.rows, arguments.port))
        sys.exit(demo(home, arguments.rows, arguments.days))
    except AirflowFailed as error:
        console.print(f"[red]error:[/red] {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
