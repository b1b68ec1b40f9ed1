"""What every stage is given besides its entry and batch. Built once by the command line or by a DAG task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from lake.ledger import Ledger
from lake.tables import Tables
from schemas.load import Catalogue
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
