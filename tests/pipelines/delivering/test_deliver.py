"""From a request to a receipt: declared with it, consented to with it, delivered while it lasts, told and counted."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from exchange import receipts
from exchange.errors import Forbidden, NotThere, Unfit
from exchange.notices import gather, inbox
from exchange.process import Request
from exchange.subscriptions import apply, declare, find_one, listed, of_request, stop
from exchange.usage import usage
from lake.certificates import path_of
from lake.verify import Copy, verify
from pipelines.delivering.deliver import deliver, deliver_due, due
from pipelines.delivering.order import Order, Told
from schemas.errors import DeliveryError, DeliveryUnfit, LakeError, SettingsError, StageHeld
from tests.exchange.conftest import AUDITOR, person
from tests.exchange.platform import ID, KEY, PEOPLE, VISIT, Platform, visits
from tests.pipelines.delivering.conftest import rows_of
from tests.pipelines.sources.conftest import Department
from tests.waiting import ended_child

FREE = (
    VISIT.replace(ID, "health.free")
    .replace("3050", "3051")
    .replace("type: conditional\n  conditions: {zh: 限履职需要}", "type: unconditional")
)
SECRET = "PWsecretKNRY"
COLUMNS = "visit_no, id_no, district, fee"


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    monkeypatch.setenv("XUANWU_SIGNING_KEY", bytes(range(32, 64)).hex())
    made = Platform(tmp_path, {"health/visit.yaml": VISIT, "health/free.yaml": FREE})
    made.leave(1, visits())
    return made


@pytest.fixture(params=["postgresql", "mariadb"])
def recipient(request: pytest.FixtureRequest, platform: Platform) -> Iterator[Department]:
    found: Department = request.getfixturevalue(request.param)
    platform.urls["to_education"] = found.url
    yield found


def asked(platform: Platform, mode: str = "upsert", **other: Any) -> Request:
    """A request with its delivery, granted."""
    said = {"dataset": ID, "policy": "default", "basis": "职责", "scenario": "核验", "method": "batch"}
    until = (platform.now + timedelta(days=30)).isoformat()
    delivery = {"place": "visits", "mode": mode} | other.pop("delivery", {})
    request = apply(
        platform.desk, PEOPLE["asker_education"], said | {"until": until, "delivery": delivery} | other
    )
    for who, step, words in (
        ("head_education", "approve", {}),
        ("clerk", "propose", {"consent": True, "reason": "可"}),
        ("chief", "confirm", {}),
    ):
        request = platform.take(who, request.number, step, **words)  # type: ignore[arg-type]
    return request


def number_of(platform: Platform, request: Request) -> int:
    found = of_request(platform.desk, request.number)
    assert found is not None
    return found.number


def log(platform: Platform, action: str = "read") -> list[dict[str, Any]]:
    return [each for _, each in platform.desk.log.entries(0) if each.get("action") == action]


def shared_rows(platform: Platform, table: str = "share.health__visit__default") -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for row in platform.rows(table))


# ── delivering ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["swap", "upsert"])
def test_each_snapshot_is_delivered_once_with_a_receipt(
    platform: Platform, recipient: Department, mode: str
) -> None:
    platform.run(1)
    number = number_of(platform, asked(platform, mode))
    assert [each.number for each in due(platform.ctx)] == [number]
    [(_, first)] = deliver_due(platform.ctx, platform.desk)
    assert isinstance(first, receipts.Receipt)
    assert (first.state, first.counts.rows, first.counts.sent, first.counts.found) == ("done", 40, 40, 40)
    assert rows_of(recipient, columns=COLUMNS) == shared_rows(platform)
    assert due(platform.ctx) == []
    changed = [row | {"fee": "7"} if row["visit_no"] == "V0003" else row for row in visits(42)]
    platform.leave(2, [row for row in changed if row["visit_no"] != "V0005"])
    platform.run(2)
    second = deliver(platform.ctx, platform.desk, number)
    if mode == "upsert":
        done = second.counts
        assert (done.inserted, done.updated, done.deleted, done.found) == (2, 1, 1, 41)
    assert rows_of(recipient, columns=COLUMNS) == shared_rows(platform)
    assert [each.state for each in receipts.receipts(platform.desk, number)] == ["done", "done"]
    entries = [(each["phase"], each["door"], each.get("rows"), each.get("result")) for each in log(platform)]
    assert entries[0] == ("attempt", "push", None, None)
    assert entries[1] == ("outcome", "push", 40, "done")
    [used] = usage(platform.desk, None)
    assert (used.door, used.reads, used.account) == ("push", 2, "asker_education")
    assert list(verify(Copy(platform.settings.lake_root))) == []


def test_a_grants_own_table_is_delivered_and_no_more(platform: Platform, postgresql: Department) -> None:
    platform.urls["to_education"] = postgresql.url
    request = asked(platform, "swap", columns=["fee", "district"])
    platform.run(1)
    deliver(platform.ctx, platform.desk, number_of(platform, request))
    found = rows_of(postgresql, columns="district, fee")
    assert len(found) == 40
    columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'visits'"
    assert postgresql.value(columns) == 2


def test_what_is_shared_without_conditions_needs_no_request(
    platform: Platform, postgresql: Department
) -> None:
    platform.urls["to_gulou__store"] = postgresql.url
    platform.run(1, "health.free")
    said = {"dataset": "health.free", "policy": "default", "method": "batch"}
    with pytest.raises(Unfit, match="shared by request"):
        declare(platform.desk, PEOPLE["asker_gulou"], said | {"dataset": ID, "place": "v"})
    made = declare(platform.desk, PEOPLE["asker_gulou"], said | {"place": "v", "connection": "store"})
    assert deliver(platform.ctx, platform.desk, made.number).counts.found == 40
    with pytest.raises(Unfit, match=f"delivery {made.number} goes to the same place"):
        declare(platform.desk, PEOPLE["asker_gulou"], said | {"place": "v", "connection": "store"})
    with pytest.raises(NotThere):
        stop(platform.desk, PEOPLE["asker_education"], made.number)
    stop(platform.desk, PEOPLE["asker_gulou"], made.number)
    assert due(platform.ctx) == []
    with pytest.raises(Forbidden, match="stopped"):
        deliver(platform.ctx, platform.desk, made.number)
    assert [each["step"] for each in log(platform, "subscription")] == ["declared", "stopped"]


@pytest.mark.parametrize(
    ("delivery", "said"),
    [
        ({"place": "a b"}, "table's name"),
        ({"place": "a.b.c"}, "table's name"),
        ({"place": "xuanwu_delivered"}, "table's name"),
        ({"connection": "../civil_affairs"}, "connection's name"),
        ({"connection": "a__b"}, "connection's name"),
        ({"mode": "append"}, "form is unknown"),
        ({"keep": 0.5}, "out of bounds"),
        ({"url": f"postgresql://u:{SECRET}@h/d"}, "1 keys of the delivery are unknown"),
    ],
)
def test_a_malformed_delivery_is_no_request(platform: Platform, delivery: dict[str, Any], said: str) -> None:
    with pytest.raises(Unfit, match=said) as error:
        asked(platform, delivery=delivery)
    assert SECRET not in str(error.value)
    assert listed(platform.desk, AUDITOR) == []


def test_changes_need_keys_that_tell_rows_apart(platform: Platform) -> None:
    with pytest.raises(Unfit, match=r"without visit_no as it is.*mode: swap"):
        asked(platform, columns=["fee"])
    with pytest.raises(Unfit, match="by database table or by file"):
        asked(platform, method="api")


# ── an end ────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_delivered_without_a_grant_that_lasts(platform: Platform, postgresql: Department) -> None:
    platform.urls["to_education"] = postgresql.url
    platform.run(1)
    said = {"dataset": ID, "policy": "default", "basis": "职", "scenario": "核", "method": "batch"}
    until = (platform.now + timedelta(days=30)).isoformat()
    waiting = said | {"until": until, "delivery": {"place": "early"}}
    early = number_of(platform, apply(platform.desk, PEOPLE["asker_education"], waiting))
    request = asked(platform)
    number = number_of(platform, request)
    deliver(platform.ctx, platform.desk, number)
    platform.take("bureau", request.number, "suspend", reason="查")
    for each in (early, number):
        with pytest.raises(Forbidden, match="gives nothing to deliver"):
            deliver(platform.ctx, platform.desk, each)
    platform.take("bureau", request.number, "resume", reason="毕")
    deliver(platform.ctx, platform.desk, number)
    platform.now += timedelta(days=31)
    with pytest.raises(Forbidden):
        deliver(platform.ctx, platform.desk, number)
    assert due(platform.ctx) == []
    refusals = [each for each in log(platform) if each["phase"] == "refused"]
    assert len(refusals) == 3
    assert {each["by"] for each in refusals} == {"asker_education"}


def test_a_grant_that_ends_meanwhile_delivers_nothing(platform: Platform, recipient: Department) -> None:
    platform.run(1)
    request = asked(platform)
    number = number_of(platform, request)

    def revoking(name: str) -> str:
        platform.take("chief", request.number, "revoke", reason="止")
        return recipient.url

    object.__setattr__(platform.ctx, "connect", revoking)
    with pytest.raises(Forbidden):
        deliver(platform.ctx, platform.desk, number)
    tables = sa.inspect(recipient.engine).get_table_names()
    assert "visits" not in tables or rows_of(recipient, columns=COLUMNS) == []
    assert [each.state for each in receipts.receipts(platform.desk, number)] == ["failed"]


# ── failures ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failure_is_told_to_both_and_keeps_no_other_waiting(
    platform: Platform, postgresql: Department
) -> None:
    platform.run(1)
    bad = asked(platform, delivery={"connection": "lost", "place": "visits"})
    good = asked(platform, delivery={"place": "visits"})
    platform.urls |= {
        "to_education__lost": f"postgresql://reader:{SECRET}@127.0.0.1:1/none",
        "to_education": postgresql.url,
    }
    found = {each.request: result for each, result in deliver_due(platform.ctx, platform.desk)}
    failed = found[bad.number]
    assert isinstance(failed, DeliveryError)
    assert SECRET not in str(failed)
    assert isinstance(found[good.number], receipts.Receipt)
    number = number_of(platform, bad)
    [kept] = receipts.receipts(platform.desk, number)
    assert (kept.state, SECRET in kept.why) == ("failed", False)
    assert due(platform.ctx) == []  # not at once again
    receipts.soon(platform.desk, number)
    assert [each.number for each in due(platform.ctx)] == [number]
    gather(platform.desk)
    for who in ("asker_education", "clerk"):
        told = [each.notice.about for each in inbox(platform.desk.state, PEOPLE[who])]
        assert f"failed {number} {kept.snapshot}" in told
    assert gather(platform.desk) == 0
    platform.now += timedelta(minutes=2)
    assert [each.number for each in due(platform.ctx)] == [number]
    platform.urls["to_education__lost"] = "sqlite:///x.db"
    with pytest.raises(SettingsError, match="no database that tables are delivered to"):
        deliver(platform.ctx, platform.desk, number)
    assert find_one(platform.desk, number).tries == 1
    text = "\n".join(map(str, platform.desk.log.entries(0)))
    assert SECRET not in text


def test_a_mismatch_is_a_failure(
    platform: Platform, postgresql: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receipt was lost, and before the next try somebody deleted rows of the table."""
    platform.urls["to_education"] = postgresql.url
    platform.run(1)
    number = number_of(platform, asked(platform))
    deliver(platform.ctx, platform.desk, number)
    postgresql.run("DELETE FROM visits WHERE visit_no = 'V0001'")
    with pytest.raises(DeliveryError, match="holds 39 rows after the delivery, the snapshot has 40"):
        deliver(platform.ctx, platform.desk, number)
    assert receipts.receipts(platform.desk, number)[0].counts.found == 39


