"""What every stage is given besides its entry and batch. Built once by the command line or by a DAG task."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from lake import store
from lake.ledger import Ledger
from pipelines.connections import from_environment
from schemas.load import Catalogue, load_catalogue
from schemas.settings import Settings

if TYPE_CHECKING:
    from lake.tables import Tables


@dataclass(frozen=True)
class Context:
    """`connect` turns a connection's name into its URL (SettingsError if there is none); `clock` gives aware UTC. While
    a person is erased (`erasing`) a publication begins anew, and nothing of those before it stays."""

    settings: Settings
    catalogue: Catalogue
    ledger: Ledger
    connect: Callable[[str], str]
    clock: Callable[[], datetime]
    erasing: bool = False

    @cached_property
    def tables(self) -> Tables:
        """The lake's tables. Iceberg's libraries are imported for whoever asks for one: a collection does not."""
        from lake.tables import Tables

        return Tables(self.settings)


def open_context(
    connect: Callable[[str], str] = from_environment,
    settings: Settings | None = None,
    datasets: Collection[str] | None = None,
) -> Context:
    """The context of this process: settings from the environment, the catalogue, the lake and its ledger. Of a
    catalogue that was judged before, `datasets` and what they speak of are enough, however many others there are.
    From here on the process makes files for their owner only."""
    store.owner_only()
    settings = settings or Settings()
    return Context(
        settings=settings,
        catalogue=load_catalogue(settings.catalogue, datasets, settings.stamps),
        ledger=Ledger(settings.database_url),
        connect=connect,
        clock=lambda: datetime.now(UTC),
    )
