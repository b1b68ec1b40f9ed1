"""Whoever was erased does not come back with the next delivery: rows of theirs are erased as they are collected.

The lake knows them by the keyed digests in the certificates of erasure. Compared are the fields of the identifier's
element; an identifier within a text is not recognised by its digest. It ends when the erasure is lifted
(`xuanwu erase --lift`): nothing in a delivery tells a person who comes anew from one whom a source has kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from lake import erasures, landing, store
from lake.records import Landed, LandedFile
from pipelines.context import Context
from pipelines.erasure.originals import without
from pipelines.erasure.subject import digest_of, texts_of
from pipelines.keys import Key, load_key
from pipelines.readers import read
from pipelines.telling import file_name
from schemas.model import Entry

_UNSAFE: Final = re.compile(r"[\x00-\x1f/\\]+")


def suppressed(ctx: Context, entry: Entry, landed: Landed) -> Landed:
    """The batch without the rows of persons who were erased; landed again where there were any.

    MaskError where the key of an erasure's digests is missing: then nobody could be recognised."""
    wanted = _wanted(ctx)
    columns = {f.source or f.name: f.element for f in entry.collected.values() if f.element in wanted}
    if not columns:
        return landed
    rows = {file: sorted(_rows(file, entry, columns, wanted)) for file in landed.files}
    if not any(rows.values()):
        return landed
    return replaced(ctx, entry, landed, rows)


def erased(ctx: Context, element: str, values: pa.Array) -> pa.Array:
    """Which of these values of an element (text) are those of persons who were erased; booleans, none null."""
    wanted = _wanted(ctx).get(element, [])
    return pc.is_in(values, pa.array(sorted(_known(wanted, element, values)), pa.string()))


def _wanted(ctx: Context) -> dict[str | None, list[tuple[Key, set[str]]]]:
    """Element → the digests of its erased values, by key."""
    load = cache(lambda version: load_key(version, ctx.connect))
    found: dict[str | None, dict[str, set[str]]] = {}
    for erasure in erasures.in_force(ctx.settings.lake_root):
        for each in erasure.subject:
            found.setdefault(each.element, {}).setdefault(each.key_version, set()).add(each.digest)
    return {
        element: [(load(version), digests) for version, digests in keys.items()]
        for element, keys in found.items()
    }


def _rows(
    file: LandedFile,
    entry: Entry,
    columns: dict[str, str | None],
    wanted: dict[str | None, list[tuple[Key, set[str]]]],
) -> Iterator[int]:
    for batch in read(file, entry.source, list(columns)):
        for name, element in columns.items():
            texts = texts_of(batch[name])
            if texts is None:
                continue
            if hits := _known(wanted[element], str(element), texts):
                yield from batch["_row"].filter(pc.is_in(texts, pa.array(sorted(hits)))).to_pylist()


def _known(wanted: list[tuple[Key, set[str]]], element: str, texts: pa.Array) -> set[str]:
    """The texts whose digests are among these."""
    values, hits = pc.unique(texts.drop_null()).to_pylist(), set[str]()
    for key, digests in wanted:
        found = digest_of(key, element, values)
        hits |= {value for value, digest in zip(values, found, strict=True) if digest in digests}
    return hits


def replaced(ctx: Context, entry: Entry, landed: Landed, rows: dict[LandedFile, list[int]]) -> Landed:
    """Land the batch anew without these rows of its files. An archive's members become files of their own."""
    new = rewritten(entry, landed, rows)
    landing.replace(ctx.settings, new)
    return new


def rewritten(entry: Entry, landed: Landed, rows: dict[LandedFile, list[int]]) -> Landed:
    """The new files, which no manifest names yet, and the manifest that would."""
    touched = {file.path for file, gone in rows.items() if gone}
    files = tuple(
        without(file, entry, rows.get(file, []), _path(file, number)) if file.path in touched else file
        for number, file in enumerate(landed.files, 1)
    )
    return landed.model_copy(update={"files": files, "rows": sum(file.rows for file in files)})


def _path(file: LandedFile, number: int) -> str:
    """Beside the original, and other than any name that it had before."""
    folder, _, before = file.path.rpartition("/")
    label = file_name((file.member or file.origin).rpartition("/")[2].removesuffix(".gz"))
    safe = _UNSAFE.sub("_", label).strip(". ")[-60:].lstrip(". ") or "file"
    turn = re.match(r"\d{5}e(\d+)-", before)
    return store.join(folder, f"{number:05d}e{int(turn[1]) + 1 if turn else 1}-{safe}")
