"""Who would feel a change of a dataset or of one of its fields: out of the catalogue, before anything is published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.errors import XuanwuError
from schemas.findings import near
from schemas.lineage import Column, Reader, readers
from schemas.load import Catalogue
from schemas.model import Check, Entry
from schemas.policy import ZONES, mask_plan, policies


@dataclass(frozen=True)
class Impact:
    """`derived` are fields that SQL makes of it, `shared` those that obtain it by `from:`; `uses` says what of the own
    entry and of other entries' checks hangs on it. `policies` name the published tables, `downloads` the open datasets
    with their formats, each with the fields of it that would change."""

    derived: tuple[Reader, ...]
    shared: tuple[Reader, ...]
    uses: tuple[str, ...]
    policies: dict[str, tuple[str, ...]]
    downloads: dict[str, tuple[str, ...]]

    @property
    def summary(self) -> str:
        """One line for a message."""
        derived = list(dict.fromkeys(reader.column.dataset for reader in self.derived))
        shared = [f"{reader.column.dataset}.{reader.column.field}" for reader in self.shared]
        parts = [
            _listed("derived dataset", derived),
            _listed("`from:` column", shared),
            _listed("policy table", list(self.policies)),
            _listed("download", list(self.downloads)),
        ]
        return "; ".join(filter(None, parts)) or "nothing else in the catalogue"


def impact(catalogue: Catalogue, dataset: str, field: str | None = None) -> Impact:
    """What would feel a change of the dataset (`field` None: of any of its fields). XuanwuError for an unknown one."""
    entry = catalogue.entry(dataset)
    if field is not None and field not in entry.fields:
        raise XuanwuError(
            f"no field `{field}`" + near(field, entry.fields),
            dataset=dataset,
            expected=f"one of {', '.join(entry.fields)}",
        )
    own = {field} if field is not None else set(entry.fields)
    found = readers(catalogue, dataset, field)
    felt: dict[str, set[str]] = {dataset: own}
    for reader in found:
        felt.setdefault(reader.column.dataset, set()).add(reader.column.field)
    shared = tuple(reader for reader in found if _is_shared(catalogue, reader.column))
    return Impact(
        derived=tuple(reader for reader in found if reader not in shared),
        shared=shared,
        uses=tuple(_uses(catalogue, entry, own)),
        policies={name: fields for each in felt for name, fields in _published(catalogue, each, felt[each])},
        downloads={each: formats for each in felt if (formats := _downloads(catalogue, each, felt[each]))},
    )


def _is_shared(catalogue: Catalogue, column: Column) -> bool:
    return catalogue.entry(column.dataset).fields[column.field].shared_from is not None


def _uses(catalogue: Catalogue, entry: Entry, fields: set[str]) -> Iterator[str]:
    for what, names in (
        ("the key", entry.key),
        ("the merge's order", (entry.merge.order_by,)),
        ("the source's cursor", (getattr(entry.source, "cursor", None),)),
    ):
        if hit := sorted(fields & {name for name in names if name}):
            yield f"{what} of {entry.id}: {', '.join(hit)}"
    own = sum(not fields.isdisjoint(_named(check)) for check in entry.checks)
    if own:
        yield f"{own} check(s) of {entry.id}"
    for other in catalogue.entries.values():
        looked = sum(
            check.arguments.get("dataset") == entry.id and check.arguments.get("field") in fields
            for check in other.checks
        )
        if looked:
            yield f"{looked} check(s) of {other.id} look it up"


def _named(check: Check) -> set[str]:
    """Every text among a check's arguments, so every column that it may name."""
    values = [each if isinstance(each, list | tuple) else [each] for each in check.arguments.values()]
    return {text for each in values for text in each if isinstance(text, str)}


def _published(catalogue: Catalogue, dataset: str, fields: set[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    entry = catalogue.entry(dataset)
    for zone in ZONES:
        for name, policy in policies(entry, zone).items():
            if hit := [each for each in mask_plan(entry, zone, policy) if each in fields]:
                yield (f"{dataset} {zone}/{name}" if zone == "share" else f"{dataset} open"), tuple(hit)


def _downloads(catalogue: Catalogue, dataset: str, fields: set[str]) -> tuple[str, ...]:
    entry = catalogue.entry(dataset)
    opened = any(
        not fields.isdisjoint(mask_plan(entry, "open", each)) for each in policies(entry, "open").values()
    )
    return tuple(entry.open.downloads) if opened else ()


def _listed(what: str, names: list[str], most: int = 3) -> str:
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} {what}{'s' if len(names) > 1 else ''} ({', '.join(names[:most])}{more})"
