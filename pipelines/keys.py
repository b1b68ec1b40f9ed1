"""The masking keys: from the environment or a connection, never from the catalogue, never written anywhere.

`XUANWU_KEY_<version>` holds a key as hexadecimal digits, at least 64 of them (32 bytes), as the command
`openssl rand -hex 32` gives them. Without that variable the connection `xuanwu_keys` is asked: a URL whose
query names the keys by version, `keys://?1=<hex>&2=<hex>` (in Airflow: a connection with that as `url` in its
extra). Which version is in use is the setting `XUANWU_KEY_VERSION`. No key, no publication.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas.errors import MaskError, SettingsError

HashName = Literal["sm3", "sha256"]
CONNECTION = "xuanwu_keys"
LENGTH = 32
"""Bytes of a key at least, and of every key derived from it: GB/T 15852.2 and RFC 2104 want no less than the
digest."""
FEWEST_DISTINCT = 8
"""A random key of 32 bytes has some 30 distinct ones; fewer than this is a placeholder such as 000000…"""
_VERSION = re.compile(r"(?i)(?!version$)[A-Z0-9_]{1,32}")


def algorithm(name: HashName) -> hashes.HashAlgorithm:
    """SM3 of GB/T 32905-2016 (commercial cryptography, 国密), or SHA-256 of FIPS 180-4."""
    return hashes.SM3() if name == "sm3" else hashes.SHA256()


@dataclass(frozen=True)
class Key:
    """One version of the masking key. The secret is kept out of `repr`."""

    version: str
    secret: bytes = field(repr=False)

    def derive(self, purpose: str, hash_name: HashName, *, length: int = LENGTH) -> bytes:
        """A key of its own for each purpose: HKDF of RFC 5869 without salt, `info` = `xuanwu/<purpose>`.

        Tokens of two domains are then as unrelated as those of two keys.
        """
        info = f"xuanwu/{purpose}".encode()
        return HKDF(algorithm(hash_name), length, None, info).derive(self.secret)

    @property
    def check(self) -> str:
        """Eight hexadecimal digits by which two uses of a version are known to be the same key
        (密钥校验值)."""
        return self.derive("check", "sm3")[:4].hex()


def load_key(version: str, connect: Callable[[str], str], without: str = "nothing was published") -> Key:
    """The key of a version. Raises MaskError, with what comes of it being missing or too weak, and with what to do, and
    without the key."""
    if not _VERSION.fullmatch(version):
        raise MaskError("not the name of a key version", expected="letters, digits and _, such as 1 or 2026a")
    text = os.environ.get(f"XUANWU_KEY_{version}") or _from_connection(version, connect)
    if not text:
        raise MaskError(f"no masking key of version {version}: {without}", next_step=_next_step(version))
    try:
        secret = bytes.fromhex(text.strip())
    except ValueError:  # its message would quote the key
        raise _weak(version, "it is not hexadecimal", without) from None
    if len(secret) < LENGTH:
        raise _weak(version, f"it has {len(secret)} bytes", without)
    if len(set(secret)) < FEWEST_DISTINCT:
        raise _weak(version, "it is a placeholder, not a random number", without)
    return Key(version, secret)


def missing(parts: Sequence[str], version: str, connect: Callable[[str], str]) -> str:
    """Why these publications cannot be made, and what to do; nothing where they can. For who is about to begin: what
    needs no key is collected, merged and published all the same."""
    try:
        if parts:
            load_key(version, connect, f"{', '.join(parts)} will not be published")
    except MaskError as error:
        return f"没有可用的脱敏密钥 {error}"
    return ""


def _from_connection(version: str, connect: Callable[[str], str]) -> str | None:
    try:
        url = connect(CONNECTION)
    except SettingsError:
        return None
    return next(iter(parse_qs(urlsplit(url).query).get(version, [])), None)


def _weak(version: str, why: str, without: str) -> MaskError:
    return MaskError(
        f"the masking key of version {version} cannot be used: {why}; {without}",
        expected=f"at least {2 * LENGTH} hexadecimal digits ({LENGTH} bytes) from a random source",
        next_step=_next_step(version),
    )


def _next_step(version: str) -> str:
    return (
        f"set XUANWU_KEY_{version} to the output of `openssl rand -hex {LENGTH}`, "
        f"or the connection {CONNECTION} to keys://?{version}=<the same>"
    )
