"""What may be told of names that a file's writer chose: header cells, JSON keys, files and members of archives.

A column of a file may be called anything, also after a person: a sheet may lie on its side, a JSON object be keyed by
people. Database columns are schema, and are told as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, cast

import pyarrow as pa

_SHOWN: Final = 30
_LOOKED_AT: Final = re.compile(r"[^\x00-\x7f]|@|(?:\d[^0-9A-Za-z]?){9}|\d-\d{7}|[A-Za-z]\d{7}")
"""What a name must hold to be looked at closely: most hold Latin letters and a date at most."""


def identifying(names: Sequence[str]) -> bool:
    """Whether an identifier is among these names: then the others may be values too."""
    if not any(map(_LOOKED_AT.search, names)):
        return False
    from pipelines.masks.redact import find  # half a second

    return next(find(pa.array(names, pa.string())), None) is not None


def listed(names: Sequence[str]) -> str:
    """The first of them and how many more there are; nothing of them where an identifier is among them."""
    if identifying(names):
        return "names withheld, for an identifier is among them"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


@lru_cache(maxsize=64)
def file_name(name: str) -> str:
    """The name of a file, with labels such as `[手机号]` in the place of identifiers. It is asked for every row."""
    if not _LOOKED_AT.search(name):
        return name
    from pipelines.masks.redact import labelled

    return cast(str, labelled(pa.array([name]))[0].as_py())
