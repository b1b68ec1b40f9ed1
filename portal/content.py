"""What the site shows. Everything here is public: it comes from the catalogue's words and from releases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.model import Code, Licence, Open, Text, Title

Said = Text | Title
"""A text for people in Chinese and, where there is one, in English."""


@dataclass(frozen=True)
class File:
    """A file of a release. `rows` is None of what describes the data: the data dictionary."""

    name: str
    format: str
    size: int
    sha256: str
    rows: int | None


@dataclass(frozen=True)
class Release:
    """A release that can be downloaded, below `downloads/<department>/<dataset>/<name>/`."""

    name: str
    at: datetime
    rows: int
    files: tuple[File, ...]
    left_out: tuple[tuple[str, Said], ...] = ()
    """Formats that this release lacks, and why."""

    @property
    def data(self) -> tuple[File, ...]:
        return tuple(file for file in self.files if file.rows is not None)

    @property
    def words(self) -> tuple[File, ...]:
        return tuple(file for file in self.files if file.rows is None)


@dataclass(frozen=True)
class Field:
    """A published field. `given` says how it is given, None as it is; `filled` is the share of rows that have it."""

    name: str
    title: Said
    type: str
    given: Said | None
    codes: tuple[Code, ...] = ()
    filled: float | None = None


@dataclass(frozen=True)
class Dataset:
    """An open dataset. Without a release it is announced: it is on the list of what is opened, and has not come yet."""

    id: str
    code: str
    title: Said
    summary: Said
    owner: str
    opened: Open
    cycle: Said
    sort: Said
    """基础, 主题 or 部门: the first digit of its code (发改高技〔2017〕1272号)."""
    fields: tuple[Field, ...]
    releases: tuple[Release, ...] = ()
    """The newest first."""
    sample: tuple[tuple[str | None, ...], ...] = ()
    """Some rows of the newest release, one text a field."""

    @property
    def release(self) -> Release | None:
        return self.releases[0] if self.releases else None

    @property
    def free(self) -> bool:
        """Whether anybody may download it here; what is opened on conditions is given to who asks for it."""
        return self.opened.type == "unconditional"

    @property
    def path(self) -> str:
        """Where its page lies in the site, and its downloads below `downloads/`."""
        return self.id.replace(".", "/")


@dataclass(frozen=True)
class Provider:
    """A department that has opened something."""

    title: Said
    uscc: str


@dataclass(frozen=True)
class Site:
    """The whole site. `address` is where it is served, `exchange` where people log in to object; either may be
    empty."""

    name: Said
    providers: Mapping[str, Provider]
    datasets: tuple[Dataset, ...]
    address: str = ""
    exchange: str = ""
    licence: Licence | None = None
    """The city's own: that of a dataset may be another."""
    lists: Mapping[str, str] = field(default_factory=dict)
    """Lists of it, and what programs read beside its files: path to text."""

    @property
    def newest(self) -> list[Dataset]:
        """The datasets that have a release, the latest one first."""
        there = [each for each in self.datasets if each.release]
        return sorted(there, key=lambda each: (each.releases[0].at, each.id), reverse=True)
