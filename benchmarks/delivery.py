"""Deliveries into departments' databases: `python -m benchmarks.delivery`.

A share table of residents, into PostgreSQL and MariaDB on this machine (`BENCH_POSTGRES`, `BENCH_MARIADB`): swapped,
upserted whole, and what changed of it upserted. Each is a process of its own that has loaded what it needs: seconds and
processor seconds of it, by how much it has grown at its highest, and beside it how long the same rows take to be read
and go nowhere. At two sizes, so that it shows whether memory grows with the table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.kept import keep
from benchmarks.measure import bytes_of
from benchmarks.sources import databases
from benchmarks.town import DAY, DEPARTMENT, RESIDENT, checked, entered, founded, registered
from exchange.people import Principal
from exchange.state import State
from exchange.subscriptions import Mode, declare
from lake.records import Published
from pipelines.context import Context
from pipelines.delivering.changes import change
from pipelines.delivering.deliver import deliver, due, open_desk
from pipelines.merge import merge
from pipelines.publish import publish
from schemas.model import Entry

SERVERS = ("postgresql", "mariadb")
SWAP, UPSERT, CHANGES = "swap", "upsert, all rows", "upsert, what changed"
MODES: dict[Mode, str] = {"swap": SWAP, "upsert": UPSERT}
ONE_IN = 100
"""Of so many residents one changes."""
TO = "public_security"
Took = dict[str, Any]


def place(mode: Mode, rows: int) -> str:
    """The recipient's table."""
    return f"residents_{mode}_{rows}"


def changed(rows: int) -> Iterator[pa.RecordBatch]:
    """One resident in a hundred, a day later with a yuan more."""
    for part in registered(rows):
        few = part.take(pa.array(range(0, part.num_rows, ONE_IN)))
        more = pc.add(few["contribution"], Decimal("1.00")).cast(few["contribution"].type)
        later = pc.add(few["updated_at"], timedelta(days=1))
        yield few.set_column(6, "contribution", more).set_column(7, "updated_at", later)


def _published(ctx: Context, entry: Entry, day: int, parts: Iterable[pa.RecordBatch]) -> Published:
    merged = merge(ctx, entry, checked(ctx, entry, DAY + timedelta(days=day), parts))
    return publish(ctx, entry, merged, "share", "default")


def _declared(ctx: Context, kind: str, mode: Mode, rows: int) -> int:
    """The number of a delivery, as an operator declares it."""
    with State(ctx.settings).begin():
        pass
    desk = open_desk(ctx)
    assert desk is not None
    asked = {"dataset": "public_security.resident", "policy": "default", "method": "batch"}
    there = {"connection": kind, "place": place(mode, rows), "mode": mode}
    return declare(desk, Principal("benchmark", TO, frozenset(("requester",))), asked | there).number


def _delivered(scratch: Path, urls: Mapping[str, str], kind: str, number: int) -> Took:
    """One delivery, in a process that has loaded what every delivery needs."""
    import_module(f"pipelines.delivering.{kind}")
    ctx = entered(scratch, urls)
    desk, status = open_desk(ctx), Path("/proc/self/status")
    assert desk is not None
    assert number in [each.number for each in due(ctx)]
    before, start, spent = bytes_of(status, "VmRSS:"), time.perf_counter(), time.process_time()
    receipt = deliver(ctx, desk, number)
    return {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - spent,
        "growth": bytes_of(status, "VmHWM:") - before,
        **asdict(receipt.counts),
    }


def _alone(*told: Any) -> Took:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_delivered, *told).result()


def _reading(rows: Callable[[], Iterable[pa.RecordBatch]]) -> float:
    """Seconds that the rows alone take."""
    start = time.perf_counter()
    for _ in rows():
        pass
    return time.perf_counter() - start


def _became(ctx: Context, entry: Entry, first: Published, second: Published) -> Iterator[pa.RecordBatch]:
    """What an upsert reads of what changed."""
    found = change(ctx.tables, _table(first), entry.key, since=first.snapshot, until=second.snapshot)
    assert found is not None
    yield from found.fresh
    yield from found.gone


def _table(published: Published) -> tuple[str, str]:
    zone, _, name = published.table.partition(".")
    return zone, name


def measured(rows: int, recipients: Mapping[str, str]) -> Iterator[Took]:
    """Every delivery of a table of so many rows into these databases."""
    with TemporaryDirectory(prefix="xuanwu-delivery-") as name:
        scratch, urls = Path(name), {f"to_{TO}__{kind}": url for kind, url in recipients.items()}
        ctx = founded(scratch, RESIDENT, DEPARTMENT, urls)
        entry = ctx.catalogue.entry("public_security.resident")
        first = _published(ctx, entry, 0, registered(rows))
        numbers = {(kind, mode): _declared(ctx, kind, mode, rows) for kind in recipients for mode in MODES}
        reading = _reading(lambda: ctx.tables.scan(_table(first), None, first.snapshot))
        for (kind, mode), number in numbers.items():
            told = {"server": kind, "how": MODES[mode], "reading": reading}
            yield told | _alone(scratch, urls, kind, number)
        second = _published(ctx, entry, 1, changed(rows))
        reading = _reading(lambda: _became(ctx, entry, first, second))
        for kind in recipients:
            told = {"server": kind, "how": CHANGES, "reading": reading}
            yield told | _alone(scratch, urls, kind, numbers[kind, "upsert"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    took = []
    with databases(SERVERS) as (urls, missing):
        for why in missing.values():
            print(f"left out: {why}")
        for each in chain.from_iterable(measured(rows, urls) for rows in (options.rows // 5, options.rows)):
            print(
                f"{each['server']:10} {each['how']:22} {each['rows']:>9,} rows: {each['seconds']:.2f} s",
                flush=True,
            )
            took.append(each)
    print(f"written: {keep('delivery', {'took': took, 'missing': list(missing.values())}).name}")


if __name__ == "__main__":
    main()
