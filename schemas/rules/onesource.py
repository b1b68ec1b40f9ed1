"""One source per datum (一数一源; Decree 809, Art. 19): an element is collected by one dataset."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.draft import Draft
from schemas.findings import Finding
from schemas.house import House
from schemas.model import ExchangeSource
from schemas.resolve import joins


def one_source(house: House) -> Iterator[tuple[Draft, Finding]]:
    """One dataset collects an element; every other one says `from:` and gets it by sharing (一数一源). What another
    platform shares with us is originated there, and nothing here collects it besides."""
    for element, found in sorted(_originators(house).items()):
        if len(found) < 2:
            continue
        drafts = [draft for draft, _ in found]
        given = [pair for pair in found if _is_given(pair[0])]
        if len(given) == len(found):
            continue
        source, own = max(
            given or found, key=lambda pair: sum(bool(joins(other, pair[0])) for other in drafts)
        )
        for draft, name in found:
            if draft is not source and not _is_given(draft):
                yield draft, _finding(element, draft, name, source, own)


def _is_given(draft: Draft) -> bool:
    return draft.written is not None and isinstance(draft.written.source, ExchangeSource)


def _flows_back(draft: Draft) -> bool:
    return (
        draft.written is not None
        and isinstance(draft.written.source, ExchangeSource)
        and draft.written.source.origin == "here"
    )


def _originators(house: House) -> dict[str, list[tuple[Draft, str]]]:
    """Element to the datasets that collect it (with one field of it each). Identifiers, which are the key of
    some dataset, are held by others as a reference; a derived dataset collects nothing."""
    keys = {
        draft.written.fields[name].element
        for draft in house.drafts.values()
        if draft.written is not None and draft.has("key", "fields")
        for name in draft.written.key
        if name in draft.written.fields
    }
    found: dict[str, dict[str, tuple[Draft, str]]] = {}
    for draft in house.drafts.values():
        if draft.written is None or not draft.has("fields", "source") or draft.written.source.kind == "lake":
            continue
        if _flows_back(draft):
            continue
        for name, field in draft.written.fields.items():
            element = house.elements.get(field.element or "")
            if element is None or field.element is None or not element.one_source:
                continue
            if field.shared_from is None and field.element not in keys:
                found.setdefault(field.element, {}).setdefault(draft.place, (draft, name))
    return {element: list(each.values()) for element, each in found.items()}


def _finding(element: str, draft: Draft, name: str, source: Draft, own: str) -> Finding:
    why = f"element `{element}` is originated twice: by {source.file} ({own}) and by {draft.file} ({name})"
    on = [field for field in joins(draft, source) if field != name]
    if not on:
        return Finding(("fields", name), why, "one source: `from:` here or there, or another element")
    dataset = source.place if own == name else f"{source.place}.{own}"
    said = f"`from: {dataset}`" + (f" with `on: {on[0]}`" if len(on) > 1 else "")
    return Finding(("fields", name), f"{why}; it can be had by sharing", f"{said} instead of collecting it")