def killed(platform: Platform, number: int, point: str) -> None:
    """Deliver in a process that is killed there."""

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        if point == "copying":
            real = Told.passing

            def passing(self: Told, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
                for batch in real(self, batches):
                    yield batch.slice(0, 10)
                    die()

            Told.passing = passing  # type: ignore[method-assign]
        elif point == "before the commit":
            Order.balanced = die  # type: ignore[assignment]
        else:
            receipts.write = die  # type: ignore[assignment]
        try:
            deliver(platform.ctx, platform.desk, number)
        finally:
            os._exit(1)
    assert os.WTERMSIG(ended_child(child)) == signal.SIGKILL


@pytest.mark.parametrize("mode", ["swap", "upsert"])
def test_whoever_is_killed_is_made_up_for_exactly_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, mode: str
) -> None:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    monkeypatch.setenv("XUANWU_SIGNING_KEY", bytes(range(32, 64)).hex())
    for name in ("postgresql", "mariadb"):
        platform = Platform(tmp_path / name)
        platform.leave(1, visits())
        platform.run(1)
        recipient: Department = request.getfixturevalue(name)
        platform.urls["to_education"] = recipient.url
        number = number_of(platform, asked(platform, mode))
        deliver(platform.ctx, platform.desk, number)
        before = rows_of(recipient, columns=COLUMNS)
        platform.leave(2, visits(60, day=2))
        platform.run(2)
        for point in ("copying", "before the commit", "after it"):
            killed(platform, number, point)
            found = rows_of(recipient, columns=COLUMNS)
            assert found == (shared_rows(platform) if point == "after it" else before)
        receipt = deliver(platform.ctx, platform.desk, number)
        assert (receipt.counts.sent, receipt.counts.found) == (0, 60)
        assert [each.state for each in receipts.receipts(platform.desk, number)] == ["done", "done"]


