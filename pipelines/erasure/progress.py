"""How far an erasure has come, kept beside the lake while it is under way: a process that is killed and run again
tells the whole of what was removed, not just what it removed itself. Counts, paths and digests; no value."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from lake import store
from lake.certificates import FileProof
from lake.erasures import ErasedBatch, Place, Zone
from schemas.settings import Settings


class Count(BaseModel):
    """What is about to be removed at one place."""

    zone: Zone
    dataset: str
    rows: int
    files: int


class State(BaseModel):
    counts: dict[str, Count] = {}
    batches: dict[str, ErasedBatch] = {}
    removed: list[str] = []
    publications: dict[str, FileProof] = {}
    withdrawn: list[str] = []


class Progress:
    """The state of one erasure, written down before each step that cannot be taken back."""

    def __init__(self, settings: Settings, erasure: str) -> None:
        self._uri = str(settings.home.resolve() / "erasures" / f"{erasure}.json")
        there = store.exists(self._uri)
        self.state = State.model_validate_json(store.read_bytes(self._uri)) if there else State()

    def note(self, zone: Zone, dataset: str, part: str, rows: int, files: int) -> None:
        """Rows and files of one part (a batch, a table); said again with less, the more stays."""
        name = f"{zone} {dataset} {part}"
        before = self.state.counts.get(name)
        if before is None or (rows, files) > (before.rows, before.files):
            self.state.counts[name] = Count(zone=zone, dataset=dataset, rows=rows, files=files)
            self._save()

    def batch(self, batch: ErasedBatch) -> None:
        self.state.batches[f"{batch.manifest.path} {batch.manifest_before}"] = batch
        self._save()

    def remove(self, path: str) -> None:
        if path not in self.state.removed:
            self.state.removed.append(path)
            self._save()

    def published(self, table: str, certificate: FileProof) -> None:
        self.state.publications[table] = certificate
        self.state.withdrawn = [each for each in self.state.withdrawn if each != table]
        self._save()

    def withdraw(self, table: str) -> None:
        self.state.publications.pop(table, None)
        if table not in self.state.withdrawn:
            self.state.withdrawn.append(table)
            self._save()

    def places(self) -> tuple[Place, ...]:
        """Summed by zone and dataset; places where nothing was are not among them."""
        sums: dict[tuple[Zone, str], list[int]] = {}
        for count in self.state.counts.values():
            held = sums.setdefault((count.zone, count.dataset), [0, 0])
            held[0], held[1] = held[0] + count.rows, held[1] + count.files
        return tuple(
            Place(zone=zone, dataset=dataset, rows=rows, files=files)
            for (zone, dataset), (rows, files) in sorted(sums.items())
            if rows or files
        )

    def finished(self) -> None:
        store.remove_file(self._uri)

    def _save(self) -> None:
        Path(self._uri).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        store.write_atomic(self._uri, self.state.model_dump_json().encode())
