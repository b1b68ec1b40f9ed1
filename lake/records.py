"""What each stage writes down for the next: small frozen records, kept as JSON in the lake. Data never travels in them.

    collect → Landed → standardise → Standardised → check → Checked → merge → Merged → publish → Published

All paths are absolute paths or URIs inside the lake. Counts are rows. Nothing here holds a value of the data.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from lake.batch import Batch
from schemas.verdict import CheckResult

Stage = Literal["collect", "standardise", "check", "merge", "publish"]
STAGES: tuple[Stage, ...] = ("collect", "standardise", "check", "merge", "publish")
REJECTS: Final = "rejects.parquet"


class Record(BaseModel):
    """Frozen; unknown keys are ignored so that a newer version's records can be read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    batch: Batch


class Received(BaseModel):
    """What a file was when it came, before rows were erased from it."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size: int
    rows: int


class LandedFile(BaseModel):
    """One write-once file of the landing zone. `rows` is counted by reading it once at collection;
    `origin` says where it came from (table, file name or URL path, never a secret).

    `erased` numbers the rows that were erased: their places are empty, so that every other row keeps its number, and
    no reader gives them. `received` is then the file as it came, and rows + erased are its rows.

    `salt` (64 hexadecimal digits) is what proofs are made with that outsiders see (`lake.certificates.salted`): it
    stays here. Files that landed before there was any have none."""

    model_config = ConfigDict(frozen=True)

    path: str
    origin: str
    sha256: str
    size: int
    rows: int
    format: Literal["parquet", "csv", "tsv", "excel", "json", "jsonl"]
    encoding: str | None = None
    encoding_guessed: bool = False
    member: str | None = None
    erased: tuple[int, ...] = ()
    received: Received | None = None
    salt: str = ""

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Files from before there was a salt keep their form."""
        return {name: value for name, value in handler(self).items() if name != "salt" or value}

    @property
    def name(self) -> str:
        """The file, and which of its members, as `_file` and the quarantine name it: exact, and so for the lake alone.
        What others see is told by `pipelines.telling`."""
        return f"{self.origin}!{self.member}" if self.member else self.origin


