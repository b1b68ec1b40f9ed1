"""A small department with one dataset of persons, to try the whole way with bad input.

Values that begin with `CANARY` stand in fields of grade 3: they may lie in landing, quarantine and the tables, and appear
in nothing that is said or written down about the batch.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lake import quarantine, zones
from lake.batch import Batch
from lake.ledger import Ledger
from lake.records import Merged, Record
from pipelines.context import Context
from pipelines.stages import Stage, run_batch
from schemas.errors import XuanwuError
from schemas.load import load_catalogue
from schemas.settings import Settings
from tests.conftest import NOW, write_catalogue

CANARY = "KNRY7Q"
DATASET = "police.person"
HEADER = ("no", "name", "phone", "age", "district")
KEY = bytes(range(32)).hex()
GOOD_ROWS = 20
Rows = list[tuple[str, ...]]

ENTRY = """\
id: police.person
title: {{zh: 人员, en: Persons}}
summary: {{zh: 人员, en: Persons}}
code: "301001/000001"
owner: police
assessed: {{secrecy: {{day: "2026-01-05", number: 保审1号}}, impact: {{day: "2026-01-06", number: 评1号}}, approved: {{day: "2026-01-07", number: 审1号}}}}
source: {source}
schedule: {{cron: "0 0 * * *", timezone: UTC, start: "2026-03-01"}}
key: [no]
merge: {{kind: append}}
share: {{type: unconditional}}
open: {{type: unconditional, fields: [no, district], downloads: [csv]}}
fields:
  no: {{type: string, grade: 1}}
  name: {{type: string, grade: 3, mask: {{share: {{kind: partial, first: 1}}, open: drop}}}}
  phone: {{type: string, grade: 3, mask: {{share: hmac, open: drop}}}}
  age: {{type: integer, grade: 3, mask: {{share: {{kind: generalise, bins: [0, 18, 60]}}, open: drop}}}}
  district: {{type: string, grade: 1}}
checks:
  - {{expect: expect_column_values_to_match_regex, column: phone, regex: "^1[0-9]{{10}}$", on_fail: quarantine}}
  - {{expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}}
"""


def rows(day: int, count: int = GOOD_ROWS) -> Rows:
    """A day's good rows, under the header."""
    return [
        (f"P{day}{n:05}", f"{CANARY}名{n}", f"139{day:03}{n:05}", str(20 + n % 50), "玄武区")
        for n in range(count)
    ]


def csv_of(found: Rows, header: tuple[str, ...] = HEADER) -> bytes:
    return "".join(",".join(row) + "\r\n" for row in (header, *found)).encode()


