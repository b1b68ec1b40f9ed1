"""Where each published row came from: beside every data file of a share table, the curated file and place of its rows.

    origins/<department>/<dataset>/<table>/<data file>.parquet      `file` (its number in the list of files), `place`

An increment finds by it the published rows of curated rows that are gone, in a table whose order tells nothing. It
lies in a zone that only the pipeline reads, since it undoes that order, and holds no values. Where it is missing the
whole table is published anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lake import datafiles, store, zones
from lake.live import Positions
from schemas.settings import Settings

if TYPE_CHECKING:
    from lake.zones import Identifier

FILE: Final = pa.field("_origin_file", pa.int32())
PLACE: Final = pa.field("_origin_place", pa.int32())
_FILES = b"files"


@dataclass(frozen=True)
class Origins:
    """The origins of one table's rows. `files` are the curated files that new rows come from, by their numbers."""

    folder: str
    files: tuple[str, ...] = ()

    @staticmethod
    def of(settings: Settings, dataset: str, table: Identifier, files: Iterable[str] = ()) -> Origins:
        return Origins(store.join(zones.folder(settings, "origins", dataset), ".".join(table)), tuple(files))

    def beside(self, data_file: str) -> str:
        return store.join(self.folder, data_file.rpartition("/")[2])

    def added(self, rows: pa.RecordBatch, file: str, places: Positions) -> pa.RecordBatch:
        """The rows with the two columns that say where they lay."""
        number = np.full(len(places), self.files.index(file), np.int32)
        with_file = rows.append_column(FILE, pa.array(number))
        return with_file.append_column(PLACE, pa.array(places.astype(np.int32)))

    def carried(self, rows: pa.RecordBatch, before: Origin, places: Positions) -> pa.RecordBatch:
        """Published rows, that lay at these places of a file with the origins `before`, with the same two columns."""
        known = {path: number for number, path in enumerate(self.files)}
        numbers = np.array([known.get(path, -1) for path in before.files], np.int32)[before.numbers[places]]
        with_file = rows.append_column(FILE, pa.array(numbers))
        return with_file.append_column(PLACE, pa.array(before.places[places]))

    def writer(self, rows: Iterable[pa.RecordBatch], prefix: str = "") -> datafiles.Writer:
        """Writes the rows as data files, and beside each the origins that the rows bring with them."""

        def write(folder: str, schema: pa.Schema) -> list[str]:
            held: list[pa.RecordBatch] = []
            written: list[str] = []
            try:
                for path, count in datafiles.write(folder, schema, _cut(rows, held), prefix):
                    written.append(path)
                    self._save(path, _first(held, count))
            except BaseException:
                store.remove_files([*written, *map(self.beside, written)])
                raise
            return written

        return write

    def _save(self, data_file: str, origins: pa.Table) -> None:
        schema = pa.schema([FILE, PLACE], metadata={_FILES: json.dumps(self.files).encode()})
        with store.atomic_parquet(self.beside(data_file), schema) as writer:
            writer.write_table(origins.replace_schema_metadata(schema.metadata))

    def read(self, data_file: str) -> Origin | None:
        """Where the rows of one data file came from; None where nothing says so."""
        uri = self.beside(data_file)
        if not store.exists(uri):
            return None
        filesystem, inner = store.filesystem(uri)
        found = pq.read_table(inner, filesystem=filesystem, partitioning=None)  # of one data file
        files = tuple(json.loads((found.schema.metadata or {})[_FILES]))
        return Origin(files, found[FILE.name].to_numpy(), found[PLACE.name].to_numpy())

    def sweep(self, data_files: Iterable[str]) -> None:
        """Remove what is beside no data file of the table any more."""
        kept = set(map(self.beside, data_files))
        store.remove_files(uri for uri in store.list_files(self.folder) if uri not in kept)


def _cut(rows: Iterable[pa.RecordBatch], held: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        held.append(batch.select([FILE.name, PLACE.name]))
        yield batch.drop_columns([FILE.name, PLACE.name])


def _first(held: list[pa.RecordBatch], count: int) -> pa.Table:
    """The origins of so many rows, taken from `held`, where those of later rows may lie already. A file ends where a
    batch does."""
    taken: list[pa.RecordBatch] = []
    while sum(batch.num_rows for batch in taken) < count:
        taken.append(held.pop(0))
    return pa.Table.from_batches(taken)


@dataclass(frozen=True)
class Origin:
    """Of each row of a data file: the number of its curated file in `files`, and its place there."""

    files: tuple[str, ...]
    numbers: NDArray[np.int32]
    places: NDArray[np.int32]

    def of_rows(self, gone: Mapping[str, Positions | None]) -> Positions:
        """Places, in the data file, of rows that came from these: curated file to the places in it, or None for the
        whole file."""
        found = [self._of_file(number, gone[path]) for number, path in enumerate(self.files) if path in gone]
        return np.sort(np.concatenate(found)) if found else np.zeros(0, np.int64)

    def _of_file(self, number: int, gone: Positions | None) -> Positions:
        here = np.flatnonzero(self.numbers == number)
        if gone is None or not len(here):
            return here
        places = self.places[here]
        wanted = np.zeros(max(int(gone.max(initial=0)), int(places.max())) + 1, np.bool_)
        wanted[gone] = True
        return here[wanted[places]]
