"""Residents by arithmetic: fifteen columns as a station writes them, some of it wrongly, the same for one seed.

Ids carry right check characters and belong to nobody; mobile numbers begin with 154, a prefix never assigned.
One id in a thousand has a wrong check character, one phone in a thousand lacks a digit, one date of birth in two
thousand is no date: what a quarantine is for. One remark in five holds a phone or an id.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sample.people import People, digits, iso, join, names, people, take
from sample.words import DIVISIONS, SENTENCES, STREETS

PART = 100_000
SEED = 20_261_123
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id_no", "name", "gender", "birth_date", "ethnicity")),
        *((name, pa.string()) for name in ("marital_status", "division", "address", "phone")),
        *((name, pa.string()) for name in ("household_no", "station")),
        ("contribution", pa.decimal128(12, 2)),
        *((name, pa.string()) for name in ("registered_on", "remarks")),
        ("updated_at", pa.timestamp("us")),
    ]
)
_GENDERS = np.array([["1", "男", "男性"], ["2", "女", "女性"]])
_ETHNICITIES = np.array(["01"] * 12 + ["汉族", "汉", "03", "回族"])
_MARRIED = np.array(["10", "20", "20", "30", "40"])
_FIRST_DAY = np.datetime64("2015-01-01")
_NOW = np.datetime64("2026-03-02T00:00:00", "us")


def residents(rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of SCHEMA, `rows` rows in all, every id once."""
    for start in range(0, rows, PART):
        yield _part(np.arange(start, min(start + PART, rows), dtype=np.int64))


def _part(number: np.ndarray) -> pa.RecordBatch:
    rng = np.random.default_rng([SEED, int(number[0])])
    size, persons = len(number), people(number, SEED)
    phone = _phones(rng, size)
    columns = {
        "id_no": _some_wrong(rng, persons.id_no),
        "name": names(rng, size),
        "gender": take(_GENDERS.ravel(), (persons.gender - 1) * 3 + rng.integers(0, 3, size)),
        "birth_date": _birth_dates(rng, persons),
        "ethnicity": take(_ETHNICITIES, rng.integers(0, len(_ETHNICITIES), size)),
        "marital_status": take(_MARRIED, rng.integers(0, len(_MARRIED), size)),
        "division": take(np.array(list(DIVISIONS)), persons.division),
        "address": _addresses(rng, persons),
        "phone": _as_written(rng, phone),
        "household_no": join("H", digits(number // 3 * 7_919 % 900_000_000, 9)),
        "station": join(
            take(np.array(list(DIVISIONS)), persons.division), digits(rng.integers(1, 40, size), 3)
        ),
        "contribution": _contributions(rng, size),
        "registered_on": _dates(rng, _FIRST_DAY + rng.integers(0, 4_000, size)),
        "remarks": _remarks(rng, persons, phone),
        "updated_at": pa.array(_NOW - rng.integers(0, 10**9, size).astype("timedelta64[ms]")),
    }
    return pa.RecordBatch.from_arrays(
        [columns[name].cast(SCHEMA.field(name).type) for name in SCHEMA.names], schema=SCHEMA
    )


def _some(rng: np.random.Generator, size: int, share: float) -> pa.Array:
    return pa.array(rng.random(size) < share)


def _some_wrong(rng: np.random.Generator, ids: pa.Array) -> pa.Array:
    """The check character of one in a thousand becomes the next one: a slip of the pen."""
    last = pc.utf8_slice_codeunits(ids, 17)
    slipped = pc.if_else(pc.equal(last, "7"), "8", "7")
    wrong = join(pc.utf8_slice_codeunits(ids, 0, 17), slipped)
    return pc.if_else(_some(rng, len(ids), 0.001), wrong, ids)


def _birth_dates(rng: np.random.Generator, persons: People) -> pa.Array:
    return pc.if_else(_some(rng, len(persons.birth), 0.0005), "不详", _dates(rng, persons.birth))


def _dates(rng: np.random.Generator, days: np.ndarray) -> pa.Array:
    """Most as 2026-03-02, a tenth as 20260302, some as 2026/03/02."""
    text = iso(days.astype("datetime64[D]"))
    form = rng.random(len(days))
    text = pc.if_else(pa.array(form < 0.1), pc.replace_substring(text, "-", ""), text)
    return pc.if_else(pa.array(form > 0.95), pc.replace_substring(text, "-", "/"), text)


def _phones(rng: np.random.Generator, size: int) -> pa.Array:
    return join("154", digits(rng.integers(0, 10**8, size), 8))


def _as_written(rng: np.random.Generator, phone: pa.Array) -> pa.Array:
    """Some grouped by spaces, one in a thousand a digit short."""
    parts = [pc.utf8_slice_codeunits(phone, a, b) for a, b in ((0, 3), (3, 7), (7, 11))]
    grouped = pc.binary_join_element_wise(*parts, " ")
    phone = pc.if_else(_some(rng, len(phone), 0.05), grouped, phone)
    return pc.if_else(_some(rng, len(phone), 0.001), pc.utf8_slice_codeunits(phone, 0, 10), phone)


def _addresses(rng: np.random.Generator, persons: People) -> pa.Array:
    size = len(persons.division)
    return join(
        take(np.array(list(DIVISIONS.values())), persons.division),
        take(np.array(STREETS), rng.integers(0, len(STREETS), size)),
        "路",
        digits(rng.integers(1, 400, size)),
        "号",
        digits(rng.integers(1, 40, size)),
        "幢",
        digits(rng.integers(101, 3300, size)),
        "室",
    )


def _contributions(rng: np.random.Generator, size: int) -> pa.Array:
    """Never just half of what it is rounded to, so that every way of rounding gives the same."""
    yuan, cents = rng.integers(4_494, 24_042, size), rng.integers(1, 100, size)
    return join(digits(yuan), ".", digits(cents, 2))


def _remarks(rng: np.random.Generator, persons: People, phone: pa.Array) -> pa.Array:
    """A third empty; of all rows a tenth with a phone and a tenth with an id inside."""
    size, kind = len(phone), rng.random(len(phone))
    sentence = take(np.array(SENTENCES), rng.integers(0, len(SENTENCES), size))
    with_phone = join(sentence, "，请致电", phone, "联系")
    with_id = join(sentence, "，身份证号", persons.id_no, "，已核验")
    text = pc.if_else(pa.array(kind < 0.1), with_phone, pc.if_else(pa.array(kind < 0.2), with_id, sentence))
    return pc.if_else(pa.array(kind > 0.67), pa.scalar(None, pa.string()), text)
