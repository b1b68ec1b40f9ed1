"""Iceberg's catalogue: which tables there are, and the one place where a commit is decided."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from lake import store
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
    s3 = store.s3_options()
    endpoint = {"s3.endpoint": s3["endpoint_override"]} if "endpoint_override" in s3 else {}
    return {
        "uri": url.render_as_string(hide_password=False),
        "warehouse": settings.lake_root,
        "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
        "s3.region": s3["region"],
        **endpoint,
    }


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
