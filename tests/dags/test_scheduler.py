"""The real scheduler, LocalExecutor and API server over a schedule, an asset-triggered chain and a failing check."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from lake.ledger import Ledger
from lake.search import Needles, search
from lake.tables import Tables
from lake.zones import identifier
from sample.local_airflow import Airflow, AirflowFailed, airflow, environment, free_port, migrate
from schemas.settings import Settings
from tests.canaries import sightings

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1500)]

ENTRY = """
id: parks.{name}
title: {{zh: 公园, en: Parks}}
summary: {{zh: 公园名录, en: Register of parks}}
code: "308010{number}/000001"
owner: parks
assessed: {{secrecy: {{day: "2026-01-05", number: 保审1号}}, impact: {{day: "2026-01-06", number: 评1号}}, approved: {{day: "2026-01-07", number: 审1号}}}}
source: {{kind: database, connection: parks, table: PARK}}
schedule: {{cron: "0 2 * * *", start: "2026-03-02", catchup: true}}
key: [park_no]
merge: {{kind: snapshot}}
share: {{type: unconditional}}
open: {{type: unconditional, fields: [park_no, hectares]}}
fields:
  keeper: {{type: string, grade: 3, source: KEEPER, mask: {{share: hmac, open: drop}}}}
  since: {{type: date, grade: 3, source: SINCE, formats: ["%Y-%m-%d"], mask: {{share: drop, open: drop}}}}
  park_no:  {{type: string, grade: 1, source: PARK_NO}}
  district: {{type: string, grade: 1, source: DISTRICT}}
  hectares: {{type: integer, grade: 1, source: HECTARES}}
checks:
  - {{expect: expect_table_row_count_to_be_between, min_value: {least}, on_fail: stop}}
"""
DERIVED = """
id: parks.area
title: {zh: 各区公园面积, en: Park area by district}
summary: {zh: 各区公园面积合计, en: Park area summed by district}
code: "3080109/000001"
owner: parks
source:
  kind: lake
  inputs: [parks.park]
  sql: SELECT district, CAST(sum(hectares) AS BIGINT) AS hectares FROM parks.park GROUP BY district
key: [district]
merge: {kind: snapshot}
share: {type: unconditional}
open: {type: unconditional, fields: [district, hectares]}
fields:
  district: {type: string, grade: 1}
  hectares: {type: integer, grade: 1}
checks:
  - {expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}
"""
HELD = """
id: parks.{name}
title: {{zh: 设施, en: Things in parks}}
summary: {{zh: 公园设施, en: What stands in parks}}
code: "308010{number}/000001"
owner: parks
assessed: {{secrecy: {{day: "2026-01-05", number: 保审1号}}, impact: {{day: "2026-01-06", number: 评1号}}, approved: {{day: "2026-01-07", number: 审1号}}}}
source: {{kind: file, connection: things, path: "{name}_{{date}}.csv", format: csv, encoding: utf-8}}
schedule: {{cron: "0 2 * * *", start: "2026-03-02", catchup: true}}
key: [no]
merge: {{kind: snapshot}}
brake: {{from_rows: 1, delete: 0.2}}
share: {{type: unconditional}}
open: {{type: none, basis: {{zh: 依据}}}}
fields:
  no: {{type: string, grade: 1}}
checks:
  - {{expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}}
