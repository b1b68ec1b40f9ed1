"""What a derived dataset takes over from its inputs as it is stays what it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from schemas.draft import Draft
from schemas.findings import Finding
from schemas.house import House
from schemas.lineage import query_origins
from schemas.model import Field, LakeSource
from schemas.rules.fields import less_risky


def derived_kept(house: House) -> Iterator[tuple[Draft, Finding]]:
    """A column that the SQL selects unchanged keeps at least the grade and the risk of its origin (Decree 809, Art. 25:
    the receiver guards data as the provider does). What is computed from it is judged by people and by the gates."""
    for draft in house.drafts.values():
        if draft.written is not None and draft.has("source", "fields"):
            source = draft.written.source
            if isinstance(source, LakeSource) and set(source.inputs) <= house.by_id.keys():
                yield from ((draft, finding) for finding in _loosened(source, draft, house))


def _loosened(source: LakeSource, draft: Draft, house: House) -> Iterator[Finding]:
    inputs = {name: house.by_id[name].fields for name in source.inputs}
    collected = {name: field for name, field in draft.fields.items() if field.shared_from is None}
    if not _doubtful(draft.columns, collected, [f for fields in inputs.values() for f in fields.values()]):
        return
    made = query_origins(source.sql, inputs, {field.source or name for name, field in collected.items()})
    for name, field in collected.items():
        for origin in sorted(made[field.source or name]):
            other = inputs.get(origin.column.dataset, {}).get(origin.column.field)
            if other is None or origin.how != "IDENTITY":
                continue
            where = f"{origin.column.dataset}.{other.name}"
            if field.grade < other.grade:
                why = f"loosens its origin: grade {field.grade} is below the {other.grade} of `{where}`"
                yield Finding(("fields", name, "grade"), why, f"{other.grade} or more")
            if loosened := less_risky(field.risk, other.risk):
                yield Finding(
                    ("fields", name, "risk"), f"loosens its origin `{where}`: {loosened}", f"`{other.risk}`"
                )


def _doubtful(
    columns: Mapping[str, set[str]] | None, collected: Mapping[str, Field], given: Iterable[Field]
) -> bool:
    """Whether any field may be, by name, a column of the inputs that is graded higher or tells more."""
    if columns is None:
        return True
    by_name: dict[str, list[Field]] = {}
    for other in given:
        by_name.setdefault(other.name.casefold(), []).append(other)
    return any(
        field.grade < other.grade or less_risky(field.risk, other.risk)
        for name, field in collected.items()
        for column in columns.get((field.source or name).casefold(), ())
        for other in by_name.get(column, ())
    )
