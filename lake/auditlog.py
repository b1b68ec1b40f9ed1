"""The audit log: every decision and publication, attempt and outcome, in a Merkle tree that only grows (law 4).

    proof/log/00000000.jsonl, 00001000.jsonl …   one entry a line, a thousand to a segment
    proof/log/head.json                          the newest checkpoint, and the frontier that leads to it

A line holds its entry and the checkpoint after it: the size of the tree, its root (RFC 6962) and the time, signed.
So nothing can be changed, taken out, put in or put in another order without the key; and whoever keeps a checkpoint
can tell later that what it covers is still the beginning of the log. Entries hold ids, digests and counts, never a
value, so that erasing data never means changing the log.

Writers take turns by a lock, and what the threads of a process bring meanwhile is written in one turn. An entry counts
once its line is on the disk. A process killed in the middle of a line leaves a piece that the next writer cuts off; one
killed before the head was moved leaves whole, signed lines, of one turn at most, which the next writer takes up.
Anything else that does not fit stops it: it is for `xuanwu verify` and people to look at.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import sqlalchemy as sa

from lake import store
from lake.certificates import lake_keys
from lake.database import connected_engine
from lake.merkle import Frontier, leaf_hash
from lake.signing import Signer, Trust, canonical
from lake.together import Together
from schemas.errors import LakeError
from schemas.settings import Settings

LOG: Final = "proof/log"
HEAD: Final = "head.json"
SEGMENT: Final = 1000
TURN: Final = 100
"""Entries that are written in one turn at most."""
CHECKPOINT: Final = "checkpoint"
DIGEST: Final = "audit log digest"
Entry = Mapping[str, Any]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class _Written:
    """How this process left the log when it last wrote: the head's bytes, where the segment's last line begins, and
    the line. While both are there unchanged, the tree is the one that it was."""

    frontier: Frontier = field(default_factory=Frontier)
    head: bytes = b""
    begin: int = 0
    line: bytes = b""

    @property
    def end(self) -> int:
        return self.begin + len(self.line)

    def note(self, frontier: Frontier, head: bytes, end: int, lines: Sequence[bytes]) -> None:
        self.frontier, self.head, self.line = frontier, head, lines[-1]
        self.begin = end + sum(map(len, lines[:-1]))


@dataclass(frozen=True)
class AuditLog:
    """The log of one lake. `clock` gives aware times."""

    settings: Settings
    signer: Signer
    clock: Callable[[], datetime] = _now
    _together: Together[Entry, int] = field(
        default_factory=lambda: Together(TURN), init=False, repr=False, compare=False
    )
    _written: _Written = field(default_factory=_Written, init=False, repr=False, compare=False)

    @property
    def folder(self) -> str:
        return store.join(self.settings.lake_root, LOG)

    def append(self, entry: Entry) -> int:
        """Write an entry and return its index. LakeError, with nothing counted, where it cannot be written; TypeError
        for one that has no canonical form."""
        canonical(dict(entry))
        return self._together.do(entry, self._in_one_turn)

    def _in_one_turn(self, entries: list[Entry]) -> list[int]:
        with self.turn() as append:
            return append(*entries)

    def digest(self, value: Any) -> str:
        """What an entry says of a value that may be a person's: by the signing key, so that nobody without it can try
        values, and equal ones have equal digests while it is the same. TypeError as for `append`."""
        return self.signer.secret(DIGEST, canonical(value).decode())

    @contextmanager
    def turn(self) -> Iterator[Callable[..., list[int]]]:
        """Nobody else writes to the log meanwhile; what it gives appends entries and gives their indices. For an entry
        and a file that it tells of, so that of two processes the one whose entry is the last has written the file."""
        try:
            with _turn(self.settings, self.folder):
                yield self._append
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

    def entries(self, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """The entries from an index on, read and not proved, each with its index."""
        yield from entries(self.settings.lake_root, start)

    def _append(self, *entries: Entry) -> list[int]:
        """A segment is written and the head moved to its end before the next one is begun."""
        made: list[int] = []
        while len(made) < len(entries):
            frontier, end = self._standing()
            first = frontier.size
            now = entries[len(made) :][: _most(frontier)]
            lines = [self._line(frontier, entry) for entry in now]
            _write_lines(self._segment(first), end, [line for line, _ in lines])
            try:
                head = self._move_head(frontier, lines[-1][1])
            except (OSError, LakeError):
                self._take_back(first, end)
                raise
            self._written.note(frontier, head, end, [line for line, _ in lines])
            made += range(first, frontier.size)
        return made

    def _line(self, frontier: Frontier, entry: Entry) -> tuple[bytes, dict[str, Any]]:
        """The entry's line and checkpoint, once it is in the tree."""
        body = {**entry, "at": self.clock().astimezone(UTC).isoformat(timespec="microseconds")}
        frontier.append(leaf_hash(canonical(body)))
        checkpoint = self._checkpoint(frontier, body["at"])
        return line_of(body, checkpoint), checkpoint

    def _checkpoint(self, frontier: Frontier, at: str) -> dict[str, Any]:
        said = {"size": frontier.size, "root": frontier.root().hex(), "time": at}
        return {**said, "key": self.signer.id, "signature": self.signer.sign(CHECKPOINT, said)}

    def _segment(self, index: int) -> str:
        return store.join(self.folder, segment_name(index))

    def _move_head(self, frontier: Frontier, checkpoint: dict[str, Any]) -> bytes:
        peaks = [peak.hex() for peak in frontier.peaks]
        head = canonical({"checkpoint": checkpoint, "frontier": peaks}) + b"\n"
        store.write_atomic(store.join(self.folder, HEAD), head)
        return head

    def _take_back(self, first: int, end: int) -> None:
        """The head was not moved, such as on a full disk, and whoever brought these lines is told that they do not
        count: so they go, lest the next writer takes them up. Where the head was moved after all they stay."""
        with suppress(OSError, LakeError):
            if self._head(self._head_bytes()).size == first:
                _write_lines(self._segment(first), end, ())

    def _head_bytes(self) -> bytes | None:
        uri = store.join(self.folder, HEAD)
        return store.read_bytes(uri) if store.exists(uri) else None

    # ── where the last writer left it ────────────────────────────────────────────────────────────────────

    def _standing(self) -> tuple[Frontier, int]:
        """The tree as it stands, lines that a killed process had finished included, and how many bytes of the segment
        of its next entry are whole lines."""
        head = self._head_bytes()
        if self._as_we_left_it(head):
            return self._written.frontier.copy(), self._written.end
        frontier = self._head(head)
        lines = _lines(self._segment(frontier.size))
        known = frontier.size % SEGMENT
        if len(lines) < known:
            self._damaged("lines are missing at its end")
        if known and _root(lines[known - 1]) != frontier.root().hex():
            self._damaged("its last line is not the one that was written")
        if len(lines) > known + _most(frontier):
            self._damaged("lines were added to it")
        for line in lines[known:]:
            self._take_up(frontier, line)
        return frontier, sum(map(len, lines)) if frontier.size % SEGMENT else 0

    def _as_we_left_it(self, head: bytes | None) -> bool:
        """Whether nobody has written since this process did: then what it knows need not be read and proved again."""
        size = self._written.frontier.size
        if not size % SEGMENT or head != self._written.head or not store.is_local(self.folder):
            return False
        return _tail(self._segment(size), self._written.begin) == self._written.line

    def _head(self, data: bytes | None) -> Frontier:
        if data is None:
            return Frontier()
        try:
            head = json.loads(data)
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


