"""What people did about rows that were set aside: each act is written once, logged, and never changed.

    handling/<department>/<dataset>/<batch>/00001-1f0c9a2e.parquet    the rows, by file and number; of a correction the
                                                                      values too; and a salt
                                            00001-1f0c9a2e.json       who, when, why, and the digest of the Parquet

    log: attempt, with the digest ── Parquet ── JSON ── log: outcome

An act counts once its JSON is there, and a correction only if the log holds it as it is. Acts are kept apart from the
quarantine's rows: those are replaced whenever their batch is run again, and what was decided about them stays.
Acts count in the order of their names. Each is written in a turn of the audit log, so that no two have one number.

The log keeps the digest for good, of rows that were erased too, and of few values all are soon tried: so the Parquet's
metadata hold a salt, and nobody who has neither the file nor the signing key can try any. The salt is a keyed digest of
the rows instead of random, so that an erasure that was killed writes the same file again. Older files have none.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from lake import store, zones
from lake.auditlog import AuditLog
from lake.certificates import FileProof, digest_of, relative
from schemas.errors import LakeError
from schemas.settings import Settings

Kind = Literal["assign", "dismiss", "export", "correct"]
ACTION: Final = "handle"
SALT: Final = "salt"
PLACES: Final = pa.schema([("file", pa.string()), ("row", pa.int64())])
VALUES: Final = pa.schema([*PLACES, ("column", pa.string()), ("value", pa.string())])
"""`column` is the source's, `value` the text that stands there from now on; null says that there is no value."""


class Act(BaseModel):
    """`department` is to whom the rows were assigned, or who corrected them; `values` counts corrected values;
    `workbook` is the digest of the file that brought them. `name` is the Parquet's, `entry` its line in the log."""

    model_config = ConfigDict(frozen=True)

    dataset: str
    batch: str
    kind: Kind
    by: str
    why: str = ""
    department: str | None = None
    workbook: str | None = None
    at: datetime
    rows: int
    values: int = 0
    name: str
    sha256: str
    size: int
    entry: int


@dataclass(frozen=True)
class Said:
    """Who does it, when and why; to or from which department, and by which workbook."""

    by: str
    at: datetime
    why: str = ""
    department: str | None = None
    workbook: str | None = None

    @property
    def words(self) -> dict[str, str]:
        """All but the moment, for the log; what is empty is left out."""
        return {name: value for name, value in vars(self).items() if value and name != "at"}


@dataclass(frozen=True)
class Deed:
    """An act that is not written yet: of a dataset and its batch; `rows` as `record` has them."""

    about: tuple[str, str]
    kind: Kind
    rows: pa.Table
    said: Said


def folder(settings: Settings, dataset: str, batch_id: str) -> str:
    return zones.folder(settings, "handling", dataset, batch_id)


def batches(settings: Settings, dataset: str) -> list[str]:
    """The batches of a dataset about which there are acts."""
    found = store.list_folders(zones.folder(settings, "handling", dataset))
    return [uri.rsplit("/", 1)[-1] for uri in found]


def record(
    settings: Settings,
    log: AuditLog,
    about: tuple[str, str],
    kind: Kind,
    rows: pa.Table,
    *,
    said: Said,
    number: int | None = None,
) -> Act:
    """Write an act about a dataset's batch down and return it: `rows` are in `PLACES`, of a correction in `VALUES`.
    `number` is that of an act whose place this one takes. LakeError where it cannot be logged; it does not count then.
    """
    with log.turn() as append:
        return _record(settings, log, append, Deed(about, kind, rows, said), number)


def record_all(
    settings: Settings, log: AuditLog, deeds: Sequence[Deed], seen: Mapping[str, Sequence[str]]
) -> list[Act]:
    """Write acts of one dataset down, as `record` does, unless something was done about one of their batches that is
    not in `seen` (`names`, by batch): LakeError then, and none of them is written."""
    with log.turn() as append:
        for about in dict.fromkeys(each.about for each in deeds):
            if names(settings, *about) != list(seen.get(about[1], ())):
                raise LakeError(
                    "somebody else did something about these rows at the same moment, and nothing was written",
                    dataset=about[0],
                    batch=about[1],
                    next_step="do it again: it is held against what stands there now",
                )
        return [_record(settings, log, append, each) for each in deeds]


def names(settings: Settings, dataset: str, batch: str) -> list[str]:
    """The acts that say something of a batch's rows; an export does not."""
    return [act.name for act in acts(settings, dataset, batch) if act.kind != "export"]


def _record(
    settings: Settings,
    log: AuditLog,
    append: Callable[..., list[int]],
    deed: Deed,
    number: int | None = None,
) -> Act:
    about, kind, rows, said = deed.about, deed.kind, deed.rows, deed.said
    data = _parquet(_salted(log, about, rows))
    digest = digest_of(data)
    name = f"{number or _last(settings, *about) + 1:05d}-{digest[:8]}"
    uri = store.join(folder(settings, *about), f"{name}.parquet")
    distinct = rows.select(PLACES.names).group_by(PLACES.names).aggregate([]).num_rows
    told = {
        **{"dataset": about[0], "batch": about[1], "kind": kind, **said.words},
        **{"rows": distinct, "values": rows.num_rows if kind == "correct" else 0},
    }
    proof = {"path": relative(settings.lake_root, uri), "sha256": digest}
    line = {"action": ACTION, "handled": proof, "when": said.at.isoformat(), **told}
    (entry,) = append({**line, "phase": "attempt"})
    act = Act.model_validate(
        {**told, "at": said.at, "name": name, "sha256": digest, "size": len(data), "entry": entry}
    )
    store.write_atomic(uri, data)
    store.write_atomic(uri.removesuffix(".parquet") + ".json", encoded(act))
    append({**line, "phase": "outcome"})
    return act


