"""Which mask fits which type, and which of two masks hides less."""

from __future__ import annotations

from schemas.model import Clip, Generalise, Mask, Partial, Redact, Round, TypeName

NUMBERS = ("integer", "decimal", "number")
PLACES = ("district", "city", "province")
TIMES = ("day", "month", "quarter", "year", "decade")
_FITS: dict[str, tuple[str, ...]] = {
    "round": NUMBERS,
    "clip": NUMBERS,
    "noise": NUMBERS,
    "partial": ("string",),
    "redact": ("string",),
    "fpe": ("string",),
}
_STRENGTH = {
    "keep": 0,
    "redact": 1,
    "round": 1,
    "clip": 1,
    "noise": 1,
    "partial": 2,
    "generalise": 2,
    "fpe": 3,
    "hmac": 4,
    "constant": 5,
    "drop": 6,
}
"""Rising: what is shown is the value, most of it, a part or class of it, whether two are equal (and, to whoever has the
key, the value), whether two are equal, nothing."""


def misfit(mask: Mask, kind: TypeName) -> tuple[str, str] | None:
    """Why a mask cannot be applied to a type, and what is expected; None where it can."""
    if kind not in _FITS.get(mask.kind, (kind,)):
        return f"{mask.kind} does not fit type {kind}", f"a field of type {' or '.join(_FITS[mask.kind])}"
    if isinstance(mask, Generalise):
        return _generalise(mask, kind)
    if isinstance(mask, Clip):
        return _clip(mask)
    if kind == "binary" and mask.kind not in ("keep", "drop", "hmac", "constant"):
        return f"{mask.kind} does not fit type binary", "keep, drop, hmac or constant"
    return None


def _generalise(mask: Generalise, kind: TypeName) -> tuple[str, str] | None:
    if (mask.to is None) == (mask.bins is None):
        return "generalise needs `to` or `bins`, one of them", "{kind: generalise, to: month}"
    if mask.bins is not None:
        if kind not in NUMBERS:
            return f"bins do not fit type {kind}", f"a field of type {' or '.join(NUMBERS)}"
        rising = all(low < high for low, high in zip(mask.bins, mask.bins[1:], strict=False))
        return None if mask.bins and rising else ("bins are not rising", "lower bounds, rising: [0, 18, 60]")
    if mask.to in TIMES and kind not in ("date", "timestamp"):
        return f"generalise to {mask.to} does not fit type {kind}", "a field of type date or timestamp"
    if mask.to in PLACES and kind != "string":
        return f"generalise to {mask.to} does not fit type {kind}", "a division code, of type string"
    return None


def _clip(mask: Clip) -> tuple[str, str] | None:
    if mask.min is None and mask.max is None:
        return "clip needs `min`, `max` or both", "{kind: clip, max: 100}"
    if mask.min is not None and mask.max is not None and mask.min >= mask.max:
        return f"clip has min {mask.min:g} not below max {mask.max:g}", "min below max"
    return None


def weaker(mask: Mask, base: Mask) -> bool:
    """Whether `mask` hides less than `base`. Two that cannot be compared (a part, a class) are equally
    strong."""
    if mask.kind != base.kind:
        return _STRENGTH[mask.kind] < _STRENGTH[base.kind]
    if isinstance(mask, Partial) and isinstance(base, Partial):
        return mask.first > base.first or mask.last > base.last
    if isinstance(mask, Generalise) and isinstance(base, Generalise):
        return _finer(mask, base)
    if isinstance(mask, Round) and isinstance(base, Round):
        return mask.to < base.to
    if isinstance(mask, Redact) and isinstance(base, Redact):
        return not set(base.what) <= set(mask.what)
    return isinstance(mask, Clip) and isinstance(base, Clip) and _wider(mask, base)


def _finer(mask: Generalise, base: Generalise) -> bool:
    for steps in (PLACES, TIMES):
        if mask.to in steps and base.to in steps:
            return steps.index(mask.to) < steps.index(base.to)
    return bool(mask.bins and base.bins) and not set(mask.bins or ()) <= set(base.bins or ())


def _wider(mask: Clip, base: Clip) -> bool:
    low = base.min is not None and (mask.min is None or mask.min < base.min)
    return low or (base.max is not None and (mask.max is None or mask.max > base.max))
