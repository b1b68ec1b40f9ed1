"""No dataset may wait for itself, be it by `from:` or by the inputs of its SQL."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from schemas.draft import Draft
from schemas.findings import Finding, KeyPath
from schemas.house import House


def circles(house: House) -> Iterator[tuple[Draft, Finding]]:
    """No dataset waits for itself, by `from:` or by the inputs of its SQL."""
    edges = {name: _inputs(draft, house) for name, draft in house.drafts.items()}
    # Each circle is told at its first dataset by name; that edge is taken out before the next is sought.
    while circle := _circle({name: set(inputs) for name, inputs in edges.items()}):
        start = circle.index(min(circle))
        turned = circle[start:] + circle[:start]
        first, second = turned[0], turned[1 % len(turned)]
        path = edges[first].pop(second)
        text = " ← ".join([*turned, first])
        yield (
            house.drafts[first],
            Finding(path, f"datasets wait for each other: {text}", "inputs without a circle"),
        )


def _inputs(draft: Draft, house: House) -> dict[str, KeyPath]:
    """The datasets that a draft reads, with the key that says so."""
    found: dict[str, KeyPath] = {}
    if draft.written is not None and draft.has("source") and draft.written.source.kind == "lake":
        for number, name in enumerate(draft.written.source.inputs):
            found.setdefault(name, ("source", "inputs", number))
    for name, field in draft.fields.items():
        if field.shared_from is not None:
            found.setdefault(field.shared_from.dataset, ("fields", name, "from"))
    return {name: path for name, path in found.items() if name in house.drafts}


def _circle(edges: dict[str, set[str]]) -> list[str] | None:
    """One circle, each dataset before the one it reads."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(reversed(error.args[1][1:]))
    return None
