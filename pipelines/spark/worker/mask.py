"""Masked rows of a curated file, and their way into the files of a share table."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from lake import live, store
from pipelines.keys import Key
from pipelines.masks import masked_rows
from pipelines.masks.tokens import Tokens
from pipelines.publishing.origins import Origins
from pipelines.spark import frames
from schemas.model import Field, Mask


@dataclass(frozen=True)
class Shared:
    """What every task is given. The key goes to the workers as rows do: see `session`."""

    plan: dict[str, Mask]
    fields: dict[str, Field]
    key: Key | None
    domain: str
    curated: pa.Schema
    form: pa.Schema
    origins: Origins
    folder: str


def mask(shared: Shared, unit: tuple[int, frames.DataFile]) -> str:
    """On a worker: the rows of a curated file, masked, with where they lie."""
    number, file = unit
    tokens = Tokens(shared.key, shared.domain) if shared.key else None
    path = store.join(shared.folder, f"{number:05d}.parquet")
    gone = frames.gone(file)
    with store.atomic_parquet(path, shared.form, statistics=False) as writer:
        found = live.rows(file.path, gone, shared.curated, list(shared.plan))
        masked = (
            shared.origins.added(masked_rows(batch, shared.plan, shared.fields, tokens), file.path, places)
            for batch, places in found
        )
        for group in store.row_groups(masked, shared.form):
            writer.write_table(group)
    return path


def write(origins: Origins, folder: str, schema: pa.Schema, rows: frames.Batches, prefix: str) -> list[str]:
    """Data files of the share table, and the origins beside each."""
    return origins.writer(rows, prefix)(folder, schema)
