"""What each stage reads and writes, column by column, out of the entry alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lake.batch import Batch
from lake.records import Stage
from schemas.lineage import Origin, origins
from schemas.load import Catalogue
from schemas.model import (
    DatabaseSource,
    Entry,
    ExchangeSource,
    Field,
    HttpSource,
    Keep,
    LakeSource,
    Mask,
    Zone,
)
from schemas.policy import mask_plan, policies


class Turn(NamedTuple):
    """One attempt at a stage of a batch, by its number in the ledger."""

    batch: Batch
    stage: Stage
    part: str
    attempt: int


@dataclass(frozen=True)
class Place:
    """A dataset as OpenLineage names it: `xuanwu://curated` and `civil_affairs/marriage`; together they are the URI of
    Airflow's asset."""

    zone: str
    name: str

    @property
    def namespace(self) -> str:
        return f"xuanwu://{self.zone}"


class Part(NamedTuple):
    """A column that another is made from, how (`schemas.lineage`), and whether a mask lies between."""

    place: Place
    column: str
    how: str
    masked: bool = False


@dataclass(frozen=True)
class Step:
    """What one stage reads and writes, and of each column written the parts it is made from."""

    reads: tuple[Place, ...]
    writes: Place | None
    made: Mapping[str, tuple[Part, ...]]


def place(zone: str, dataset: str, policy: str = "") -> Place:
    return Place(zone, "/".join(part for part in (*dataset.split("."), policy) if part))


# ── what a stage reads and writes ─────────────────────────────────────────────────────────────────────────


def step(catalogue: Catalogue, entry: Entry, stage: Stage, part: str = "") -> Step:
    """The tables of a stage and the lineage of its columns, out of the entry alone."""
    landing, standard = place("landing", entry.id), place("standard", entry.id)
    curated = place("curated", entry.id)
    if stage == "collect":
        return _collected(catalogue, entry, landing)
    if stage == "standardise":
        return _standardised(catalogue, entry, landing, standard)
    if stage == "check":
        return Step((standard,), None, {})
    if stage == "merge":
        same = {name: (Part(standard, name, "IDENTITY"),) for name in entry.fields}
        return Step((standard,), curated, same)
    zone: Zone = "open" if part.startswith("open/") else "share"
    policy = part.partition("/")[2]
    plan = mask_plan(entry, zone, policies(entry, zone)[policy])
    masked = {name: (_masked(curated, name, mask),) for name, mask in plan.items()}
    return Step((curated,), place(zone, entry.id, policy if zone == "share" else ""), masked)


def _masked(curated: Place, name: str, mask: Mask) -> Part:
    kept = isinstance(mask, Keep)
    return Part(curated, name, "IDENTITY" if kept else "TRANSFORMATION", not kept)


def _collected(catalogue: Catalogue, entry: Entry, landing: Place) -> Step:
    columns = {name: field.source or name for name, field in entry.collected.items()}
    if isinstance(entry.source, LakeSource):
        given = origins(catalogue, entry)
        made = {column: _origins(given[name]) for name, column in columns.items()}
        return Step(tuple(place("curated", name) for name in entry.source.inputs), landing, made)
    if isinstance(entry.source, DatabaseSource):
        table = ".".join(filter(None, (entry.source.db_schema, entry.source.table)))
        source = Place("source", f"{entry.source.connection}/{table}")
    elif isinstance(entry.source, HttpSource):
        source = Place("source", f"{entry.source.connection}/{entry.source.path.lstrip('/')}")
    elif isinstance(entry.source, ExchangeSource):
        source = Place("source", f"{entry.source.connection}/{entry.source.dataset}/{entry.source.policy}")
    else:
        source = Place("source", "/".join(filter(None, (entry.source.connection, entry.source.path))))
    made = {column: (Part(source, column, "IDENTITY"),) for column in columns.values()}
    return Step((source,), landing, made)


def _standardised(catalogue: Catalogue, entry: Entry, landing: Place, standard: Place) -> Step:
    given = origins(catalogue, entry) if any(f.shared_from for f in entry.fields.values()) else {}
    made = {
        name: _origins(given[name])
        if field.shared_from
        else (Part(landing, field.source or name, _cast(field)),)
        for name, field in entry.fields.items()
    }
    others = {field.shared_from.dataset for field in entry.fields.values() if field.shared_from}
    return Step((landing, *(place("curated", name) for name in sorted(others))), standard, made)


def _cast(field: Field) -> str:
    plain = field.type == "string" and not field.normalise and not field.codes
    return "IDENTITY" if plain else "TRANSFORMATION"


def _origins(given: Iterable[Origin]) -> tuple[Part, ...]:
    return tuple(Part(place("curated", each.column.dataset), each.column.field, each.how) for each in given)
