"""A small valid city, and a way to spoil one thing in it and read what the check says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import Problem
from schemas.load import check_catalogue
from tests.conftest import write_catalogue

RESIDENT = "public_security/resident.yaml"
MARRIAGE = "civil_affairs/marriage.yaml"
COUPLES = "theme/couples.yaml"

CITY = {
    "elements.yaml": """\
resident_id:
  title: {zh: 公民身份号码, en: Resident id}
  type: string
  grade: 4
  one_source: false
  normalise: [trim, upper]
  mask: {share: hmac, open: drop}
  checks:
    - {expect: expect_column_values_to_be_valid_resident_id, on_fail: quarantine}
person_name:
  title: {zh: 姓名, en: Name}
  type: string
  grade: 3
  length: 50
  mask: {share: {kind: partial, first: 1}, open: drop}
income:
  title: {zh: 收入, en: Income}
  type: decimal
  grade: 2
  precision: 12
  scale: 2
""",
    "codes/gender.csv": "code,zh,en,aliases\n1,男,Male,M|男性\n2,女,Female,F\n",
    RESIDENT: """\
id: public_security.resident
title: {zh: 人口, en: Residents}
summary: {zh: 一人一条。, en: One row for each person.}
code: "301001/000001"
owner: public_security
source: {kind: database, connection: public_security, table: RK, cursor: updated_at, overlap: 2h}
schedule: {cron: "0 1 * * *", late_after: 4h, start: 2026-03-02}
key: [id_no]
merge: {kind: upsert, order_by: updated_at}
share:
  type: conditional
  conditions: {zh: 依申请}
  policies:
    default: {}
    statistics: {drop: [id_no], mask: {name: hmac}}
open: {type: none, basis: {zh: 个人信息}}
fields:
  id_no: {element: resident_id, source: GMSFHM}
  name: {element: person_name, required: true}
  gender: {type: string, grade: 1, codes: gender}
  updated_at: {type: timestamp, grade: 1, formats: ["%Y-%m-%d %H:%M:%S"], timezone: Asia/Shanghai}
checks:
  - {expect: expect_column_values_to_be_unique, column: id_no, on_fail: stop}
assessed: {secrecy: {day: "2026-01-05", number: 保审1号}, impact: {day: "2026-01-06", number: 评1号}, approved: {day: "2026-01-07", number: 审1号}}
""",
    MARRIAGE: """\
id: civil_affairs.marriage
title: {zh: 婚姻登记, en: Marriages}
summary: {zh: 一次登记一条。, en: One row for each registration.}
code: "301002/000001"
owner: civil_affairs
source:
  kind: file
  path: "{date}/*.csv"
  format: csv
schedule: {cron: "0 2 * * *"}
key: [reg_no]
merge: {kind: snapshot}
share: {type: unconditional}
open:
  type: unconditional
  fields: [reg_no, reg_date, fee]
fields:
  reg_no: {type: string, grade: 1}
  id_no: {element: resident_id}
  name: {element: person_name, from: public_security.resident}
  reg_date: {type: date, grade: 1, formats: ["%Y%m%d", "%Y-%m-%d"]}
  fee: {type: decimal, grade: 1, precision: 8, scale: 2}
checks:
  - {expect: expect_column_values_to_match_regex, column: reg_no, regex: "^J\\\\d{8}$", on_fail: quarantine}
  - {expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}
assessed: {secrecy: {day: "2026-01-05", number: 保审1号}, impact: {day: "2026-01-06", number: 评1号}, approved: {day: "2026-01-07", number: 审1号}}
""",
    COUPLES: """\
id: theme.couples
title: {zh: 婚姻专题, en: Couples}
summary: {zh: 一年一条。, en: One row for each year.}
code: "201001/000001"
owner: civil_affairs
source:
  kind: lake
  inputs: [civil_affairs.marriage, public_security.resident]
  sql: |
    WITH m AS (SELECT id_no, year(reg_date) AS reg_year FROM civil_affairs.marriage)
    SELECT reg_year, count(*) AS registered
    FROM m JOIN public_security.resident USING (id_no)
    GROUP BY reg_year
key: [reg_year]
merge: {kind: snapshot}
share: {type: unconditional}
open: {type: unconditional, fields: [reg_year, registered], counts: [registered]}
fields:
  reg_year: {type: integer, grade: 1}
  registered: {type: integer, grade: 1}
checks:
  - {expect: expect_column_values_to_be_unique, column: reg_year, on_fail: stop}
assessed: {secrecy: {day: "2026-01-05", number: 保审1号}, impact: {day: "2026-01-06", number: 评1号}, approved: {day: "2026-01-07", number: 审1号}}
""",
}

Edit = tuple[str, str, str]
Spoil = Callable[..., list[Problem]]


def edited(*edits: Edit) -> dict[str, str]:
    """The city with each (file, old text, new text) replaced once."""
    files = dict(CITY)
    for file, old, new in edits:
        assert files.get(file, "").count(old) == 1, (file, old)
        files[file] = files[file].replace(old, new)
    return files


@pytest.fixture
def spoil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """Checks the city with some edits made or files added, from inside its folder: paths are relative to it."""
    monkeypatch.chdir(tmp_path)

    def spoil(*edits: Edit, **more: str) -> list[Problem]:
        files = edited(*edits) | more
        return check_catalogue(write_catalogue(tmp_path, files))

    return spoil
