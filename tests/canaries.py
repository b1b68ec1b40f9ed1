"""Where planted values are found: everywhere in a home, but for the rows of the zones that hold them by design."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from lake.search import Needles, files_below, views

BY_DESIGN = re.compile(
    r"landing/[^/]+/[^/]+/[^/]+/files/|(standard|handling)/.*\.parquet$|(curated|quarantine)/[^/]+/data/.*\.parquet$"
)
"""Originals, and data files of the zones that are not published: their rows, but not their footers and names."""


def footer(path: Path) -> bytes:
    """What tools show and copy of a Parquet file: its statistics and metadata."""
    with pq.ParquetFile(path) as file:
        said = [file.metadata.to_dict(), str(file.schema_arrow.metadata)]
        return json.dumps(said, default=str, ensure_ascii=False).encode()


def sightings(
    home: Path, lake: Path, values: Iterable[str], said: str = "", *, exact: bool = False
) -> dict[str, set[str]]:
    """The values that are found in each file that must not hold one, in any form of them, and in what was said. Needs a file to be readable as its format."""
    needles, found, unread = Needles(values, exact=exact), {}, list[str]()
    assert needles.count > 0, "there is something to look for"
    for uri in files_below(str(home)):
        path = Path(uri)
        inside = path.relative_to(lake).as_posix() if path.is_relative_to(lake) else ""
        seen = [str(path.relative_to(home)).encode()]
        if not BY_DESIGN.match(inside):
            seen += views(uri, unread)
        elif path.suffix == ".parquet":
            seen.append(footer(path))
        if hits := {value for view in seen for value in needles.among(view)}:
            found[str(path.relative_to(home))] = hits
    if hits := needles.among(said.encode()):
        found["said"] = hits
    assert unread == [], "every file was read as what it is"
    return found
