"""The audit log, read from its first line: every entry, every root, every signature; and what it says stands."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from lake.auditlog import HEAD, LOG, SEGMENT, TURN, read_line, segment_name, signed_checkpoint
from lake.merkle import Frontier, leaf_hash
from lake.signing import Trust, canonical
from lake.verify.copy import Copy, Finding

Entry = dict[str, Any]
_HEAD: Final = f"{LOG}/{HEAD}"


@dataclass
class Log:
    """What follows from the entries. `certificates` lists the digests that a certificate has had, in order; `index` and
    `first` are its last entry and its first; `contracts` has by dataset each contract's first entry; `unfounded` are
    reviews of forms of which nothing had been said before; `incidents` has the last entry of each step by its file, and
    `cases` the share requests and risks that were told of; `rewritten` are steps that were written anew otherwise than
    by an erasure."""

    roots: list[str] = field(default_factory=list)
    checkpoints: list[Entry] = field(default_factory=list)
    certificates: dict[str, list[str]] = field(default_factory=dict)
    last: dict[str, Entry] = field(default_factory=dict)
    outcomes: set[str] = field(default_factory=set)
    index: dict[str, int] = field(default_factory=dict)
    standing: dict[str, Entry] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    erasures: dict[str, str] = field(default_factory=dict)
    completed: set[str] = field(default_factory=set)
    lifted: dict[str, str] = field(default_factory=dict)
    releases: dict[str, str] = field(default_factory=dict)
    handled: dict[str, Entry] = field(default_factory=dict)
    attempted: set[tuple[str, int]] = field(default_factory=set)
    attested: dict[str, Entry] = field(default_factory=dict)
    attestations: set[str] = field(default_factory=set)
    forms: dict[str, Entry] = field(default_factory=dict)
    contracts: dict[str, dict[str, int]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    unfounded: list[Entry] = field(default_factory=list)
    incidents: dict[str, Entry] = field(default_factory=dict)
    cases: set[tuple[str, int]] = field(default_factory=set)
    rewritten: list[str] = field(default_factory=list)

    def take(self, entry: Entry) -> None:
        if entry.get("action") == "publish" and "certificate" in entry:
            self._publish(entry)
        elif entry.get("action") == "withdraw":
            self.standing.pop(entry["table"], None)
            self.releases |= {proof["path"]: proof["sha256"] for proof in entry.get("releases", ())}
        elif entry.get("action") in {"erase", "lift"}:
            proof = entry["certificate"]
            (self.erasures if entry["action"] == "erase" else self.lifted)[proof["path"]] = proof["sha256"]
            if entry.get("state") == "completed":
                self.completed.add(proof["path"])
        elif entry.get("action") == "handle":
            self.handled[entry["handled"]["path"]] = entry
            if entry["phase"] == "attempt":
                self.attempted.add((entry["handled"]["path"], len(self.roots) - 1))
        elif entry.get("action") == "attest":
            self.attested[entry["table"]] = entry
            self.attestations.add(entry["attestation"]["path"])
        elif entry.get("action") == "contract":
            self.forms[entry["form"]["path"]] = entry
            known = self.contracts.setdefault(entry["dataset"], {})
            known.setdefault(entry["contract"], len(self.roots) - 1)
        elif entry.get("action") == "review":
            known_form = self.forms.get(entry["form"]["path"], {})
            same = all(known_form.get(key) == entry[key] for key in ("dataset", "number", "contract", "form"))
            self.unfounded += [] if same else [entry]
        elif entry.get("action") in {"incident", "risk", "request"}:
            self._case(entry)
        elif verdict := entry.get("verdict"):
            self.verdicts[verdict["path"]] = verdict["sha256"]
        self.removed |= set(entry.get("removed", []))

    def _case(self, entry: Entry) -> None:
        if entry["action"] != "incident":
            self.cases.add((entry["action"], entry[entry["action"]]))
            return
        before = self.incidents.get(entry["record"])
        self.incidents[entry["record"]] = entry
        if entry["phase"] == "attempt":
            counted = before is not None and before["phase"] == "outcome"
            if counted and not ("erasure" in entry and _but_texts(entry) == _but_texts(before or {})):
                self.rewritten.append(entry["record"])
            self.attempted.add((entry["record"], len(self.roots) - 1))

    def _publish(self, entry: Entry) -> None:
        certificate, metadata = entry["certificate"], entry.get("metadata")
        self.certificates.setdefault(certificate["path"], []).append(certificate["sha256"])
        self.last[certificate["path"]] = entry
        self.index[certificate["path"]] = len(self.roots) - 1
        self.first.setdefault(certificate["path"], len(self.roots) - 1)
        if metadata:
            self.metadata[metadata["path"]] = metadata["sha256"]
        if entry["phase"] == "outcome":
            self.standing[entry["table"]] = entry
            self.outcomes.add(certificate["path"])

    def gone(self, path: str) -> bool:
        """Whether the log says that what lay there was removed, as retention and erasure do."""
        above = accumulate(path.split("/"), lambda folder, name: f"{folder}/{name}")
        return not self.removed.isdisjoint(above)


def _but_texts(entry: Entry) -> Entry:
    """What an erasure leaves of a step of an incident."""
    return {name: said for name, said in entry.items() if name not in {"at", "phase", "texts", "erasure"}}


def replay(copy: Copy, trust: Trust, kept: Mapping[str, Any] | None) -> Generator[Finding, None, Log]:
    """The log from its beginning; it ends where a line is wrong, since every root after it hangs on that line.

    A lake that is at work goes on writing meanwhile: the log is read on for as long as its head tells of more."""
    log, frontier = Log(), Frontier()
    wrong, head = _read_on(copy, log, frontier, trust), _read_head(copy)
    while wrong is None and _size(head) > (known := len(log.roots)):
        wrong, head = _read_on(copy, log, frontier, trust), _read_head(copy)
        if len(log.roots) == known:
            break
    copy.entries = len(log.roots)
    copy.checkpoint = log.checkpoints[-1] if log.checkpoints else {}
    if wrong is not None:
        yield wrong
    yield from _strangers(copy, log)
    yield from _head(copy, log, trust, head)
    if kept is not None:
        yield from _kept(log, trust, kept)
    return log


def _read_on(copy: Copy, log: Log, frontier: Frontier, trust: Trust) -> Finding | None:
    """Take what the log has gained; the first line that is wrong, if one is."""
    for place, line in _lines(copy, len(log.roots)):
        if wrong := _wrong(line, frontier, trust):
            return Finding(place, f"{wrong}; nothing after it in the log is proved")
        entry, checkpoint = read_line(line)
        log.roots.append(frontier.root().hex())
        log.checkpoints.append(checkpoint)
        log.take(entry)
    return None


def _lines(copy: Copy, start: int) -> Iterator[tuple[str, bytes]]:
    """Each line from an entry on, with its place. What follows the last line's end is a line too, and will be found to
    be none, unless somebody is just writing it."""
    known, first = start % SEGMENT, start - start % SEGMENT
    while copy.exists(path := f"{LOG}/{segment_name(first)}"):
        data = copy.read(path)
        data = data if data.endswith(b"\n") else copy.read(path)
        lines = data.split(b"\n")
        whole = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
        for number, line in enumerate(whole[known:], known + 1):
            yield f"{path} line {number}", line
        if len(whole) != SEGMENT:
            return
        known, first = 0, first + SEGMENT


def _wrong(line: bytes, frontier: Frontier, trust: Trust) -> str | None:
    """What is wrong with the line; None, with its entry in the tree, if nothing is."""
    if not line.endswith(b"\n"):
        return "the line is unfinished: an append was cut off, and the next one will remove it, or it was changed"
    try:
        entry, checkpoint = read_line(line)
    except ValueError:
        return "the line was changed: it is no longer in its canonical form"
    frontier.append(leaf_hash(canonical(entry)))
    if (checkpoint["size"], checkpoint["root"]) != (frontier.size, frontier.root().hex()):
        return "the log was changed: the signed root is not the root of what the log holds up to here"
    if checkpoint["key"] not in trust.keys:
        return f"the checkpoint is signed by the key {checkpoint['key']}, which is not trusted"
    if not signed_checkpoint(checkpoint, trust):
        return "the checkpoint's signature is not right"
    return None if checkpoint["time"] == entry.get("at") else "entry and checkpoint tell different times"


def _strangers(copy: Copy, log: Log) -> Iterator[Finding]:
    named = {_HEAD} | {f"{LOG}/{segment_name(start)}" for start in range(0, len(log.roots) + 1, SEGMENT)}
    for path in (yield from copy.finished(LOG)):
        if path not in named:
            yield Finding(path, "this is no part of the log")


def _read_head(copy: Copy) -> bytes | None:
    return copy.read(_HEAD) if copy.exists(_HEAD) else None


def _size(head: bytes | None) -> int:
    """How many entries a head tells of; none where it cannot be read."""
    try:
        return int(json.loads(head or b"")["checkpoint"]["size"])
    except (ValueError, KeyError, TypeError):
        return 0


def _head(copy: Copy, log: Log, trust: Trust, data: bytes | None) -> Iterator[Finding]:
    """The newest checkpoint tells that the log's end was not cut off."""
    path = _HEAD
    if data is None:
        yield Finding(path, "the newest checkpoint is missing")
        return
    try:
        head = json.loads(data)
        checkpoint, size = head["checkpoint"], int(head["checkpoint"]["size"])
        peaks = [bytes.fromhex(peak) for peak in head["frontier"]]
        fits = Frontier(size, peaks).sound and Frontier(size, peaks).root().hex() == checkpoint["root"]
        exact = [peak.hex() for peak in peaks] == head["frontier"] and canonical(head) + b"\n" == data
        right = fits and exact and signed_checkpoint(checkpoint, trust)
    except (ValueError, KeyError, TypeError, AttributeError):
        right = False
    if not right:
        yield Finding(path, "the newest checkpoint was changed, or its signature is not right")
    elif size > len(log.roots):
        yield Finding(
            path, f"the log's end is missing: {size} entries were signed, {len(log.roots)} are there"
        )
    elif size < len(log.roots) - TURN or checkpoint != log.checkpoints[size - 1]:
        yield Finding(path, "the newest checkpoint is not the log's")
    elif size < len(log.roots):
        copy.notes.append(
            "the log's head is not moved to the last entries yet: their process is at it, or was killed; "
            "the next one will"
        )


def _kept(log: Log, trust: Trust, kept: Mapping[str, Any]) -> Iterator[Finding]:
    checkpoint = kept.get("checkpoint", kept)
    size = checkpoint.get("size")
    if not isinstance(size, int) or size < 1 or not signed_checkpoint(checkpoint, trust):
        yield Finding("the kept checkpoint", "it is none that a trusted key signed")
    elif size > len(log.roots) or log.roots[size - 1] != checkpoint["root"]:
        yield Finding(
            LOG, f"the log is not the one of the kept checkpoint: its first {size} entries were others"
        )
