"""What each real source holds, read by other means than the pipeline's: csv, openpyxl, sqlite3, plain lines.

A reading is a list of batches, a batch a list of rows, a row (key, content): the key is None where the entry's checks set
the row aside, and two rows of equal content are one row that came again.
"""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

Row = tuple[tuple[Any, ...] | None, Any]
Batches = list[list[Row]]

STATION_HOURS = range(19, 24)
NANJING_DAYS = (2, 3, 4)
EPIDEMIC_DAYS = range(1, 6)
TAXI_MONTHS = (1, 2, 3)


def _dicts(path: Path, encoding: str = "utf-8") -> list[dict[str, str]]:
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.DictReader(file))


def _keyed(rows: Iterable[dict[str, Any]], *key: str) -> list[Row]:
    return [(tuple(row[name] for name in key), tuple(row.values())) for row in rows]


def divisions(folder: Path) -> Batches:
    return [_keyed(_dicts(folder / "ok_data_level3.csv", "utf-8-sig"), "id")]


def station_hours(folder: Path) -> Batches:
    return [_keyed(_dicts(folder / f"20200410{hour}.csv"), "_id") for hour in STATION_HOURS]


def nanjing(folder: Path) -> Batches:
    files = [_dicts(folder / f"南京_202004{day:02}.csv") for day in NANJING_DAYS]
    return [_keyed(rows, "Date", "Hour", "WatchPoint") for rows in files]


def cut_nanjing(original: Path, folder: Path) -> None:
    """The whole week's file as one file a day."""
    with original.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    for day in sorted({row[0] for row in rows}):
        with (folder / f"南京_{day}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([head, *(row for row in rows if row[0] == day)])


def epidemic(folder: Path) -> Batches:
    """From the JSON that is published beside the CSV which the pipeline reads."""
    days = [json.loads((folder / f"2020-02-{day:02}.json").read_bytes()) for day in EPIDEMIC_DAYS]
    return [
        [
            (
                (r["country"], r["province"], r["city"]) if r["province"] and r["city"] else None,
                tuple(r.values()),
            )
            for r in rows
        ]
        for rows in days
    ]


def population(folder: Path) -> Batches:
    lines = (folder / "南京.csv").read_text(encoding="utf-8").splitlines()
    return [[((line[:4],), line) for line in lines if re.match(r"\d{4}", line)]]


def taxi(folder: Path) -> Batches:
    months = [_dicts(folder / f"yellow_tripdata_sample_2018-{month:02}.csv") for month in TAXI_MONTHS]
    names = ("vendor_id", "pickup_datetime", "pickup_location_id", "dropoff_location_id")
    return [
        [
            (key if float(row["fare_amount"]) >= 0 else None, content)
            for row, (key, content) in zip(rows, _keyed(rows, *names), strict=True)
        ]
        for rows in months
    ]


def enterprises(folder: Path) -> Batches:
    lines = (folder / "杭州.gb18030.csv").read_bytes().decode("gb18030").splitlines()
    return [[((line.split(",")[0],), line) for line in lines if re.match(r"\d+,", line)]]


def with_page_footers(original: Path, target: Path) -> None:
    """The list as it is printed: a page number after each forty lines."""
    lines = original.read_bytes().decode("gb18030").splitlines()
    head, body = lines[:2], lines[2:]
    pages = [body[start : start + 40] for start in range(0, len(body), 40)]
    paged = [line for number, page in enumerate(pages, 1) for line in (*page, f"第 {number} 页")]
    target.write_bytes("\r\n".join([*head, *paged, ""]).encode("gb18030"))


def obituaries(folder: Path) -> Batches:
    rows = load_workbook(folder / "deaths.xlsx", data_only=True)["arts"].iter_rows(values_only=True)
    return [[((row[0],), row) for row in rows if isinstance(row[2], int | float)]]


def office_supplies(folder: Path) -> Batches:
    """The entry reads the old binary workbook; this reads the same sheet in the new format."""
    rows = list(load_workbook(folder / "clippy.xlsx")["two-row-header"].iter_rows(values_only=True))
    return [[((row[0],), row) for row in rows[2:]]]


def trade_customers(folder: Path) -> Batches:
    text = (folder / "northwind.sql").read_text(encoding="utf-8")
    return [[((key,), key) for key in re.findall(r"^INSERT INTO customers VALUES \('(\w+)'", text, re.M)]]


def trade_orders(folder: Path) -> Batches:
    """The second batch reads the rows of the last position again."""
    text = (folder / "northwind.sql").read_text(encoding="utf-8")
    form = r"^INSERT INTO orders VALUES \((\d+), '\w+', \d+, '([-\d]+)'"
    return _and_the_last_again([(int(key), day) for key, day in re.findall(form, text, re.M)])


def music_customers(folder: Path) -> Batches:
    return [[((key,), key) for (key,) in _chinook(folder, "SELECT CustomerId FROM Customer")]]


def music_invoices(folder: Path) -> Batches:
    return _and_the_last_again(_chinook(folder, "SELECT InvoiceId, InvoiceDate FROM Invoice"))


def _chinook(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{folder / 'Chinook_Sqlite.sqlite'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def _and_the_last_again(rows: list[tuple[Any, str]]) -> Batches:
    last = max(position for _, position in rows)
    whole: list[Row] = [((key,), position) for key, position in rows]
    return [whole, [row for row in whole if row[1] == last]]


READINGS: dict[str, Callable[[Path], Batches]] = {
    "civil_affairs.division": divisions,
    "ecology.station_hour": station_hours,
    "ecology.nanjing_hour": nanjing,
    "health.epidemic": epidemic,
    "statistics.population_gdp": population,
    "transport.taxi_trip": taxi,
    "industry.specialised_enterprise": enterprises,
    "commerce.customer": trade_customers,
    "commerce.trade_order": trade_orders,
    "culture.customer": music_customers,
    "culture.invoice": music_invoices,
    "culture.obituary": obituaries,
    "culture.office_supply": office_supplies,
}


@dataclass
class Outcome:
    """What a batch must come to."""

    arrived: int
    set_aside: int
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    deleted: int = 0
    total: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{field.name} {getattr(self, field.name)}" for field in fields(self))


def outcomes(kind: str, batches: Batches) -> list[Outcome]:
    """The batches one after another into a dict: what becomes of each row, without the pipeline."""
    table: dict[tuple[Any, ...], Any] = {}
    return [_outcome(kind, batch, table) for batch in batches]


def _outcome(kind: str, batch: list[Row], table: dict[tuple[Any, ...], Any]) -> Outcome:
    good = {key: content for key, content in batch if key is not None}
    aside = sum(key is None for key, _ in batch)
    result = Outcome(len(batch), aside, superseded=len(batch) - aside - len(good))
    for key, content in good.items():
        if key not in table:
            result.inserted += 1
        elif table[key] == content:
            result.unchanged += 1
        else:
            assert kind != "append", "a real file that contradicts an earlier one: not foreseen here"
            result.updated += 1
    if kind == "snapshot":
        result.deleted = len(table.keys() - good.keys())
        table.clear()
    table.update(good)
    result.total = len(table)
    return result
