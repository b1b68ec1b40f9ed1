"""Certificates of other platforms, kept beside our own: what we took in was published there, and is proved.

    proof/upstream/<key id>.pem                                          the other platform's public key
    proof/upstream/<key id>/<dataset>/<policy>/<snapshot>-<digest>.json  a certificate, byte for byte

A landing manifest names the certificate by its digest, and the manifest is named by the certificate of what we publish
of it: so one chain leads from our share tables to the other platform's signature.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lake import certificates, store
from lake.certificates import Certificate
from lake.signing import Trust, key_id, public_pem

FOLDER: Final = "proof/upstream"


def checked(data: bytes, key: Ed25519PublicKey, pinned: str) -> Certificate:
    """The certificate, if it is signed by the key that the entry pins. ValueError says what is wrong."""
    if key_id(key) != pinned:
        raise ValueError(f"the other platform's key is {key_id(key)}, and not {pinned}")
    certificate = certificates.decode(data, Trust.of([key]))
    if certificate.metadata is None:
        raise ValueError("the certificate is not complete yet")
    return certificate


def keep(lake: str, data: bytes, certificate: Certificate, key: Ed25519PublicKey) -> str:
    """Keep certificate and key in our lake; the certificate's path."""
    store.write_atomic(store.join(lake, key_path(certificate.key)), public_pem(key))
    path = path_of(certificate, certificates.digest_of(data))
    store.write_atomic(store.join(lake, path), data)
    return path


def path_of(certificate: Certificate, digest: str) -> str:
    name = f"{certificate.snapshot}-{digest[:16]}.json"
    return store.join(FOLDER, certificate.key, certificate.dataset, certificate.policy, name)


def key_path(key: str) -> str:
    return store.join(FOLDER, f"{key}.pem")