@dataclass
class Town:
    """The department's folder, its one dataset, and the lake that takes it in."""

    root: Path
    source: str
    urls: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    home: Path | None = None
    lake: Path | None = None

    def __post_init__(self) -> None:
        self.folder = self.root / "outbox"
        self.folder.mkdir()
        self.urls.setdefault("police", str(self.folder))
        self.catalogue = write_catalogue(
            self.root / "catalogue", {"police/person.yaml": ENTRY.format(source=self.source)}
        )
        self.settings = Settings(
            home=self.home or self.root / "home",
            lake=str(self.lake or ""),
            catalogue=self.catalogue,
        )

    @property
    def ctx(self) -> Context:
        """A new one for each run, as each task has its own."""
        return Context(
            settings=self.settings,
            catalogue=load_catalogue(self.catalogue),
            ledger=Ledger(self.settings.database_url),
            connect=lambda name: self.urls.get(name, ""),
            clock=lambda: NOW,
        )

    def leave(self, day: str, data: bytes, form: str = "csv") -> bytes:
        (self.folder / f"{day}.{form}").write_bytes(data)
        return data

    def run(self, day: int, start: Stage = "collect") -> list[Record]:
        return [record for _, _, record in run_batch(self.ctx, batch_of(day), start)]

    def refused(self, day: int, kind: type[XuanwuError], *words: str) -> str:
        """The batch stops with an error of ours that says all this, and nothing published has changed."""
        before = self.state()
        with pytest.raises(kind) as caught:
            self.run(day)
        message = str(caught.value)
        missing = [word for word in (*words, DATASET, "next: ") if word not in message]
        assert not missing, message
        assert "\n" not in message and len(message) < 1000
        assert self.state() == before
        failed = [each.message for each in self.ctx.ledger.runs(DATASET) if each.state == "failed"]
        assert any(caught.value.message in each for each in failed)
        self.said += [message, "".join(traceback.format_exception(caught.value))]
        return message

    def state(self) -> dict[str, Any]:
        """Every curated and published table's snapshot, and the bytes of every download."""
        tables = self.ctx.tables
        names = [name for zone in ("curated", "share", "open") for name in tables.identifiers(zone)]  # type: ignore[arg-type]
        downloads = Path(self.settings.lake_root) / "downloads"
        files = {str(path): path.read_bytes() for path in sorted(downloads.rglob("*")) if path.is_file()}
        return {".".join(name): tables.current_snapshot(name) for name in names} | files

    def keeps(self, day: int, data: bytes) -> None:
        """The bytes lie in the landing zone as they came."""
        folder = Path(zones.folder(self.settings, "landing", DATASET, batch_of(day).id))
        digests = {
            hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()
        }
        assert hashlib.sha256(data).hexdigest() in digests

    def aside(self, day: int) -> list[tuple[str, int, str, str]]:
        """(stage, row, field, rule) of what is in quarantine for the day."""
        found = [
            row
            for part in quarantine.rows(self.ctx.tables, DATASET, batch_of(day).id)
            for row in part.to_pylist()
        ]
        assert all(failure["expected"] for row in found for failure in row["failures"])
        return [(row["stage"], row["row"], f["field"], f["rule"]) for row in found for f in row["failures"]]

    def good(self, day: int) -> None:
        """A good batch works, and all its rows come to be in every table."""
        before = self._counts()
        merged = next(record for record in self.run(day) if isinstance(record, Merged))
        assert merged.inserted == merged.rows_in == GOOD_ROWS
        assert self._counts() == {name: before.get(name, 0) + GOOD_ROWS for name in TABLES}
        assert [str(each.sum) for each in self.ctx.ledger.sums() if not each.sum.holds] == []

    def _counts(self) -> dict[str, int]:
        tables = self.ctx.tables
        return {".".join(name): tables.row_count(name) for name in map(_split, TABLES) if tables.exists(name)}

    def xuanwu(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """The real command line, in a process of its own."""
        own = {
            "XUANWU_HOME": str(self.settings.home),
            "XUANWU_CATALOGUE": str(self.catalogue),
            "XUANWU_CONN_POLICE": self.urls["police"],
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("XUANWU_CONN")}
        command = [str(Path(sys.executable).parent / "xuanwu"), *arguments]
        done = subprocess.run(
            command, env=inherited | own | settings, capture_output=True, text=True, timeout=120, check=False
        )
        self.said += [done.stdout, done.stderr]
        return done

    def written(self) -> str:
        """Everything that is written down about batches: records, verdicts, reasons, manifests, the ledger, scratch."""
        lake = Path(self.settings.lake_root)
        folders = (lake / "records", lake / "verdicts", self.settings.scratch)
        files = [path for folder in folders for path in folder.rglob("*") if path.suffix != ".parquet"]
        files += [
            path
            for path in (lake / "landing").rglob("*.json")
            if path.name in ("manifest.json", "rejected.json")
        ]
        files += list(self.settings.home.glob("ledger.db*"))
        return "\n".join(path.read_bytes().decode("latin-1") for path in files if path.is_file())


TABLES = ("curated.police__person", "share.police__person__default", "open.police__person")


def _split(name: str) -> tuple[str, str]:
    zone, _, table = name.partition(".")
    return zone, table


def batch_of(day: int) -> Batch:
    start = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day - 1)
    return Batch(dataset=DATASET, start=start, end=start + timedelta(days=1))


def path_source(form: str, suffix: str, **more: str) -> str:
    extra = "".join(f", {name}: {value}" for name, value in more.items())
    return f"{{kind: file, connection: police, path: '{{day}}.{suffix}', format: {form}{extra}}}"


def leak(town: Town, *said: str) -> str | None:
    """The text in front of the first planted value that was said or written down."""
    everywhere = "\n".join([*town.said, town.written(), *said])
    before, found, _ = everywhere.partition(CANARY)
    return f"…{before[-300:]}" if found else None


Found = Callable[..., Town]
