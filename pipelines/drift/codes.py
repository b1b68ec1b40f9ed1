"""Codes that are in no list: which were written at the source, how often, and what to do. Their rows are set aside.

A code list is public, so what stands in its field is told as it is, up to grade 2 and but for identifiers that have
slipped into it; from grade 3 on the number alone. A row whose cells have moved puts names and addresses there: a text
is told only if it is as short as a code or label and stands in more than a few rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.casting.text import convert
from pipelines.masks.redact import redact
from schemas.model import Field, Redact

TOLD_UP_TO: Final = 2
"""The highest grade of which a value is told (GB/T 43697)."""
MOST: Final = 50
"""Different texts that are told of a field, the most frequent; the rest count as others."""
FEWEST: Final = 5
"""Rows of a batch in which a text stands at least that is told: 1/5 is the limit of a class in a controlled release
(GB/T 42460)."""
LONGEST: Final = 20
"""Characters of a text that is told, and no more than the longest code or label of its list has."""
OTHERS: Final = "…"
_COUNTED: Final = 1000
"""Different texts that are counted of a field: those that are told must not be crowded out by those that are not."""
Unknown = dict[str, Counter[str]]
"""Texts and how often each stands there, by field; of one batch, and in memory only."""


def note(unknown: Unknown, field: Field, longest: int, values: pa.Array, failed: pa.Array) -> None:
    """Count the values of a column that no code list explains; `longest` is the length of the list's longest text."""
    if field.codes is None or not pc.any(failed).as_py():
        return
    found = unknown.setdefault(field.name, Counter())
    if field.grade > TOLD_UP_TO:
        found[OTHERS] += pc.sum(failed).as_py()
        return
    counts = pc.value_counts(pc.fill_null(convert(values.filter(failed), pa.string()), ""))
    texts = counts.field("values")
    short = pc.less_equal(pc.utf8_length(texts), min(longest, LONGEST))
    shown = redact(pc.if_else(short, texts, OTHERS), Redact(), field).to_pylist()
    add(found, zip(shown, counts.field("counts").to_pylist(), strict=True))


def add(found: Counter[str], texts: Iterable[tuple[str, int]]) -> None:
    """Count these texts too; once there are many different ones, new ones as others."""
    for text, rows in texts:
        found[text if text in found or len(found) < _COUNTED else OTHERS] += rows


def told(unknown: Unknown) -> dict[str, dict[str, int]]:
    """What the batch's record says of each field: texts that stand in more than a few rows, and how many rows hold
    others."""
    return {name: _told(texts) for name, texts in unknown.items()}


def _told(texts: Counter[str]) -> dict[str, int]:
    frequent = [(text, rows) for text, rows in texts.most_common() if text != OTHERS and rows >= FEWEST]
    said = dict(frequent[:MOST])
    others = texts.total() - sum(said.values())
    return said | ({OTHERS: others} if others else {})


def sentences(fields: Mapping[str, Field], unknown: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """What to do about each field, the most frequent text first."""
    for name, texts in unknown.items():
        ranked = sorted(texts.items(), key=lambda each: (-each[1], each[0]))
        listed = ", ".join(f"`{text}` ({rows:,} rows)" for text, rows in ranked if text != OTHERS)
        others = f"{texts[OTHERS]:,} rows hold texts that are not told" if texts.get(OTHERS) else ""
        what = "; ".join(filter(None, (listed, others)))
        codes = fields[name].codes if name in fields else None
        yield (
            f"codes of `{name}` that are not in schemas/codes/{codes}.csv: {what}: "
            "add each as a code or an alias and replay, or have the source corrected"
        )
