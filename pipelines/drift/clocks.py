"""Until when the catalogue is to follow a change at a source: the department has ten working days (809, Art. 17).

A clock runs from the moment at which a change is first noticed that the entry does not follow, until a batch has landed
or the entry asks for the column no more; longer where the authority has consented to that (`lake.authority`):

    missing    a column that the entry collects is not there (from the audit log: the batch was stopped)
    type       a collected column's type changed, and the batch is held for a decision (from the log: the hold)
    codes      a text that no code list explains stands in the newest batch, and in every one back to the first

New columns start none: the city need not collect what it does not need, and leaving them is an answer. Nor does what is
not told of a field of grade 1 or 2: single mistakes of writing are the quarantine's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final, Literal

from lake import landing, recordstore
from lake.auditlog import entries
from lake.authority import Clock, Extension, extensions
from lake.batch import Batch
from lake.records import Standardised
from pipelines.context import Context
from pipelines.drift.codes import FEWEST, OTHERS, TOLD_UP_TO
from pipelines.drift.judge import given
from schemas.model import Code, Entry, Field
from schemas.workdays import day_of, deadline

What = Literal["missing", "type", "codes"]
_WORDS: Final[Mapping[What, tuple[str, str]]] = {
    "missing": ("来源缺少列 {}", "column `{}` is missing at the source"),
    "type": ("来源列 {} 类型有变，待决定", "column `{}` has another type, and waits for a decision"),
    "codes": ("字段 {} 有代码表之外的代码", "codes of `{}` are in no list"),
}


@dataclass(frozen=True)
class Unfollowed:
    """A change that the entry does not follow. `name` is the source's column, of codes the field; `batch` the one in
    which it was noticed first, `due` the last day in time."""

    dataset: str
    owner: str
    what: What
    name: str
    batch: str
    since: datetime
    due: date
    late: bool
    extended: int = 0
    """Working days of it that the authority has added, by the documents of these numbers."""
    documents: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, str]:
        """In Chinese and in English."""
        zh, en = _WORDS[self.what]
        return zh.format(self.name), en.format(self.name)

    @property
    def more(self) -> tuple[str, str]:
        """What the authority added, in Chinese and in English."""
        by = ", ".join(self.documents)
        return f"已延长 {self.extended} 个工作日（{by}）", f"extended by {self.extended} working days ({by})"


_Noticed = tuple[datetime, str]
"""When, and in which batch."""


@dataclass(frozen=True)
class Clocks:
    """Of one lake, whose audit log is read once, and only where a collection has failed."""

    ctx: Context

    def of(self, entry: Entry) -> list[Unfollowed]:
        """The clocks that run for a dataset, the first due first."""
        found: dict[tuple[What, str], _Noticed] = {**self._stopped(entry), **dict(self._codes(entry))}
        return sorted((self._clock(entry, *key, *noticed) for key, noticed in found.items()), key=_order)

    def _clock(self, entry: Entry, what: What, name: str, since: datetime, batch: str) -> Unfollowed:
        given = [each for each in self._extensions if (what, name, batch) in _of(entry, each)]
        more = sum(each.days for each in given)
        due = deadline(since, self.ctx.catalogue.numbers.catalogue.update_within + more)
        late = day_of(self.ctx.clock()) > due
        documents = tuple(each.document for each in given)
        return Unfollowed(entry.id, entry.owner, what, name, batch, since, due, late, more, documents)

    @cached_property
    def _extensions(self) -> list[Extension]:
        return extensions(self.ctx.settings.lake_root)

    # ── batches that did not land ─────────────────────────────────────────────────────────────────────────

    def _stopped(self, entry: Entry) -> dict[tuple[What, str], _Noticed]:
        """What stopped the batches after the newest that landed, as far as the entry still asks for it. A type is
        judged where no column is missing: a later hold tells that they are there again."""
        failing = self._failing(entry)
        first: dict[tuple[What, str], _Noticed] = {}
        last: dict[What, set[str]] = {}
        for said in self._log.get(entry.id, ()) if failing else ():
            if said["batch"] in failing:
                what: What = "missing" if "missing" in said else "type"
                last = ({} if what == "type" else last) | {what: set(said.get("missing") or said["saw"])}
                noticed = datetime.fromisoformat(said["at"]), said["batch"]
                first = {(what, name): noticed for name in last[what]} | first
        asked = {column.casefold() for column in given(entry)}
        return {k: v for k, v in first.items() if k[1] in last.get(k[0], ()) and k[1].casefold() in asked}

    def _failing(self, entry: Entry) -> set[str]:
        """The batches that failed to land, of later intervals than the newest that did."""
        tried = [each for each in self.ctx.ledger.runs(entry.id) if each.stage == "collect"]
        newest = max((each.batch.end for each in tried if each.state == "done"), default=None)
        return {each.batch.id for each in tried if newest is None or each.batch.end > newest}

    @cached_property
    def _log(self) -> dict[str, list[dict[str, Any]]]:
        """By dataset, what the log says of collections that were stopped or held, in its order."""
        found: dict[str, list[dict[str, Any]]] = {}
        for _, said in entries(self.ctx.settings.lake_root):
            if said.get("stage") == "collect" and ("missing" in said or said["action"] == "hold"):
                found.setdefault(said["dataset"], []).append(said)
        return found

    # ── codes ─────────────────────────────────────────────────────────────────────────────────────────────

    def _codes(self, entry: Entry) -> Iterator[tuple[tuple[What, str], _Noticed]]:
        """Of each field the text that has stood there the longest."""
        batches = (each.batch for each in landing.history(self.ctx.settings, entry.id) if each.files)
        found: dict[str, tuple[set[str], Batch]] = {}
        for newest, batch in enumerate(batches):
            unknown = self._unknown(entry, batch)
            if newest == 0:
                found = {name: (texts, batch) for name, texts in unknown.items() if texts}
            lasting = {name: texts & unknown.get(name, set()) for name, (texts, _) in found.items()}
            if not any(lasting.values()):
                break
            found |= {name: (texts, batch) for name, texts in lasting.items() if texts}
        for name, (_, batch) in found.items():
            yield ("codes", name), (self._standardised(batch), batch.id)

    def _unknown(self, entry: Entry, batch: Batch) -> dict[str, set[str]]:
        """By field, the texts of a batch that no list explains today either."""
        if not recordstore.exists(self.ctx.settings, batch, "standardise"):
            return {}
        record = recordstore.load(self.ctx.settings, batch, "standardise")
        assert isinstance(record, Standardised)  # noqa: S101
        fields, lists = entry.fields, self.ctx.catalogue.codes
        return {
            name: {text for text, rows in texts.items() if _counts(fields[name], text, rows)}
            - _known(lists.get(fields[name].codes or "", ()))
            for name, texts in record.unknown_codes.items()
            if name in fields
        }

    def _standardised(self, batch: Batch) -> datetime:
        """When a batch was first standardised; the ledger keeps every attempt."""
        attempts = self.ctx.ledger.attempts(batch.id, batch.dataset)
        done = [each.finished for each in attempts if each.stage == "standardise" and each.finished]
        return min(done, default=batch.end)


def _of(entry: Entry, extension: Extension) -> tuple[Clock, ...]:
    return extension.clocks if extension.dataset == entry.id else ()


def _counts(field: Field, text: str, rows: int) -> bool:
    """Whether it may be a code: what is told, and of a field of which nothing is told, so many rows as a told text has
    at least."""
    return text != OTHERS or (field.grade > TOLD_UP_TO and rows >= FEWEST)


def _known(rows: tuple[Code, ...]) -> set[str]:
    return {text for row in rows for text in (row.code, row.zh, row.en, *row.aliases)}


def _order(clock: Unfollowed) -> tuple[date, str, str]:
    return clock.due, clock.what, clock.name
