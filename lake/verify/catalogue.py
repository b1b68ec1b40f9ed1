"""Iceberg's catalogue beside the log: which metadata a table's readers are led to is one row of a database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from lake.tables import Tables
from lake.verify.copy import Copy, Finding
from lake.zones import TableZone
from schemas.errors import LakeError


def check(tables: Tables, copy: Copy) -> Iterator[Finding]:
    """Every table that the log says is published, and every inner one, leads to the metadata that was logged last, and
    there is no other. `copy` has been verified, and lies where the catalogue says."""
    logged = copy.standing | copy.attested
    found = {".".join(table): table for zone in get_args(TableZone) for table in tables.identifiers(zone)}
    for name in sorted(found.keys() | logged.keys()):
        place, wanted = f"Iceberg's catalogue, {name}", logged.get(name)
        if wanted is None:
            yield Finding(place, "the log does not know this table")
        elif name not in found:
            yield Finding(place, "the table is missing")
        else:
            yield from _leads(tables, copy, place, found[name], wanted)


def _leads(tables: Tables, copy: Copy, place: str, table: tuple[str, str], wanted: str) -> Iterator[Finding]:
    try:
        leads = tables.metadata_file(table).removeprefix("file://")
    except (LakeError, OSError, ValueError):
        yield Finding(place, "the metadata that it leads to cannot be read")
        return
    if leads != copy.uri(wanted).removeprefix("file://"):
        yield Finding(place, "it leads readers to other metadata than was logged last")
