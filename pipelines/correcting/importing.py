"""A workbook that came back, as corrections and dismissals: all of it, or nothing.

Refused, each with the row's number and never with a value: a workbook of another dataset, department or lake; a row
that is not the one that went out, because somebody changed its grey cells or because it has changed since; a row that
is set aside no more; a formula; a key that did not fail; a value that does not convert, so that the row would fail
again; an identifier of a person who was erased.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from lake import handling
from lake.certificates import digest_of
from lake.handling import Act, Said
from lake.store import read_bytes
from pipelines.batches import batch_by_id
from pipelines.casting.casts import cast
from pipelines.context import Context
from pipelines.correcting.book import Answer, Returned, Written, read
from pipelines.correcting.rows import (
    Place,
    Received,
    Source,
    digests,
    failing,
    keys,
    received,
    sealed,
    sources_of,
)
from pipelines.deciding import official, plain
from pipelines.erasure.suppression import erased
from pipelines.masks.keys import load_key
from pipelines.proof.certifying import open_log
from pipelines.quarantine.aside import Failure
from pipelines.quarantine.assigning import Selection, selected
from pipelines.telling import file_name
from schemas.errors import SourceError, XuanwuError
from schemas.model import Entry, Field

TOLD: Final = 20
"""Problems that one message tells."""


@dataclass(frozen=True)
class Imported:
    """What came of a workbook: the acts, and rows in which a value was written that stood there already."""

    dataset: str
    acts: tuple[Act, ...]
    unchanged: int

    @property
    def batches(self) -> list[str]:
        """Those that have corrections, to be run again."""
        return sorted({act.batch for act in self.acts if act.kind == "correct"})


def import_workbook(ctx: Context, path: Path, *, by: str) -> Imported:
    """Take a corrected workbook in. SourceError where it is none of ours; XuanwuError, with every problem by its row,
    where it cannot be taken as it is; nothing of it is taken then."""
    who, name = official(by, "--by"), file_name(path.name)
    with path.open("rb") as stream:
        back = read(stream, name)
    entry = ctx.catalogue.entry(back.about.dataset)
    key = load_key(ctx.settings.key_version, ctx.connect)
    if sealed(key, back.about.json) != back.seal:
        raise SourceError(
            "the workbook was not exported from this lake, or its hidden sheet was changed",
            file=name,
            next_step="export it again: xuanwu quarantine export",
        )
    if not back.answers:
        raise SourceError(
            "nothing was written in the workbook",
            file=name,
            expected="values in the columns `更正 corrected`, or reasons in the last one",
        )
    back = _placed(ctx, entry, back)
    rows = _rows(ctx, entry, back)
    problems = list(_problems(ctx, entry, back, rows))
    if problems:
        raise _refused(entry, name, problems)
    said = Said(
        who,
        ctx.clock(),
        department=back.about.department,
        workbook=digest_of(read_bytes(str(path.resolve()))),
    )
    return _taken(ctx, entry, back, rows, said)


def _refused(entry: Entry, file: str, problems: list[tuple[int, str]]) -> XuanwuError:
    told = "; ".join(f"row {number}: {what}" for number, what in sorted(problems)[:TOLD])
    more = f"; and {len(problems) - TOLD} more" if len(problems) > TOLD else ""
    return XuanwuError(
        f"{len(problems)} problem(s), and nothing was imported: {told}{more}",
        dataset=entry.id,
        file=file,
        next_step="correct these rows of the workbook and import it again, or export it again",
    )


# ── is it what went out ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Held:
    """A row as it is received and corrected today, and the columns that it failed by."""

    row: Received
    failing: frozenset[str]


def _placed(ctx: Context, entry: Entry, back: Returned) -> Returned:
    """Who is not the owner was shown of a file's name what may be told. Of several files that are told alike the row's
    code says which it is of."""
    if back.about.correctable:
        return back
    key, department = load_key(ctx.settings.key_version, ctx.connect), back.about.department
    found: dict[tuple[str, str, int, str], Place] = {}
    for batch in {answer.place[0] for answer in back.answers}:
        wanted = _told_otherwise(ctx, entry, back, batch)
        rows = list(received(ctx, entry, batch_by_id(ctx, entry, batch), wanted)) if wanted else []
        for row, code in zip(rows, digests(key, entry.id, department, rows), strict=True):
            _, file, number = row.place
            found[batch, file_name(file), number, code] = row.place
    answers = (replace(each, place=found.get((*each.place, each.code), each.place)) for each in back.answers)
    return replace(back, answers=tuple(answers))


def _told_otherwise(ctx: Context, entry: Entry, back: Returned, batch: str) -> dict[str, set[int]]:
    """The files of a batch whose names are not shown as they are, with the rows of theirs that may be answered for."""
    asked: dict[str, set[int]] = defaultdict(set)
    for name, file, number in (answer.place for answer in back.answers):
        if name == batch:
            asked[file].add(number)
    parts = selected(ctx, entry.id, _assigned_to(back.about.department, batch))
    names = {name for part in parts for name in pc.unique(part.rows["file"]).to_pylist()}
    return {name: asked[told] for name in names if (told := file_name(name)) != name and told in asked}


def _assigned_to(department: str, batch: str) -> Selection:
    return Selection(batch, states=frozenset({"assigned", "corrected"}), department=department)


def _rows(ctx: Context, entry: Entry, back: Returned) -> dict[Place, Held]:
    """The rows that were written in, by place; those only that this department has."""
    asked: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for answer in back.answers:
        batch, file, number = answer.place
        asked[batch][file].add(number)
    found: dict[Place, Held] = {}
    for batch, files in asked.items():
        held = _held(ctx, entry, back.about.department, batch, files)
        wanted = {file: {n for name, n in held if name == file} for file, _ in held}
        for row in received(ctx, entry, batch_by_id(ctx, entry, batch), wanted) if held else ():
            found[row.place] = Held(row, held[row.place[1:]])
    return found


def _held(
    ctx: Context, entry: Entry, department: str, batch: str, files: Mapping[str, set[int]]
) -> dict[tuple[str, int], frozenset[str]]:
    """Of these rows those that the department has, by file and number, with the columns that they failed by."""
    held: dict[tuple[str, int], frozenset[str]] = {}
    for part in selected(ctx, entry.id, _assigned_to(department, batch)):
        for file, rows in files.items():
            wanted = pa.array(sorted(rows), pa.int64())
            same = pc.and_(pc.equal(part.rows["file"], file), pc.is_in(part.rows["row"], wanted))
            for each in part.rows.filter(same).select(["row", "failures"]).to_pylist():
                held[file, each["row"]] = failing(entry, (Failure(**f) for f in each["failures"]))
    return held


def _problems(
    ctx: Context, entry: Entry, back: Returned, rows: Mapping[Place, Held]
) -> Iterator[tuple[int, str]]:
    """Number of the row in the workbook, and what is wrong with it."""
    known = [answer for answer in back.answers if answer.place in rows]
    key = load_key(ctx.settings.key_version, ctx.connect)
    codes = digests(key, entry.id, back.about.department, [rows[answer.place].row for answer in known])
    right = {answer.number: answer.code == code for answer, code in zip(known, codes, strict=True)}
    often = Counter(answer.place for answer in known)
    for answer in back.answers:
        yield from ((answer.number, wrong) for wrong in answer.wrong)
        if answer.number not in right:
            yield answer.number, "it is not among the rows set aside and assigned to this department any more"
        elif not right[answer.number]:
            yield (
                answer.number,
                "it is not the row that was exported: its grey cells, or the data, have changed",
            )
        if often[answer.place] > 1:
            yield answer.number, "it stands in the workbook twice"
        if answer.why:
            yield from _reason(answer)
    if entry.owner == back.about.department:
        yield from _values(ctx, entry, back, rows)


def _reason(answer: Answer) -> Iterator[tuple[int, str]]:
    if answer.values:
        yield answer.number, "it has both corrections and a reason not to correct"
    try:
        plain(answer.why, "reason")
    except XuanwuError as error:
        yield answer.number, f"the reason {error.message}"


def _values(
    ctx: Context, entry: Entry, back: Returned, rows: Mapping[Place, Held]
) -> Iterator[tuple[int, str]]:
    """Values that would not convert, keys that are not to be corrected, and persons who were erased."""
    sources, key = {source.name: source for source in sources_of(ctx, entry)}, keys(entry)
    for answer in (each for each in back.answers if each.values):
        if unknown := sorted(answer.values.keys() - sources.keys()):
            yield (
                answer.number,
                f"the dataset does not collect {', '.join(unknown)} any more: export it again",
            )
        held = rows.get(answer.place)
        if held is not None and (fixed := sorted(key & answer.values.keys() - held.failing)):
            yield answer.number, f"{', '.join(fixed)} tells the row from others and did not fail"
        if held is not None and held.row.unread is not None and (bare := sorted(key - answer.values.keys())):
            yield answer.number, f"the whole row could not be read: write {', '.join(bare)} too"
    for source in sources.values():
        yield from _of_column(ctx, source, [each for each in back.answers if source.name in each.values])


def _of_column(ctx: Context, source: Source, answers: list[Answer]) -> Iterator[tuple[int, str]]:
    texts = pa.array([_as_text(answer.values[source.name], source.field) for answer in answers], pa.string())
    for column in source.columns if answers else ():
        found = cast(texts, column.field, column.codes)
        for answer, failed in zip(answers, found.failed.to_pylist(), strict=True):
            if failed:
                yield answer.number, f"{source.name} would fail again: expected {found.expected}"
        if column.field.element:
            for answer, gone in zip(
                answers, erased(ctx, column.field.element, texts).to_pylist(), strict=True
            ):
                if gone:
                    yield (
                        answer.number,
                        f"{source.name} must not be collected: see the certificates of erasure",
                    )


def _as_text(value: Written, field: Field) -> str | None:
    """The text of a value. A day that the spreadsheet knows as one is written as the source writes it."""
    if not isinstance(value, date):
        return value
    if field.type in ("date", "timestamp") and field.formats:
        return value.strftime(field.formats[0])
    return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()


# ── acts ──────────────────────────────────────────────────────────────────────────────────────────────────


def _taken(
    ctx: Context,
    entry: Entry,
    back: Returned,
    rows: Mapping[Place, Held],
    said: Said,
) -> Imported:
    """Corrections by batch, then dismissals by batch and reason. What stands there already is no correction."""
    fields = {source.name: source.field for source in sources_of(ctx, entry)}
    cells: dict[str, list[dict[str, object]]] = defaultdict(list)
    out: dict[tuple[str, str], list[dict[str, object]]] = defaultdict(list)
    unchanged = 0
    for answer in back.answers:
        batch, file, row = answer.place
        place = {"file": file, "row": row}
        texts = {name: _as_text(value, fields[name]) for name, value in answer.values.items()}
        new = {name: text for name, text in texts.items() if text != rows[answer.place].row.values[name]}
        cells[batch] += [{**place, "column": name, "value": text} for name, text in new.items()]
        unchanged += bool(texts) and not new
        if answer.why:
            out[batch, plain(answer.why, "reason")].append(place)
    log, settings = open_log(ctx)[0], ctx.settings
    acts = []
    for batch, found in cells.items():
        if found:
            table = pa.Table.from_pylist(found, schema=handling.VALUES)
            acts.append(handling.record(settings, log, (entry.id, batch), "correct", table, said=said))
    for (batch, why), found in out.items():
        table = pa.Table.from_pylist(found, schema=handling.PLACES)
        reason = Said(said.by, said.at, why, said.department, said.workbook)
        acts.append(handling.record(settings, log, (entry.id, batch), "dismiss", table, said=reason))
    return Imported(entry.id, tuple(acts), unchanged)
