"""The public keys that lie in the lake."""

from __future__ import annotations

from collections.abc import Generator

from lake.signing import KEYS, Trust, key_id, public_key, public_pem
from lake.verify.copy import Copy, Finding
from schemas.errors import SettingsError


def read(copy: Copy) -> Generator[Finding, None, Trust]:
    """Every key under its own id, and nothing else there."""
    found = []
    for path in (yield from copy.finished(KEYS)):
        data = copy.read(path)
        try:
            key = public_key(data, path)
        except SettingsError as error:
            yield Finding(path, error.message)
            continue
        if path != f"{KEYS}/{key_id(key)}.pem" or data != public_pem(key):
            yield Finding(path, f"this is the key {key_id(key)}, and not in its own form and place")
            continue
        found.append(key)
    return Trust.of(found)
