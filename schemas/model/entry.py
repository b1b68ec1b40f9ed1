"""The entry as the stages read it: elements applied, defaults filled in, texts and masks complete."""

from __future__ import annotations

from typing import Final

from schemas.model.assessed import Assessed
from schemas.model.basics import Engine, Ladder, Model, Normaliser, Risk, Subject, Title, TypeName
from schemas.model.masks import Masks
from schemas.model.numbers import Brake, Retention
from schemas.model.publication import Open, Share
from schemas.model.sources import LakeSource, Source
from schemas.model.written import Check, Merge, Schedule

BESIDE: Final = frozenset({"file", "engine", "assessed"})
"""What an entry says that no published byte depends on: where it lies, what runs it, by which documents it was
assessed."""


class SharedFrom(Model):
    """A column obtained by sharing: `field` of `dataset`, joined where our `on` equals its one key field `key`."""

    dataset: str
    field: str
    on: str
    key: str


class Field(Model):
    """A field with its element applied."""

    name: str
    title: Title
    type: TypeName
    grade: int
    element: str | None = None
    source: str | None = None
    shared_from: SharedFrom | None = None
    required: bool = False
    formats: tuple[str, ...] = ()
    timezone: str = "Asia/Shanghai"
    codes: str | None = None
    normalise: tuple[Normaliser, ...] = ()
    precision: int = 18
    scale: int = 2
    length: int | None = None
    masks: Masks = Masks()
    risk: Risk | None = None
    ladder: Ladder = ()


class Entry(Model):
    """A dataset, resolved. `checks` holds the entry's own, then those of its elements, keys and required fields."""

    id: str
    title: Title
    summary: Title
    code: str
    owner: str
    subject: Subject | None = None
    assessed: Assessed | None = None
    source: Source
    schedule: Schedule | None
    key: tuple[str, ...]
    merge: Merge
    brake: Brake
    retention: Retention
    engine: Engine | None = None
    share: Share
    open: Open
    fields: dict[str, Field]
    checks: tuple[Check, ...]
    file: str

    @property
    def department(self) -> str:
        return self.id.split(".")[0]

    @property
    def name(self) -> str:
        return self.id.split(".")[1]

    @property
    def collected(self) -> dict[str, Field]:
        """Fields read from the source: all but those obtained by sharing."""
        return {name: field for name, field in self.fields.items() if field.shared_from is None}

    @property
    def inputs(self) -> tuple[str, ...]:
        """Datasets that this one reads: the inputs of its SQL, and those its `from:` fields come from."""
        derived = self.source.inputs if isinstance(self.source, LakeSource) else ()
        shared = tuple(f.shared_from.dataset for f in self.fields.values() if f.shared_from)
        return tuple(dict.fromkeys(derived + shared))

    @property
    def references(self) -> tuple[str, ...]:
        """Datasets that checks look into (`dataset:`): they must have a curated table before this one is checked."""
        named = (check.arguments.get("dataset") for check in self.checks)
        return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))


class Code(Model):
    """One row of a code list: the code, its label, and other ways it is written at sources."""

    code: str
    zh: str
    en: str = ""
    aliases: tuple[str, ...] = ()
