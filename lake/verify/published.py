"""Published tables: Iceberg's own files say what the certificates say, and nothing else lies there."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final

from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.manifest import DataFileContent, read_manifest_list

from lake import s3
from lake.certificates import Certificate, FileProof, own_path, path_of
from lake.properties import said
from lake.verify.copy import LEFT, Copy, Finding
from lake.verify.journal import Log
from schemas.policy import ZONES

Certificates = Mapping[str, Certificate]
_FOR_READERS: Final = re.compile(
    r"share/[^/]+/([0-9a-f]{12}/)?shown/(plain|deletes|manifest|list|metadata)-[0-9a-f]{40}\.(parquet|avro|json)"
)
"""See `lake.shown`; the folder before is a life of the table (`lake.renewal`)."""


class _Moved(PyArrowFileIO):
    """Files of a table that was written elsewhere: absolute paths are taken below the copy."""

    def __init__(self, copy: Copy, written_at: str) -> None:
        super().__init__(s3.iceberg_properties() if copy.root.startswith("s3://") else {})
        self.copy, self.written_at = copy, written_at

    def path(self, location: str) -> str:
        """Below the lake; as it is where it lay outside, which no certificate names."""
        return location.removeprefix("file://").removeprefix(self.written_at)

    def new_input(self, location: str) -> PyArrowFile:
        return super().new_input(self.copy.uri(self.path(location)))


def table(
    copy: Copy, log: Log, certificates: Certificates, name: str
) -> Generator[Finding, None, dict[str, Certificate]]:
    """One table that the log says stands: its metadata, each snapshot in it, their manifests and their data.

    Returns the certificates of its snapshots, by path."""
    entry = log.standing[name]
    place = entry["metadata"]["path"] if entry["metadata"] else name.replace(".", "/")
    metadata = _metadata(copy, entry)
    if isinstance(metadata, str):
        yield Finding(place, metadata)
        return {}
    if metadata.get("current-snapshot-id") != entry["snapshot"]:
        yield Finding(place, "readers see another snapshot than the one published last")
    moved = _Moved(copy, _written_at(metadata, place))
    live: dict[str, Certificate] = {}
    zone, _, of = name.partition(".")
    for snapshot in metadata.get("snapshots", []):
        path = path_of(zone, of, snapshot["snapshot-id"])
        certificate = certificates.get(path)
        if certificate is None:
            yield Finding(place, f"the snapshot {snapshot['snapshot-id']} has no certificate that holds")
            continue
        live[path] = certificate
        yield from _snapshot(copy, moved, snapshot, certificate)
    if certificate := certificates.get(entry["certificate"]["path"]):
        yield from _newest(place, entry, certificate)
    return live


def _metadata(copy: Copy, entry: Mapping[str, Any]) -> dict[str, Any] | str:
    proof = entry["metadata"]
    if proof is None:
        return "the log does not say which metadata the table has"
    if not copy.exists(proof["path"]):
        return "the table's metadata is missing"
    if copy.sha256(proof["path"]) != proof["sha256"]:
        return "the table's metadata is not what was logged: it was changed"
    return dict(json.loads(copy.read(proof["path"])))


def _written_at(metadata: Mapping[str, Any], place: str) -> str:
    """The lake's root when the table was written: its location without the part that is below the lake."""
    below = place.rpartition("/metadata/")[0]
    return str(metadata["location"]).removeprefix("file://").rstrip("/").removesuffix(below)


def _newest(place: str, entry: Mapping[str, Any], certificate: Certificate) -> Iterator[Finding]:
    metadata = certificate.metadata
    if metadata is None or (metadata.path, metadata.sha256) != (place, entry["metadata"]["sha256"]):
        yield Finding(own_path(certificate), "it was not completed after the commit: publish again")


def _snapshot(
    copy: Copy, moved: _Moved, snapshot: Mapping[str, Any], certificate: Certificate
) -> Iterator[Finding]:
    """Metadata → manifest list → manifests → data files, each as certified, and the same at every step."""
    path = own_path(certificate)
    named = {"certificate": path, "batch": certificate.batch, "masks": certificate.masks_hash}
    wrong = [word for word, value in named.items() if said(snapshot["summary"], word) != value]
    if wrong or moved.path(snapshot["manifest-list"]) != certificate.manifest_list.path:
        yield Finding(
            path, f"the snapshot says other things of itself ({', '.join(wrong) or 'manifest list'})"
        )
        return
    broken = [
        finding
        for proof in (certificate.manifest_list, *certificate.manifests, *certificate.data)
        for finding in copy.same(proof)
    ]
    yield from broken
    if not broken:
        yield from _manifests(moved, snapshot["manifest-list"], certificate)


_SIGN = {DataFileContent.DATA: 1, DataFileContent.POSITION_DELETES: -1}
"""A certificate tells the rows of a delete file as a negative number: what it takes away."""


def _manifests(moved: _Moved, uri: str, certificate: Certificate) -> Iterator[Finding]:
    manifests = list(read_manifest_list(moved.new_input(uri)))
    if {moved.path(each.manifest_path) for each in manifests} != {
        each.path for each in certificate.manifests
    }:
        yield Finding(certificate.manifest_list.path, "it names other manifests than the certificate")
        return
    entries = [entry.data_file for manifest in manifests for entry in manifest.fetch_manifest_entry(moved)]
    held = {moved.path(file.file_path): file.record_count * _SIGN.get(file.content, 0) for file in entries}
    if held != {file.path: file.rows for file in certificate.data}:
        yield Finding(own_path(certificate), "the manifests name other files or rows than the certificate")


def strangers(copy: Copy, log: Log, certificates: Certificates) -> Iterator[Finding]:
    """What lies in share or open must be named by a certificate or by the log, and be as named there. Files that the
    exchange has made for its readers (`lake.shown`) are counted, and not proved: they are made of the certified ones.
    """
    for_readers = 0
    named: dict[str, str] = dict(log.metadata)
    for certificate in certificates.values():
        named |= {proof.path: proof.sha256 for proof in _files(certificate)}
    for zone in ZONES:
        for path in (yield from copy.below(zone)):
            name = ".".join(path.split("/")[:2])
            if name not in log.standing:
                yield Finding(path, f"the log does not say that {name} is published")
            elif path not in named and _FOR_READERS.fullmatch(path):
                for_readers += 1
            elif path not in named:
                yield Finding(path, f"no certificate names this file: {LEFT}")
            elif copy.sha256(path) != named[path]:
                yield Finding(path, "the file is not the one that was certified: it was changed")
    if for_readers:
        copy.notes.append(
            f"{for_readers} files that the exchange made for readers of certified ones are not proved themselves: "
            "they can be removed at any time, and are made again"
        )


def _files(certificate: Certificate) -> tuple[FileProof, ...]:
    metadata = (certificate.metadata,) if certificate.metadata else ()
    return (*certificate.data, certificate.manifest_list, *certificate.manifests, *metadata)
