"""From fields as written to fields as the stages read them: elements applied, defaults filled in, `from:` traced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.draft import Draft
from schemas.findings import Finding, near
from schemas.model import Check, ElementFile, Entry, EntryFile, Field, FieldFile, Masks, SharedFrom, Title

INHERITED = ("type", "grade", "formats", "codes", "normalise", "precision", "scale", "length")
NOT_NULL = "expect_column_values_to_not_be_null"


def merged_masks(own: Masks | None, base: Masks | None) -> Masks | None:
    """Zone by zone, one's own mask, else the one inherited."""
    if own is None or base is None:
        return own or base
    return Masks.model_construct(share=own.share or base.share, open=own.open or base.open)


def apply_likes(written: Mapping[str, ElementFile]) -> tuple[dict[str, ElementFile], list[Finding]]:
    """Elements with their `like:` chains applied, and the chains that end nowhere or in themselves."""
    done: dict[str, ElementFile] = {}
    findings: list[Finding] = []
    for name in written:
        chain = [name]
        while (base := written[chain[-1]].like) is not None and base in written and base not in chain:
            chain.append(base)
        if base is not None and base not in written and len(chain) == 1:
            findings.append(
                Finding((name, "like"), f"no element `{base}`" + near(base, written), "an element")
            )
        elif base == name:
            circle = " → ".join([*chain, name])
            findings.append(
                Finding((name, "like"), f"the elements go in a circle: {circle}", "a chain that ends")
            )
        done[name] = written[name]
        for link in chain[1:]:
            done[name] = _like(done[name], written[link])
    return done, findings


def _like(element: ElementFile, base: ElementFile) -> ElementFile:
    given: dict[str, Any] = {
        name: getattr(base, name) for name in INHERITED if getattr(element, name) is None
    }
    if "one_source" not in element.model_fields_set and "one_source" in base.model_fields_set:
        given["one_source"] = base.one_source
        element.model_fields_set.add("one_source")
    given |= {"mask": merged_masks(element.mask, base.mask), "checks": base.checks + element.checks}
    return element.model_copy(update=given)


def resolve_fields(draft: Draft, drafts: Mapping[str, Draft], elements: Mapping[str, ElementFile]) -> None:
    """Fills `draft.fields` and `draft.checks`. A field that cannot be resolved is left out, with a finding."""
    written = draft.written
    if written is None or not draft.has("fields"):
        return
    for name, field in written.fields.items():
        element = elements.get(field.element) if field.element else None
        shared = None
        if field.element and element is None:
            missing = f"no element `{field.element}`" + near(field.element, elements)
            draft.findings.append(
                Finding(("fields", name, "element"), missing, "an element of elements.yaml")
            )
            continue
        if field.shared_from is not None:
            shared = _trace(draft, name, field, drafts)
            if shared is None:
                continue
        if _decided(draft, name, field, element):
            draft.fields[name] = _field(name, field, element, shared)
    if draft.has("checks"):
        draft.checks = tuple(_checks(written, elements))


def _decided(draft: Draft, name: str, field: FieldFile, element: ElementFile | None) -> bool:
    missing = [
        (key, expected)
        for key, expected in (
            ("type", "string, integer, decimal, number, boolean, date, timestamp or binary"),
            ("grade", "1 public, 2 internal, 3 personal or commercial, 4 sensitive (GB/T 43697)"),
        )
        if getattr(field, key) is None and getattr(element, key, None) is None
    ]
    for key, expected in missing:
        who = f"element `{field.element}` gives none" if field.element else "and no element gives it"
        draft.findings.append(Finding(("fields", name, key), f"is missing, {who}", expected))
    return not missing


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
    return Field.model_construct(
        name=name,
        title=field.title or (element.title if element else Title(zh=name, en=name)),
        element=field.element,
        source=None if shared else field.source or name,
        shared_from=shared,
        required=bool(field.required),
        masks=masks or Masks(),
        **given,
    )


def _checks(written: EntryFile, elements: Mapping[str, ElementFile]) -> Iterator[Check]:
    """The entry's own, then its elements' with `column` filled in, then not-null for keys and required fields."""
    said = list(written.checks)
    for name, field in written.fields.items():
        for check in elements[field.element].checks if field.element in elements else ():
            check = check if "column" in check.arguments else _check(check, column=name)
            if check not in said:
                said.append(check)
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


def _trace(draft: Draft, name: str, field: FieldFile, drafts: Mapping[str, Draft]) -> SharedFrom | None:
    """Where a `from:` field comes from; None, with a finding, where that cannot be told. A dataset whose own file is
    broken in that place is not complained about twice."""
    path = ("fields", name, "from")
    shared_from = field.shared_from or ""
    if shared_from.count(".") not in (1, 2):
        draft.findings.append(
            Finding(path, "has not the right form", "`department.dataset` or `department.dataset.field`")
        )
        return None
    dataset, source = origin(shared_from, name)
    other = drafts.get(dataset)
    if other is None:
        draft.findings.append(
            Finding(path, f"no dataset `{dataset}`" + near(dataset, drafts), "a dataset of the catalogue")
        )
        return None
    if other.written is None or not other.has("key", "fields"):
        return None
    if source not in other.names:
        missing = f"`{dataset}` has no field `{source}`" + near(source, other.names)
        draft.findings.append(Finding(path, missing, f"`{dataset}.<field>`"))
        return None
    if len(other.written.key) != 1:
        why = f"`{dataset}` has a key of {len(other.written.key)} fields, and sharing joins on one"
        draft.findings.append(Finding(path, why, "a dataset whose key is one field"))
        return None
    on = _joined_on(draft, name, field, other)
    return SharedFrom(dataset=dataset, field=source, on=on, key=other.written.key[0]) if on else None


def _joined_on(draft: Draft, name: str, field: FieldFile, other: Draft) -> str | None:
    """The field here that holds the other dataset's key: `on`, else the one of the same element."""
    assert draft.written is not None and other.written is not None
    path = ("fields", name, "on")
    here = {key: own for key, own in draft.written.fields.items() if own.shared_from is None}
    if field.on is not None:
        if field.on in here:
            return field.on
        why = (
            "is itself obtained by sharing"
            if field.on in draft.written.fields
            else "is no field of this dataset"
        )
        if field.on in draft.written.fields or field.on not in draft.names:
            hint = f"`{field.on}` {why}" + near(field.on, here)
            draft.findings.append(Finding(path, hint, "a field of this dataset that its source gives"))
        return None
    key = other.written.key[0]
    element = other.written.fields[key].element if key in other.written.fields else None
    found = [own for own, file in here.items() if element and file.element == element]
    if len(found) == 1:
        return found[0]
    if element and found:
        why = f"{len(found)} fields here hold the key `{key}` of `{other.place}`: " + ", ".join(found)
    else:
        why = f"no field here has the element of the key `{key}` of `{other.place}`"
    draft.findings.append(Finding(path, why, f"`on:` with the field here that holds `{key}`"))
    return None


def finished(draft: Draft) -> Entry:
    """The entry of a draft without findings."""
    written = draft.written
    assert written is not None
    sections = {name: getattr(written, name) for name in EntryFile.model_fields}
    return Entry.model_construct(
        **(sections | {"fields": draft.fields, "checks": draft.checks, "file": draft.file})
    )
