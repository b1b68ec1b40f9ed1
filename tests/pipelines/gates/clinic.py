"""A clinic's patients: what is published of them, and how the tests look at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from lake.balance import within
from lake.records import Disclosure, Published
from schemas.errors import DisclosureRisk
from tests.pipelines.gates.making import DROPPED, Json, Row, Town, entry

PATIENT = "health.patient"
QUASI = ["gender", "born", "district"]
FIELDS: dict[str, Json] = {
    "no": {"type": "string", "grade": 2, "risk": "direct", "mask": DROPPED},
    "gender": {"type": "string", "grade": 1, "risk": "quasi"},
    "born": {
        "type": "date",
        "grade": 2,
        "risk": "quasi",
        "mask": {"open": {"kind": "generalise", "to": "decade"}},
    },
    "district": {"type": "string", "grade": 1, "risk": "quasi"},
    "disease": {"type": "string", "grade": 1, "risk": "sensitive"},
    "fee": {"type": "integer", "grade": 1, "risk": "none"},
}
OPEN: Json = {"type": "unconditional", "fields": [*QUASI, "disease", "fee"], "downloads": ["csv"]}
DISTRICTS = ["320102"] * 10 + ["320104"] * 10 + ["320105"] * 5 + ["310101"]


def patients(count: int, first: int = 0) -> list[Row]:
    """Number i is the same whatever the count."""
    rows = []
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        rows.append(
            {
                "no": f"P{number:06}",
                "gender": "12"[int(rng.integers(2))],
                "born": date(1960, 1, 1) + timedelta(days=int(rng.integers(14000))),
                "district": DISTRICTS[int(rng.integers(len(DISTRICTS)))],
                "disease": "ABCD"[int(rng.integers(4))],
                "fee": int(rng.integers(5)),
            }
        )
    return rows


def made(open_: Json | None = None, fields: Json | None = None, subject: str = "person", **more: Any) -> str:
    own = {**FIELDS, **(fields or {})}
    return entry(PATIENT, own, open={**OPEN, **(open_ or {})}, subject=subject, **more)


def opened(town: Town, rows: Iterable[Row], day: int = 1) -> Published:
    return town.publish(town.curate(list(rows), PATIENT, day), "open")


def measured(published: Published) -> Disclosure:
    assert published.disclosure is not None
    assert published.suppressed == published.disclosure.suppressed
    assert published.rows_in == published.rows_out + published.suppressed
    assert all(each.holds for each in within(published))
    return published.disclosure


def classes(rows: Iterable[Row]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row[name] for name in QUASI) for row in rows)


def decade(row: Row) -> tuple[str, str, str]:
    return row["gender"], f"{row['born']:%Y}"[:3] + "0s", row["district"]


def refused(town: Town, rows: list[Row], day: int = 1) -> DisclosureRisk:
    with pytest.raises(DisclosureRisk) as caught:
        opened(town, rows, day)
    return caught.value
