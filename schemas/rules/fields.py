"""Fields keep to their element and origin (they may tighten, never loosen), and say only what fits their
type."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import get_args
from zoneinfo import ZoneInfo

from schemas.draft import Draft
from schemas.findings import Finding, KeyPath, near
from schemas.formats import parse_format
from schemas.house import House
from schemas.model import ElementFile, EntryFile, Field, FieldFile, Masks, Policy, Risk
from schemas.rules.masks import misfit, weaker

MOMENTS = ("date", "timestamp")
_FITS = {
    "formats": MOMENTS,
    "timezone": ("timestamp",),
    "codes": ("string",),
    "length": ("string",),
    "precision": ("decimal",),
    "scale": ("decimal",),
}
RESERVED = ("file_row_number",)
"""Columns that DuckDB adds to a Parquet file's own: it refuses a file that has one of the name."""
_MOST = ("length", "precision", "scale")
_NO_MASKS = Masks()
_RISKS = get_args(Risk)


def names_free(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """No field has a name that the engine needs for itself."""
    for name in RESERVED:
        if name in written.fields:
            expected = f"another name here, and `source: {name}`"
            yield Finding(("fields", name), "the engine needs this name for a column of its own", expected)


def own_element_kept(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """A field may tighten its element, never loosen it."""
    for name, field in written.fields.items():
        element = house.elements.get(field.element or "")
        if element is not None:
            for key, why, expected in _loosened(field, element):
                message = f"loosens element `{field.element}`: {why}"
                yield Finding(("fields", name, *key.split(".")), message, expected)


def _loosened(field: FieldFile, element: ElementFile) -> Iterator[tuple[str, str, str]]:
    if field.grade is not None and element.grade is not None and field.grade < element.grade:
        yield (
            "grade",
            f"grade {field.grade} is below its {element.grade}",
            f"{element.grade} or more, or no `grade`",
        )
    for key in ("type", "codes"):
        own, base = getattr(field, key), getattr(element, key)
        if own is not None and base is not None and own != base:
            yield key, f"{own} is not its {base}", f"`{base}`, or no `{key}`"
    for key in _MOST:
        own, base = getattr(field, key), getattr(element, key)
        if own is not None and base is not None and own > base:
            yield key, f"{own} is more than its {base}", f"{base} at most"
    if own_risk := less_risky(field.risk, element.risk):
        yield "risk", own_risk, f"`{element.risk}` or more, or no `risk`"
    if element.normalise and (lost := set(element.normalise) - set(field.normalise or element.normalise)):
        lost_names = ", ".join(sorted(lost))
        yield "normalise", f"leaves out its {lost_names}", f"all of [{', '.join(element.normalise or ())}]"
    own_masks, masks = field.mask or _NO_MASKS, element.mask or _NO_MASKS
    for zone, own, base in (("share", own_masks.share, masks.share), ("open", own_masks.open, masks.open)):
        if own is not None and base is not None and weaker(own, base):
            yield f"mask.{zone}", f"{own.kind} hides less than its {base.kind}", f"`{base.kind}` or stronger"


def less_risky(own: Risk | None, base: Risk | None) -> str:
    """Why a risk loosens another; empty where it does not."""
    loosens = own is not None and base is not None and _RISKS.index(own) < _RISKS.index(base)
    return f"risk {own} is below its {base}" if loosens else ""


def origin_kept(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """A field obtained by sharing has the type of its origin, at least its grade, and a collected origin
    (Decree 809, Art. 25: no onward supply)."""
    for name, field in draft.fields.items():
        other = house.by_id.get(field.shared_from.dataset) if field.shared_from else None
        source = other.fields.get(field.shared_from.field) if other and field.shared_from else None
        if source is None or field.shared_from is None:
            continue
        where = f"{field.shared_from.dataset}.{source.name}"
        if field.type != source.type:
            expected = f"`type: {source.type}`"
            yield Finding(("fields", name, "type"), f"{field.type} is not the type of `{where}`", expected)
        if field.grade < source.grade:
            why = f"loosens its origin: grade {field.grade} is below the {source.grade} of `{where}`"
            yield Finding(("fields", name, "grade"), why, f"{source.grade} or more")
        if loosened := less_risky(field.risk, source.risk):
            yield Finding(
                ("fields", name, "risk"), f"loosens its origin `{where}`: {loosened}", f"`{source.risk}`"
            )
        if source.shared_from is not None:
            first = f"{source.shared_from.dataset}.{source.shared_from.field}"
            why = f"`{where}` is itself obtained by sharing, from `{first}`"
            yield Finding(("fields", name, "from"), why, f"`from: {first}`")


def key_required(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """A key that may be empty is no key."""
    for name in written.key:
        field = written.fields.get(name)
        if field is not None and field.required is False:
            yield Finding(
                ("fields", name, "required"), "a field of the key is always required", "no `required: false`"
            )


def options_fit_type(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """A field says what its type can have."""
    for name, own in written.fields.items():
        field = draft.fields.get(name)
        if field is not None:
            yield from unfit_options(own, field.type, field.precision, field.scale, ("fields", name))
        if own.shared_from is not None and own.source is not None:
            why = "a field has either `from:` or `source:`: it is obtained by sharing, never collected"
            yield Finding(("fields", name, "source"), why, "no `source`")
        if own.shared_from is None and own.on is not None:
            yield Finding(("fields", name, "on"), "says nothing without `from:`", "`from:` too, or no `on`")


def unfit_options(
    own: FieldFile | ElementFile, kind: str | None, precision: int, scale: int, path: KeyPath
) -> Iterator[Finding]:
    """What a field or element says that its type cannot have; a scale above the precision."""
    for key, kinds in _FITS.items():
        if getattr(own, key, None) is not None and kind is not None and kind not in kinds:
            yield Finding(
                (*path, key), f"says nothing to type {kind}", f"a field of type {' or '.join(kinds)}"
            )
    if kind == "decimal" and scale > precision and (own.scale is not None or own.precision is not None):
        why = f"scale {scale} is above precision {precision}"
        yield Finding((*path, "scale"), why, "digits after the point, at most all digits (`precision`)")


def formats_known(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """Formats are forms of strptime that name a day, as `schemas.formats` reads whole columns by them."""
    for name, field in written.fields.items():
        yield from unknown_formats(field.formats or (), ("fields", name))


def unknown_formats(formats: tuple[str, ...], path: KeyPath) -> Iterator[Finding]:
    """The formats of a field or element that no column can be read by."""
    for number, form in enumerate(formats):
        try:
            parse_format(form)
        except ValueError as error:
            expected = str(error).rpartition("expected ")[2]
            yield Finding((*path, "formats", number), f"the form `{form}` cannot be read", expected)


def zone_known(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """Time zones are names of the IANA database."""
    for name, field in written.fields.items():
        if field.timezone is not None and not is_zone(field.timezone):
            yield Finding(
                ("fields", name, "timezone"),
                f"no time zone `{field.timezone}`",
                "such as Asia/Shanghai or UTC",
            )


@lru_cache(maxsize=100)
def is_zone(name: str) -> bool:
    """Whether the IANA database has this zone. A name that is one of its folders raises OSError."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def codes_known(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """A code list is a file of codes/."""
    for name, field in written.fields.items():
        if field.codes is not None:
            yield from unknown_codes(field.codes, ("fields", name, "codes"), house)


def unknown_codes(codes: str, path: KeyPath, house: House) -> Iterator[Finding]:
    """A code list that is not there."""
    if not house.knows("codes", codes):
        yield Finding(
            path, f"no code list `{codes}`" + near(codes, house.codes), "a file of codes/, without .csv"
        )


def masks_fit(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """The masks that stand anywhere in the entry fit the types of the fields they are for."""
    for name, own in written.fields.items():
        if own.mask is not None and name in draft.fields:
            yield from unfit_masks(own.mask, draft.fields[name], ("fields", name, "mask"))
    policies: list[tuple[KeyPath, Policy]] = [(("open", "mask"), written.open)] if draft.has("open") else []
    if draft.has("share"):
        shared = written.share.policies.items()
        policies += [(("share", "policies", name, "mask"), policy) for name, policy in shared]
    for path, policy in policies:
        for name, mask in policy.mask.items():
            why = misfit(mask, draft.fields[name].type) if name in draft.fields else None
            if why:
                yield Finding((*path, name), *why)


def unfit_masks(masks: Masks, field: Field, path: KeyPath) -> Iterator[Finding]:
    """The masks of one field that its type cannot take."""
    for zone in ("share", "open"):
        mask = getattr(masks, zone)
        why = misfit(mask, field.type) if mask is not None else None
        if why:
            yield Finding((*path, zone), *why)