def test_one_delivers_at_a_time(platform: Platform, postgresql: Department) -> None:
    platform.urls["to_education"] = postgresql.url
    platform.run(1)
    number = number_of(platform, asked(platform))
    with receipts.claimed(platform.desk, number), pytest.raises(StageHeld, match="being made by process"):
        deliver(platform.ctx, platform.desk, number)
    deliver(platform.ctx, platform.desk, number)


def test_who_may_see_a_delivery(platform: Platform) -> None:
    request = asked(platform)
    number = number_of(platform, request)
    for who in (PEOPLE["head_education"], PEOPLE["clerk"], AUDITOR, PEOPLE["bureau"]):
        assert [each.number for each in listed(platform.desk, who)] == [number]
    for who in (PEOPLE["asker_gulou"], person("nobody", "", "requester")):
        assert listed(platform.desk, who) == []


def test_a_table_that_was_changed_is_unfit_until_it_is_put_right(
    platform: Platform, postgresql: Department
) -> None:
    platform.urls["to_education"] = postgresql.url
    platform.run(1)
    number = number_of(platform, asked(platform, "swap"))
    deliver(platform.ctx, platform.desk, number)
    postgresql.run("ALTER TABLE visits DROP COLUMN fee")
    platform.leave(2, visits(50, day=2))
    platform.run(2)
    with pytest.raises(DeliveryUnfit, match="it lacks fee bigint"):
        deliver(platform.ctx, platform.desk, number)
    postgresql.run("DROP TABLE visits")
    assert deliver(platform.ctx, platform.desk, number).counts.found == 50


