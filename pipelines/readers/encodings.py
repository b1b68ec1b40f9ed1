"""Text in any encoding as a stream of UTF-8, or an error that says where it breaks, never what stands there.

A declared encoding wins. Without one a byte order mark decides, then UTF-8 if the whole file is valid UTF-8,
and then charset-normalizer's guess among the encodings that government files come in: recorded as a guess,
because Big5 decodes as GB18030 without an error.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import IO

import numpy as np
import pyarrow as pa
from typing_extensions import Buffer

from lake.ahead import ahead
from schemas.errors import SourceError

CHUNK = 1 << 20
SAMPLE = 256 << 10
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
LIKELY = ["gb18030", "big5", "utf_16_le", "utf_16_be", "cp1252"]
LITTLE = 64
"""Bytes beyond ASCII up to which nobody can tell Big5 from GB18030."""


def canonical(encoding: str, name: str) -> str:
    """Python's name of an encoding, UTF-8's variants as one. SourceError if there is no such encoding."""
    try:
        found = codecs.lookup(encoding).name
    except LookupError:
        raise SourceError(
            f"there is no encoding {encoding!r}",
            file=name,
            expected="such as utf-8, gb18030, big5 or utf-16",
            next_step="correct source.encoding",
        ) from None
    return "utf-8" if found == "utf-8-sig" else found


class Utf8Check:
    """UTF-8 chunk by chunk: what is not raises UnicodeDecodeError as an incremental decoder would. No text is made, and
    Arrow looks at the bytes, which takes a third of the time."""

    def __init__(self) -> None:
        self._begun = b""

    def take(self, chunk: bytes, *, final: bool) -> None:
        data = self._begun + chunk
        whole = len(data) if final else _whole(data)
        ends = pa.py_buffer(np.array([0, whole], np.int32))
        try:
            pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(data)]).validate(full=True)
        except pa.ArrowInvalid:
            codecs.utf_8_decode(data, "strict", final)  # says where
        self._begun = data[whole:]


def _whole(data: bytes) -> int:
    """Bytes up to a last character that has not come whole (RFC 3629, 3)."""
    for back, byte in enumerate(reversed(data[-3:]), 1):
        if byte >= 0xC0:
            return len(data) - back if back < 2 + (byte >= 0xE0) + (byte >= 0xF0) else len(data)
        if byte < 0x80:
            break
    return len(data)


class Utf8(io.RawIOBase):
    """Reads `source` in `encoding`, ahead in a thread of its own, and gives UTF-8 without a byte order mark.

    SourceError at the first bytes that are not text in that encoding, with their offset and line."""

    def __init__(self, source: IO[bytes], encoding: str, name: str) -> None:
        self._source, self._name = source, name
        self.encoding = canonical(encoding, name)
        self._check = Utf8Check() if self.encoding == "utf-8" else None
        self._decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        self._taken = 0
        self._lines = 0
        self._held = memoryview(b"")
        self._chunks = ahead(self._made())

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        room = memoryview(buffer)
        while not self._held:
            if (chunk := next(self._chunks, None)) is None:
                return 0
            self._held = memoryview(chunk)
        count = min(len(room), len(self._held))
        room[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def close(self) -> None:
        """Before the source is closed: a thread may be reading there."""
        self._chunks.close()
        super().close()

    def _made(self) -> Iterator[bytes]:
        ended = False
        while not ended:
            chunk = self._source.read(CHUNK)
            first, ended = self._taken == 0, not chunk
            if first:
                self._refuse_other_mark(chunk)
            self._taken += len(chunk)
            try:
                if self._check:
                    self._check.take(chunk, final=ended)
                    data = chunk.removeprefix(codecs.BOM_UTF8) if first else chunk
                else:
                    text = self._decoder.decode(chunk, final=ended)
                    data = (text.removeprefix("\ufeff") if first else text).encode("utf-8", "surrogatepass")
            except UnicodeDecodeError as error:
                raise self._undecodable(error) from None
            self._lines += data.count(b"\n")
            yield data

    def _refuse_other_mark(self, chunk: bytes) -> None:
        if self.encoding != "utf-8" and chunk.startswith(codecs.BOM_UTF8):
            raise SourceError(
                f"declared {self.encoding}, but the file begins with the byte order mark of UTF-8",
                file=self._name,
                next_step="correct source.encoding",
            )

    def _undecodable(self, error: UnicodeDecodeError) -> SourceError:
        good = error.object[: error.start].decode(self.encoding, "ignore")
        return SourceError(
            f"byte {self._taken - len(error.object) + error.start} is not text in {self.encoding}",
            file=self._name,
            row=self._lines + good.count("\n") + 1,
            rule="encoding",
            expected=f"{self.encoding} throughout",
            next_step="set source.encoding to what the source writes (often gb18030)",
        )


def detect(source: IO[bytes], name: str) -> tuple[str, bool]:
    """(encoding, whether it is a guess) of a stream, read to its end or to its first byte that is not
    UTF-8."""
    check, before = Utf8Check(), b""
    chunk = source.read(CHUNK)
    for mark, encoding in MARKS:
        if chunk.startswith(mark):
            return encoding, False
    while True:
        try:
            check.take(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            window = before + chunk
            at = max(0, len(window) - len(error.object) + error.start)
            return _guess(_lines_around(window, at), name), True
        if not chunk:
            return "utf-8", False
        before, chunk = chunk[-SAMPLE:], source.read(CHUNK)


def _lines_around(window: bytes, at: int) -> bytes:
    """Whole lines on both sides of a place, at most `SAMPLE` bytes: a guess needs whole characters."""
    start, end = max(0, at - SAMPLE // 2), at + SAMPLE // 2
    if start:
        start = window.find(b"\n", start, at) + 1 or start
    if end < len(window):
        end = window.rfind(b"\n", at, end) + 1 or end
    return window[start:end]


def _guess(sample: bytes, name: str) -> str:
    from charset_normalizer import from_bytes

    # UTF-16 of a table has a zero byte beside each delimiter and newline
    likely = [each for each in LIKELY if b"\0" in sample or not each.startswith("utf_16")]
    best = from_bytes(sample, cp_isolation=likely).best()
    if best is None:
        raise SourceError(
            "not UTF-8, and no other encoding fits",
            file=name,
            rule="encoding",
            next_step="declare source.encoding",
        )
    if best.encoding == "big5" and sum(byte > 0x7F for byte in sample) <= LITTLE and _is_gb18030(sample):
        return "gb18030"
    return canonical(best.encoding, name)


def _is_gb18030(sample: bytes) -> bool:
    try:
        sample.decode("gb18030")
    except UnicodeDecodeError:
        return False
    return True
