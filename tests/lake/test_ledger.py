"""The ledger and law 2: nothing is lost between a source and the last zone."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from lake.ledger import Ledger
from lake.records import Download, Record, Stage
from schemas.errors import LakeError, Unbalanced
from schemas.settings import Settings
from tests.lake.making import NOW, batch_of, checked, landed, merged, published, standardised


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    return Ledger(request.getfixturevalue(request.param), clock=lambda: NOW)


def run(ledger: Ledger, stage: Stage, record: Record, part: str = "") -> int:
    attempt = ledger.begin(record.batch, stage, part)
    ledger.finish(attempt, record)
    return attempt


def whole(ledger: Ledger, day: int = 1) -> None:
    batch = batch_of(day)
    run(ledger, "collect", landed(batch))
    run(ledger, "standardise", standardised(batch))
    run(ledger, "check", checked(batch))
    run(ledger, "merge", merged(batch))
    run(ledger, "publish", published(batch), "share/default")


def test_a_batch_from_source_to_zone(ledger: Ledger) -> None:
    whole(ledger)
    found = [(a.stage, a.part, a.number, a.state, a.rows_in, a.rows_out) for a in ledger.done("dept.data")]
    assert found == [
        ("collect", "", 1, "done", 10, 10),
        ("standardise", "", 1, "done", 10, 9),
        ("check", "", 1, "done", 9, 8),
        ("merge", "", 1, "done", 8, 21),
        ("publish", "share/default", 1, "done", 21, 20),
    ]
    merge = ledger.done("dept.data")[3]
    assert merge.batch == batch_of(1)
    assert (merge.started, merge.finished) == (NOW, NOW)
    assert merge.counts["inserted"] == 4
    assert all(each.sum.holds for each in ledger.sums())
    assert [str(each.sum) for each in ledger.sums("dept.data")] == [
        "rows out of collect 10 = rows into standardise 10",
        "rows out of standardise 9 = rows into check 9",
        "rows out of check 8 = rows into merge 8",
        "rows out of merge 21 = rows into publish 21",
    ]


def test_attempts_are_kept_and_the_latest_done_one_counts(ledger: Ledger) -> None:
    batch = batch_of(1)
    ledger.fail(ledger.begin(batch, "collect"), "the source is down")
    ledger.begin(batch, "collect")
    run(ledger, "collect", landed(batch))
    run(ledger, "collect", landed(batch, rows=11))
    ledger.fail(ledger.begin(batch, "collect"), "again")
    assert [(a.number, a.state) for a in ledger.runs()] == [
        (1, "failed"),
        (2, "lost"),
        (3, "done"),
        (4, "done"),
        (5, "failed"),
    ]
    assert [a.rows_out for a in ledger.done()] == [11]
    assert [(a.state, a.message) for a in ledger.latest("dept.data")] == [("failed", "again")]


def test_a_closed_attempt_stays_closed(ledger: Ledger) -> None:
    attempt = run(ledger, "collect", landed(batch_of(1)))
    ledger.fail(attempt, "too late")
    with pytest.raises(LakeError, match="closed before"):
        ledger.finish(attempt, landed(batch_of(1)))
    with pytest.raises(LakeError, match="no attempt"):
        ledger.finish(999, landed(batch_of(1)))
    assert ledger.runs()[0].state == "done"


@pytest.mark.parametrize(
    ("record", "stage", "words"),
    [
        (landed(batch_of(1), counted=12), "collect", "counted at the source 12 ≠ landed 10"),
        (
            landed(batch_of(1), rows=10).model_copy(update={"rows": 9}),
            "collect",
            "landed 9 ≠ rows of its files 10",
        ),
        (standardised(batch_of(1), quarantined=0), "standardise", "rows in 10 ≠ rows out 9 + quarantined 0"),
        (checked(batch_of(1), rows_out=9), "check", "rows in 9 ≠ rows out 9 + quarantined 1"),
        (
            merged(batch_of(1), updated=2),
            "merge",
            "rows in 8 ≠ inserted 4 + updated 2 + unchanged 1 + superseded 2 + quarantined 0",
        ),
        (merged(batch_of(1), deleted=2), "merge", "total 21 + deleted 2 ≠ total before 20 + inserted 4"),
        (published(batch_of(1), rows_out=19), "publish", "rows in 21 ≠ rows out 19 + suppressed 1"),
        (
            published(batch_of(1), downloads=(Download(format="csv", path="", sha256="", size=1, rows=19),)),
            "publish",
            "rows out 20 ≠ csv download 19",
        ),
        (
            standardised(batch_of(1), rows_in=9, quarantined=0),
            "standardise",
            "out of collect 10 ≠ rows into stand",
        ),
        (checked(batch_of(1), rows_in=8, quarantined=0), "check", "out of standardise 9 ≠ rows into check 8"),
        (merged(batch_of(1), rows_in=7, superseded=1), "merge", "out of check 8 ≠ rows into merge 7"),
        (
            published(batch_of(1), rows_in=20, suppressed=0),
            "publish",
            "out of merge 21 ≠ rows into publish 20",
        ),
    ],
)
def test_what_does_not_balance_stops_the_batch(
    settings: Settings, record: Any, stage: Stage, words: str
) -> None:
    ledger = Ledger(settings.database_url)
    whole(ledger)
    attempt = ledger.begin(record.batch, stage)
    with pytest.raises(Unbalanced) as caught:
        ledger.finish(attempt, record)
    assert words in str(caught.value)
    assert "law 2" in str(caught.value)
    assert (ledger.runs()[-1].state, words in ledger.runs()[-1].message) == ("failed", True)


def test_a_stage_needs_the_one_before(ledger: Ledger) -> None:
    with pytest.raises(Unbalanced, match="run standardise first"):
        run(ledger, "check", checked(batch_of(1)))


def test_a_publication_is_held_against_the_merge_that_made_its_snapshot(ledger: Ledger) -> None:
    whole(ledger, 1)
    batch = batch_of(2)
    run(ledger, "collect", landed(batch))
    run(ledger, "standardise", standardised(batch))
    run(ledger, "check", checked(batch))
    run(ledger, "merge", merged(batch, snapshot=9, total_before=21, total=22))
    run(ledger, "publish", published(batch_of(1), curated_snapshot=9, rows_in=22, rows_out=21), "open/open")
    with pytest.raises(Unbalanced, match="merge is not in the ledger"):
        run(ledger, "publish", published(batch, curated_snapshot=10))


def test_a_record_of_another_batch_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LakeError, match="another batch's"):
        ledger.finish(ledger.begin(batch_of(1), "collect"), landed(batch_of(2)))


def test_an_unreachable_ledger_says_where_to_look_and_hides_the_password() -> None:
    ledger = Ledger("postgresql+psycopg://someone:hunter2@127.0.0.1:1/none?connect_timeout=1")
    with pytest.raises(LakeError, match="XUANWU_DATABASE") as caught:
        ledger.begin(batch_of(1), "collect")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(LakeError, match="malformed") as caught:
        Ledger("someone:hunter2@nowhere").runs()
    assert "hunter2" not in str(caught.value)


WRITER = """
import sys
from lake.ledger import Ledger
from tests.lake.making import batch_of, landed
from schemas.errors import StageHeld
ledger = Ledger(sys.argv[1])
left, held = 15, 0
while left:
    try:
        ledger.finish(ledger.begin(batch_of(1), "collect"), landed(batch_of(1)))
        left -= 1
    except StageHeld:
        held += 1
"""


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_many_processes_write_at_once(request: pytest.FixtureRequest, database: str) -> None:
    """Four processes open a ledger that does not exist yet, and number the attempts of one stage together."""
    url = request.getfixturevalue(database)
    command = [sys.executable, "-c", WRITER, url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    assert sorted(a.number for a in Ledger(url).runs()) == list(range(1, 61))
