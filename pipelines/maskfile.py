"""Mask a file outside the lake, as its dataset would be published: the same readers, casts, masks and key.

The file has the entry's columns, by the fields' names or by those of the source (then read as the entry's source
says). Rows keep their order and nothing is checked but that every value converts: the gates of a publication, leaks
and disclosure risk, are not passed here, and nothing is certified.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa

from lake.records import LandedFile
from pipelines.casting.casts import Cast, cast
from pipelines.casting.converting import Column, codes_of, pieces
from pipelines.context import Context
from pipelines.downloads.delimited import write_csv
from pipelines.downloads.lines import write_jsonl
from pipelines.downloads.parquet import write_parquet
from pipelines.masks import apply
from pipelines.masks.plan import planned
from pipelines.masks.tokens import Tokens
from pipelines.readers import read
from pipelines.telling import file_name
from schemas.arrow import published_schema
from schemas.errors import SourceError
from schemas.model import Entry, FileSource, Mask, Zone

Format = Literal["csv", "tsv", "parquet", "excel"]
READ: Final[dict[str, Format]] = {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".xlsx": "excel"}
WRITE: Final = {".csv": write_csv, ".jsonl": write_jsonl, ".parquet": write_parquet}


@dataclass(frozen=True)
class MaskedFile:
    """`fields` were written; `absent` are published fields that the file does not have, since they are obtained by
    sharing."""

    rows: int
    fields: tuple[str, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True)
class _Form:
    """One way the file may be written: how it is read, and which column gives each field."""

    source: FileSource
    columns: dict[str, str]

    @property
    def sources(self) -> list[str]:
        return list(dict.fromkeys(self.columns.values()))


@dataclass
class _Work:
    """What every batch of rows is given; `rows` counts those written."""

    entry: Entry
    file: LandedFile
    form: _Form
    columns: list[Column]
    plan: dict[str, Mask]
    tokens: Tokens | None
    rows: int = 0

    @property
    def schema(self) -> pa.Schema:
        return published_schema(self.entry, self.plan)


def mask_file(
    ctx: Context,
    path: Path,
    output: Path,
    *,
    entry: Entry,
    zone: Zone,
    policy: str,
    encoding: str | None = None,
    key_version: str | None = None,
) -> MaskedFile:
    """Write the masked columns of `path` to `output` (CSV, JSON Lines or Parquet by its suffix), or nothing at all.

    `key_version` is that of an older key, whose tokens are to be joined with. MaskError where the policy grants nothing
    or its key is missing; SourceError where the file cannot be read, lacks a
    column, or has a row that does not convert."""
    write = WRITE.get(output.suffix.lower())
    if write is None:
        raise SourceError("no such output format", file=file_name(output.name), expected=" or ".join(WRITE))
    if output.resolve() == path.resolve():
        told = file_name(path.name)
        raise SourceError("the output would replace the file itself", file=told, expected="another name")
    granted = planned(ctx, entry, zone, policy, key_version=key_version)
    file = _file(path)
    form = _form(file, _forms(file, entry, list(granted.plan), encoding))
    work = _Work(
        entry=entry,
        file=file,
        form=form,
        columns=[
            Column(entry.fields[name], source, codes_of(entry, entry.fields[name], ctx.catalogue))
            for name, source in form.columns.items()
        ],
        plan={name: mask for name, mask in granted.plan.items() if name in form.columns},
        tokens=granted.tokens(),
    )
    write(str(output.resolve()), pa.RecordBatchReader.from_batches(work.schema, _masked(work)))
    absent = tuple(name for name in granted.plan if name not in work.plan)
    return MaskedFile(work.rows, tuple(work.plan), absent)


# ── the file ──────────────────────────────────────────────────────────────────────────────────────────────


def _file(path: Path) -> LandedFile:
    kind = READ.get(path.suffix.lower())
    if kind is None:
        raise SourceError("no such input format", file=file_name(path.name), expected=" or ".join(READ))
    if not path.is_file():
        raise SourceError("there is no such file", file=file_name(path.name))
    size = path.stat().st_size
    return LandedFile(path=str(path.resolve()), origin=path.name, sha256="", size=size, rows=0, format=kind)


def _forms(file: LandedFile, entry: Entry, names: list[str], encoding: str | None) -> Iterator[_Form]:
    """By the fields' names, with and without those obtained by sharing; then as the entry's source gives it."""
    plain = FileSource.model_validate(
        {"kind": "file", "path": file.origin, "format": file.format, "encoding": encoding}
    )
    yield _Form(plain, {name: name for name in names})
    collected = {name: entry.collected[name].source or name for name in names if name in entry.collected}
    if collected:
        yield _Form(plain, {name: name for name in collected})
        own = entry.source if isinstance(entry.source, FileSource) else plain
        own = own if own.format == file.format else plain
        yield _Form(own.model_copy(update={"encoding": encoding or own.encoding}), collected)


def _form(file: LandedFile, forms: Iterator[_Form]) -> _Form:
    """The first form that the file's columns fit; the error of the first one if they fit none."""
    errors = []
    for form in forms:
        try:
            next(read(file, form.source, form.sources), None)
        except SourceError as error:
            errors.append(error)
        else:
            return form
    raise errors[0]


# ── its rows ──────────────────────────────────────────────────────────────────────────────────────────────


def _masked(work: _Work) -> Iterator[pa.RecordBatch]:
    excel = work.file.format == "excel"
    for batch in read(work.file, work.form.source, work.form.sources):
        for raw in pieces(batch):
            casts = {c.field.name: cast(raw[c.source], c.field, c.codes, excel=excel) for c in work.columns}
            _require_good(raw, casts, file_name(work.file.origin))
            masked = [
                apply(casts[name].values, mask, work.entry.fields[name], work.tokens)
                for name, mask in work.plan.items()
            ]
            work.rows += raw.num_rows
            yield pa.RecordBatch.from_arrays(masked, schema=work.schema)


def _require_good(raw: pa.RecordBatch, casts: dict[str, Cast], file: str) -> None:
    """SourceError with the first row that cannot be read or converted, and never its value."""
    next_step = "correct the file, or leave the row out"
    malformed = raw["_error"].is_valid()
    if malformed.true_count:
        row = raw.select(["_row", "_error"]).filter(malformed).slice(0, 1).to_pylist()[0]
        raise SourceError(
            "a row cannot be read; nothing was written",
            file=file,
            row=row["_row"],
            rule=row["_error"],
            next_step=next_step,
        )
    for name, found in casts.items():
        if found.failed.true_count:
            raise SourceError(
                "a value does not convert; nothing was written",
                file=file,
                row=raw["_row"].filter(found.failed)[0].as_py(),
                field=name,
                rule=found.rule,
                expected=found.expected,
                next_step=next_step,
            )
