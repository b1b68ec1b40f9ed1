"""Two departments: one's visits hold a name that comes from the other by sharing. Rows fail for every kind of reason."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl

from lake import quarantine
from lake.batch import Batch
from lake.ledger import Ledger
from lake.zones import identifier
from pipelines.batches import batch_for
from pipelines.context import Context
from pipelines.correcting.book import FIRST, LEAD, SHEET
from pipelines.correcting.exporting import Exported, export
from pipelines.correcting.importing import Imported, import_workbook
from pipelines.quarantine.assigning import Selection, assign
from pipelines.quarantine.replaying import to_replay
from pipelines.stages import run_batch
from schemas.load import load_catalogue
from schemas.model import Entry
from schemas.settings import Settings
from tests.conftest import NOW, write_catalogue

KEY = bytes(range(32)).hex()
VISIT, PERSON = "health.visit", "police.person"
_TEXT = "title: {zh: 测, en: T}\nsummary: {zh: 测, en: T}\nschedule: {cron: '0 0 * * *', timezone: UTC}\n"
PEOPLE = f"""
id: police.person
{_TEXT}code: "301001/000001"
owner: police
assessed: {{secrecy: {{day: "2026-01-05", number: 保审1号}}, impact: {{day: "2026-01-06", number: 评1号}}, approved: {{day: "2026-01-07", number: 审1号}}}}
source: {{kind: file, connection: police, path: "person_{{date}}.csv", format: csv, encoding: utf-8}}
key: [no]
merge: {{kind: snapshot}}
brake: {{delete: 1, change: 1, arrive: 0}}
share: {{type: none, basis: {{zh: 依据}}}}
open: {{type: none, basis: {{zh: 依据}}}}
fields:
  no: {{type: string, grade: 2}}
  name: {{type: string, grade: 3, mask: {{share: drop, open: drop}}}}
checks:
  - {{expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}}
"""
VISITS = f"""
id: health.visit
{_TEXT}code: "301002/000001"
owner: health
assessed: {{secrecy: {{day: "2026-01-05", number: 保审1号}}, impact: {{day: "2026-01-06", number: 评1号}}, approved: {{day: "2026-01-07", number: 审1号}}}}
source: SOURCE
key: [no]
merge: {{kind: MERGE}}
brake: {{delete: 1, change: 1, arrive: 0}}
share: {{type: unconditional}}
open: {{type: none, basis: {{zh: 依据}}}}
fields:
  no: {{type: string, grade: 1, source: 编号, title: {{zh: 就诊号, en: Visit number}}}}
  person_no: {{type: string, grade: 2, source: 人员}}
  name: {{from: police.person, on: person_no, type: string, grade: 3, mask: {{share: drop, open: drop}}}}
  gender: {{type: string, grade: 1, source: 性别, codes: gender, title: {{zh: 性别, en: Gender}}}}
  day: {{type: date, grade: 1, source: 日期, formats: ["%Y%m%d"], title: {{zh: 日期, en: Day}}}}
  fee: {{type: decimal, grade: 1, source: 费用, title: {{zh: 费用, en: Fee}}}}
  phone: {{type: string, grade: 3, source: 电话, mask: {{share: drop, open: drop}}}}
checks:
  - {{expect: expect_column_values_to_match_regex, column: phone, regex: "^1[0-9]{{10}}$", on_fail: quarantine}}
  - {{expect: expect_column_values_to_not_be_null, column: name, on_fail: quarantine}}
  - {{expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}}
