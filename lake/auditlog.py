"""The audit log: every decision and publication, attempt and outcome, in a Merkle tree that only grows (law 4).

    proof/log/00000000.jsonl, 00001000.jsonl …   one entry a line, a thousand to a segment
    proof/log/head.json                          the newest checkpoint, and the frontier that leads to it

A line holds its entry and the checkpoint after it: the size of the tree, its root (RFC 6962) and the time, signed.
So nothing can be changed, taken out, put in or put in another order without the key; and whoever keeps a checkpoint
can tell later that what it covers is still the beginning of the log. Entries hold ids, digests and counts, never a
value, so that erasing data never means changing the log.

Writers take turns by a lock. An entry counts once its line is on the disk. A process killed in the middle of a line
leaves a piece that the next writer cuts off; one killed before the head was moved leaves a whole, signed line, which
the next writer takes up. Anything else that does not fit stops it: it is for `xuanwu verify` and people to look at.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import sqlalchemy as sa

from lake import store
from lake.certificates import lake_keys
from lake.database import connected_engine
from lake.merkle import Frontier, leaf_hash
from lake.signing import Signer, Trust, canonical
from schemas.errors import LakeError
from schemas.settings import Settings

LOG: Final = "proof/log"
HEAD: Final = "head.json"
SEGMENT: Final = 1000
CHECKPOINT: Final = "checkpoint"
Entry = Mapping[str, Any]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class AuditLog:
    """The log of one lake. `clock` gives aware times."""

    settings: Settings
    signer: Signer
    clock: Callable[[], datetime] = _now

    @property
    def folder(self) -> str:
        return store.join(self.settings.lake_root, LOG)

    def append(self, entry: Entry) -> int:
        """Write an entry and return its index. LakeError, with nothing counted, where it cannot be written."""
        try:
            with _turn(self.settings, self.folder):
                return self._append(entry)
        except OSError as error:
            raise LakeError(
                f"the audit log cannot be written ({type(error).__name__}); nothing is published without it",
                file=self.folder,
                next_step="see its disk's space and who may write there, then run it again",
            ) from None

    def entry(self, index: int) -> dict[str, Any] | None:
        """The entry at an index, read and not proved; None where there is none."""
        lines = _lines(self._segment(index))
        try:
            return read_line(lines[index % SEGMENT])[0]
        except (IndexError, ValueError):
            return None

    def _append(self, entry: Entry) -> int:
        frontier = self._frontier()
        index = frontier.size
        body = {**entry, "at": self.clock().astimezone(UTC).isoformat(timespec="microseconds")}
        frontier.append(leaf_hash(canonical(body)))
        checkpoint = self._checkpoint(frontier, body["at"])
        _write_line(self._segment(index), index % SEGMENT, line_of(body, checkpoint))
        self._move_head(frontier, checkpoint)
        return index

    def _checkpoint(self, frontier: Frontier, at: str) -> dict[str, Any]:
        said = {"size": frontier.size, "root": frontier.root().hex(), "time": at}
        return {**said, "key": self.signer.id, "signature": self.signer.sign(CHECKPOINT, said)}

    def _segment(self, index: int) -> str:
        return store.join(self.folder, segment_name(index))

    def _move_head(self, frontier: Frontier, checkpoint: dict[str, Any]) -> None:
        peaks = [peak.hex() for peak in frontier.peaks]
        store.write_atomic(
            store.join(self.folder, HEAD),
            canonical({"checkpoint": checkpoint, "frontier": peaks}) + b"\n",
        )

    # ── where the last writer left it ────────────────────────────────────────────────────────────────────

    def _frontier(self) -> Frontier:
        """The tree as it stands, a line that a killed process had finished included."""
        frontier = self._head()
        lines = _lines(self._segment(frontier.size))
        known = frontier.size % SEGMENT
        if len(lines) < known:
            self._damaged("lines are missing at its end")
        if known and _root(lines[known - 1]) != frontier.root().hex():
            self._damaged("its last line is not the one that was written")
        if len(lines) > known + 1:
            self._damaged("lines were added to it")
        if len(lines) == known + 1:
            self._take_up(frontier, lines[known])
        return frontier

    def _head(self) -> Frontier:
        uri = store.join(self.folder, HEAD)
        if not store.exists(uri):
            return Frontier()
        try:
            head = json.loads(store.read_bytes(uri))
            checkpoint = head["checkpoint"]
            frontier = Frontier(checkpoint["size"], [bytes.fromhex(peak) for peak in head["frontier"]])
        except (ValueError, KeyError, TypeError):
            self._damaged("its head cannot be read")
        fits = frontier.sound and frontier.root().hex() == checkpoint["root"]
        if not (fits and signed_checkpoint(checkpoint, self._known_keys(checkpoint))):
            self._damaged("its head does not lead to the checkpoint that was signed")
        return frontier

    def _take_up(self, frontier: Frontier, line: bytes) -> None:
        try:
            entry, checkpoint = read_line(line)
        except ValueError:
            self._damaged("a line at its end is none")
        frontier.append(leaf_hash(canonical(entry)))
        fits = (checkpoint["size"], checkpoint["root"]) == (frontier.size, frontier.root().hex())
        if not (fits and signed_checkpoint(checkpoint, self._known_keys(checkpoint))):
            self._damaged("a line was added to it")

    def _known_keys(self, checkpoint: Mapping[str, Any]) -> Trust:
        """Our own key, and beside it the one before, which lies in the lake, where the key has been changed."""
        if checkpoint.get("key") == self.signer.id:
            return self.signer.trust
        return lake_keys(self.settings.lake_root)

    def _damaged(self, how: str) -> NoReturn:
        raise LakeError(
            f"the audit log is damaged: {how}; nothing is published",
            file=self.folder,
            next_step="run `xuanwu verify`, keep a copy of the log as it is, and find out who changed it",
        )


# ── lines ─────────────────────────────────────────────────────────────────────────────────────────────────


def segment_name(index: int) -> str:
    """The file that holds an entry, named by its first entry's index."""
    return f"{index - index % SEGMENT:08d}.jsonl"


