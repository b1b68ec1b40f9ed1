"""Certificates of erasure: signed, logged, completed; and which landed manifests they made other than they were."""

from __future__ import annotations

from collections.abc import Generator

from lake.erasures import FOLDER, LIFTED, Erasure, decode, path_of
from lake.signing import Trust
from lake.verify.copy import Copy, Finding
from lake.verify.journal import Log


def read(copy: Copy, trust: Trust, log: Log) -> Generator[Finding, None, dict[str, Erasure]]:
    """The erasures that hold, by id."""
    found: dict[str, Erasure] = {}
    for path in (yield from copy.below(FOLDER)):
        digest = copy.sha256(path)
        if path.endswith(LIFTED):
            if log.lifted.get(path) != digest:
                yield Finding(path, "the log does not say that this erasure was lifted")
            continue
        try:
            erasure = decode(copy.read(path), trust)
        except ValueError as error:
            yield Finding(path, str(error))
            continue
        if path != path_of(erasure.id) or log.erasures.get(path) != digest:
            yield Finding(path, "the certificate of erasure is not the one in the audit log")
        elif erasure.state != "completed":
            yield Finding(path, "the erasure was begun and not completed: run it again")
            found[erasure.id] = erasure
        else:
            found[erasure.id] = erasure
    for path in (*log.completed, *log.lifted):
        if not copy.exists(path):
            yield Finding(path, "it is missing")
    return found


def chain(erasures: dict[str, Erasure], path: str, sha256: str) -> str:
    """The digest that a manifest has now, if it had this one when its certificate was made."""
    after = {
        batch.manifest_before: batch.manifest.sha256
        for erasure in erasures.values()
        for batch in erasure.batches
        if batch.manifest.path == path
    }
    while sha256 in after:
        sha256 = after.pop(sha256)
    return sha256
