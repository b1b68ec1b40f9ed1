"""Two hundred at once at a served exchange: bounded, told when to come again, none of them starved, and watched."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil

from exchange.accounts import make_token, open_account
from sample.local_airflow import free_port
from tests.exchange.conftest import Clock
from tests.exchange.web.conftest import Exchange
from tests.pipelines.publishing.making import ID, KEY, SECRET
from tests.waiting import until

ACCOUNTS, CLIENTS = 8, 25
AT_ONCE, A_MINUTE = 40, 300
ROWS = f"/api/v1/tables/{ID}/default/rows"


@contextmanager
def process(exchange: Exchange, *more: str) -> Iterator[tuple[str, psutil.Process]]:
    """`xuanwu serve` over the exchange's home, in a process of its own."""
    settings, port = exchange.city.settings, free_port()
    env = os.environ | {
        "XUANWU_HOME": str(settings.home),
        "XUANWU_CATALOGUE": str(settings.home.parent / "catalogue"),
        KEY: SECRET,
    }
    words = ["serve", "--port", str(port), "--at-once", str(AT_ONCE), "--per-minute", str(A_MINUTE), *more]
    server = subprocess.Popen([str(Path(sys.executable).parent / "xuanwu"), *words], env=env)
    url = f"http://127.0.0.1:{port}"
    try:
        assert until(lambda: server.poll() is not None or _answers(url), 120)
        assert server.poll() is None
        yield url, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


def callers(exchange: Exchange) -> list[dict[str, str]]:
    """Systems of a department that has a grant, each with a token."""
    state, now = exchange.desk.state, exchange.desk.clock()
    found = []
    for number in range(ACCOUNTS):
        open_account(state, f"system-{number}", "education", ["requester"])
        text, _ = make_token(state, f"system-{number}", "", ["read"], now=now, lasts=timedelta(days=1))
        found.append({"Authorization": f"Bearer {text}"})
    return found


def told_to_wait(answer: httpx.Response) -> float:
    """Seconds, as an answer that refuses says in both languages."""
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert (said["status"], said["title_zh"], said["title"]) in {
        (429, "请求过于频繁", "Too many requests"),
        (503, "暂时无法处理", "Busy"),
    }
    assert "come again" in said["next_step"]
    return float(answer.headers["retry-after"])


async def until_served(client: httpx.AsyncClient, headers: dict[str, str], seen: Counter[int]) -> int:
    """Rows, as a client gets that comes again when it is told to."""
    while True:
        answer = await client.get(ROWS, headers=headers)
        seen[answer.status_code] += 1
        if answer.status_code == 200:
            return len(answer.json()["rows"])
        await asyncio.sleep(told_to_wait(answer))


async def watched(client: httpx.AsyncClient, done: asyncio.Event) -> list[int]:
    """What `/health` and `/metrics` answer, again and again."""
    found = []
    while not done.is_set():
        found += [(await client.get(path)).status_code for path in ("/health", "/metrics")]
        await asyncio.sleep(0.05)
    return found


async def crowd(url: str, known: list[dict[str, str]]) -> tuple[list[int], Counter[int], list[int]]:
    limits = httpx.Limits(max_connections=ACCOUNTS * CLIENTS + 1)
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=limits) as client:
        seen: Counter[int] = Counter()
        done = asyncio.Event()
        watching = asyncio.create_task(watched(client, done))
        calls = [until_served(client, headers, seen) for headers in known for _ in range(CLIENTS)]
        found = await asyncio.gather(*calls)
        done.set()
        return found, seen, await watching


def test_two_hundred_at_once(exchange: Exchange, clock: Clock) -> None:
    clock.now = datetime.now(UTC)
    exchange.grant(until=(clock.now + timedelta(days=30)).isoformat())
    known = callers(exchange)
    with process(exchange) as (url, server):
        assert httpx.get(f"{url}{ROWS}", headers=known[0], timeout=60).status_code == 200
        before = server.memory_info().rss
        rows, seen, health = asyncio.run(crowd(url, known))
        assert rows == [200] * ACCOUNTS * CLIENTS
        assert set(seen) <= {200, 429, 503} and seen.total() > ACCOUNTS * CLIENTS, seen
        assert health and set(health) == {200}
        assert server.memory_info().rss - before < 256 << 20
        metrics = httpx.get(f"{url}/metrics").text
        most = re.search(r"^xuanwu_exchange_under_way_most (\d+)", metrics, re.M)
        assert most and int(most[1]) == AT_ONCE
        rate_of_one(url, known)
    reads = [each["phase"] for each in exchange.log() if each["by"].startswith("system-")]
    assert Counter(reads) == {"attempt": 202, "outcome": 202}


def rate_of_one(url: str, known: list[dict[str, str]]) -> None:
    """Whoever calls too often is told when to come again, and others go on."""
    with httpx.Client(base_url=url, timeout=60) as client:
        for _ in range(A_MINUTE + 1):
            answer = client.get("/api/v1/me", headers=known[0])
            if answer.status_code == 429:
                break
        assert 1 <= told_to_wait(answer) <= 60
        assert answer.headers["ratelimit"].startswith('"minute";r=0;t=')
        assert answer.headers["ratelimit-policy"] == f'"minute";q={A_MINUTE};w=60'
        other = client.get(ROWS, headers=known[1], params={"limit": 1})
        assert other.status_code == 200
        assert re.fullmatch(r'"minute";r=\d+;t=\d+', other.headers["ratelimit"])
