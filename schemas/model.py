"""What a catalogue entry may say, as pydantic models: first the file as written, then the entry as resolved.

`EntryFile` mirrors the YAML one to one (the JSON Schema for editors is generated from it); `Entry` is what every
stage reads: elements applied, defaults filled in, texts and masks complete. `schemas.load` turns one into the other.
Grades follow GB/T 43697 in four steps; share types are those of Decree 809, Articles 14-15.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer
from pydantic import Field as Key

Grade = Annotated[
    int,
    Key(ge=1, le=4, description="GB/T 43697: 1 public, 2 internal, 3 personal or commercial, 4 sensitive"),
]
Name = Annotated[str, Key(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
DatasetId = Annotated[
    str, Key(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*\.[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=83)
]
"""Underscores stand alone: `__` separates department, dataset and policy in a table's name, and `a__b.c` and `a.b__c`
would be one table."""
TypeName = Literal["string", "integer", "decimal", "number", "boolean", "date", "timestamp", "binary"]
OnFail = Literal["stop", "quarantine", "warn"]
Dimension = Literal["conformity", "completeness", "accuracy", "consistency", "timeliness", "accessibility"]
Zone = Literal["share", "open"]
Risk = Literal["none", "sensitive", "quasi", "direct"]
"""What a field tells of the person that a row is about (GB/T 42460, GB/T 37964), the least telling first."""
Subject = Literal["person", "organisation", "thing"]
Normaliser = Literal["trim", "half_width", "upper", "lower", "digits", "squeeze"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}[smhd]", value):
        return timedelta(**{_UNITS[value[-1]]: int(value[:-1])})
    if isinstance(value, timedelta):
        return value
    raise ValueError("a number and a unit: 30s, 15m, 6h or 2d")


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Key(pattern=r"^[0-9]{1,6}[smhd]$")]),
    PlainSerializer(lambda d: f"{int(d.total_seconds())}s", return_type=str),
]


class Model(BaseModel):
    """Unknown keys are errors; what is read is never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Model):
    """A text for people, Chinese first."""

    zh: str = Key(min_length=1)
    en: str = ""


class Title(Model):
    """A name for people, in both languages."""

    zh: str = Key(min_length=1)
    en: str = Key(min_length=1)


# ── sources ───────────────────────────────────────────────────────────────────────────────────────────────


class DatabaseSource(Model):
    """A table or view of a department's database. Only the entry's columns are selected."""

    kind: Literal["database"]
    connection: Name
    table: str
    db_schema: str | None = Key(default=None, alias="schema")
    cursor: Name | None = Key(
        default=None, description="field that grows: collect only what is new since the last batch"
    )
    overlap: Duration = Key(
        default=timedelta(0),
        description="read again this far behind the last position, for rows committed late",
    )


class FileSource(Model):
    """Files of a department. The same bytes are never loaded twice; the same name with other bytes is an error."""

    kind: Literal["file"]
    connection: Name | None = Key(
        default=None, description="folder or s3:// prefix that `path` is relative to"
    )
    path: str = Key(
        description="one file or a glob; {date}, {year}, {month}, {day} and {hour} are the batch's"
    )
    format: Literal["csv", "tsv", "excel", "json", "jsonl", "parquet"]
    encoding: str | None = Key(
        default=None, description="declared text encoding; a guess is made and recorded without it"
    )
    delimiter: str | None = None
    quote: str = '"'
    header: int | None = Key(
        default=1, ge=1, description="row of the column names, counted after `skip`; null: none"
    )
    header_rows: int = Key(
        default=1, ge=1, description="a header of several rows (merged cells) is joined with `/`"
    )
    skip: int = Key(default=0, ge=0, description="rows above the header to leave out")
    footer: int = Key(default=0, ge=0, description="rows at the end to leave out")
    footer_pattern: str | None = Key(
        default=None, description="leave out rows whose first cell matches this regex"
    )
    columns: tuple[str, ...] | None = Key(
        default=None, description="column names of a file that has no header"
    )
    null_values: tuple[str, ...] = ("",)
    sheet: str | int | None = Key(
        default=None, description="Excel sheet by name or 1-based number; default the first"
    )
    records: str | None = Key(
        default=None, description="JSON path of the list of records, dotted: data.items"
    )
    member: str | None = Key(
        default=None, description="glob of the members of a zip archive to read; default all"
    )
    revise: bool = Key(
        default=False, description="a file of the same name with other bytes is a new revision"
    )
    settle: Duration = Key(
        default=timedelta(seconds=0), description="leave alone a file changed this recently"
    )


class PagePaging(Model):
    kind: Literal["page"]
    page: str = "page"
    size: str = "size"
    page_size: int = Key(default=100, ge=1)
    first: int = 1


class OffsetPaging(Model):
    kind: Literal["offset"]
    offset: str = "offset"
    limit: str = "limit"
    page_size: int = Key(default=100, ge=1)


class CursorPaging(Model):
    kind: Literal["cursor"]
    cursor: str = "cursor"
    next: str = Key(default="next", description="where the answer holds the next cursor, dotted")
    limit: str | None = "limit"
    page_size: int = Key(default=100, ge=1)


Paging = Annotated[PagePaging | OffsetPaging | CursorPaging, Key(discriminator="kind")]


class HttpSource(Model):
    """A JSON API. The connection holds base URL and authorisation header; pages land as received."""

    kind: Literal["http"]
    connection: Name
    path: str
    params: dict[str, str] = {}
    records: str = Key(
        default="data", description="where an answer holds its list of records, dotted; '' is the body"
    )
    total: str | None = Key(
        default=None, description="where an answer reports the count of all records, dotted"
    )
    paging: Paging | None = None
    rate: float | None = Key(default=None, gt=0, description="requests per second at most")
    timeout: Duration = timedelta(seconds=30)
    retries: int = Key(default=5, ge=0)


