"""Rows set aside, as an engineer may see them on a screen: where, why, and their data masked (law 3).

grade 3 and above      `#0123456789ab (18)`: a keyed digest and the number of characters; equal values of one
                       lake have equal digests, and none of them is a token that is published
below                  as it is, but for identifiers inside the text: a column that has slipped may hold anything
unreadable rows, and columns that the entry no longer names        their length alone
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from lake import quarantine
from lake.records import Stage
from pipelines.context import Context
from pipelines.keys import load_key
from pipelines.masks.redact import redact
from pipelines.masks.tokens import Tokens
from pipelines.telling import file_name
from schemas.model import Entry, Field, Hmac, Redact

SECRET: Final = 3
"""From this grade on a value is not shown (GB/T 43697: personal or commercial, sensitive)."""
DIGEST: Final = Hmac(domain="quarantine")
DIGITS: Final = 12
_ROWS: Final = 1000
Cell = tuple[int, str, str]
"""Row, column, text."""


@dataclass(frozen=True)
class Failure:
    """A rule that a row broke. `field` is empty where the whole row could not be read."""

    field: str
    rule: str
    expected: str


@dataclass(frozen=True)
class Aside:
    """One row. `data` is masked; null stays null, since what is missing is often why. `file` is what may be told of its
    name."""

    batch: str
    stage: str
    file: str
    row: int
    failures: tuple[Failure, ...]
    data: dict[str, str | None]


def asides(
    ctx: Context, entry: Entry, batch: str | None = None, stage: Stage | None = None
) -> Iterator[Aside]:
    """Stream the rows set aside of a dataset, of one batch or stage if named.

    MaskError where the entry has fields that need the key of digests and there is none."""
    secret = any(field.grade >= SECRET for field in entry.fields.values())
    without = f"no row is shown, since values graded {SECRET} and more are told as its digests"
    tokens = Tokens(load_key(ctx.settings.key_version, ctx.connect, without), "share") if secret else None
    for part in quarantine.rows(ctx.tables, entry.id, batch, stage):
        for start in range(0, part.num_rows, _ROWS):
            rows = part.slice(start, _ROWS).to_pylist()
            masked = _masked(entry, tokens, rows)
            yield from (_aside(row, data) for row, data in zip(rows, masked, strict=True))


def _aside(row: dict[str, Any], data: dict[str, str | None]) -> Aside:
    failures = tuple(Failure(**failure) for failure in row["failures"])
    return Aside(row["batch"], row["stage"], file_name(row["file"]), row["row"], failures, data)


def _masked(entry: Entry, tokens: Tokens | None, rows: list[dict[str, Any]]) -> list[dict[str, str | None]]:
    """The rows' data masked, each column in its place."""
    data = [json.loads(row["data"]) for row in rows]
    shown: list[dict[str, str | None]] = [dict.fromkeys(each) for each in data]
    secret: list[Cell] = []
    plain: list[Cell] = []
    for number, each in enumerate(data):
        fields = _fields(entry, rows[number]["stage"])
        for name, value in each.items():
            if value is None:
                continue
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if name not in fields:
                shown[number][name] = f"({len(text)})"
            else:
                (secret if fields[name].grade >= SECRET else plain).append((number, name, text))
    for number, name, text in (*_digests(secret, tokens), *_redacted(plain, entry)):
        shown[number][name] = text
    return shown


def _fields(entry: Entry, stage: str) -> dict[str, Field]:
    """The field that each column of `data` gives; of several the one of the highest grade. A row that was set aside
    while it was standardised has the source's columns."""
    if stage != "standardise":
        return entry.fields
    by_grade = sorted(entry.collected.values(), key=lambda field: field.grade)
    return {field.source or field.name: field for field in by_grade}


def _digests(cells: list[Cell], tokens: Tokens | None) -> Iterable[Cell]:
    if not cells or tokens is None:
        return ()
    found = tokens.of(pa.array([text for *_, text in cells], pa.string()), DIGEST).to_pylist()
    return [
        (number, name, f"#{token[:DIGITS]} ({len(text)})")
        for (number, name, text), token in zip(cells, found, strict=True)
    ]


def _redacted(cells: list[Cell], entry: Entry) -> Iterable[Cell]:
    if not cells:
        return ()
    texts = pa.array([text for *_, text in cells], pa.string())
    found = redact(texts, Redact(), next(iter(entry.fields.values()))).to_pylist()
    return [(number, name, text) for (number, name, _), text in zip(cells, found, strict=True)]
