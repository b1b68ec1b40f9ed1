"""The files as written. `EntryFile` mirrors the YAML of an entry; the JSON Schema for editors is made from it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Key

from schemas.model.assessed import Assessed
from schemas.model.basics import (
    DatasetId,
    Dimension,
    Duration,
    Engine,
    Grade,
    Ladder,
    Model,
    Name,
    Normaliser,
    OnFail,
    Risk,
    Subject,
    Title,
    TypeName,
)
from schemas.model.masks import Masks
from schemas.model.publication import Open, Share
from schemas.model.sources import Source


class Check(BaseModel):
    """One expectation by its Great Expectations name and arguments; `on_fail` says what a failure does."""

    model_config = ConfigDict(extra="allow", frozen=True)

    expect: str = Key(pattern=r"^expect_[a-z0-9_]+$")
    on_fail: OnFail
    dimension: Dimension | None = Key(
        default=None, description="GB/T 36344; default by the kind of expectation"
    )

    @property
    def arguments(self) -> dict[str, Any]:
        """The expectation's own arguments, such as `column` and `regex`."""
        return dict(self.model_extra or {})


class Schedule(Model):
    """When to collect. A derived dataset has none: it runs when its inputs change."""

    cron: str
    timezone: str = "Asia/Shanghai"
    late_after: Duration = timedelta(hours=6)
    start: date = date(2026, 1, 1)
    catchup: bool = False


class Merge(Model):
    """How a batch becomes part of the curated table."""

    kind: Literal["snapshot", "append", "upsert"]
    order_by: Name | None = Key(default=None, description="upsert: the newest by this field wins")


class BrakeFile(Model):
    """When a batch of this dataset is held for a decision before the curated table; what is left out is taken from
    policy.yaml."""

    delete: float | None = Key(
        default=None, ge=0, le=1, description="share of the table's rows that one batch may delete"
    )
    change: float | None = Key(
        default=None, ge=0, le=1, description="share of the table's rows that one batch may delete or update"
    )
    arrive: float | None = Key(
        default=None, ge=0, le=1, description="share of the usual rows that a batch brings at least; 0: any"
    )
    from_rows: int | None = Key(
        default=None, ge=0, description="a table, or a usual batch, of fewer rows is not held"
    )


class RetentionFile(Model):
    """How long upkeep keeps what this dataset's zones hold; what is left out is taken from policy.yaml. Of persons the
    policy is the longest."""

    landing: Duration | None = Key(default=None, ge=timedelta(days=1), description="originals as received")
    standard: Duration | None = Key(default=None, ge=timedelta(days=1), description="typed rows")
    dismissed: Duration | None = Key(
        default=None, ge=timedelta(days=1), description="rows set aside that were dismissed"
    )


class FieldFile(Model):
    """A field as written. `element` gives what it leaves out; it may tighten, never loosen."""

    element: Name | None = None
    title: Title | None = None
    type: TypeName | None = None
    grade: Grade | None = None
    source: str | None = Key(default=None, description="column at the source; default the field's own name")
    shared_from: str | None = Key(
        default=None, alias="from", description="dataset (or dataset.field) that gives this column by sharing"
    )
    on: Name | None = Key(
        default=None, description="with `from`: the field here that holds the other dataset's key"
    )
    required: bool | None = None
    formats: tuple[str, ...] | None = Key(
        default=None, description="strptime forms of a date or timestamp, tried in order"
    )
    timezone: str | None = Key(
        default=None, description="zone of a timestamp that carries none; default Asia/Shanghai"
    )
    codes: Name | None = Key(default=None, description="code list: labels and aliases become codes")
    normalise: tuple[Normaliser, ...] | None = None
    precision: int | None = Key(default=None, ge=1, le=38)
    scale: int | None = Key(default=None, ge=0, le=38)
    length: int | None = Key(default=None, ge=1, description="characters at most")
    mask: Masks | None = None
    risk: Risk | None = Key(
        default=None,
        description="direct identifier, quasi-identifier, sensitive attribute or none (GB/T 42460)",
    )
    ladder: Ladder | None = Key(
        default=None,
        description="coarser forms that `generalise` may take, the finest first: words of the mask generalise, or bins",
    )


class EntryFile(Model):
    """One dataset of the catalogue, `schemas/catalogue/<department>/<dataset>.yaml`."""

    id: DatasetId
    title: Title
    summary: Title
    code: str = Key(
        pattern=r"^[0-9]{6,}/[0-9]+$", description="政务信息资源代码: 类(1) 项(2) 目(3) 细目(var) / serial"
    )
    owner: Name
    subject: Subject | None = Key(
        default=None, description="what one row is about; the open zone shows no single person; default thing"
    )
    assessed: Assessed | None = Key(
        default=None, description="judged and approved before it was catalogued (Decree 809, Art. 13)"
    )
    source: Source
    schedule: Schedule | None = None
    key: tuple[Name, ...] = Key(min_length=1)
    merge: Merge
    brake: BrakeFile | None = None
    retention: RetentionFile | None = None
    engine: Engine | None = Key(
        default=None, description="what runs the stages after collection; default the setting XUANWU_ENGINE"
    )
    share: Share
    open: Open
    fields: dict[Name, FieldFile] = Key(min_length=1)
    checks: tuple[Check, ...] = Key(min_length=1)


class ElementFile(Model):
    """A data element (数据元): defined once, inherited by fields."""

    like: Name | None = Key(default=None, description="another element that gives what this one leaves out")
    title: Title
    type: TypeName | None = None
    grade: Grade | None = None
    one_source: bool = Key(
        default=True,
        description="originated by exactly one dataset; false for a value domain such as a date or a code",
    )
    formats: tuple[str, ...] | None = None
    codes: Name | None = None
    normalise: tuple[Normaliser, ...] | None = None
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    mask: Masks | None = None
    risk: Risk | None = None
    ladder: Ladder | None = None
    checks: tuple[Check, ...] = Key(default=(), description="without `column`: it is the field's")


class Department(Model):
    """A row of departments.yaml."""

    title: Title
    uscc: str = Key(description="unified social credit code, GB 32100")
    limit: int = Key(default=2, ge=1, description="collections at its sources at one time (an Airflow pool)")
    division: str | None = Key(
        default=None,
        pattern=r"^[1-9][0-9]{5}$",
        description="the territory it serves, where that is not the whole city (GB/T 2260)",
    )