class LakeSource(Model):
    """A derived dataset: SQL over curated tables, which are named `department.dataset`."""

    kind: Literal["lake"]
    sql: str
    inputs: tuple[DatasetId, ...] = Key(min_length=1)
    when: Literal["all", "any"] = Key(
        default="all", description="run once every input has a new batch, or at each new batch of any"
    )


Source = Annotated[DatabaseSource | FileSource | HttpSource | LakeSource, Key(discriminator="kind")]


# ── masks ─────────────────────────────────────────────────────────────────────────────────────────────────


class Keep(Model):
    """The value as it is."""

    kind: Literal["keep"] = "keep"


class Drop(Model):
    """The column is not published."""

    kind: Literal["drop"] = "drop"


class Hmac(Model):
    """A keyed token: equal values give equal tokens within one domain, and nothing across domains."""

    kind: Literal["hmac"] = "hmac"
    hash: Literal["sm3", "sha256"] = "sm3"
    domain: str | None = Key(default=None, description="tokens join within one domain; default `<zone>`")


class Partial(Model):
    """Keep the first and last characters; the rest becomes `char`."""

    kind: Literal["partial"] = "partial"
    first: int = Key(default=0, ge=0)
    last: int = Key(default=0, ge=0)
    char: str = Key(default="*", min_length=1, max_length=1)


class Generalise(Model):
    """A coarser value: a division code to its district or city, a date to its month or year, a number to its bin."""

    kind: Literal["generalise"] = "generalise"
    to: Literal["district", "city", "province", "day", "month", "quarter", "year", "decade"] | None = None
    bins: tuple[float, ...] | None = Key(default=None, description="lower bounds, rising: [0, 18, 60]")


class Round(Model):
    """A number rounded to a multiple of `to`."""

    kind: Literal["round"] = "round"
    to: float = Key(gt=0)


class Clip(Model):
    """A number kept within bounds (top and bottom coding)."""

    kind: Literal["clip"] = "clip"
    min: float | None = None
    max: float | None = None


class Constant(Model):
    """Every value becomes this one."""

    kind: Literal["constant"] = "constant"
    value: str


class Redact(Model):
    """Identifiers inside free text become a label such as `[phone]`."""

    kind: Literal["redact"] = "redact"
    what: tuple[Literal["resident_id", "phone", "email", "bank_card", "plate"], ...] = (
        "resident_id",
        "phone",
        "email",
        "bank_card",
        "plate",
    )


_MaskUnion = Annotated[
    Keep | Drop | Hmac | Partial | Generalise | Round | Clip | Constant | Redact, Key(discriminator="kind")
]
SHORT_MASKS = ("keep", "drop", "hmac", "redact")


def _short_mask(value: Any) -> Any:
    """`hmac` for `{kind: hmac}`. Lists become tuples, as strict validation asks after a validator of ours."""
    if isinstance(value, dict):
        return {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    return {"kind": value} if isinstance(value, str) and value in SHORT_MASKS else value


Mask = Annotated[
    _MaskUnion, BeforeValidator(_short_mask, json_schema_input_type=Literal[SHORT_MASKS] | _MaskUnion)
]


class Masks(Model):
    """The mask of a field for each zone."""

    share: Mask | None = None
    open: Mask | None = None


# ── what an entry promises ────────────────────────────────────────────────────────────────────────────────


class Policy(Model):
    """What one group of readers gets: which fields, and under which masks."""

    fields: tuple[Name, ...] | None = Key(default=None, description="only these; default all")
    drop: tuple[Name, ...] = ()
    mask: dict[Name, Mask] = {}


class Share(Model):
    """Decree 809, Articles 14-15: conditional needs its conditions, none its legal basis."""

    type: Literal["unconditional", "conditional", "none"]
    conditions: Text | None = None
    basis: Text | None = None
    policies: dict[Name, Policy] = Key(default={"default": Policy()})


class Open(Policy):
    """What the public gets. Fields are listed: what is not named is not opened."""

    type: Literal["unconditional", "conditional", "none"]
    conditions: Text | None = None
    basis: Text | None = None
    downloads: tuple[Literal["csv", "jsonl", "parquet", "xlsx"], ...] = ("csv", "jsonl", "parquet", "xlsx")
    suppress_up_to: float = Key(
        default=0.05,
        ge=0,
        lt=1,
        description="of persons: share of the rows that may be left out because they single somebody out",
    )


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
    timezone: str | None = Key(default=None, description="zone of a timestamp that carries none")
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
    source: Source
    schedule: Schedule | None = None
    key: tuple[Name, ...] = Key(min_length=1)
    merge: Merge
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
    checks: tuple[Check, ...] = Key(default=(), description="without `column`: it is the field's")


class Department(Model):
    """A row of departments.yaml."""

    title: Title
    uscc: str = Key(description="unified social credit code, GB 32100")
    limit: int = Key(default=2, ge=1, description="collections at its sources at one time (an Airflow pool)")


# ── the entry as the stages read it ───────────────────────────────────────────────────────────────────────


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


class Entry(Model):
    """A dataset, resolved. `checks` holds the entry's own, then those of its elements, keys and required fields."""

    id: str
    title: Title
    summary: Title
    code: str
    owner: str
    subject: Subject | None = None
    source: Source
    schedule: Schedule | None
    key: tuple[str, ...]
    merge: Merge
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
