"""A town with three datasets about persons: a file a day, a table, and what is derived from them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from lake.ledger import Ledger
from lake.search import Needles, files_below, search
from pipelines.batches import batch_for
from pipelines.context import Context
from pipelines.erasure.subject import Subject, normal
from pipelines.stages import run_batch
from schemas.load import load_catalogue
from schemas.settings import Settings
from tests.conftest import write_catalogue

KEY = bytes(range(32)).hex()
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
HOSTS = ("police.person", "health.visit", "base.register", "base.ages")

ELEMENTS = """
resident_id:
  title: {zh: 公民身份号码, en: Resident identity number}
  type: string
  grade: 4
  risk: direct
  one_source: false
  normalise: [trim, half_width, upper]
  mask: {share: hmac, open: drop}
phone:
  title: {zh: 电话, en: Phone}
  type: string
  grade: 3
  risk: direct
  one_source: false
  normalise: [half_width, digits]
  mask: {share: {kind: partial, first: 3, last: 4}, open: drop}
"""
_TEXT = "title: {zh: 测, en: T}\nsummary: {zh: 测, en: T}\n"
_CHECK = "checks:\n  - {expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}\n"
PERSON = f"""
id: police.person
{_TEXT}code: "301001/000001"
owner: police
subject: person
assessed: {{secrecy: {{day: "2026-01-05", number: 保审1号}}, impact: {{day: "2026-01-06", number: 评1号}}, approved: {{day: "2026-01-07", number: 审1号}}}}
source: {{kind: database, connection: police, table: PERSON}}
schedule: {{cron: "0 0 * * *", timezone: UTC, start: "2026-03-01"}}
key: [id_no]
merge: {{kind: snapshot}}
share: {{type: unconditional}}
open: {{type: none, basis: {{zh: 个人}}}}
fields:
  id_no: {{element: resident_id, source: SFZH}}
  name: {{type: string, grade: 3, risk: direct, source: XM, mask: {{share: {{kind: partial, first: 1}}, open: drop}}}}
  phone: {{element: phone, source: DH}}
{_CHECK}"""
VISIT = f"""
id: health.visit
{_TEXT}code: "305001/000001"
owner: health
subject: person
assessed: {{secrecy: {{day: "2026-01-05", number: 保审1号}}, impact: {{day: "2026-01-06", number: 评1号}}, approved: {{day: "2026-01-07", number: 审1号}}}}
source: SOURCE
schedule: {{cron: "0 0 * * *", timezone: UTC, start: "2026-03-01"}}
key: [no]
merge: {{kind: append}}
share: {{type: unconditional}}
open: {{type: unconditional, fields: [ward], downloads: [csv, parquet]}}
fields:
  no: {{type: string, grade: 2, risk: none}}
  id_no: {{element: resident_id, source: 证件号}}
  name: {{from: police.person, type: string, grade: 3, mask: {{share: drop, open: drop}}}}
  ward: {{type: string, grade: 1, risk: none}}
  fee: {{type: integer, grade: 2, risk: none, mask: {{open: drop}}}}
  memo: {{type: string, grade: 3, risk: none, mask: {{share: redact, open: drop}}}}
{_CHECK}"""
REGISTER = f"""
id: base.register
{_TEXT}code: "101001/000001"
owner: base
subject: person
assessed: {{secrecy: {{day: "2026-01-05", number: 保审1号}}, impact: {{day: "2026-01-06", number: 评1号}}, approved: {{day: "2026-01-07", number: 审1号}}}}
source:
  kind: lake
  inputs: [police.person, health.visit]
  sql: SELECT p.id_no, p.name, count(v.no) AS visits FROM police.person p LEFT JOIN health.visit v USING (id_no) GROUP BY ALL
key: [id_no]
merge: {{kind: snapshot}}
share: {{type: unconditional}}
open: {{type: none, basis: {{zh: 个人}}}}
fields:
  id_no: {{element: resident_id}}
  name: {{type: string, grade: 3, risk: direct, mask: {{share: {{kind: partial, first: 1}}, open: drop}}}}
  visits: {{type: integer, grade: 2, risk: none}}
{_CHECK}"""
AGES = f"""
id: base.ages
{_TEXT}code: "101002/000001"
owner: base
subject: person
assessed: {{secrecy: {{day: "2026-01-05", number: 保审1号}}, impact: {{day: "2026-01-06", number: 评1号}}, approved: {{day: "2026-01-07", number: 审1号}}}}
source:
  kind: lake
  inputs: [police.person]
  sql: SELECT name, substr(id_no, 7, 8) AS born FROM police.person
