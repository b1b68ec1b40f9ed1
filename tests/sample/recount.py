"""The sources read again by other means than those that wrote them: the standard library, calamine, python-stdnum."""

from __future__ import annotations

import csv
import gzip
import json
import re
import sqlite3
import unicodedata
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from python_calamine import load_workbook
from stdnum.cn import uscc
from stdnum.iso7064 import mod_11_2

from sample.city import DAYS
from schemas.load import load_catalogue
from schemas.settings import HERE

Row = dict[str, Any]
CURSORS = ("public_security.resident", "civil_affairs.marriage", "human_resources.social_insurance")
FORMS = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y年%m月%d日")
CODES = {
    name: {word for code in codes for word in (code.code, code.zh, *code.aliases)}
    for name, codes in load_catalogue(HERE / "catalogue").codes.items()
}


def plain(value: Any) -> str:
    return unicodedata.normalize("NFKC", str(value)).strip()


def day_of(value: str) -> datetime | None:
    for form in FORMS:
        try:
            return datetime.strptime(plain(value), form)
        except ValueError:
            continue
    return None


def is_resident(value: str) -> bool:
    """Check character and date; districts are not looked up, as `stdnum.cn.ric` does."""
    return len(value) == 18 and mod_11_2.is_valid(value) and day_of(value[6:14]) is not None


def number(value: Any) -> float:
    return float(plain(value).replace(",", ""))


def table(path: Path, name: str) -> list[Row]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"SELECT * FROM {name}")]


def delimited(path: Path, encoding: str, delimiter: str = ",") -> list[Row]:
    with path.open(encoding=encoding, newline="") as file:
        rows = list(csv.reader(file, delimiter=delimiter))
    return [
        dict(zip(rows[0], row, strict=False)) | {"cells": len(row), "width": len(rows[0])} for row in rows[1:]
    ]


def form(path: Path) -> list[Row]:
    rows = load_workbook(path).get_sheet_by_index(0).to_python()
    names = ["code", "name", "uscc", "level", "owner", "planned", "beds", "district", "address"]
    return [dict(zip(names, row, strict=True)) for row in rows[3:-3]]


def journal(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


BAD: dict[str, Callable[[Row], bool]] = {
    "public_security.resident": lambda r: (
        not is_resident(plain(r["GMSFHM"]).upper())
        or r["XM"] is None
        or day_of(r["CSRQ"]) is None
        or f"{day_of(r['CSRQ']):%Y%m%d}" != plain(r["GMSFHM"])[6:14]
        or r["XZQHDM"] not in CODES["division_nanjing"]
    ),
    "civil_affairs.marriage": lambda r: (
        not is_resident(r["NFSFZH"])
        or not is_resident(r["VFSFZH"])
        or not re.fullmatch(r"J3201\d{10}", r["DJZH"])
        or r["HYZK"] not in CODES["marital_status"]
        or day_of(r["DJRQ"]) is None
    ),
    "market_regulation.enterprise": lambda r: (
        not uscc.is_valid(plain(r["TYSHXYDM"]).upper())
        or r["QYMC"] is None
        or number(r["ZCZB"]) < 0
        or r["HYML"] not in CODES["industry"]
    ),
    "human_resources.social_insurance": lambda r: (
        not is_resident(r["SFZH"]) or number(r["JFJS"]) < 0 or r["CBZT"] not in CODES["insurance_status"]
    ),
    "education.school": lambda r: (
        r["cells"] != r["width"]
        or not re.fullmatch(r"\d{10}", plain(r["学校标识码"]))
        or not uscc.is_valid(r["统一社会信用代码"])
        or r["办学类型"] not in CODES["school_stage"]
    ),
    "health.institution": lambda r: (
        not re.fullmatch(r"H3201\d{6}", plain(r["code"]))
        or r["beds"] < 0
        or r["level"] not in CODES["hospital_level"]
    ),
    "health.vaccination": lambda r: (
        "\0" in r["接种流水号"]
        or not is_resident(r["受种者身份证号"])
        or r["疫苗"] not in CODES["vaccine"]
        or not 1 <= int(r["剂次"]) <= 5
        or day_of(r["接种日期"]) is None
    ),
    "transport.bus_ride": lambda r: (
        r["cells"] != r["width"]
        or not re.fullmatch(r"\d{16}", plain(r["card_no"]))
        or not 0 <= number(r["fare"]) <= 20
    ),
    "housing.permit": lambda r: (
        not re.fullmatch(r"3201\d{12}", r["许可证号"])
        or number(r["建筑面积"]) <= 0
        or day_of(r["发证日期"]) is None
    ),
    "government_services.work_order": lambda r: (
        not re.fullmatch(r"NJ\d{14}", r["order_no"])
        or r["updated_at"] < r["created_at"]
        or r["category"] not in CODES["order_category"]
    ),
    "natural_resources.land_parcel": lambda r: (
        not re.fullmatch(r"3201\d\dGB\d{7}", r["parcel_no"])
        or not 118.3 <= r["longitude"] <= 119.3
        or r["land_use"] not in CODES["land_use"]
    ),
    "statistics.household_survey": lambda r: r["income"] < 0 or not 1 <= r["members"] <= 20,
    "ecology.air_quality": lambda r: r["no2"] < 0 or r["o3"] > 2000,
}
"""Whether the rules of the catalogue set a row aside, said again in plain Python."""


def rows_of(folder: Path, dataset: str, day: str) -> list[Row]:
    """Every row of a source as it stands, or of its file of that day."""
    department = folder / dataset.partition(".")[0]
    match dataset:
        case "public_security.resident":
            return table(folder / "public_security.db", "RK_JBXX")
        case "civil_affairs.marriage":
            return table(folder / "civil_affairs.db", "HY_DJXX")
        case "market_regulation.enterprise":
            return table(folder / "market_regulation.db", "QY_JBXX")
        case "human_resources.social_insurance":
            return table(folder / "human_resources.db", "SB_CBXX")
        case "education.school":
            return delimited(department / "学校名录.csv", "gb18030")
        case "health.institution":
            return form(department / f"医疗机构名录_{day}.xlsx")
        case "health.vaccination":
            return delimited(
                department / f"vaccination/{day[:4]}/{day[5:7]}/vaccination_{day}.csv", "utf-8-sig"
            )
        case "transport.bus_ride":
            return delimited(department / f"bus/bus_ride_{day}.csv", "utf-8")
        case "housing.permit":
            return delimited(department / f"施工许可_{day}.tsv", "utf-8", "\t")
        case "government_services.work_order":
            return journal(department / f"12345/work_order_{day}.jsonl.gz")
        case "natural_resources.land_parcel":
            return list(pq.read_table(department / f"land_parcel_{day}.parquet").to_pylist())
        case "statistics.household_survey":
            document = json.loads((department / f"household_survey_{day}.json").read_bytes())
            return list(document["data"]["households"])
    document = json.loads((department / f"air_quality_{day}.json").read_bytes())
    return list(document["data"]["observations"])


def arrived(rows: list[Row], dataset: str, day: int) -> list[Row]:
    """The rows of a batch: of a table read by cursor, those from two hours before yesterday's last on."""
    if dataset not in CURSORS or day == 1:
        return rows
    since = f"{DAYS[day - 2].isoformat()} 16:00:00"
    return [row for row in rows if row["GXSJ"] >= since]