"""
CANARIES = [f"守园人KNRY{n}Q甲乙" for n in range(5)]
PASSWORD, KEY, SIGNING = "KNRYsecretPW7Q", secrets.token_hex(32), secrets.token_hex(32)
LOST = f"postgresql+psycopg://reader:{PASSWORD}@127.0.0.1:1/parks"
"""A connection with a password, to a server that is not there."""
DEPARTMENTS = "parks: {title: {zh: 园林局, en: Parks}, uscc: 11320100MB0000001M, limit: 1}\n"


COMMANDS: set[str] = set()
"""Every argument of every process of this machine while the scheduler was at work."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of three datasets on one SQLite source, and a home for Airflow and the lake."""
    home = tmp_path_factory.mktemp("scheduler")
    folder = home / "catalogue" / "parks"
    folder.mkdir(parents=True)
    (folder / "park.yaml").write_text(ENTRY.format(name="park", number=1, least=1))
    (folder / "crowd.yaml").write_text(ENTRY.format(name="crowd", number=2, least=1000))
    (folder / "area.yaml").write_text(DERIVED)
    (home / "things").mkdir()
    for number, name in enumerate(("bench", "lamp"), start=3):
        (folder / f"{name}.yaml").write_text(HELD.format(name=name, number=number))
        (home / "things" / f"{name}_2026-03-02.csv").write_text("no\nA\nB\nC\n")
        (home / "things" / f"{name}_2026-03-03.csv").write_text("no\nA\n")
    lost = ENTRY.format(name="lost", number=7, least=1).replace("connection: parks", "connection: lost")
    (folder / "lost.yaml").write_text(lost)
    (home / "catalogue" / "departments.yaml").write_text(DEPARTMENTS)
    with sqlite3.connect(home / "parks.db") as source:
        source.execute(
            "CREATE TABLE PARK (PARK_NO TEXT, DISTRICT TEXT, HECTARES INTEGER, KEEPER TEXT, SINCE TEXT)"
        )
        parks = [("P1", "玄武", 502), ("P2", "玄武", 20), ("P3", "秦淮", 13)]
        rows = [(*park, CANARIES[n], "2020-01-01") for n, park in enumerate(parks)]
        rows.append(("P4", "玄武", 1, CANARIES[3], CANARIES[4]))  # no date: set aside
        source.executemany("INSERT INTO PARK VALUES (?, ?, ?, ?, ?)", rows)
    return home


@pytest.fixture(scope="module")
def scheduled(home: Path) -> Iterator[Airflow]:
    """Airflow on that home, its calendar ending after two days, left to run until nothing is under way."""
    variables = {
        "XUANWU_HOME": str(home / "xuanwu"),
        "XUANWU_CATALOGUE": str(home / "catalogue"),
        "XUANWU_UNTIL": "2026-03-03",
        "XUANWU_KEY_1": KEY,
        "XUANWU_SIGNING_KEY": SIGNING,
    }
    subscribed(home)
    env = environment(home / "airflow", free_port(), variables)
    migrate(home / "airflow", env)
    with airflow(home / "airflow", env, ("api-server", "scheduler", "dag-processor")) as running:
        running.put_connections(
            {
                "parks": f"sqlite:///{home / 'parks.db'}",
                "things": f"file://{home / 'things'}",
                "lost": LOST,
                "to_parks": f"file://{home / 'inbox'}",
            }
        )
        running.put_pools({"parks": 1})
        deadline = time.monotonic() + 900
        while time.monotonic() < deadline:
            running.check_alive()
            for process in psutil.process_iter(["cmdline"]):
                COMMANDS.update(process.info["cmdline"] or ())
            runs = running.runs()
            states = {
                dag: [r["state"] for r in runs if r["dag_id"] == dag]
                for dag in ("parks.park", "parks.crowd", "parks.area")
            }
            finished = all(state in ("success", "failed") for found in states.values() for state in found)
            if (
                finished
                and len(states["parks.park"]) == 2
                and len(states["parks.crowd"]) == 2
                and states["parks.area"]
                and delivered(home)
            ):
                break
            running.dags()
            time.sleep(1)
        yield running


