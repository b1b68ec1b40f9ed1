"""The sample city: `write_city` writes every department's sources as they stand on one of three days.

The same seed gives the same city, day 2 grows out of day 1, and `faults.json` tells to the row what was
planted: per day and dataset the rows of the source, those that the day's batch gets (`arrives`), how many of
them the catalogue sets aside, each fault and each change. Nobody in it is real: see `sample.words`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sample import air, history, journals, lists, registers, writing
from sample.people import Numbers
from sample.plan import DAYS, Account, City, Part, chunks
from sample.server import base_url

FAULTS_FILE = "faults.json"
CONNECTIONS_FILE = "connections.env"
HERE, HANDED_OVER = ZoneInfo("Asia/Shanghai"), time(20)
"""Files bear the time at which a department would have handed them over: the evening of their day."""
FEWEST = 50
"""Residents at least; every kind of fault is there from about 2,000 on."""

Write = Callable[[Path, Iterable[Part]], None]


class Source(NamedTuple):
    """A source: its place in the city's folder, how many rows it has on a day, what makes and what writes
    them.

    `place` with `{date}` is a file a day, which stays; without it there is one place, written over.
    """

    dataset: str
    place: str
    size: Callable[[City], int]
    make: Callable[[City, Numbers], Part]
    write: Write


def grown(part: float, least: int) -> Callable[[City], int]:
    """Rows of a table that is there whole, in proportion to the residents and growing each day."""
    return lambda city: history.size_on(city.share(part, least), city.day)


def daily(part: float, least: int) -> Callable[[City], int]:
    """Rows that each day brings."""
    return lambda city: city.share(part, least)


def _orders(city: City) -> int:
    """Work orders of the day, and from day 2 on yesterday's, of which the closed ones are sent again."""
    return city.share(0.1, 60) * (1 if city.day == 1 else 2)


def _workbook(path: Path, parts: Iterable[Part]) -> None:
    writing.workbook(path, "全市医疗机构名录", parts, datetime.combine(DAYS[0], time()))


def _survey(path: Path, parts: Iterable[Part]) -> None:
    writing.json_document(path, parts, {"survey": "住户收支调查", "period": "2026-02"}, "households")


def _table(name: str) -> Write:
    return lambda path, parts: writing.sqlite(path, name, parts)


_CSV, _TSV = (
    partial(writing.delimited, encoding="utf-8"),
    partial(writing.delimited, encoding="utf-8", delimiter="\t"),
)
_GB, _BOM = partial(writing.delimited, encoding="gb18030"), partial(writing.delimited, encoding="utf-8-sig")
_AIR = partial(writing.json_document, head={}, name="observations")

SOURCES = (
    Source(
        "public_security.resident",
        "public_security.db",
        grown(1, FEWEST),
        registers.residents,
        _table("RK_JBXX"),
    ),
    Source(
        "civil_affairs.marriage", "civil_affairs.db", grown(0.3, 30), registers.marriages, _table("HY_DJXX")
    ),
    Source(
        "market_regulation.enterprise",
        "market_regulation.db",
        grown(0.2, 60),
        registers.enterprises,
        _table("QY_JBXX"),
    ),
    Source(
        "human_resources.social_insurance",
        "human_resources.db",
        grown(0.5, 50),
        registers.insured,
        _table("SB_CBXX"),
    ),
    Source("education.school", "education/学校名录.csv", grown(0.02, 80), lists.schools, _GB),
    Source(
        "health.institution",
        "health/医疗机构名录_{date}.xlsx",
        grown(0.02, 60),
        lists.institutions,
        _workbook,
    ),
    Source(
        "health.vaccination",
        "health/vaccination/{year}/{month}/vaccination_{date}.csv",
        daily(0.1, 60),
        journals.vaccinations,
        _BOM,
    ),
    Source("transport.bus_ride", "transport/bus/bus_ride_{date}.csv", daily(2, 500), journals.rides, _CSV),
    Source("housing.permit", "housing/施工许可_{date}.tsv", daily(0.03, 40), journals.permits, _TSV),
    Source(
        "government_services.work_order",
        "government_services/12345/work_order_{date}.jsonl.gz",
        _orders,
        journals.work_orders,
        writing.json_lines,
    ),
    Source(
        "natural_resources.land_parcel",
        "natural_resources/land_parcel_{date}.parquet",
        grown(0.05, 60),
        lists.parcels,
        writing.parquet,
    ),
    Source(
        "statistics.household_survey",
        "statistics/household_survey_{date}.json",
        daily(0.01, 30),
        lists.households,
        _survey,
    ),
    Source(
        "ecology.air_quality",
        "ecology/air_quality_{date}.json",
        lambda _: air.STATIONS * 24,
        air.observations,
        _AIR,
    ),
)


