"""Landed files made by hand, and their rows as plain dicts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lake.records import LandedFile
from lake.store import sha256_of
from pipelines.readers import read
from schemas.model import FileSource


def landed(path: Path, form: str, *, encoding: str | None = None, member: str | None = None) -> LandedFile:
    """A file as the landing zone's manifest describes it."""
    return LandedFile(
        path=str(path),
        origin=path.name,
        sha256=sha256_of(str(path)),
        size=path.stat().st_size,
        rows=0,
        format=form,  # type: ignore[arg-type]
        encoding=encoding,
        member=member,
    )


def source(form: str, **more: Any) -> FileSource:
    return FileSource.model_validate({"kind": "file", "path": "*", "format": form, **more})


def rows(
    path: Path, form: str, wanted: Sequence[str], notes: list[str] | None = None, **more: Any
) -> list[dict[str, Any]]:
    """Every row of a file, markers included."""
    found = read(landed(path, form), source(form, **more), wanted, notes)
    return [row for batch in found for row in batch.to_pylist()]


def good(path: Path, form: str, wanted: Sequence[str], **more: Any) -> list[tuple[Any, ...]]:
    """The cells of every row; no row may be malformed."""
    found = rows(path, form, wanted, **more)
    assert all(row["_error"] is None and row["_raw"] is None for row in found)
    return [tuple(row[name] for name in wanted) for row in found]


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return [row["_row"] for row in found]