def subscribed(home: Path) -> None:
    """The department has its own parks delivered into a folder."""
    from datetime import UTC, datetime

    from exchange.desk import Desk
    from exchange.people import Principal
    from exchange.state import State
    from exchange.subscriptions import declare
    from lake.auditlog import AuditLog
    from lake.signing import Signer, private_key
    from schemas.load import load_catalogue

    settings = Settings(home=home / "xuanwu", catalogue=home / "catalogue")
    (home / "inbox").mkdir()
    catalogue = load_catalogue(settings.catalogue)
    log = AuditLog(settings, Signer(private_key(SIGNING.encode())))
    desk = Desk(State(settings), catalogue, log, lambda: datetime.now(UTC))
    asker = Principal("asker", "parks", frozenset({"requester"}))
    declare(desk, asker, {"dataset": "parks.park", "policy": "default", "method": "file", "place": "parks"})


def delivered(home: Path) -> list[dict[str, Any]]:
    """The manifests in the department's folder."""
    return [json.loads(path.read_text()) for path in (home / "inbox").rglob("manifest.json")]


def test_a_new_snapshot_is_delivered(scheduled: Airflow, home: Path) -> None:
    runs = [run for run in scheduled.runs() if run["dag_id"] == "xuanwu_delivery"]
    assert {run["run_type"] for run in runs} == {"asset_triggered"}
    assert {manifest["rows"] for manifest in delivered(home)} == {3}
    published = Tables(Settings(home=home / "xuanwu"))
    snapshots = {str(found) for found, _ in published.snapshots(identifier("share", "parks.park", "default"))}
    assert {manifest["snapshot"] for manifest in delivered(home)} <= snapshots


def test_the_schedule_runs_each_day_once(scheduled: Airflow) -> None:
    runs = [run for run in scheduled.runs() if run["dag_id"] == "parks.park"]
    assert sorted((run["run_type"], run["data_interval_start"], run["state"]) for run in runs) == [
        ("scheduled", "2026-03-01T18:00:00Z", "success"),
        ("scheduled", "2026-03-02T18:00:00Z", "success"),
    ]


def test_a_derived_dataset_runs_when_its_input_changes(scheduled: Airflow, home: Path) -> None:
    runs = [run for run in scheduled.runs() if run["dag_id"] == "parks.area"]
    assert runs
    assert {(run["run_type"], run["state"]) for run in runs} == {("asset_triggered", "success")}
    ledger = Ledger(Settings(home=home / "xuanwu").database_url)
    newest = [attempt for attempt in ledger.done("parks.area") if attempt.stage == "publish"][-1]
    assert (newest.rows_in, newest.rows_out) == (2, 2)
    assert newest.batch.end.isoformat() == "2026-03-03T18:00:00+00:00"


def test_a_failed_check_fails_its_task_in_plain_words_and_is_not_retried(
    scheduled: Airflow, home: Path
) -> None:
    failed = scheduled.failed_tasks()
    assert {
        (task["dag_id"], task["task_id"], task["try_number"])
        for task in failed
        if task["dag_id"] != "parks.lamp"
    } == {("parks.crowd", "check", 1)}
    task = next(task for task in failed if task["dag_id"] == "parks.crowd")
    path = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/check/logs/1"
    log = str(scheduled.call("GET", path))
    assert "expect_table_row_count_to_be_between" in log
    assert "Traceback" not in log
    ledger = Ledger(Settings(home=home / "xuanwu").database_url)
    assert not [attempt for attempt in ledger.runs("parks.crowd") if attempt.stage == "merge"]


