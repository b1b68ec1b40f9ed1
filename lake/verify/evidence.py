"""The evidence under a certificate: what landed, byte for byte, the verdicts, and the rows that these set aside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lake.certificates import BatchProof, Certificate, FileProof, Original, seal
from lake.erasures import Erasure
from lake.records import REJECTS, Verdict
from lake.verify.copy import Copy, Finding
from lake.verify.erasures import chain
from lake.verify.journal import Log


def check(copy: Copy, log: Log, certificate: Certificate, erased: dict[str, Erasure]) -> Iterator[Finding]:
    """The batches of one published snapshot. What the log says was removed by retention or erasure need not be
    there."""
    for batch in certificate.batches:
        if batch.erasure is not None:
            if batch.erasure not in erased:
                yield Finding(
                    f"batch {batch.id}", f"the erasure {batch.erasure} has no certificate that holds"
                )
            continue
        if batch.manifest is None or batch.verdict is None:
            yield Finding(
                f"batch {batch.id}", f"{certificate.table} names no landing manifest or no verdict of it"
            )
            continue
        if not log.gone(batch.manifest.path):
            yield from _landed(copy, log, batch, batch.manifest, erased)
        for proof in batch.corrections:
            if not log.gone(proof.path):
                yield from copy.same(proof)
        if not log.gone(batch.verdict.path):
            yield from _verdict(copy, log, batch, batch.verdict)


def _landed(
    copy: Copy, log: Log, batch: BatchProof, manifest: FileProof, erased: dict[str, Erasure]
) -> Iterator[Finding]:
    """The manifest is as certified, or as certificates of erasure have left it, and so are the files that it names,
    where retention has not removed them, and there are no others."""
    broken = list(copy.same(manifest))
    if broken and copy.exists(manifest.path):
        now = copy.sha256(manifest.path)
        lawful = now == chain(erased, manifest.path, manifest.sha256)
        broken = [] if lawful else broken
    yield from broken
    if broken:
        return
    folder = manifest.path.rpartition("/")[0]
    files: list[dict[str, Any]] = json.loads(copy.read(manifest.path))["files"]
    named = {f"{folder}/files/{file['path'].rsplit('/', 1)[-1]}": file for file in files}
    if Counter(map(_came, files)) != Counter(batch.landed):
        yield Finding(manifest.path, "it names other files than the certificate")
    for path, file in named.items() if not log.gone(f"{folder}/files") else ():
        yield from copy.same(FileProof(path=path, sha256=file["sha256"], size=file["size"]))
    for path in (yield from copy.below(f"{folder}/files")):
        if path not in named:
            yield Finding(path, "the manifest does not name this file")


def _came(file: Mapping[str, Any]) -> Original:
    """A file of a manifest as a certificate holds it."""
    came = file.get("received") or file
    return Original(**seal(file.get("salt", ""), came["sha256"]), size=came["size"], rows=came["rows"])


def _verdict(copy: Copy, log: Log, batch: BatchProof, proof: FileProof) -> Iterator[Finding]:
    """As certified, or as the log says that a later run of the same check left it; and the file of the rows set aside
    is as the verdict says."""
    later = copy.exists(proof.path) and copy.sha256(proof.path) == log.verdicts.get(proof.path)
    broken = [] if later else list(copy.same(proof))
    yield from broken
    path = f"{proof.path.rpartition('/')[0]}/{REJECTS}"
    if not broken:
        yield from _rejects(copy, path, Verdict.model_validate_json(copy.read(proof.path)))
    elif copy.exists(path) or batch.balance.check_quarantined:
        yield Finding(path, "what it must be is said by a verdict that is missing or was changed")


def _rejects(copy: Copy, path: str, said: Verdict) -> Iterator[Finding]:
    """Verdicts from before there was a salt do not say which rows they set aside."""
    if said.rejects is not None:
        yield from copy.same(FileProof(path=path, sha256=said.rejects.sha256, size=said.rejects.size))
    elif said.salt and copy.exists(path):
        yield Finding(path, "the verdict says that no rows were set aside")
