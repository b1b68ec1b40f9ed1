"""Several workers on one port: one database, one audit log without a gap, counts of all, and none that outlives another."""

from __future__ import annotations

import asyncio
import re
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from exchange.requests import take
from lake.verify import Copy, journal
from pipelines.cli import app
from pipelines.serving import HEALTH_SECONDS
from schemas.errors import SettingsError
from tests.exchange.conftest import Clock
from tests.exchange.web.conftest import PEOPLE, Exchange
from tests.exchange.web.test_crowd import AT_ONCE, ROWS, callers, process
from tests.waiting import until

CALLS = 60
WORKERS = 2


@pytest.fixture
def granted(exchange: Exchange, clock: Clock) -> int:
    clock.now = datetime.now(UTC)
    return exchange.grant(until=(clock.now + timedelta(days=30)).isoformat())


def workers(server: psutil.Process) -> list[psutil.Process]:
    """Those that serve: multiprocessing has a process of its own besides."""
    return [each for each in server.children() if "spawn_main" in " ".join(_words(each))]


def _words(process: psutil.Process) -> list[str]:
    """Of its command; none of one that has ended."""
    try:
        return process.cmdline()
    except (psutil.ZombieProcess, psutil.NoSuchProcess):
        return []


async def calls(url: str, headers: list[dict[str, str]]) -> list[int]:
    """What so many calls at once are answered, each over a connection of its own."""

    async def one(number: int) -> int:
        async with httpx.AsyncClient(base_url=url, timeout=120) as client:
            return (await client.get(ROWS, headers=headers[number % len(headers)])).status_code

    return await asyncio.gather(*(one(number) for number in range(CALLS)))


def answered(url: str) -> int:
    """Reads of rows that were answered, as any worker tells it of all."""
    text = httpx.get(f"{url}/metrics", timeout=60).text
    found = re.findall(r'^xuanwu_exchange_answers_total{door="[^"]*/rows",status="200"} (\S+)', text, re.M)
    assert re.search(r"^xuanwu_exchange_under_way 0\.0$", text, re.M), text
    return int(float(found[0])) if found else 0


def test_two_workers_and_one_log(exchange: Exchange, granted: int) -> None:
    known = callers(exchange)
    with process(exchange, "--workers", str(WORKERS)) as (url, server):
        assert until(lambda: len(workers(server)) == WORKERS)
        served = Counter(asyncio.run(calls(url, known)))
        assert set(served) <= {200, 429, 503} and served[200] >= AT_ONCE // 4
        assert {answered(url) for _ in range(8)} == {served[200]}
        _one_dies(url, server, known[0])
        take(exchange.desk, PEOPLE["chief"], granted, "revoke", {"reason": "用途不符"})
        after = {httpx.get(f"{url}{ROWS}", headers=known[0], timeout=60).status_code for _ in range(8)}
        assert after == {403}
        children = server.children()
        server.kill()
        assert until(lambda: not any(_words(each) for each in children))
    log = exchange.desk.log
    assert list(journal.replay(Copy(log.settings.lake_root), log.signer.trust, None)) == []
    phases = Counter(each["phase"] for each in exchange.log() if each["by"].startswith("system-"))
    assert phases["attempt"] == phases["outcome"] >= served[200] + 1
    assert phases["refused"] == 8


def _one_dies(url: str, server: psutil.Process, headers: dict[str, str]) -> None:
    """Another takes its place, and what it had counted stays. One that dies while it is asked for its health is missed
    when the time to answer has passed: its parent holds the pipe's other end too."""
    before, gone = answered(url), workers(server)[0]
    gone.send_signal(signal.SIGKILL)

    def replaced() -> bool:
        there = {each.pid for each in workers(server)}
        return gone.pid not in there and len(there) == WORKERS

    assert until(replaced, HEALTH_SECONDS + 30)
    assert httpx.get(f"{url}{ROWS}", headers=headers, timeout=60).status_code == 200
    assert answered(url) == before + 1


def test_what_is_wrong_is_told_before_anything_listens(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = exchange.city.settings
    monkeypatch.setenv("XUANWU_HOME", str(settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(settings.home.parent / "catalogue"))
    monkeypatch.setenv("XUANWU_OIDC_ISSUER", "http://idp.city.example")
    with pytest.raises(SettingsError, match="XUANWU_OIDC_ISSUER is malformed"):
        CliRunner().invoke(app, ["serve", "--workers", "2", "--port", "1"], catch_exceptions=False)