@pytest.mark.parametrize(
    ("dataset", "answer", "ends"),
    [("parks.bench", "批准 Approve", "success"), ("parks.lamp", "驳回 Refuse", "failed")],
)
def test_a_held_batch_asks_a_person_and_goes_on_or_ends_with_the_answer(
    scheduled: Airflow, home: Path, dataset: str, answer: str, ends: str
) -> None:
    """Two of three rows would go on the second day. The first day asked nobody; no task is there for asking."""
    run = held_run(scheduled, dataset)
    task = f"/dags/{dataset}/dagRuns/{run}/taskInstances/merge/-1/hitlDetails"
    asked = scheduled.call("GET", task)
    assert "delete 2 of the table's 3 rows (66.7%, at most 20%)" in asked["body"]
    lake = Tables(Settings(home=home / "xuanwu"))
    curated = identifier("curated", dataset)
    assert lake.row_count(curated) == 3
    body = {"chosen_options": [answer], "params_input": {"why": "三月起两处设施已拆除"}}
    scheduled.call("PATCH", task, json=body)
    deadline = time.monotonic() + 120
    while (state := scheduled.call("GET", f"/dags/{dataset}/dagRuns/{run}")["state"]) not in (
        "success",
        "failed",
    ):
        assert time.monotonic() < deadline, f"the run is {state}"
        time.sleep(0.5)
    assert state == ends
    assert lake.row_count(curated) == (1 if ends == "success" else 3)
    tried = scheduled.call("GET", f"/dags/{dataset}/dagRuns/{run}/taskInstances")["task_instances"]
    assert {each["task_id"] for each in tried} == {
        "collect",
        "standardise",
        "check",
        "merge",
        "publish_share",
    }
    assert next(each for each in tried if each["task_id"] == "merge")["try_number"] == 1
    logged = decisions_of(home, dataset)
    assert [(each["decision"], each["by"], each["why"]) for each in logged] == [
        ("approve" if ends == "success" else "refuse", "admin", "三月起两处设施已拆除")
    ]
    if ends == "failed":
        path = f"/dags/{dataset}/dagRuns/{run}/taskInstances/merge/logs/1"
        assert "admin refused this batch: 三月起两处设施已拆除" in str(scheduled.call("GET", path))


def held_run(scheduled: Airflow, dataset: str) -> str:
    """The run whose merge waits for an answer; the dataset's first run is done by then."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        scheduled.check_alive()
        query = f"/dags/{dataset}/dagRuns/~/taskInstances?state=awaiting_input"
        if waiting := scheduled.call("GET", query)["task_instances"]:
            done = [each["state"] for each in scheduled.runs() if each["dag_id"] == dataset]
            assert sorted(done) == ["running", "success"]
            return str(waiting[0]["dag_run_id"])
        time.sleep(0.5)
    raise AssertionError(f"no batch of {dataset} was held")


def decisions_of(home: Path, dataset: str) -> list[dict[str, Any]]:
    lines = (home / "xuanwu" / "lake" / "proof" / "log" / "00000000.jsonl").read_text().splitlines()
    entries = [json.loads(line)["entry"] for line in lines]
    return [each for each in entries if each["action"] == "decide" and each["dataset"] == dataset]


def test_secrets_and_values_stay_out_of_airflows_records(scheduled: Airflow, home: Path) -> None:
    """XComs carry a batch's identity, never a row."""
    run = next(run for run in scheduled.runs() if run["dag_id"] == "parks.park")
    entries = scheduled.call(
        "GET", f"/dags/parks.park/dagRuns/{run['dag_run_id']}/taskInstances/collect/xcomEntries"
    )
    keys = [entry["key"] for entry in entries["xcom_entries"]]
    assert keys == ["return_value"]
    value = scheduled.call(
        "GET",
        f"/dags/parks.park/dagRuns/{run['dag_run_id']}/taskInstances/collect/xcomEntries/return_value?deserialize=true",
    )["value"]
    assert set(value) == {"dataset", "start", "end", "pins", "id"}


def tasks(scheduled: Airflow) -> list[dict]:
    return list(scheduled.call("GET", "/dags/~/dagRuns/~/taskInstances?limit=1000")["task_instances"])


