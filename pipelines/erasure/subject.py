"""The person whose data are erased: identifiers, given on standard input or in a file, never on the command line.

A value is met in many forms: full-width digits, a lower-case x, hyphens and spaces between digits. Texts are compared
after compatibility normalisation (NFKC) and in capitals, with separators allowed between the characters, and never
inside a longer number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from lake.erasures import Identifier
from pipelines.keys import Key
from pipelines.masks.tokens import hash_values
from schemas.errors import SettingsError
from schemas.load import Catalogue

SHORTEST: Final = 6
"""Characters of an identifier at least: a shorter one would be met by chance."""
PURPOSE: Final = "erasure"
_SEPARATORS: Final = r"[ \-‐-―]*"
_SPLIT: Final = re.compile(r"[\s\-‐-―]+")


def normal(text: str) -> str:
    """The form in which identifiers are compared and digested."""
    return _SPLIT.sub("", unicodedata.normalize("NFKC", text)).upper()


@dataclass(frozen=True)
class Subject:
    """Elements and normal values; the values are kept out of `repr`."""

    values: tuple[tuple[str, str], ...] = field(repr=False)

    @cached_property
    def _vector(self) -> str:
        return "|".join(f"(?:^|[^0-9]){_spread(value)}(?:$|[^0-9])" for _, value in self.values)

    @cached_property
    def _text(self) -> re.Pattern[str]:
        return re.compile("|".join(f"(?<![0-9]){_spread(value)}(?![0-9])" for _, value in self.values))

    def in_text(self, text: str) -> bool:
        return self._text.search(unicodedata.normalize("NFKC", text).upper()) is not None

    def in_rows(self, batch: pa.RecordBatch) -> pa.Array:
        """Which rows hold an identifier in any of their columns; booleans, none null."""
        found = pa.repeat(pa.scalar(False), batch.num_rows)
        for column in batch.columns:
            if (texts := texts_of(column)) is not None:
                found = pc.or_(found, pc.fill_null(self._matches(texts), False))
        return found

    def _matches(self, texts: pa.Array) -> pa.Array:
        return pc.match_substring_regex(pc.utf8_upper(pc.utf8_normalize(texts, "NFKC")), self._vector)

    def identifiers(self, key: Key) -> tuple[Identifier, ...]:
        """The keyed digests by which certificates and logs know the subject."""
        return tuple(
            Identifier(element=element, digest=digest_of(key, element, [value])[0], key_version=key.version)
            for element, value in sorted(self.values)
        )


def _spread(value: str) -> str:
    return _SEPARATORS.join(map(re.escape, value))


def texts_of(column: pa.Array) -> pa.Array | None:
    """A column as texts; None where its type can hold no identifier."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return texts_of(column.dictionary_decode())
    if pa.types.is_floating(kind):
        return _whole(column)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.array([_text(value) for value in column.to_pylist()], pa.string())
    plain = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_decimal)
    return column.cast(pa.string()) if any(is_of(kind) for is_of in plain) else None


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _whole(column: pa.Array) -> pa.Array:
    """Whole numbers that a double holds exactly, as their digits."""
    exact = pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), 2.0**53))
    return pc.if_else(exact, pc.if_else(exact, column, 0.0), None).cast(pa.int64()).cast(pa.string())


def digest_of(key: Key, element: str, values: Iterable[str]) -> list[str]:
    """HMAC-SM3 of element and normal value, cut to 128 bits, in hexadecimal; under a key of its own for this
    purpose, so that no token that is published is one of them."""
    texts = [f"{element}\0{normal(value)}".encode() for value in values]
    return hash_values(pa.array(texts, pa.binary()), key.derive(PURPOSE, "sm3"), "sm3").to_pylist()


def read_subject(lines: Iterable[str], element: str, catalogue: Catalogue) -> Subject:
    """One identifier a line: a value of `element`, or `<element> <value>`. SettingsError, which quotes none of
    it, where a line cannot be one."""
    values = []
    for number, line in enumerate((each for each in lines if each.strip()), 1):
        first, _, rest = line.strip().partition(" ")
        of, value = (first, rest) if rest and first in catalogue.elements else (element, line)
        if of not in catalogue.elements:
            raise SettingsError(
                f"there is no element {of!r}", expected="an element of elements.yaml, such as resident_id"
            )
        if len(normal(value)) < SHORTEST:
            raise SettingsError(
                f"line {number} is too short to be told from chance",
                expected=f"an identifier of {SHORTEST} characters or more, one a line",
            )
        values.append((of, normal(value)))
    if not values:
        raise SettingsError(
            "no identifier was given", expected="one a line, on standard input or in the file of --file"
        )
    return Subject(tuple(dict.fromkeys(values)))
