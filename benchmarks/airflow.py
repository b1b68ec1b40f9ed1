"""What Airflow costs: of each run of a DAG, the seconds in stages, in tasks beside them, and between tasks.

    make demo
    python -m benchmarks.airflow .demo

Read from the times that Airflow and the ledger have written down themselves. A run's tasks follow one another but for
the two publications; a dataset's runs do not wait for another's unless the machine is busy.
"""

from __future__ import annotations

import sqlite3
import sys
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.kept import keep

RUNS = """
SELECT r.dag_id, r.start_date, r.end_date, count(*),
       sum(julianday(t.end_date) - julianday(t.start_date)) * 86400
FROM dag_run r JOIN task_instance t USING (dag_id, run_id)
WHERE r.state = 'success' AND t.state = 'success' AND t.start_date IS NOT NULL
GROUP BY r.dag_id, r.run_id"""


def _rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def overhead(home: Path) -> dict[str, Any]:
    """Sums over all runs of datasets and medians of one, in seconds."""
    attempts = [
        (dataset, *map(datetime.fromisoformat, (started, finished)))
        for dataset, started, finished in _rows(
            home / "ledger.db", "SELECT dataset, started, finished FROM attempts WHERE state = 'done'"
        )
    ]
    datasets = {dataset for dataset, _, _ in attempts}
    runs = []
    for dag, start, end, tasks, in_tasks in _rows(home / "airflow" / "airflow.db", RUNS):
        if dag in datasets:
            begun, over = (datetime.fromisoformat(f"{each}+00:00") for each in (start, end))
            in_stages = sum(
                (b - a).total_seconds() for each, a, b in attempts if each == dag and begun <= a and b <= over
            )
            runs.append(((over - begun).total_seconds(), in_tasks, in_stages, tasks))
    whole, in_tasks, in_stages, tasks = (list(column) for column in zip(*runs, strict=True))
    beside = [(task - stage) / count for task, stage, count in zip(in_tasks, in_stages, tasks, strict=True)]
    return {
        "runs": len(runs),
        "tasks": sum(tasks),
        "stages": sum(in_stages),
        "in_tasks": sum(in_tasks),
        "run": median(whole),
        "run_in_stages": median(in_stages),
        "beside_stages_per_task": median(beside),
    }


def main() -> None:
    found = overhead(Path(sys.argv[1] if len(sys.argv) > 1 else ".demo"))
    for name, value in found.items():
        print(f"{name:25} {value:10.2f}")
    print(f"written: {keep('airflow', found)}")


if __name__ == "__main__":
    main()