def test_neither_canary_nor_secret_is_in_anything_of_airflow(scheduled: Airflow, home: Path) -> None:
    """Its metadata database with XComs, rendered templates and serialised DAGs, its tasks' logs and its components',
    what its API shows, the arguments of processes, and all of the lake but the rows themselves."""
    deadline = time.monotonic() + 60
    while not any(t["dag_id"] == "parks.lost" and t["state"] == "up_for_retry" for t in tasks(scheduled)):
        assert time.monotonic() < deadline, "the lost server was never asked"
        time.sleep(1)
    shown = [tasks(scheduled), scheduled.runs(), scheduled.call("GET", "/connections")]
    shown += [scheduled.call("GET", f"/connections/{name}") for name in ("parks", "lost")]
    logs = 0
    for task in tasks(scheduled):
        path = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
        of = {"map_index": task["map_index"]}
        shown.append(scheduled.call("GET", f"{path}/xcomEntries", params=of))
        if task["try_number"] and task["state"] != "skipped":
            shown.append(scheduled.call("GET", f"{path}/logs/1", params=of))
            logs += 1
    assert logs > 10
    said = json.dumps(shown, ensure_ascii=False) + "\n".join(COMMANDS)
    assert "***" in said, "the connection is shown, its URL is not"
    planted = [*CANARIES, PASSWORD, KEY, SIGNING]
    assert sightings(home / "airflow", home / "airflow", planted, said) == {}
    assert sightings(home / "xuanwu", home / "xuanwu" / "lake", planted) == {}
    assert len(COMMANDS) > 20
    assert search([str(home / "parks.db")], Needles(CANARIES)).found, "the search can find what it looks for"


def test_a_backfill_runs_its_intervals_again_and_changes_nothing(scheduled: Airflow, home: Path) -> None:
    """Backfill by data interval: the same batches, found again; neither rows nor snapshots differ."""
    ledger = Ledger(Settings(home=home / "xuanwu").database_url)
    before = standing(ledger)
    body = {
        "dag_id": "parks.park",
        "from_date": "2026-03-01T16:00:00Z",
        "to_date": "2026-03-03T15:59:59Z",
        "max_active_runs": 1,
        "reprocess_behavior": "completed",
        "run_backwards": False,
    }
    tried = len(ledger.runs("parks.park"))
    backfill = begin_backfill(scheduled, body)
    deadline = time.monotonic() + 120
    while scheduled.call("GET", f"/backfills/{backfill}")["completed_at"] is None:
        assert time.monotonic() < deadline, "the backfill did not end"
        time.sleep(1)
    runs = [run for run in scheduled.runs() if run["dag_id"] == "parks.park"]
    assert {(run["run_type"], run["state"]) for run in runs} == {("backfill", "success")}
    assert len(ledger.runs("parks.park")) == 2 * tried
    assert standing(ledger) == before


def begin_backfill(scheduled: Airflow, body: dict) -> int:
    """The id of a new backfill. Where Airflow's database was locked, its answer is 503, or 500 with the words of its
    `DatabaseErrorHandler`, and its removal of the half made backfill is best effort (`_cleanup_partial_backfill`): one
    that stayed refuses the next with 409, until it is cancelled or, which may come between any two calls, removed after
    all."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return scheduled.call("POST", "/backfills", json=body)["id"]
        except AirflowFailed as refused:
            locked = ": 409 " in str(refused) or "Database error" in str(refused)
            if not locked or time.monotonic() > deadline:
                raise
        for each in scheduled.call("GET", f"/backfills?dag_id={body['dag_id']}")["backfills"]:
            if each["completed_at"] is None:
                with suppress(AirflowFailed):
                    scheduled.call("PUT", f"/backfills/{each['id']}/cancel")
        time.sleep(0.5)


def standing(ledger: Ledger) -> list[tuple]:
    """What must be the same when batches are run again: every merge, and what is published of the newest batch.
    (An older batch run again finds the newer publication and keeps it.)"""
    done = ledger.done("parks.park")
    newest = done[-1].batch.id
    return [
        (a.batch.id, a.stage, a.part, {name: count for name, count in a.counts.items() if name != "reused"})
        for a in done
        if a.stage != "publish" or a.batch.id == newest
    ]
