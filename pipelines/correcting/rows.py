"""The rows of one batch as they were received, with the corrections made so far: what a person is shown, and what a
correction starts from."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from lake import landing
from lake.batch import Batch
from pipelines.casting.converting import Column, plan
from pipelines.context import Context
from pipelines.keys import Key
from pipelines.masks.tokens import hash_values
from pipelines.quarantine.aside import Failure
from pipelines.quarantine.corrections import corrections_of
from pipelines.quarantine.laid import Laid, mended
from pipelines.quarantine.rejects import shown
from pipelines.readers import read
from schemas.errors import LakeError
from schemas.model import Entry, Field, LakeSource

PURPOSE: Final = "quarantine workbook"
Place = tuple[str, str, int]
"""Batch, file, row."""


@dataclass(frozen=True)
class Source:
    """A column of the source, and the fields that it gives."""

    name: str
    columns: tuple[Column, ...]

    @cached_property
    def grade(self) -> int:
        return max(column.field.grade for column in self.columns)

    @property
    def field(self) -> Field:
        """The field by whose title people know it."""
        return self.columns[0].field


@dataclass(frozen=True)
class Received:
    """`values` are the texts by source column; `unread` is the text of a row that the reader could not use."""

    place: Place
    values: Mapping[str, str | None]
    unread: str | None = None


def sources_of(ctx: Context, entry: Entry) -> tuple[Source, ...]:
    """The source's columns in the entry's order, each once."""
    found: dict[str, list[Column]] = defaultdict(list)
    for column in plan(entry, ctx.catalogue):
        found[column.source].append(column)
    return tuple(Source(name, tuple(columns)) for name, columns in found.items())


def received(ctx: Context, entry: Entry, batch: Batch, wanted: Mapping[str, set[int]]) -> Iterator[Received]:
    """The wanted rows (by file) of a landed batch, in their order. LakeError where the batch has no originals, or is
    derived."""
    landed = landing.landed(ctx.settings, batch)
    if landed is None or isinstance(entry.source, LakeSource):
        raise LakeError(
            "a derived dataset is corrected where its rows come from"
            if landed
            else "the batch has not landed",
            dataset=entry.id,
            batch=batch.id,
            next_step=f"work on the quarantine of {', '.join(entry.inputs)}" if entry.inputs else None,
        )
    landing.require_originals(ctx.settings, batch)
    names = [source.name for source in sources_of(ctx, entry)]
    laid = corrections_of(ctx, landed, set(names))
    for file in landed.files:
        if file.name in wanted:
            numbers = pa.array(sorted(wanted[file.name]), pa.int64())
            for part in read(file, entry.source, names):
                some = part.filter(pc.is_in(part["_row"], numbers))
                if some.num_rows:
                    on = laid.on(some, file.name)
                    yield from _texts(mended(some, on), on, (batch.id, file.name), names)


def _texts(
    some: pa.RecordBatch, laid: Mapping[str, Laid], of: tuple[str, str], names: list[str]
) -> Iterator[Received]:
    columns = {name: [_text(value) for value in shown(some[name])] for name in names}
    for name, each in laid.items():
        for at, text in each.places.items():
            columns[name][at] = text
    raws = some["_raw"].to_pylist()
    for at, row in enumerate(some["_row"].to_pylist()):
        yield Received((*of, row), {name: columns[name][at] for name in names}, raws[at])


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def failing(entry: Entry, failures: Iterable[Failure]) -> frozenset[str]:
    """The source's columns that broke a rule; all where a rule is of the whole row."""
    names = {name for each in failures for name in each.field.split(", ")}
    return frozenset(
        f.source or f.name for f in entry.collected.values() if f.name in names or not names - {""}
    )


def keys(entry: Entry) -> frozenset[str]:
    """The source's columns that give the key. They tell rows apart: one that did not fail is not corrected."""
    return frozenset(f.source or f.name for f in entry.collected.values() if f.name in entry.key)


def digests(key: Key, dataset: str, department: str, rows: list[Received]) -> list[str]:
    """A keyed digest of each row: of its place and of all its values, those too that the reader of the workbook does
    not see. Whoever has no key can neither make one nor try values against it."""
    texts = [
        json.dumps([dataset, department, *row.place, dict(row.values), row.unread], ensure_ascii=False)
        for row in rows
    ]
    return _hashed(key, texts)


def sealed(key: Key, text: str) -> str:
    """The keyed digest of what a workbook says of itself."""
    return _hashed(key, [text])[0]


def _hashed(key: Key, texts: list[str]) -> list[str]:
    values = pa.array([text.encode("utf-8", "surrogatepass") for text in texts], pa.binary())
    return [str(each) for each in hash_values(values, key.derive(PURPOSE, "sm3"), "sm3").to_pylist()]
