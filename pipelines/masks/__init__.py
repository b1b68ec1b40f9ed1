"""Masks: what makes a column fit to be read outside the curated zone. One module per family, one table here.

`apply` takes a column of Arrow values and gives the column of `schemas.arrow.masked_type`, row for row. Null
stays null, except under `constant`, which replaces every value so that absence is not told either. No message
ever holds a value: a mask that does not fit is a `MaskError` with the field, the mask and the form expected.

    keep                       as it is
    hmac, fpe                  `tokens`, `fpe`: tokens, and numbers of the same form, that join within one domain
    partial, redact            `partial`, `redact`: text with the telling characters taken out
    generalise                 `generalise`: coarser places, dates and numbers
    round, clip, constant      `numbers`, and below
    noise                      `pipelines.publishing.noise`, in a publication only
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import pyarrow as pa

from pipelines.masks.arrays import plain
from pipelines.masks.generalise import generalise
from pipelines.masks.numbers import clip, round_to
from pipelines.masks.partial import partial
from pipelines.masks.redact import redact
from pipelines.masks.tokens import Tokens
from schemas.arrow import field_type, masked_type
from schemas.errors import MaskError
from schemas.model import Constant, Field, Fpe, Hmac, Keep, Mask, Noise
from schemas.rules.masks import misfit

RULES = 5
"""Raised whenever a mask's output changes for the same input, so that what was published is published
anew."""


def _keep(values: pa.Array, mask: Keep, field: Field) -> pa.Array:
    return values


def _constant(values: pa.Array, mask: Constant, field: Field) -> pa.Array:
    return pa.repeat(pa.scalar(mask.value, pa.string()), len(values))


def _noise(values: pa.Array, mask: Noise, field: Field) -> pa.Array:
    if len(values):
        raise _unfit(mask, field, "noise is drawn by a publication only, from a budget", "no rows")
    return values


MASKS: dict[str, Callable[[pa.Array, Any, Field], pa.Array]] = {
    "keep": _keep,
    "partial": partial,
    "generalise": generalise,
    "round": round_to,
    "clip": clip,
    "constant": _constant,
    "noise": _noise,
    "redact": redact,
}
"""Mask kind to function; `hmac` and `fpe` are not here because they need the key, and `drop` leaves no column."""
_LONG = {kind: place for place, kind in enumerate(("fpe", "redact", "hmac"))}
"""Masks that take longer than the rest of a batch together, the slowest first."""


def apply(
    values: pa.Array | pa.ChunkedArray, mask: Mask, field: Field, tokens: Tokens | None = None
) -> pa.Array:
    """The masked column: as many rows, in the same order, of `schemas.arrow.masked_type(field, mask)`.

    `values` is of the field's type, in any of Arrow's layouts (sliced, chunked, dictionary, large, view).
    Raises MaskError where the mask does not fit the field, a result does not fit its type, or `hmac` or `fpe`
    has no key.
    """
    check_fit(mask, field)
    column = plain(values)
    if column.type != field_type(field):
        raise _unfit(mask, field, f"the column is {column.type}", str(field_type(field)))
    try:
        masked = _masked(column, mask, field, tokens)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # Arrow's message quotes the value
        raise _unfit(mask, field, "a masked value does not fit the field's type", "room for it") from None
    return masked if masked.type == masked_type(field, mask) else masked.cast(masked_type(field, mask))


def masked_rows(
    batch: pa.RecordBatch,
    plan: Mapping[str, Mask],
    fields: Mapping[str, Field],
    tokens: Tokens | None,
    pool: Executor | None = None,
) -> pa.RecordBatch:
    """The plan's columns of the batch, masked, in the types of `schemas.arrow.published_schema`; several at a time
    where there is a pool, those first that take longest."""

    def column(name: str) -> pa.Array:
        return apply(batch.column(name), plan[name], fields[name], tokens)

    names = sorted(plan, key=lambda name: _LONG.get(plan[name].kind, len(_LONG)))
    masked = dict(zip(names, pool.map(column, names) if pool else map(column, names), strict=True))
    schema = pa.schema([(name, masked_type(fields[name], mask)) for name, mask in plan.items()])
    return pa.RecordBatch.from_arrays([masked[name] for name in plan], schema=schema)


def _masked(column: pa.Array, mask: Mask, field: Field, tokens: Tokens | None) -> pa.Array:
    if not isinstance(mask, Hmac | Fpe):
        return MASKS[mask.kind](column, mask, field)
    if tokens is None:
        raise _unfit(mask, field, "there is no key", "the tokens of a loaded key")
    return tokens.of(column, mask)


def check_fit(mask: Mask, field: Field) -> None:
    """MaskError where a mask cannot stand on a field of this type, whatever the values."""
    if mask.kind == "drop":
        raise _unfit(mask, field, "a dropped field has no column", "a field that is published")
    if found := misfit(mask, field.type):
        raise _unfit(mask, field, *found)


def check_plan(plan: dict[str, Mask], fields: dict[str, Field], tokens: Tokens | None) -> None:
    """Try every mask of a plan on no rows, so that one that cannot work is found before anything is
    written."""
    for name, mask in plan.items():
        apply(pa.array([], field_type(fields[name])), mask, fields[name], tokens)


def _unfit(mask: Mask, field: Field, why: str, expected: str) -> MaskError:
    return MaskError(
        f"mask {mask.kind} cannot be applied: {why}",
        field=field.name,
        rule=mask.kind,
        expected=expected,
        next_step="choose a mask that fits the field's type in the catalogue, or correct the type",
    )