"""
CSV = '{kind: file, connection: health, path: "visit_{date}.csv", format: csv, encoding: utf-8}'
HEADER = ("编号", "人员", "性别", "日期", "费用", "电话")
Row = tuple[str, ...]
BAD: list[Row] = [
    ("V90", "P0", "男", "20260231", "12.50", "13900000090"),  # row 12: no such day
    ("V91", "P1", "雄", "20260301", "一百", "13900000091"),  # row 13: no code, no number
    ("V92", "P2", "女", "20260301", "8", "139"),  # row 14: no phone
    ("V93", "P9", "女", "20260301", "8", "13900000093"),  # row 15: the police know no P9
    ("V94", "P3", "女", "20260301", "8", "13900000094", "多"),  # row 16: a cell too many
]


def good(day: int, count: int = 10) -> list[Row]:
    return [(f"V{n}", f"P{n % 5}", "男", f"202603{day:02}", f"{n}", f"1390000{n:04}") for n in range(count)]


def csv_of(rows: list[Row], header: Row = HEADER) -> bytes:
    return "".join(",".join(row) + "\n" for row in (header, *rows)).encode()


@dataclass
class Desk:
    root: Path
    source: str = CSV
    merge: str = "append"
    clock: datetime = NOW
    urls: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.box = self.root / "outbox"
        self.box.mkdir()
        self.urls |= {"police": str(self.box)} | {"health": self.urls.get("health", str(self.box))}
        visits = VISITS.replace("SOURCE", self.source).replace("MERGE", self.merge)
        files = {"police/person.yaml": PEOPLE, "health/visit.yaml": visits}
        write_catalogue(self.root / "catalogue", files)
        self.settings = Settings(home=self.root / "home", catalogue=self.root / "catalogue")

    @property
    def ctx(self) -> Context:
        return Context(
            settings=self.settings,
            catalogue=load_catalogue(self.settings.catalogue),
            ledger=Ledger(self.settings.database_url),
            connect=lambda name: self.urls.get(name, ""),
            clock=lambda: self.clock,
        )

    @property
    def visit(self) -> Entry:
        return self.ctx.catalogue.entry(VISIT)

    @property
    def lake(self) -> Path:
        return Path(self.settings.lake_root)

    def people(self, *numbers: int, day: int = 1) -> None:
        rows = [("no", "name"), *((f"P{n}", f"人{n}") for n in numbers)]
        (self.box / f"person_2026-03-{day:02}.csv").write_text("".join(",".join(row) + "\n" for row in rows))
        self.run(day, PERSON)

    def leave(self, day: int, rows: list[Row]) -> None:
        (self.box / f"visit_2026-03-{day:02}.csv").write_bytes(csv_of(rows))

    def batch(self, day: int, dataset: str = VISIT) -> Batch:
        ctx = self.ctx
        return batch_for(ctx, ctx.catalogue.entry(dataset), date(2026, 3, day))

    def run(self, day: int, dataset: str = VISIT) -> dict[str, Any]:
        ctx = self.ctx
        return {stage: record for stage, _, record in run_batch(ctx, self.batch(day, dataset))}

    def replay(self, batch: str | None = None, *, every: bool = False) -> list[dict[str, Any]]:
        """The records of each batch that is run again, by stage."""
        ctx = self.ctx
        found = list(to_replay(ctx, ctx.catalogue.entry(VISIT), batch, every=every))
        return [{stage: record for stage, _, record in run_batch(ctx, each, "standardise")} for each in found]

    def assign(self, **chosen: Any) -> dict[str, int]:
        """Rows by the department that they went to."""
        picked = replace(Selection(states=frozenset({"open"})), **chosen)
        acts = assign(self.ctx, self.visit, picked, None, by="值班员")
        return {str(act.department): act.rows for act in acts}

    def export(self, department: str = "health", name: str = "out.xlsx") -> Path:
        (self.root / name).unlink(missing_ok=True)
        self.exported: Exported = export(self.ctx, self.visit, department, self.root / name, by="李科")
        return self.exported.path

    def take(self, path: Path) -> Imported:
        return import_workbook(self.ctx, path, by="李科")

    def round(self, written: Mapping[tuple[int, str], Any]) -> Imported:
        """Export, write into the workbook, import."""
        return self.take(fill(self.export(), written))

    def aside(self) -> set[tuple[str, int]]:
        """Stage and row of what is set aside."""
        found = [row for part in quarantine.rows(self.ctx.tables, VISIT) for row in part.to_pylist()]
        assert len({(row["batch"], row["file"], row["row"]) for row in found}) == len(found)
        return {(row["stage"], row["row"]) for row in found}

    def curated(self) -> dict[str, dict[str, Any]]:
        """The visits by number."""
        tables = self.ctx.tables
        rows = tables.scan(identifier("curated", VISIT)).read_all().to_pylist()
        return {row["no"]: row for row in rows}


def set_up(root: Path, **more: Any) -> Desk:
    """A desk after its first day, with every bad row set aside."""
    os.environ["XUANWU_KEY_1"] = KEY
    desk = Desk(root, **more)
    desk.people(*range(5))
    desk.leave(1, [*good(1), *BAD])
    desk.run(1)
    return desk


def fill(path: Path, written: Mapping[tuple[int, str], Any]) -> Path:
    """Write into the workbook as a department does: by the row of the file, and the column's name; `why` is the last
    column, others (`batch`, `row`, `received 电话`) are grey."""
    book = openpyxl.load_workbook(path)
    sheet = book[SHEET]
    for (row, name), value in written.items():
        sheet.cell(line_of(path, row), column_of(path, name)).value = value
    book.save(path)
    return path


def sheet_of(path: Path) -> list[tuple[Any, ...]]:
    """The rows below the headings."""
    return list(openpyxl.load_workbook(path)[SHEET].iter_rows(min_row=FIRST + 1, values_only=True))


def line_of(path: Path, row: int) -> int:
    return next(at for at, cells in enumerate(sheet_of(path), FIRST + 1) if cells[2] == str(row))


def column_of(path: Path, name: str) -> int:
    heads = [
        str(cell) for cell in next(openpyxl.load_workbook(path)[SHEET].iter_rows(min_row=2, values_only=True))
    ]
    if name == "why":
        return len(heads)
    grey = [en for _, en, _ in LEAD]
    if name in grey:
        return grey.index(name) + 1
    wanted = (
        f"received [{name.removeprefix('received ')}]"
        if name.startswith("received ")
        else f"corrected [{name}]"
    )
    return next(at for at, head in enumerate(heads, 1) if head.endswith(wanted))


def later(desk: Desk, **delta: int) -> None:
    desk.clock += timedelta(**delta)
