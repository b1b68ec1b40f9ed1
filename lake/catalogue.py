"""Iceberg's catalogue: which tables there are, and the one place where a commit is decided."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from sqlalchemy import bindparam, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from lake import s3, store
from lake.database import BUSY_SECONDS, database_url, prepare_sqlite
from schemas.errors import LakeError
from schemas.settings import Settings

NAME: Final = "xuanwu"
"""Other engines must open it under the same name: its rows are keyed by it."""
TRIES: Final = 10


def open_catalogue(settings: Settings) -> SqlCatalog:
    """The catalogue, made if it is not there. Two processes may both find it empty and both make its tables: the
    loser looks again."""
    properties = _properties(settings)
    for _ in range(TRIES):
        with suppress(DBAPIError):
            return SqlCatalog(NAME, **properties)
        wait()
    raise LakeError("Iceberg's catalogue cannot be opened", next_step="see XUANWU_ICEBERG")


def _properties(settings: Settings) -> dict[str, str]:
    url = database_url(settings.iceberg_url)
    prepare_sqlite(url)
    if url.get_backend_name() == "sqlite":
        url = url.update_query_dict({"timeout": str(BUSY_SECONDS)})
    if store.is_local(settings.lake_root):
        store.make_folder(settings.lake_root)
    return {
        "uri": url.render_as_string(hide_password=False),
        "warehouse": settings.lake_root,
        "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
        **s3.iceberg_properties(),
    }


_STANDING: Final = select(IcebergTables.metadata_location).where(
    IcebergTables.catalog_name == bindparam("catalogue"),
    IcebergTables.table_namespace == bindparam("zone"),
    IcebergTables.table_name == bindparam("name"),
)


def standing(catalogue: SqlCatalog, table: tuple[str, str]) -> str | None:
    """The metadata file at which a table stands now, asked of the catalogue's database alone; None where there is no
    such table."""
    named = {"catalogue": catalogue.name, "zone": table[0], "name": table[1]}
    with catalogue.engine.connect() as connection:
        return connection.execute(_STANDING, named).scalar_one_or_none()


@contextmanager
def reachable() -> Iterator[None]:
    """The driver's messages quote statements and addresses: ours says what failed and where to look."""
    try:
        yield
    except SQLAlchemyError as error:
        raise LakeError(
            f"Iceberg's catalogue cannot be reached or written ({type(error).__name__})",
            next_step="see XUANWU_ICEBERG, and whether its disk is full; then run it again",
        ) from None


def wait() -> None:
    """A moment of chance length, which spreads competing processes."""
    time.sleep(random.uniform(0.01, 0.1))  # noqa: S311  no secret
