"""From fields as written to fields as the stages read them: elements applied, defaults filled in, `from:`
traced."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from schemas.draft import Draft
from schemas.findings import Finding, KeyPath, listed, near
from schemas.model import (
    Check,
    ElementFile,
    Entry,
    EntryFile,
    Field,
    FieldFile,
    Licence,
    Masks,
    Model,
    Numbers,
    Open,
    SharedFrom,
    Title,
)

INHERITED = (
    "type",
    "grade",
    "formats",
    "codes",
    "normalise",
    "precision",
    "scale",
    "length",
    "risk",
    "ladder",
)
FROM = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){1,2}")
NOT_NULL = "expect_column_values_to_not_be_null"
_NO_MASKS = Masks()


def merged_masks(own: Masks | None, base: Masks | None) -> Masks | None:
    """Zone by zone, one's own mask, else the one inherited."""
    if own is None or base is None:
        return own or base
    return Masks(share=own.share or base.share, open=own.open or base.open)


def apply_likes(
    written: Mapping[str, ElementFile], known: Callable[[str], bool]
) -> tuple[dict[str, ElementFile], list[Finding]]:
    """Elements with their `like:` chains applied, and the chains that end nowhere or in themselves."""
    done: dict[str, ElementFile] = {}
    findings: list[Finding] = []
    for name, element in written.items():
        chain = [name]
        while (base := written[chain[-1]].like) in written and base not in chain:
            chain.append(str(base))
        done[name] = element
        if element.like and not known(element.like):
            unknown = f"no element `{element.like}`" + near(element.like, written)
            findings.append(Finding((name, "like"), unknown, "an element of elements.yaml"))
        elif base in chain:
            circle = " → ".join([*chain[chain.index(str(base)) :], str(base)])
            if name == min(chain):
                findings.append(
                    Finding((name, "like"), f"elements go in a circle: {circle}", "a chain that ends")
                )
        else:
            for link in chain[1:]:
                done[name] = _like(done[name], written[link])
    return done, findings


def _like(element: ElementFile, base: ElementFile) -> ElementFile:
    given: dict[str, Any] = {key: getattr(base, key) for key in INHERITED if getattr(element, key) is None}
    if "one_source" not in element.model_fields_set and "one_source" in base.model_fields_set:
        given["one_source"] = base.one_source
    given |= {"mask": merged_masks(element.mask, base.mask), "checks": base.checks + element.checks}
    return element.model_copy(update=given)


def resolve_fields(
    draft: Draft,
    drafts: Mapping[str, Draft],
    elements: Mapping[str, ElementFile],
    known: Callable[[str], bool],
) -> None:
    """Fills `draft.fields` and `draft.checks`. A field that cannot be resolved is left out, with a finding.

    `known` says whether an element is there at all: one that cannot be read has its own finding already.
    """
    if draft.written is None or not draft.has("fields"):
        return
    for name, field in draft.written.fields.items():
        element = elements.get(field.element or "")
        shared = _trace(draft, name, field, drafts, elements) if field.shared_from is not None else None
        if field.element and element is None:
            if not known(field.element):
                unknown = f"no element `{field.element}`" + near(field.element, elements)
                draft.say(("fields", name, "element"), unknown, "an element of elements.yaml")
        elif _decided(draft, name, field, element) and (shared or field.shared_from is None):
            draft.fields[name] = _field(name, field, element, shared)
    if draft.has("checks", "key"):
        draft.checks = tuple(_checks(draft.written, elements))


def _doubtful(draft: Draft, elements: Mapping[str, ElementFile]) -> bool:
    """Whether a field cannot be read, or is of an element that cannot."""
    written = draft.written.fields if draft.written else {}
    unknown = any(field.element and field.element not in elements for field in written.values())
    return unknown or len(written) < len(draft.names)


_NEEDED = {
    "type": "string, integer, decimal, number, boolean, date, timestamp or binary",
    "grade": "1 public, 2 internal, 3 personal or commercial, 4 sensitive (GB/T 43697)",
}


def _decided(draft: Draft, name: str, field: FieldFile, element: ElementFile | None) -> bool:
    """Whether type and grade are given, here or by the element."""
    decided = True
    for key, expected in _NEEDED.items():
        if getattr(field, key) is None and getattr(element, key, None) is None:
            who = f"element `{field.element}` gives none" if field.element else "and no element gives it"
            draft.say(("fields", name, key), f"is missing, {who}", expected)
            decided = False
    return decided


def _field(name: str, field: FieldFile, element: ElementFile | None, shared: SharedFrom | None) -> Field:
    given: dict[str, Any] = {}
    for key in INHERITED:
        value = getattr(field, key)
        if value is None and element is not None:
            value = getattr(element, key)
        if value is not None:
            given[key] = value
    if field.timezone is not None:
        given["timezone"] = field.timezone
    masks = merged_masks(field.mask, element.mask if element else None)
    return Field(
        name=name,
        title=field.title or (element.title if element else Title(zh=name, en=name)),
        element=field.element,
        source=None if shared else field.source or name,
        shared_from=shared,
        required=bool(field.required),
        masks=masks or _NO_MASKS,
        **given,
    )