class SourceColumn(BaseModel):
    """A column that the source had, in its order: its name, and its type as the source declares it ('' where it
    declares none, as a text file)."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: str = ""


class Upstream(BaseModel):
    """Whence rows came that another platform shared: its dataset, policy and snapshot, and the certificate of that
    snapshot, by its digest and the id of the key that signed it. `proof` is where the certificate is kept here,
    `columns` what we asked for."""

    model_config = ConfigDict(frozen=True)

    dataset: str
    policy: str
    snapshot: str
    certificate: str
    key: str
    proof: str
    columns: tuple[str, ...]


class Landed(Record):
    """`counted` is what the source itself counted (a database in the same transaction, an API's total); None where
    it counts nothing. `position` is the highest value of the field `cursor`, as the source's
    text form, for the next batch.
    `inputs` maps the datasets of a derived batch to their snapshot ids. `notes` are drift seen (a new column).
    `columns` are all that the source had, those among them that the entry does not collect. `upstream` is said of what
    another platform shared."""

    files: tuple[LandedFile, ...]
    rows: int
    counted: int | None = None
    position: str | None = None
    cursor: str | None = None
    skipped: tuple[str, ...] = ()
    inputs: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    columns: tuple[SourceColumn, ...] = ()
    upstream: Upstream | None = None
    collected_at: datetime

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Manifests of other sources keep their form."""
        return {name: value for name, value in handler(self).items() if name != "upstream" or value}

    @property
    def erased(self) -> int:
        """Rows that landed and were erased: the source counted them, `rows` does not."""
        return sum(len(file.erased) for file in self.files)


class Standardised(Record):
    """`path` is Parquet (a file, or a folder of several: `store.parts`) in the entry's types plus `_seq` (int64, unique
    in the batch), `_file` (string) and `_row` (int64, the row's number in its file as a person sees it). `unmatched`
    counts, per `from:` field, rows that found no partner; `unknown_codes`, per field with a code list, what is in no
    list (`pipelines.drift.codes` says which texts may stand here). `corrected` counts values of the source that a
    department has corrected, by the acts that `corrections` names (`lake.handling`).
    rows_in = rows_out + quarantined."""

    path: str
    rows_in: int
    rows_out: int
    quarantined: int
    corrected: int = 0
    corrections: tuple[str, ...] = ()
    unmatched: dict[str, int] = {}
    unknown_codes: dict[str, dict[str, int]] = {}


class Checked(Record):
    """`path` is the standardised Parquet, `rejects` a Parquet of one int64 column `_seq` naming the rows set aside, or
    None. `verdict` is the JSON of every check's result. rows_in = rows_out + quarantined."""

    path: str
    rejects: str | None
    verdict: str
    rows_in: int
    rows_out: int
    quarantined: int
    warnings: int = 0


class Merged(Record):
    """rows_in = inserted + updated + unchanged + superseded + quarantined. `deleted` counts rows of the table that a
    snapshot no longer holds; `total` is the table's rows after the commit, and
    total = total before + inserted - deleted."""

    table: str
    snapshot: int
    rows_in: int
    inserted: int
    updated: int
    unchanged: int
    superseded: int
    quarantined: int = 0
    deleted: int
    total: int
    total_before: int


class Download(BaseModel):
    """One file of the open zone."""

    model_config = ConfigDict(frozen=True)

    format: str
    path: str
    sha256: str
    size: int
    rows: int


class Disclosure(BaseModel):
    """What the disclosure gate measured of a release (GB/T 42460), after suppression. `k` is the smallest class over
    the published quasi-identifiers `quasi` (None: no row), `risk` the release's, `mean_risk` = classes/rows; `l` the
    least distinct values of a sensitive field in a class, `t` the greatest distance of a class from the whole. Numbers
    with a fraction are decimals in text, so that they can be signed. At level 4, aggregates only, `k` is the least
    count of persons that is shown.

    `small` rows were in classes that fail; `suppressed` are all that were left out, those too that would have stood out
    against one of the `compared` earlier releases, or that hide who would; `emptied` rows have cells emptied;
    `departed` are rows of an earlier release that can be told by their absence. `generalised` says how fields were made
    coarser. `epsilon` is what the noise of this state of the data cost (Laplace mechanism, OpenDP), of the dataset's
    `budget`."""

    model_config = ConfigDict(frozen=True)

    release: Literal["public", "controlled", "enclave"] = "public"
    quasi: tuple[str, ...] = ()
    k: int | None
    classes: int = 0
    risk: str
    mean_risk: str
    level: Literal[1, 2, 3, 4]
    l: int | None = None  # noqa: E741  the standard's name
    t: str | None = None
    small: int
    suppressed: int
    emptied: int = 0
    departed: int = 0
    compared: int = 0
    generalised: dict[str, str] = {}
    epsilon: str | None = None
    budget: str | None = None

    @property
    def for_earlier(self) -> int:
        """Rows that are left out, or have cells emptied, for the sake of earlier releases alone."""
        return max(self.suppressed + self.emptied - self.small, 0)


class Published(Record):
    """One policy of one zone: rows_in = rows_out + suppressed + outside. `outside` are rows that a grant of a territory
    does not reach. `unfit` are values by field that are not of the form in which the mask `fpe` enciphers, of all rows
    but those, and are published as null. `disclosure` is there of releases about persons, and
    of aggregates of them, and then its `suppressed` is that one. `reused` says that the publication already stood
    (same curated snapshot, same masks, same key version)."""

    zone: Literal["share", "open"]
    policy: str
    table: str
    snapshot: int
    curated_snapshot: int
    masks_hash: str
    key_version: str | None
    rows_in: int
    rows_out: int
    suppressed: int = 0
    outside: int = 0
    unfit: dict[str, int] = {}
    disclosure: Disclosure | None = None
    downloads: tuple[Download, ...] = ()
    reused: bool = False


class Rejects(BaseModel):
    """The file of the rows that a check set aside, `REJECTS` beside its verdict."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size: int


class Verdict(Record):
    """Every check's result on one batch, kept as JSON for later comparison, and the rows set aside, where there are
    any. `salt` keeps what it says from being tried against its digest, which outsiders see; verdicts without one are
    from before they said which rows were set aside."""

    rows: int
    results: tuple[CheckResult, ...]
    checked_at: datetime
    rejects: Rejects | None = None
    salt: str = ""
