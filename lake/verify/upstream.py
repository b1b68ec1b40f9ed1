"""What other platforms shared with us: the certificates that our landing manifests name, signed by their keys."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import ValidationError

from lake.certificates import Certificate
from lake.records import Upstream
from lake.signing import public_key
from lake.upstream import checked, key_path
from lake.verify.copy import Copy, Finding
from lake.verify.journal import Log
from schemas.errors import SettingsError


def check(copy: Copy, log: Log, certificate: Certificate) -> Iterator[Finding]:
    """The batches of one published snapshot. A manifest that is not as certified the evidence's own check tells."""
    for batch in certificate.batches:
        proof = batch.manifest
        if proof is None or log.gone(proof.path) or not copy.exists(proof.path):
            continue
        try:
            manifest = json.loads(copy.read(proof.path))
            said = Upstream.model_validate(manifest["upstream"]) if manifest.get("upstream") else None
        except (ValueError, ValidationError, AttributeError):
            continue
        landed = sum(file.rows for file in batch.landed)
        if said is not None and (wrong := _wrong(copy, said, landed)):
            yield Finding(proof.path, f"what {said.dataset} of another platform gave is not proved: {wrong}")


def _wrong(copy: Copy, said: Upstream, landed: int) -> str | None:
    if not copy.exists(said.proof) or not copy.exists(key_path(said.key)):
        return "its certificate or the other platform's key is missing"
    if copy.sha256(said.proof) != said.certificate:
        return "its certificate is not the one that the manifest names"
    try:
        key = public_key(copy.read(key_path(said.key)), key_path(said.key))
        theirs = checked(copy.read(said.proof), key, said.key)
    except (ValueError, SettingsError) as error:
        return str(error)
    told = (theirs.dataset, theirs.policy, str(theirs.snapshot))
    if told != (said.dataset, said.policy, said.snapshot):
        return "its certificate is of another table or snapshot"
    return None if theirs.rows == landed else f"it certifies {theirs.rows} rows, and {landed} landed"
