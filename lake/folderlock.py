"""One process at a folder. A killed process loses its lock; S3 has none, and there nobody is kept out."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from lake import store
from schemas.errors import XuanwuError


@contextmanager
def locked(folder: str, taken: XuanwuError) -> Iterator[None]:
    """Hold a (local) folder, which is made where it is absent; raises `taken` where another process holds it."""
    if not store.is_local(folder):
        yield
        return
    store.make_folder(folder)
    handle = os.open(store.filesystem(folder)[1], os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise taken from None
        yield
    finally:
        os.close(handle)