def _most(frontier: Frontier) -> int:
    """Entries that may be written before the head is moved: within a segment, and of an empty log the first one, so
    that a log of several lines without a head is known for a damaged one."""
    return min(TURN, SEGMENT - frontier.size % SEGMENT) if frontier.size else 1


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


def entries(lake: str, start: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """The entries from an index on, each with its index; for showing, without proving the log."""
    while store.exists(uri := store.join(lake, LOG, segment_name(start))):
        for line in _lines(uri)[start % SEGMENT :]:
            yield start, read_line(line)[0]
            start += 1
        if start % SEGMENT:
            return


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


def _tail(uri: str, begin: int) -> bytes:
    """A segment's bytes from a place on; none where there is no such file."""
    try:
        with Path(store.filesystem(uri)[1]).open("rb") as file:
            file.seek(begin)
            return file.read()
    except FileNotFoundError:
        return b""


def _write_lines(uri: str, end: int, lines: Sequence[bytes]) -> None:
    """Put the lines after the first `end` bytes, and on the disk, or leave these alone. A piece of a line that a killed
    process left is written over."""
    data = b"".join(lines)
    if not store.is_local(uri):
        store.write_atomic(uri, (store.read_bytes(uri)[:end] if end else b"") + data)
        return
    store.make_folder(uri.rpartition("/")[0])
    handle = os.open(store.filesystem(uri)[1], os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(handle, end)
        try:
            written = os.pwrite(handle, data, end)
            if written != len(data):
                raise OSError("a line was not written whole")
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, end)
            raise
    finally:
        os.close(handle)
    if end == 0:
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