key: [name, born]
merge: {{kind: snapshot}}
share: {{type: unconditional}}
open: {{type: none, basis: {{zh: 个人}}}}
fields:
  name: {{type: string, grade: 3, risk: direct, mask: {{share: {{kind: partial, first: 1}}, open: drop}}}}
  born: {{type: string, grade: 3, risk: quasi, mask: {{share: {{kind: partial, first: 4}}, open: drop}}}}
{_CHECK}"""
CSV_SOURCE = '{kind: file, connection: health, path: "visit_{date}.csv", format: csv}'


def person(number: int) -> tuple[str, str, str]:
    """Id, name and phone; invented, with check digits that do not hold."""
    return f"32010219{60 + number % 40}0101{number:04}", f"甲乙{number:04}", f"1540000{number:04}"


def visits(day: int, count: int = 60) -> list[tuple[str, str, str, str, str]]:
    """No, id, ward, fee, memo: each person visits each day; some rows do not convert."""
    found = []
    for n in range(count):
        fee = "不详" if n % 10 == 7 else str(n)
        found.append((f"V{day}{n:04}", person(n)[0], f"病区{n % 2}", fee, f"第{n}次就诊，无异常"))
    return found


def csv_of(rows: list[tuple[str, ...]]) -> bytes:
    lines = [("no", "证件号", "ward", "fee", "memo"), *rows]
    return "".join(",".join(row) + "\r\n" for row in lines).encode("gb18030")


@dataclass
class Town:
    """`write` leaves a day's sources; `run` takes them in."""

    root: Path
    source: str = CSV_SOURCE
    clock: datetime = NOW
    urls: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "outbox").mkdir(exist_ok=True)
        self.urls = {"police": f"sqlite:///{self.root / 'police.db'}", "health": str(self.root / "outbox")}
        files = {
            "elements.yaml": ELEMENTS,
            "police/person.yaml": PERSON,
            "health/visit.yaml": VISIT.replace("SOURCE", self.source),
            "base/register.yaml": REGISTER,
            "base/ages.yaml": AGES,
        }
        catalogue = write_catalogue(self.root / "catalogue", files)
        self.settings = Settings(home=self.root / "home", catalogue=catalogue)

    @property
    def ctx(self) -> Context:
        return Context(
            settings=self.settings,
            catalogue=load_catalogue(self.settings.catalogue),
            ledger=Ledger(self.settings.database_url, clock=lambda: self.clock),
            connect=lambda name: self.urls.get(name, ""),
            clock=lambda: self.clock,
        )

    @property
    def lake(self) -> Path:
        return Path(self.settings.lake_root)

    def people(self, count: int = 60) -> None:
        with sqlite3.connect(self.root / "police.db") as db:
            db.execute("DROP TABLE IF EXISTS PERSON")
            db.execute("CREATE TABLE PERSON (SFZH TEXT, XM TEXT, DH TEXT)")
            db.executemany("INSERT INTO PERSON VALUES (?, ?, ?)", [person(n) for n in range(count)])

    def leave(self, day: int, data: bytes, suffix: str = "csv") -> None:
        (self.root / "outbox" / f"visit_2026-03-{day:02}.{suffix}").write_bytes(data)

    def run(self, day: int, *datasets: str) -> None:
        for dataset in datasets or HOSTS:
            ctx = self.ctx
            for _ in run_batch(ctx, batch_for(ctx, ctx.catalogue.entry(dataset), date(2026, 3, day))):
                pass

    def later(self, **delta: int) -> None:
        self.clock += timedelta(**delta)

    def places(self, *values: str) -> set[str]:
        """The zones, below the lake, and the files of the home, in which one of the values is found."""
        looked = search(files_below(str(self.settings.home.resolve())), Needles(values))
        return {
            uri.removeprefix(f"{self.lake}/").partition("/")[0] if uri.startswith(str(self.lake)) else uri
            for uri in looked.found
        }

    def xuanwu(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        own = {
            "XUANWU_HOME": str(self.settings.home),
            "XUANWU_CATALOGUE": str(self.settings.catalogue),
            "XUANWU_CONN_POLICE": self.urls["police"],
            "XUANWU_CONN_HEALTH": self.urls["health"],
            "XUANWU_KEY_1": KEY,
        }
        command = [str(Path(sys.executable).parent / "xuanwu"), *arguments]
        return subprocess.run(
            command,
            input=text,
            env=os.environ | own,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def subject(*values: str, element: str = "resident_id") -> Subject:
    return Subject(tuple((element, normal(value)) for value in values))