def test_what_is_not_proved_is_not_delivered(platform: Platform, postgresql: Department) -> None:
    platform.urls["to_education"] = postgresql.url
    platform.run(1)
    number = number_of(platform, asked(platform))
    table = ("share", "health__visit__default")
    snapshot = platform.ctx.tables.current_snapshot(table)
    assert snapshot is not None
    (Path(platform.settings.lake_root) / path_of(*table, snapshot)).unlink()
    with pytest.raises(LakeError, match="no certificate of its snapshot"):
        deliver(platform.ctx, platform.desk, number)
    assert "visits" not in sa.inspect(postgresql.engine).get_table_names()
    assert receipts.receipts(platform.desk, number)[0].state == "failed"


def test_a_data_file_that_is_lost_is_told_as_the_lakes(platform: Platform, recipient: Department) -> None:
    platform.run(1)
    number = number_of(platform, asked(platform, "swap"))
    for path in platform.files_of("share.health__visit__default"):
        if path.suffix == ".parquet":
            path.unlink()
    with pytest.raises(LakeError):
        deliver(platform.ctx, platform.desk, number)
    assert "visits" not in sa.inspect(recipient.engine).get_table_names()
    [kept] = receipts.receipts(platform.desk, number)
    assert (kept.state, "connection" in kept.why) == ("failed", False)