def write_city(folder: Path, day: int, rows: int, seed: int = 329) -> dict[str, str]:
    """Write the sources as they stand on `day` (1 to 3) for `rows` residents; returns each connection's URL.

    Files of earlier days are there too, those of later days are not. Raises ValueError for another day or too
    few rows.
    """
    if day not in range(1, len(DAYS) + 1) or rows < FEWEST:
        raise ValueError(f"a day from 1 to {len(DAYS)} and at least {FEWEST} rows")
    folder = Path(folder).resolve()
    accounts = _known_accounts(folder, day, rows, seed)
    for source in SOURCES:
        for each in _days_of(source, day):
            city = City(folder, each, rows, seed)
            accounts.setdefault(DAYS[each - 1].isoformat(), {})[source.dataset] = _write(
                source, city
            ).report()
        for later in range(day + 1, len(DAYS) + 1):
            if "{date}" in source.place:
                _path(source, City(folder, later, rows, seed)).unlink(missing_ok=True)
    _keep(folder / FAULTS_FILE, _json({"rows": rows, "seed": seed, "days": accounts}))
    connections = _connections(folder)
    _keep(
        folder / CONNECTIONS_FILE, "".join(f"XUANWU_CONN_{k.upper()}={v}\n" for k, v in connections.items())
    )
    return connections


def _days_of(source: Source, day: int) -> range:
    """The days whose data this source holds on `day`: all files of a daily one, else the state of that
    day."""
    return range(1 if "{date}" in source.place else day, day + 1)


def _path(source: Source, city: City) -> Path:
    date = city.date
    return city.folder / source.place.format(date=date.isoformat(), year=f"{date:%Y}", month=f"{date:%m}")


def _write(source: Source, city: City) -> Account:
    account = Account()

    def parts() -> Iterator[Part]:
        for number in chunks(0, source.size(city), _cuts(source, city)):
            part = source.make(city, number)
            account.add(part)
            yield part

    path = _path(source, city)
    source.write(path, parts())
    evening = datetime.combine(city.date, HANDED_OVER, HERE).timestamp()
    os.utime(path, (evening, evening))
    return account


def _cuts(source: Source, city: City) -> tuple[int, ...]:
    """Work orders are of two kinds, new and closed: no part has both."""
    return (city.share(0.1, 60),) if source.size is _orders else ()


def _known_accounts(folder: Path, day: int, rows: int, seed: int) -> dict[str, dict[str, Any]]:
    """What was told of earlier days of this same city."""
    try:
        known = json.loads((folder / FAULTS_FILE).read_bytes())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    if (known.get("rows"), known.get("seed")) != (rows, seed):
        return {}
    earlier = {date.isoformat() for date in DAYS[: day - 1]}
    return {date: told for date, told in known["days"].items() if date in earlier}


def _connections(folder: Path) -> dict[str, str]:
    urls = {"ecology": base_url()}
    for source in SOURCES:
        name, place = source.dataset.partition(".")[0], source.place
        if name not in urls:
            urls[name] = f"sqlite:///{folder / place}" if place.endswith(".db") else f"file://{folder / name}"
    return dict(sorted(urls.items()))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _keep(path: Path, text: str) -> None:
    with writing.replacing(path) as file:
        file.write_text(text, encoding="utf-8")


__all__ = ["DAYS", "SOURCES", "write_city"]
