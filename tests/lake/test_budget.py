"""The privacy budget: spent once for one draw, never overdrawn, by many processes at once, on both databases."""

from __future__ import annotations

import multiprocessing as mp
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from lake.budget import METADATA, Budget, Draw
from schemas.errors import BudgetSpent, LakeError
from tests.lake.making import NOW
from tests.waiting import until

WARDS = "health.ward"
DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def budget(url: str, dataset: str = WARDS) -> Budget:
    return Budget(url, dataset, lambda: NOW)


def test_one_draw_is_spent_and_named_once(url: str) -> None:
    draw = Draw("patients", "0" * 64, 0.1)
    assert budget(url).spend(draw, 1) and not budget(url).spend(draw, 1)
    assert budget(url).settle(draw.draw, "a", "1") and not budget(url).settle(draw.draw, "b", "2")
    assert budget(url).find(draw.draw) == replace(draw, file="a", sha256="1")
    assert budget(url).find("1" * 64) is None
    assert (budget(url).spent, budget(url, "a.b").spent) == (0.1, 0)


def test_to_the_last_millionth_and_no_further(url: str) -> None:
    assert all(budget(url).spend(Draw("patients", f"{n:064}", 0.1), 1) for n in range(10))
    with pytest.raises(BudgetSpent, match="epsilon 0 is left and 1e-06 is needed"):
        budget(url).spend(Draw("patients", "x" * 64, 0.000001), 1)
    assert budget(url).spent == 1


def spender(url: str, number: int, results: Any) -> None:
    own = Budget(url, WARDS, lambda: datetime.now(UTC))
    try:
        results.put(str(own.spend(Draw("patients", f"{number:064}", 0.3), 1.0)))
    except BudgetSpent:
        results.put("BudgetSpent")


def test_many_at_once_do_not_overdraw(url: str) -> None:
    """Five processes that want 0.3 of 1.0 each."""
    spawn = mp.get_context("spawn")
    results: Any = spawn.Queue()
    workers = [spawn.Process(target=spender, args=(url, number, results)) for number in range(5)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=300) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 5
    assert sorted(found) == ["BudgetSpent"] * 2 + ["True"] * 3
    assert budget(url).spent == pytest.approx(0.9)


def test_who_comes_while_the_table_is_made_spends_too(postgresql: str) -> None:
    """PostgreSQL tells the second to make a table that its key is there twice: that is not a draw spent on before."""
    engine = sa.create_engine(postgresql, poolclass=sa.NullPool)
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity"
                      " WHERE datname = current_database())")  # fmt: skip
    with ThreadPoolExecutor(1) as pool, engine.connect() as first, engine.connect() as watch:
        METADATA.create_all(first)
        second = pool.submit(budget(postgresql).spend, Draw("patients", "0" * 64, 0.1), 1)
        assert until(lambda: watch.execute(waiting).scalar_one() > 0)
        first.commit()
        assert second.result(timeout=60)
    assert budget(postgresql).spent == 0.1


def test_a_database_that_is_not_there() -> None:
    gone = "postgresql+psycopg://someone:hunter2@127.0.0.1:1/none?connect_timeout=1"
    with pytest.raises(LakeError, match="privacy budget cannot be read") as caught:
        _ = budget(gone).spent
    assert "hunter2" not in str(caught.value)