def logged(lake: str) -> dict[tuple[str, str], int]:
    """The index of each certificate's entry, by its path and digest; for showing, without proving the log."""
    found: dict[tuple[str, str], int] = {}
    start = 0
    while store.exists(uri := store.join(lake, LOG, segment_name(start))):
        for number, line in enumerate(_lines(uri), start):
            with suppress(ValueError):
                if certificate := read_line(line)[0].get("certificate"):
                    found[certificate["path"], certificate["sha256"]] = number
        start += SEGMENT
    return found


def line_of(entry: Entry, checkpoint: Entry) -> bytes:
    return canonical({"entry": dict(entry), "checkpoint": dict(checkpoint)}) + b"\n"


def read_line(line: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Entry and checkpoint. ValueError unless the line is, byte for byte, what `line_of` makes of them."""
    try:
        found = json.loads(line)
        entry, checkpoint = found["entry"], found["checkpoint"]
        same = line_of(entry, checkpoint) == line
    except (KeyError, TypeError, UnicodeDecodeError, RecursionError):
        raise ValueError("not a line of the log") from None
    if not same or set(checkpoint) != {"size", "root", "time", "key", "signature"}:
        raise ValueError("not a line of the log")
    return entry, checkpoint


def signed_checkpoint(checkpoint: Mapping[str, Any], trust: Trust) -> bool:
    said = {name: checkpoint.get(name) for name in ("size", "root", "time")}
    return trust.signed(CHECKPOINT, said, str(checkpoint.get("key")), str(checkpoint.get("signature")))


def _root(line: bytes) -> str | None:
    try:
        return str(read_line(line)[1]["root"])
    except ValueError:
        return None


def _lines(uri: str) -> list[bytes]:
    """The finished lines of a segment."""
    data = store.read_bytes(uri) if store.exists(uri) else b""
    return data[: data.rfind(b"\n") + 1].splitlines(keepends=True)


def _write_line(uri: str, number: int, line: bytes) -> None:
    """Put the line after the first `number` lines, and on the disk, or leave these alone. A line that a killed
    process had finished is among them by then; a piece of one is written over."""
    lines = _lines(uri)
    if not store.is_local(uri):
        store.write_atomic(uri, b"".join([*lines[:number], line]))
        return
    end = sum(map(len, lines[:number]))
    store.make_folder(uri.rpartition("/")[0])
    handle = os.open(store.filesystem(uri)[1], os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(handle, end)
        try:
            written = os.pwrite(handle, line, end)
            if written != len(line):
                raise OSError("a line was not written whole")
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, end)
            raise
    finally:
        os.close(handle)
    if number == 0:
        _settle_folder(uri)


def _settle_folder(uri: str) -> None:
    handle = os.open(Path(store.filesystem(uri)[1]).parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ── turns ─────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _turn(settings: Settings, folder: str) -> Iterator[None]:
    """One writer at a time. On a disk a lock of the folder, which a killed process loses. On S3, which has none: a
    lock of the ledger's PostgreSQL, and with a ledger on SQLite, which is one machine's, a lock of its home."""
    if not store.is_local(folder) and settings.database_url.startswith("postgresql"):
        with _turn_by_database(settings):
            yield
        return
    place = Path(store.filesystem(folder)[1]) if store.is_local(folder) else settings.home.resolve()
    store.make_folder(str(place))
    handle = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _turn_by_database(settings: Settings) -> Iterator[None]:
    number = int.from_bytes(hashlib.sha256(settings.lake_root.encode()).digest()[:7])
    try:
        with connected_engine(settings.database_url).begin() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))
            yield
    except sa.exc.SQLAlchemyError as error:
        raise LakeError(
            f"the audit log's turn cannot be taken ({type(error).__name__})",
            next_step="see XUANWU_DATABASE, then run it again",
        ) from None
