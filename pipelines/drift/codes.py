"""Codes that are in no list: which were written at the source, how often, and what to do. Their rows are set aside.

A code list is public, so what stands in its field is told as it is, up to grade 2 and but for identifiers that have
slipped into it; from grade 3 on the number alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.casting.text import convert
from pipelines.masks.redact import redact
from schemas.model import Field, Redact

TOLD_UP_TO: Final = 2
"""The highest grade of which a value is told (GB/T 43697)."""
MOST: Final = 50
"""Different texts that are told of a field; what comes after them counts as others."""
OTHERS: Final = "…"
_LONGEST: Final = 40
Unknown = dict[str, Counter[str]]
"""Texts and how often each stands there, by field."""


def note(unknown: Unknown, field: Field, values: pa.Array, failed: pa.Array) -> None:
    """Count the values of a column that no code list explains."""
    if field.codes is None or not pc.any(failed).as_py():
        return
    found = unknown.setdefault(field.name, Counter())
    if field.grade > TOLD_UP_TO:
        found[OTHERS] += pc.sum(failed).as_py()
        return
    counts = pc.value_counts(convert(values.filter(failed), pa.string()))
    texts = pc.utf8_slice_codeunits(counts.field("values"), 0, _LONGEST)
    told = redact(pc.fill_null(texts, ""), Redact(), field).to_pylist()
    for text, rows in zip(told, counts.field("counts").to_pylist(), strict=True):
        found[text if text in found or len(found) < MOST else OTHERS] += rows


def sentences(fields: Mapping[str, Field], unknown: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """What to do about each field, the most frequent text first."""
    for name, texts in unknown.items():
        ranked = sorted(texts.items(), key=lambda each: (-each[1], each[0]))
        told = ", ".join(f"`{text}` ({rows:,} rows)" for text, rows in ranked if text != OTHERS)
        others = f"{texts[OTHERS]:,} rows hold others" if texts.get(OTHERS) else ""
        codes = fields[name].codes if name in fields else None
        yield (
            f"codes of `{name}` that are not in schemas/codes/{codes}.csv: {'; '.join(filter(None, (told, others)))}: "
            "add each as a code or an alias and replay, or have the source corrected"
        )
