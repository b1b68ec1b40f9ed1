"""What may be told of names that a file's writer chose (header cells, JSON keys, files): identifiers become labels.

A column of a file may be called anything, also after a person: a sheet may lie on its side, a JSON object be keyed by
people. Database columns are schema, and are told as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import pyarrow as pa

_SHOWN: Final = 30


def safe(names: Sequence[str]) -> list[str]:
    """The same names in the same order, with labels such as `[手机号]` in the place of identifiers."""
    from pipelines.masks.redact import labelled  # half a second, and only where names are told

    return cast(list[str], labelled(pa.array(names, pa.string())).to_pylist())


def listed(names: Sequence[str]) -> str:
    """The first of them, safe to tell, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(safe(names[:_SHOWN])) + more
