"""What every stage is given besides its entry and batch. Built once by the command line or by a DAG task."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from lake import store
from lake.ledger import Ledger
from lake.tables import Tables
from pipelines.connections import from_environment
from schemas.load import Catalogue, load_catalogue
from schemas.settings import Settings


@dataclass(frozen=True)
class Context:
    """`connect` turns a connection's name into its URL (SettingsError if there is none); `clock` gives aware UTC."""

    settings: Settings
    catalogue: Catalogue
    tables: Tables
    ledger: Ledger
    connect: Callable[[str], str]
    clock: Callable[[], datetime]


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
        tables=Tables(settings),
        ledger=Ledger(settings.database_url),
        connect=connect,
        clock=lambda: datetime.now(UTC),
    )
