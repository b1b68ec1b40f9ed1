"""A workbook that came back, as corrections and dismissals: all of it, or nothing.

Refused, each with the row's number and never with a value: a workbook of another dataset, department or lake; a row
that is not the one that went out, because somebody changed its grey cells or because it has changed since; a row that
is set aside no more; a formula; a number that may have lost digits; a key that did not fail; a value that does not
convert, so that the row would fail again; an identifier of a person who was erased.

All of it is one turn of the audit log, which nobody else's act comes between. What a killed import left is done by
importing the same workbook again: what it brought before stays as it is.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from lake import handling
from lake.certificates import digest_of
from lake.handling import Act, Deed, Said
from pipelines.batches import batch_by_id
from pipelines.casting.casts import cast
from pipelines.context import Context
from pipelines.correcting.returned import DIGITS_LOST, Answer, Returned, Written, read, shortened
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
from pipelines.deciding import LONGEST, official, plain
from pipelines.erasure.suppression import erased
from pipelines.keys import load_key
from pipelines.proof.certifying import open_log
from pipelines.quarantine.aside import Failure
from pipelines.quarantine.assigning import Selection, selected
from pipelines.telling import file_name
from schemas.errors import SourceError, XuanwuError
from schemas.model import Entry, Field

TOLD: Final = 20
"""Problems that one message tells."""
_WRITTEN: Final = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")


@dataclass(frozen=True)
class Imported:
    """What came of a workbook: the acts, rows in which a value was written that stood there already, and rows that the
    same workbook brought when it was imported before."""

    dataset: str
    acts: tuple[Act, ...]
    unchanged: int
    before: int = 0

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
        stream.seek(0)
        workbook = digest_of(stream.read())
    entry = ctx.catalogue.entry(back.about.dataset)
    key = load_key(ctx.settings.key_version, ctx.connect, "nothing was imported")
    if sealed(key, back.about.json) != back.seal:
        raise SourceError(
            "the workbook was not exported from this lake, or its hidden sheet was changed",
            file=name,
            next_step="export it again: xuanwu quarantine export",
        )
    back.require_heads(name)
    if not back.answers:
        raise SourceError(
            "nothing was written in the workbook",
            file=name,
            expected="values in the columns `更正 corrected`, or reasons in the last one",
        )
    seen = _done(ctx, entry, back)
    back = _placed(ctx, entry, back)
    rows = _rows(ctx, entry, back)
    fits = _fits(ctx, entry, back, rows)
    known = _brought(ctx, entry, seen, workbook)
    before = {each.number for each in back.answers if each.place in known and not fits.get(each.number)}
    back = replace(back, answers=tuple(each for each in back.answers if each.number not in before))
    problems = list(_problems(ctx, entry, back, rows, fits))
    if problems:
        raise _refused(entry, name, problems)
    said = Said(who, ctx.clock(), department=back.about.department, workbook=workbook)
    deeds, unchanged = _deeds(ctx, entry, back, rows, said)
    acts = handling.record_all(ctx.settings, open_log(ctx)[0], deeds, seen)
    return Imported(entry.id, tuple(acts), unchanged, len(before))


def _done(ctx: Context, entry: Entry, back: Returned) -> dict[str, list[str]]:
    """What has been done about the rows of each batch that the workbook is of."""
    batches = {answer.place[0] for answer in back.answers}
    own = batches.intersection(handling.batches(ctx.settings, entry.id))
    return {batch: handling.names(ctx.settings, entry.id, batch) for batch in own}


def _brought(
    ctx: Context, entry: Entry, seen: Mapping[str, Collection[str]], workbook: str
) -> frozenset[Place]:
    """The rows that this very workbook has brought before."""
    acts = [
        act
        for batch in seen
        for act in handling.acts(ctx.settings, entry.id, batch)
        if act.workbook == workbook and act.name in seen[batch]
    ]
    rows = ((act.batch, handling.rows_of(ctx.settings, act).select(handling.PLACES.names)) for act in acts)
    return frozenset((batch, each["file"], each["row"]) for batch, of in rows for each in of.to_pylist())


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
    key = load_key(ctx.settings.key_version, ctx.connect, "nothing was imported")
    department = back.about.department
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


def _fits(ctx: Context, entry: Entry, back: Returned, rows: Mapping[Place, Held]) -> dict[int, bool]:
    """Of each row that the department has, by its number in the workbook, whether it is the one that was exported."""
    known = [answer for answer in back.answers if answer.place in rows]
    key = load_key(ctx.settings.key_version, ctx.connect, "nothing was imported")
    codes = digests(key, entry.id, back.about.department, [rows[answer.place].row for answer in known])
    fits = {}
    for answer, code in zip(known, codes, strict=True):
        values = rows[answer.place].row.values
        grey = [values.get(name) for name in back.about.columns]
        fits[answer.number] = answer.code == code and answer.shows(grey)
    return fits


def _problems(
    ctx: Context, entry: Entry, back: Returned, rows: Mapping[Place, Held], fits: Mapping[int, bool]
) -> Iterator[tuple[int, str]]:
    """Number of the row in the workbook, and what is wrong with it."""
    often = Counter(answer.place for answer in back.answers if answer.number in fits)
    for answer in back.answers:
        yield from ((answer.number, wrong) for wrong in answer.wrong)
        if answer.number not in fits:
            yield answer.number, "it is not among the rows set aside and assigned to this department any more"
        elif not fits[answer.number]:
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
    if len(answer.why) > LONGEST:
        yield answer.number, f"the reason is too long: at most {LONGEST} characters"
        return
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
    if source.field.type == "string" and not source.field.codes:
        yield from _digits(source.name, answers)
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


def _digits(name: str, answers: list[Answer]) -> Iterator[tuple[int, str]]:
    """Identifiers that the spreadsheet has made numbers of: it keeps no zeros before them, and fifteen digits."""
    for answer in answers:
        if shortened(answer.values[name]):
            yield answer.number, f"{name}: {DIGITS_LOST}"
        elif name in answer.numbers:
            yield (
                answer.number,
                f"{name}: the number may have lost zeros before it: format the cell as text, and type it again",
            )


def _as_text(value: Written, field: Field) -> str | None:
    """The text of a value. A day that the spreadsheet knows as one, or that is written year, month, day, is written as
    the source writes it."""
    if isinstance(value, str) and field.type in ("date", "timestamp"):
        value = _day(value, field.formats)
    if not isinstance(value, date):
        return value
    if field.type in ("date", "timestamp") and field.formats:
        return value.strftime(field.formats[0])
    return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()


def _day(text: str, formats: Sequence[str]) -> str | date:
    """The day that a text is, as people write it; the text where it is one of the source's own, or no day."""
    found = _WRITTEN.fullmatch(text)
    if found is None or any(_is_in(text, each) for each in formats):
        return text
    try:
        return date(*(int(part) for part in found.groups()))
    except ValueError:
        return text


def _is_in(text: str, form: str) -> bool:
    try:
        return bool(datetime.strptime(text, form))
    except ValueError:
        return False


# ── acts ──────────────────────────────────────────────────────────────────────────────────────────────────


def _deeds(
    ctx: Context, entry: Entry, back: Returned, rows: Mapping[Place, Held], said: Said
) -> tuple[list[Deed], int]:
    """Corrections by batch, then dismissals by batch and reason; and how many rows hold only what stands there
    already, which is no correction."""
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
    corrected = [
        Deed((entry.id, batch), "correct", pa.Table.from_pylist(found, schema=handling.VALUES), said)
        for batch, found in cells.items()
        if found
    ]
    dismissed = [
        Deed(
            (entry.id, batch),
            "dismiss",
            pa.Table.from_pylist(found, schema=handling.PLACES),
            replace(said, why=why),
        )
        for (batch, why), found in out.items()
    ]
    return corrected + dismissed, unchanged