def _checks(written: EntryFile, elements: Mapping[str, ElementFile]) -> Iterator[Check]:
    """The entry's own, then its elements' with `column` filled in, then not-null for keys and required
    fields."""
    said = list(written.checks)
    for name, field in written.fields.items():
        element = elements.get(field.element or "")
        for check in element.checks if element else ():
            filled = check if "column" in check.arguments else _check(check, column=name)
            if filled not in said:
                said.append(filled)
    yield from said
    held = {check.arguments.get("column") for check in said if check.expect == NOT_NULL}
    needed = [*(written.key or ()), *(name for name, field in written.fields.items() if field.required)]
    for name in dict.fromkeys(needed):
        if name in written.fields and name not in held:
            yield Check.model_validate({"expect": NOT_NULL, "column": name, "on_fail": "quarantine"})


def _check(check: Check, **arguments: Any) -> Check:
    return Check.model_validate({**check.model_dump(), **arguments})


# ── from: ─────────────────────────────────────────────────────────────────────────────────────────────────


def origin(shared_from: str, name: str) -> tuple[str, str]:
    """`a.b` is the field of the same name in dataset `a.b`; `a.b.c` is its field `c`."""
    parts = shared_from.split(".")
    return ".".join(parts[:2]), parts[2] if len(parts) > 2 else name


def _trace(
    draft: Draft,
    name: str,
    field: FieldFile,
    drafts: Mapping[str, Draft],
    elements: Mapping[str, ElementFile],
) -> SharedFrom | None:
    """Where a `from:` field comes from; None, with a finding, where that cannot be told."""
    path = ("fields", name, "from")
    if not FROM.fullmatch(field.shared_from or ""):
        draft.say(path, "has not the right form", "`department.dataset` or `department.dataset.field`")
        return None
    dataset, source = origin(field.shared_from or "", name)
    other = drafts.get(dataset)
    if other is None:
        draft.say(path, f"no dataset `{dataset}`" + near(dataset, drafts), "a dataset of the catalogue")
        return None
    key = _one_key(draft, path, other, source)
    if key is None:
        return None
    sure = not _doubtful(draft, elements) and not _doubtful(other, elements)
    on = field.on if field.on is not None else _joined_on(draft, name, other, sure)
    if on is None or not _is_collected(draft, name, on):
        return None
    return SharedFrom(dataset=dataset, field=source, on=on, key=key)


def _one_key(draft: Draft, path: KeyPath, other: Draft, source: str) -> str | None:
    """The one key field of the other dataset, which has the field `source`; None, with a finding, where it
    has not.

    A dataset whose own file is broken in that place is not complained about twice.
    """
    if (
        other.written is None
        or not other.has("key", "fields")
        or not set(other.written.key) <= set(other.names)
    ):
        return None
    if source not in other.names:
        unknown = f"`{other.place}` has no field `{source}`" + near(source, other.names)
        draft.say(path, unknown, f"`{other.place}.<field>`")
        return None
    if len(other.written.key) != 1:
        many = f"`{other.place}` has a key of {len(other.written.key)} fields, and sharing joins on one"
        draft.say(path, many, "a dataset whose key is one field")
        return None
    return other.written.key[0]


def _is_collected(draft: Draft, name: str, on: str) -> bool:
    """Whether `on` is a field that this dataset's own source gives."""
    written = draft.written.fields if draft.written else {}
    if on in written and written[on].shared_from is None:
        return True
    if on in written or on not in draft.names:
        why = "is itself obtained by sharing" if on in written else "is no field of this dataset"
        hint = near(on, [key for key in written if key != name])
        draft.say(
            ("fields", name, "on"), f"`{on}` {why}{hint}", "a field that this dataset's own source gives"
        )
    return False


def joins(draft: Draft, other: Draft) -> list[str]:
    """The fields here, from the own source, that have the element of the other dataset's one key field."""
    if draft.written is None or other.written is None or not other.has("key") or len(other.written.key) != 1:
        return []
    key = other.written.fields.get(other.written.key[0])
    if key is None or key.element is None:
        return []
    here = draft.written.fields.items()
    return [name for name, field in here if field.shared_from is None and field.element == key.element]


def _joined_on(draft: Draft, name: str, other: Draft, sure: bool) -> str | None:
    """The field here that holds the other dataset's key, where only one can be meant. Where fields cannot be
    read, here or there, it is not `sure` that none does."""
    found = joins(draft, other)
    if len(found) == 1:
        return found[0]
    if not found and not sure:
        return None
    key = f"the key `{other.written.key[0]}` of `{other.place}`" if other.written else "the key"
    why = f"{listed(found)} may each hold {key}" if found else f"no field here has the element of {key}"
    draft.say(("fields", name, "on"), why, f"`on:` with the field here that holds {key}")
    return None


Section = TypeVar("Section", bound=Model)


def finished(draft: Draft, written: EntryFile, numbers: Numbers) -> Entry:
    """The entry of a draft without findings."""
    sections: dict[str, Any] = {name: getattr(written, name) for name in EntryFile.model_fields}
    resolved = {
        "fields": draft.fields,
        "checks": draft.checks,
        "brake": _over(numbers.brake, written.brake),
        "retention": _over(numbers.retention, written.retention),
        "open": _licensed(written.open, numbers.open.licence),
        "file": draft.file,
    }
    return Entry(**(sections | resolved))


def _over(numbers: Section, own: Model | None) -> Section:
    """The policy's section with what the entry says."""
    said = {name: value for name, value in own if value is not None} if own else {}
    return numbers.model_copy(update=said)


def _licensed(own: Open, licence: Licence | None) -> Open:
    """The opening with the city's licence, where it is unconditional and says none of its own."""
    if own.type != "unconditional" or own.licence or licence is None:
        return own
    return own.model_copy(update={"licence": licence})
