"""What is signed, and by which key: Ed25519 (RFC 8032) over canonical JSON (RFC 8785) under the name of its purpose.

The key comes from `XUANWU_SIGNING_KEY`, a PEM text or 64 hexadecimal digits, or from the connection
`xuanwu_signing`, a URL `keys://?ed25519=<hex>`. Without either, the first use makes one at `<home>/signing.key` for
its owner only: good for trying out, but whoever can write the lake there can sign as well, so in production the key
comes from the environment. The public key lies at `<lake>/proof/keys/<id>.pem`; an auditor keeps a copy.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lake import store
from schemas.errors import SettingsError
from schemas.settings import Settings

VARIABLE: Final = "XUANWU_SIGNING_KEY"
CONNECTION: Final = "xuanwu_signing"
KEYS: Final = "proof/keys"
_HEX = re.compile(r"[0-9A-Fa-f]{64}")
_NEXT: Final = f"set {VARIABLE} to a private Ed25519 key, as `openssl genpkey -algorithm ed25519` gives it"


def canonical(value: Any) -> bytes:
    """JSON in the one form of RFC 8785: sorted keys, no spaces, UTF-8. Numbers are integers only, whose form is the
    same everywhere; TypeError for others."""
    _no_floats(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _no_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a number with a fraction has no canonical form here: write it as a string")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for each in inner:
        _no_floats(each)


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the key's 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)


def _message(purpose: str, value: Any) -> bytes:
    """A signature for one purpose is none for another."""
    return f"xuanwu {purpose} v1\n".encode() + canonical(value)


@dataclass(frozen=True)
class Signer:
    """The private key; it is kept out of `repr`."""

    private: Ed25519PrivateKey = field(repr=False)

    @property
    def id(self) -> str:
        return key_id(self.private.public_key())

    @property
    def trust(self) -> Trust:
        return Trust.of([self.private.public_key()])

    def sign(self, purpose: str, value: Any) -> str:
        """The signature in Base64."""
        return base64.b64encode(self.private.sign(_message(purpose, value))).decode()

    def secret(self, purpose: str, text: str) -> str:
        """A secret of this key for a text, 64 hexadecimal digits: whoever has neither key nor secret cannot tell it."""
        info = f"xuanwu {purpose} v1".encode()
        key = HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(self.private.private_bytes_raw())
        return hmac.new(key, text.encode(), "sha256").hexdigest()


@dataclass(frozen=True)
class Trust:
    """Public keys by id."""

    keys: dict[str, Ed25519PublicKey]

    @classmethod
    def of(cls, keys: Iterable[Ed25519PublicKey]) -> Trust:
        return cls({key_id(key): key for key in keys})

    def signed(self, purpose: str, value: Any, key: str, signature: str) -> bool:
        """Whether one of these keys, the one named, signed the value for this purpose."""
        if key not in self.keys:
            return False
        try:
            raw = base64.b64decode(signature, validate=True)
            self.keys[key].verify(raw, _message(purpose, value))
        except (InvalidSignature, ValueError):
            return False
        return base64.b64encode(raw).decode() == signature


def load_signer(settings: Settings, connect: Callable[[str], str]) -> Signer:
    """The signing key, and its public half beside the lake's proofs. SettingsError, without the key, where it is
    none."""
    text = os.environ.get(VARIABLE, "").strip() or _from_connection(connect)
    signer = Signer(private_key(text.encode()) if text else _own(settings))
    uri = store.join(settings.lake_root, KEYS, f"{signer.id}.pem")
    if not store.exists(uri):
        store.write_atomic(uri, public_pem(signer.private.public_key()))
    return signer


def _from_connection(connect: Callable[[str], str]) -> str:
    try:
        url = connect(CONNECTION)
    except (SettingsError, KeyError):
        return ""
    return next(iter(parse_qs(urlsplit(url).query).get("ed25519", [])), "")


def private_key(text: bytes) -> Ed25519PrivateKey:
    """The key of a PEM text or of 64 hexadecimal digits."""
    try:
        if _HEX.fullmatch(text.decode()):
            return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text.decode()))
        key = form.load_pem_private_key(text.replace(b"\\n", b"\n"), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their messages may quote the key
        raise SettingsError(
            "the signing key cannot be read; nothing was published",
            expected="an Ed25519 private key without a password, in PEM, or 64 hexadecimal digits",
            next_step=_NEXT,
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError("the signing key is of another kind", expected="Ed25519", next_step=_NEXT)
    return key


def public_key(text: bytes, file: str) -> Ed25519PublicKey:
    """The public key of a PEM text; a private key's file is refused, since it is not for auditors to have."""
    try:
        key = form.load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError("not a public key", file=file, expected="an Ed25519 public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError("a public key of another kind", file=file, expected="Ed25519")
    return key


def _own(settings: Settings) -> Ed25519PrivateKey:
    """The key at `<home>/signing.key`. Of two processes that find none, both use the one that was first."""
    path = settings.home.resolve() / "signing.key"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Ed25519PrivateKey.generate().private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
        )
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".signing.key.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(made)
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(name, path)
        finally:
            Path(name).unlink()
    return private_key(path.read_bytes())