def encoded(act: Act) -> bytes:
    """The one form of an act's JSON."""
    return act.model_dump_json(indent=1).encode()


def _parquet(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd", write_statistics=False)
    return sink.getvalue()


def _salted(log: AuditLog, about: tuple[str, str], rows: pa.Table) -> pa.Table:
    """The rows, with what makes the digest of their Parquet one that cannot be guessed."""
    plain = rows.replace_schema_metadata()
    salt = log.digest([SALT, *about, digest_of(_parquet(plain))])
    return plain.replace_schema_metadata({SALT: salt})


def _last(settings: Settings, dataset: str, batch: str) -> int:
    names = [uri.rsplit("/", 1)[-1] for uri in store.list_files(folder(settings, dataset, batch))]
    return max((int(name[:5]) for name in names if name[:5].isdecimal()), default=0)


def acts(settings: Settings, dataset: str, batch: str) -> list[Act]:
    """The acts on a batch, in their order."""
    return [_read(uri) for uri in store.list_files(folder(settings, dataset, batch)) if uri.endswith(".json")]


def _read(uri: str) -> Act:
    try:
        return Act.model_validate(json.loads(store.read_bytes(uri)))
    except (ValidationError, ValueError):
        raise LakeError(
            "what was done about rows set aside cannot be read", file=uri, next_step="run `xuanwu verify`"
        ) from None


def address(settings: Settings, act: Act) -> str:
    """Where the rows of an act lie."""
    return store.join(folder(settings, act.dataset, act.batch), f"{act.name}.parquet")


def rows_of(settings: Settings, act: Act) -> pa.Table:
    """The rows of an act, without the salt. LakeError where they are missing, or not the ones that were written."""
    uri = address(settings, act)
    data = store.read_bytes(uri) if store.exists(uri) else b""
    if digest_of(data) != act.sha256:
        raise LakeError(
            "the rows of a correction or an assignment are missing or were changed",
            dataset=act.dataset,
            batch=act.batch,
            file=uri,
            next_step="run `xuanwu verify`, and find out who changed it; the batch is not run before",
        )
    return pq.read_table(pa.BufferReader(data)).replace_schema_metadata()


def told(act: Act, path: str, entry: Mapping[str, Any]) -> bool:
    """Whether an entry of the audit log tells of this act, as it is."""
    own = act.model_dump(exclude={"at", "name", "sha256", "size", "entry"}, exclude_defaults=True)
    wanted = own | {
        "action": ACTION,
        "when": act.at.isoformat(),
        "values": act.values,
        "handled": {"path": path, "sha256": act.sha256},
    }
    return {**entry, "at": None, "phase": None} == {**wanted, "at": None, "phase": None}


def require_logged(log: AuditLog, found: Sequence[Act], settings: Settings) -> None:
    """LakeError unless the audit log holds each of these acts as it is."""
    for act in found:
        said: dict[str, Any] = log.entry(act.entry) or {}
        if not told(act, relative(settings.lake_root, address(settings, act)), said):
            raise LakeError(
                "a correction is not the one in the audit log, so it does not count",
                dataset=act.dataset,
                batch=act.batch,
                file=address(settings, act),
                next_step="run `xuanwu verify`, and find out who put it there; the batch is not run before",
            )


def proofs(settings: Settings, found: Sequence[Act]) -> Iterator[FileProof]:
    """The corrections among these acts, as a certificate names them."""
    for act in found:
        if act.kind == "correct":
            path = relative(settings.lake_root, address(settings, act))
            yield FileProof(path=path, sha256=act.sha256, size=act.size, rows=act.values)


def corrections(found: Sequence[Act], settings: Settings) -> pa.Table:
    """The value that each corrected cell has now, in `VALUES`: of several corrections of one cell the last."""
    tables = [rows_of(settings, act).select(VALUES.names) for act in found if act.kind == "correct"]
    if not tables:
        return VALUES.empty_table()
    whole = pa.concat_tables(tables).combine_chunks()
    numbered = whole.append_column("at", pa.array(range(whole.num_rows), pa.int64()))
    last = numbered.group_by(["file", "row", "column"]).aggregate([("at", "max")])["at_max"]
    return whole.take(last.combine_chunks().sort())


def files(settings: Settings, act: Act) -> tuple[str, str]:
    """The files of an act: the JSON, by which it counts, and the rows."""
    uri = address(settings, act)
    return uri.removesuffix(".parquet") + ".json", uri


def remove(settings: Settings, act: Act) -> None:
    """The act is gone afterwards, its JSON first, so that it does not count without its rows."""
    for uri in files(settings, act):
        store.remove_file(uri)
