"""Which open tables can be joined with others by their tokens: whoever approves an entry must see it.

A token domain is an open dataset's own (`schemas.policy.domain_of`), so that open tables join with nothing unless an
entry says `domain:`, its own or through a data element's mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.load import Catalogue
from schemas.model import Entry, Fpe, Hmac, Mask
from schemas.policy import ZONES, domain_of, mask_plan, policies


class Published(NamedTuple):
    """A column of tokens or enciphered values, and the published table it is in: `open`, or `share/<policy>`."""

    table: str
    dataset: str
    field: str

    def __str__(self) -> str:
        return f"{self.table} {self.dataset}.{self.field}"


class Joined(NamedTuple):
    """Columns in which equal values are equal."""

    domain: str
    columns: tuple[Published, ...]

    def __str__(self) -> str:
        """One line for whoever approves the catalogue."""
        named = ", ".join(map(str, self.columns))
        return f"open to joining by tokens, through the domain `{self.domain}`: {named}"


def joined(catalogue: Catalogue) -> list[Joined]:
    """Every set of open tables, and of shared ones with them, that join by the same domain and the same mask."""
    return [each for each in joining(catalogue.entries.values()) if _across(each.columns)]


def joining(entries: Iterable[Entry]) -> list[Joined]:
    """Every set of columns, of shared tables and of open ones, with the same domain and the same mask."""
    found: dict[tuple[str, str], list[Published]] = {}
    for entry in entries:
        for domain, mask, column in _keyed(entry):
            same = mask.model_copy(update={"domain": None})
            found.setdefault((domain, repr(same)), []).append(column)
    return [Joined(domain, tuple(columns)) for (domain, _), columns in found.items()]


def _keyed(entry: Entry) -> Iterator[tuple[str, Mask, Published]]:
    for zone in ZONES:
        for name, policy in policies(entry, zone).items():
            table = zone if zone == "open" else f"{zone}/{name}"
            own = domain_of(zone, entry.id, name, policy)
            for field, mask in mask_plan(entry, zone, policy).items():
                if isinstance(mask, Hmac | Fpe):
                    yield mask.domain or own, mask, Published(table, entry.id, field)


def _across(columns: Iterable[Published]) -> bool:
    tables = {(column.table, column.dataset) for column in columns}
    return len(tables) > 1 and any(table == "open" for table, _ in tables)
