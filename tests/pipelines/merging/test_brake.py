"""The brake, on real merges: what is far from usual is held, and a decision is for what was seen and no more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lake import decisions, recordstore
from lake.batch import Batch
from lake.records import Merged
from pipelines import merge as merging
from pipelines.deciding import decide, waiting
from pipelines.proof.certifying import open_log
from pipelines.stages import run_stage
from schemas.errors import DecisionNeeded, LakeError, Refused, XuanwuError
from schemas.settings import Settings
from tests.pipelines.merging.making import City, MakeCatalogue, Row

ROWS = 200


@pytest.fixture
def city(settings: Settings, make_catalogue: MakeCatalogue) -> City:
    return City(
        settings, make_catalogue, {"id": {"type": "integer"}, "n": {"type": "integer"}}, kind="snapshot"
    )


def table(count: int, changed: int = 0) -> list[Row]:
    return [{"id": i, "n": -i if i < changed else i} for i in range(count)]


def ordered(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["id"])


def approve(city: City, decision: str = "approve", **said: str) -> None:
    decide(city.ctx, city.entry, decision, by="张三", why="核对无误", **said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (table(150), "delete 50 of the table's 200 rows (25.0%, at most 10%)"),
        (table(ROWS, 121), "delete or change 120 of the table's 200 rows (60.0%, at most 50%)"),
    ],
)
def test_what_deletes_or_changes_too_much_is_held_and_the_table_stays(
    city: City, second: list[Row], words: str
) -> None:
    city.merge(1, table(ROWS))
    before = city.ctx.tables.current_snapshot(("curated", "dept__data"))
    with pytest.raises(DecisionNeeded) as caught:
        city.merge(2, second)
    assert words in str(caught.value) and "xuanwu approve dept.data --batch" in str(caught.value)
    assert city.ctx.tables.current_snapshot(("curated", "dept__data")) == before
    assert ordered(city.rows()) == table(ROWS)
    ((found, made),) = waiting(city.ctx)
    assert words in found.reasons[0] and made is None
    _keyed(city, found, plain=merging._digest(city.entry, city.checked(2, second)))


def _keyed(city: City, found: decisions.Hold, *, plain: str) -> None:
    """What the log says of the input is made with the signing key: few rows are soon tried against a plain digest."""
    log = "".join(path.read_text() for path in Path(city.settings.lake_root).glob("proof/log/*.jsonl"))
    assert found.saw["input"] == open_log(city.ctx)[0].digest(plain)
    assert str(found.saw["input"]) in log and plain not in log


def test_within_the_limits_nobody_is_asked(city: City) -> None:
    city.merge(1, table(ROWS))
    city.merge(2, table(ROWS - 20, 80))
    assert list(waiting(city.ctx)) == []


def test_a_small_table_is_not_held(city: City) -> None:
    city.merge(1, table(99))
    assert city.merge(2, table(1)).deleted == 98


def test_an_entry_has_limits_of_its_own(city: City) -> None:
    city.entry = city.entry.model_copy(update={"brake": city.entry.brake.model_copy(update={"delete": 0.3})})
    city.merge(1, table(ROWS))
    assert city.merge(2, table(150)).deleted == 50


def test_an_approved_batch_goes_on_and_running_it_again_asks_nobody(city: City) -> None:
    city.merge(1, table(ROWS))
    with pytest.raises(DecisionNeeded):
        city.merge(2, table(150))
    approve(city)
    merged = city.merge(2, table(150))
    assert (merged.deleted, ordered(city.rows())) == (50, table(150))
    assert city.merge(2, table(150)) == merged


def test_an_approval_is_for_what_was_seen(city: City) -> None:
    """Other rows of the same batch, the same rows on a table that moved, another batch: each is held again."""
    city.merge(1, table(ROWS))
    with pytest.raises(DecisionNeeded):
        city.merge(2, table(150))
    approve(city)
    with pytest.raises(DecisionNeeded):
        city.merge(2, table(140))
    with pytest.raises(DecisionNeeded):
        city.merge(3, table(150))
    city.merge(4, table(ROWS, 1))
    with pytest.raises(DecisionNeeded):
        city.merge(5, table(150))
    assert len(city.rows()) == ROWS


def test_a_refused_batch_says_who_and_why_and_may_be_approved_after_all(city: City) -> None:
    city.merge(1, table(ROWS))
    with pytest.raises(DecisionNeeded):
        city.merge(2, table(150))
    approve(city, "refuse")
    with pytest.raises(Refused, match="张三 refused this batch: 核对无误"):
        city.merge(2, table(150))
    approve(city)
    assert city.merge(2, table(150)).deleted == 50


def test_a_decision_that_the_log_does_not_hold_does_not_count(city: City) -> None:
    city.merge(1, table(ROWS))
    with pytest.raises(DecisionNeeded):
        city.merge(2, table(150))
    approve(city, "refuse")
    (path,) = Path(city.settings.lake_root).rglob("decision.merge.json")
    forged = json.loads(path.read_text()) | {"decision": "approve"}
    path.write_text(json.dumps(forged))
    with pytest.raises(LakeError, match="not the one in the audit log"):
        city.merge(2, table(150))
    assert len(city.rows()) == ROWS


@pytest.mark.parametrize("why", ["", "  ", "电话 13912345678 已核实"])
def test_a_reason_is_needed_and_names_no_person(city: City, why: str) -> None:
    city.merge(1, table(ROWS))
    with pytest.raises(DecisionNeeded):
        city.merge(2, table(150))
    with pytest.raises(XuanwuError):
        decide(city.ctx, city.entry, "approve", by="张三", why=why)
    ((_, made),) = waiting(city.ctx)
    assert made is None


def test_far_fewer_rows_than_usual_of_that_kind_of_day(city: City) -> None:
    """Of working days 200 rows are usual, of weekends 3: a quiet Sunday is held against Sundays."""
    city.change(kind="append")
    working, weekend = (2, 5, 6), (3, 4, 10)
    for day in sorted((*working, *weekend)):
        rows = [{"id": day * 1000 + i, "n": i} for i in range(200 if day in working else 3)]
        landed(city, day, len(rows))
        city.merge(day, rows)
    landed(city, 11, 1)
    city.merge(11, [{"id": 15000, "n": 1}])
    landed(city, 12, 30)
    with pytest.raises(DecisionNeeded, match="brings 30 rows where 200 are usual"):
        city.merge(12, [{"id": 16000 + i, "n": i} for i in range(30)])


def landed(city: City, day: int, rows: int) -> None:
    """A collection in the ledger, as collect leaves it."""
    from lake.records import Landed, LandedFile
    from tests.conftest import NOW

    batch = city.checked(day, []).batch
    file = LandedFile(path="x", origin="x", sha256="0", size=1, rows=rows, format="csv")
    record = Landed(batch=batch, files=(file,), rows=rows, collected_at=NOW)
    city.ctx.ledger.finish(city.ctx.ledger.begin(batch, "collect"), record)


def test_the_stage_is_failed_in_the_ledger_held_in_status_and_done_after_the_decision(city: City) -> None:
    from pipelines.status import batch_statuses

    city.merge(1, table(ROWS))
    checked = city.checked(2, table(150))
    recordstore.save(city.settings, checked, "check")
    batch: Batch = checked.batch
    for stage, record in (("check", checked),):
        city.ctx.ledger._close(
            city.ctx.ledger.begin(batch, stage),
            "done",
            rows_in=150,
            rows_out=150,
            counts={},  # type: ignore[arg-type]
        )
        assert record.rows_out == 150
    with pytest.raises(DecisionNeeded):
        run_stage(city.ctx, "merge", batch)
    assert [row.state for row in batch_statuses(city.ctx)] == ["held"]
    approve(city)
    assert isinstance(run_stage(city.ctx, "merge", batch), Merged)
    assert [row.state for row in batch_statuses(city.ctx)] == ["done"]
    assert decisions.held(city.settings, batch, "merge") is None
