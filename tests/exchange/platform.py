"""A platform whole: a catalogue, a source file a day, the way, and the exchange's desk over it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from stdnum.cn import uscc
from stdnum.iso7064 import mod_11_2

from exchange.desk import Desk
from exchange.people import Principal
from exchange.process import Request, Step
from exchange.requests import draft, take
from exchange.state import State
from lake.ledger import Ledger
from pipelines.batches import batch_for
from pipelines.context import Context
from pipelines.proof.certifying import open_log
from pipelines.publishing.granting import taking_away
from pipelines.stages import run_batch
from schemas.load import load_catalogue
from schemas.settings import Settings
from tests.conftest import write_catalogue
from tests.exchange.conftest import person

KEY = bytes(range(32)).hex()
NOW = datetime(2026, 3, 4, 1, tzinfo=UTC)
ID = "health.visit"
DISTRICTS = ("320102", "320104", "320106", "")
TITLE = "title: {zh: 测, en: T}\nsummary: {zh: 测, en: T}\n"
VISIT = f"""
id: {ID}
{TITLE}code: "305001/000001"
owner: health
subject: person
assessed: {{secrecy: {{day: "2026-01-05", number: 保审1号}}, impact: {{day: "2026-01-06", number: 评1号}}, approved: {{day: "2026-01-07", number: 审1号}}}}
source: {{kind: file, connection: health, path: "visit_{{date}}.csv", format: csv}}
schedule: {{cron: "0 0 * * *", timezone: UTC, start: "2026-03-01"}}
key: [visit_no]
merge: {{kind: snapshot}}
brake: {{from_rows: 100000}}
share:
  type: conditional
  conditions: {{zh: 限履职需要}}
  policies: {{default: {{}}, statistics: {{fields: [district, fee]}}}}
open: {{type: none, basis: {{zh: 个人}}}}
fields:
  visit_no: {{type: string, grade: 2, risk: none, title: {{zh: 就诊号, en: Visit}}}}
  id_no: {{element: resident_id}}
  district: {{element: division_code, required: false}}
  fee: {{type: integer, grade: 2, risk: none, title: {{zh: 费, en: Fee}}, mask: {{open: drop}}}}
checks:
  - {{expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}}
"""
DEPARTMENTS = {"health": "", "education": "", "xuanwu": "320102", "gulou": "320106", "nanjing": "320100"}
PEOPLE = {
    "clerk": person("clerk", "health", "provider"),
    "chief": person("chief", "health", "provider", "approver"),
    "bureau": person("bureau", "", "authority"),
    **{
        f"{role}_{name}": person(f"{role}_{name}", name, *roles)
        for name in DEPARTMENTS
        for role, roles in (("asker", ("requester",)), ("head", ("requester", "approver")))
    },
}


def resident(number: int) -> str:
    """An invented identity number with its check digit."""
    body = f"32010219{60 + number % 40}0101{number:03}"
    return body + mod_11_2.calc_check_digit(body)


def visits(count: int = 40, day: int = 1) -> list[dict[str, str]]:
    return [
        {
            "visit_no": f"V{n:04}",
            "id_no": resident(n),
            "district": DISTRICTS[n % len(DISTRICTS)],
            "fee": str(n * 10 + day),
        }
        for n in range(count)
    ]


def departments() -> str:
    lines = []
    for number, (name, division) in enumerate(DEPARTMENTS.items()):
        body = f"11320100MB{number:07}"
        own = f', division: "{division}"' if division else ""
        code = body + uscc.calc_check_digit(body)
        lines.append(f"{name}: {{title: {{zh: 部门, en: {name}}}, uscc: {code}{own}}}")
    return "\n".join(lines) + "\n"


@dataclass
class Platform:
    """`leave` writes a day's source, `run` takes it in, `ask` has a request granted."""

    root: Path
    files: dict[str, str] = field(default_factory=lambda: {"health/visit.yaml": VISIT})
    now: datetime = NOW
    urls: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "outbox").mkdir(parents=True, exist_ok=True)
        self.urls.setdefault("health", str(self.root / "outbox"))
        catalogue = write_catalogue(
            self.root / "catalogue", {"departments.yaml": departments(), **self.files}
        )
        self.settings = Settings(home=self.root / "home", catalogue=catalogue)
        self.ctx = Context(
            settings=self.settings,
            catalogue=load_catalogue(catalogue),
            ledger=Ledger(self.settings.database_url, clock=lambda: self.now),
            connect=lambda name: self.urls.get(name, ""),
            clock=lambda: self.now,
        )
        log = open_log(self.ctx)[0]
        state = State(self.settings)
        self.desk = Desk(state, self.ctx.catalogue, log, self.ctx.clock, taking_away(self.ctx))

    def leave(self, day: int, rows: list[dict[str, str]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        (self.root / "outbox" / f"visit_2026-03-{day:02}.csv").write_text(text.getvalue(), encoding="utf-8")

    def run(self, day: int, dataset: str = ID, start: Any = "collect") -> dict[str, Any]:
        batch = batch_for(self.ctx, self.ctx.catalogue.entry(dataset), date(2026, 3, day))
        return {
            f"{stage} {part}".strip(): record for stage, part, record in run_batch(self.ctx, batch, start)
        }

    def draft(self, who: str, **asked: Any) -> Request:
        said = {"dataset": ID, "policy": "default", "basis": "职责", "scenario": "核验", "method": "api"}
        until = (self.now + timedelta(days=30)).isoformat()
        return draft(self.desk, PEOPLE[f"asker_{who}"], said | {"until": until} | asked)

    def ask(self, who: str, **asked: Any) -> Request:
        """A request of a department that its provider has granted."""
        number = self.draft(who, **asked).number
        self.take(f"head_{who}", number, "approve")
        self.take("clerk", number, "propose", consent=True, reason="可")
        return self.take("chief", number, "confirm")

    def take(self, who: str, number: int, step: Step, **said: Any) -> Request:
        return take(self.desk, PEOPLE[who], number, step, said)

    def rows(self, table: str) -> list[dict[str, Any]]:
        zone, _, name = table.partition(".")
        return list(self.ctx.tables.scan((zone, name)).read_all().to_pylist())  # type: ignore[arg-type]

    def files_of(self, table: str) -> list[Path]:
        folder = Path(self.settings.lake_root) / table.replace(".", "/")
        return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


def principal(who: str) -> Principal:
    return PEOPLE[who]


Make = Callable[..., Platform]
