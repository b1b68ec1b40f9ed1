"""The leak gate: every column that is about to be published is looked through while it is written.

The masked rows pass through `watch`, which counts in each column of text (or of long whole numbers) the
identifiers it holds (`patterns`) and the unmasked values of personal fields (`values`). If there are any, it raises
LeakFound after the last row: the commit that waits for the end of the rows never happens, the files written for it
are removed, and the publication before stands. The message names columns, kinds and counts, never a value.

Not looked into: columns of tokens and of a constant; the values of a column of codes are not compared. Tokens must have
the form of tokens, and what is enciphered in place (`fpe`) no letter but those of its form: both are checked. A field
that the entry explicitly keeps (`mask: {share: keep}`) may hold its own values, which is what was decided, but not
those of another field. Of a grade below 3 that holds for everything but resident ids and bank cards: those are
nobody's public contact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.zones import identifier, published_table
from pipelines.casting.text import has_only
from pipelines.context import Context
from pipelines.gates import absent
from pipelines.gates.held import Held
from pipelines.gates.patterns import Tally
from pipelines.gates.values import Personal, Seen, compared, seen
from pipelines.masks.fpe import WHOLE
from pipelines.masks.tokens import TOKEN_BYTES
from schemas.buffers import buffers
from schemas.errors import LeakFound
from schemas.model import Entry, Field, Fpe, Hmac, Keep, LakeSource, Mask, Zone
from schemas.policy import policies

PERSONAL_GRADE = 3
_TOKEN = rf"^[0-9a-f]{{{2 * TOKEN_BYTES}}}$"
_HEXADECIMAL = b"0123456789abcdef"
_DIGITS = 11
"""Of a number, from which on it may be an identifier."""
NUMBERS = {"integer": 10**7, "decimal": 10**10, "number": 10**10}
"""Types of numbers, and the smallest that is compared with others: whole ones, of sums those that are no sum."""
_BLANKS = r"[\p{Z}\p{Cf}\p{Cc}]+"
_UNUSUAL = r"[\p{Z}\p{Cf}\p{Cc}\x{FF01}-\x{FF5E}]"
_NEVER_PUBLIC = ("resident_id", "bank_card")
_SAID = {
    "resident_id": "resident ids",
    "phone": "mobile numbers",
    "email": "e-mail addresses",
    "bank_card": "bank card numbers",
    "plate": "licence plates",
    "passport": "passport numbers",
    "uscc": "unified social credit codes",
}
Finding = tuple[str, str, int]


@dataclass(frozen=True)
class Watched:
    """One publication as the gate sees it: `source` is the curated snapshot that is published."""

    ctx: Context
    entry: Entry
    zone: Zone
    policy: str
    plan: Mapping[str, Mask]
    source: int

    def kept(self, name: str) -> bool:
        """Whether the entry says in so many words that the field is given as it is."""
        own = self.entry.fields[name].masks
        said = own.share if self.zone == "share" else own.open
        policy = policies(self.entry, self.zone)[self.policy]
        return isinstance(self.plan[name], Keep) and (name in policy.mask or said is not None)

    def allowed(self, name: str) -> tuple[str, ...]:
        """Kinds of identifiers that are the column's own business."""
        own = self.entry.fields[name]
        checks = {each.expect for each in self.entry.checks if each.arguments.get("column") == name}
        codes = ("uscc",) if "expect_column_values_to_be_valid_uscc" in checks else ()
        if not self.kept(name):
            return codes
        return tuple(kind for kind in _SAID if own.grade >= PERSONAL_GRADE or kind not in _NEVER_PUBLIC)

    @cached_property
    def personal(self) -> list[Personal]:
        """The fields whose values may stand in no column: this dataset's, and a derived one's inputs'."""
        tables, catalogue = self.ctx.tables, self.ctx.catalogue
        own = [
            _personal(self.entry, each, self.source)
            for each in self.entry.fields.values()
            if not isinstance(self.plan.get(each.name), Keep) and _comparable(each)
        ]
        inputs = self.entry.source.inputs if isinstance(self.entry.source, LakeSource) else ()
        derived = [
            _personal(catalogue.entry(dataset), each, None)
            for dataset in inputs
            if tables.current_snapshot(identifier("curated", dataset)) is not None
            for each in catalogue.entry(dataset).fields.values()
            if _comparable(each)
        ]
        return own + derived

    def foreign(self, name: str) -> list[Personal]:
        """The personal fields that a column is compared with: not itself, unless its mask must hide all of a value;
        and where it is kept, not those that hold the same kind of thing. What is enciphered without a check digit is
        compared with none: it may come out as anything."""
        own, mask, found = self.entry.fields[name], self.plan[name], []
        if isinstance(mask, Fpe) and not mask.recognised:
            return []
        for each in self.personal:
            other = self.ctx.catalogue.entry(each.dataset).fields[each.field]
            itself = each.dataset == self.entry.id and each.field == name
            alike = own.element is not None and own.element == other.element
            if not (itself and mask.kind not in ("partial", "fpe")) and not (self.kept(name) and alike):
                found.append(each)
        return found


def _form(mask: Mask) -> str | None:
    """For RE2: what every value under a mask looks like, where that is settled."""
    if isinstance(mask, Fpe):
        return WHOLE.get(mask.form)
    return _TOKEN if isinstance(mask, Hmac) else None


def _comparable(each: Field) -> bool:
    return each.grade >= PERSONAL_GRADE and each.codes is None and each.type in ("string", *NUMBERS)


def _personal(entry: Entry, each: Field, snapshot: int | None) -> Personal:
    return Personal(entry.id, each.name, identifier("curated", entry.id), snapshot, NUMBERS.get(each.type))


def watch(
    publication: Watched, rows: Iterable[pa.RecordBatch], times: str | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows as they come. LeakFound after the last one, if any column holds what it must not. Where rows that repeat
    come once, the column `times` says how often each of them is written."""
    looked = [name for name, mask in publication.plan.items() if mask.kind not in ("hmac", "constant")]
    forms = {name: form for name, mask in publication.plan.items() if (form := _form(mask))}
    found = _Found(publication, {name: Tally() for name in looked}, {name: Held() for name in looked})
    with ExitStack() as stack:
        store = stack.enter_context(seen(publication.ctx.settings)) if publication.personal else None
        for batch in rows:
            often = None if times is None else batch.column(times)
            for name in looked:
                found.look(name, batch.column(name), often, store)
            for name, form in forms.items():
                found.formed(name, form, batch.column(name), often)
            yield batch
        found.rest(store)
        found.judge(store)


@dataclass
class _Found:
    """What the columns held, and the verdict on it."""

    publication: Watched
    tallies: dict[str, Tally]
    held: dict[str, Held]
    malformed: dict[str, int] = field(default_factory=dict)

    def look(self, name: str, values: pa.Array, often: pa.Array | None, store: Seen | None) -> None:
        texts = _texts(values)
        if texts is None:
            return
        self.held[name].add(texts, often)
        if self.held[name].full:
            self._look(name, store)

    def rest(self, store: Seen | None) -> None:
        """Look at what is held still."""
        for name in self.held:
            self._look(name, store)

    def _look(self, name: str, store: Seen | None) -> None:
        distinct, rows = self.held[name].taken()
        self.tallies[name].look(distinct, rows)
        if store is not None and len(distinct) and self.publication.entry.fields[name].codes is None:
            store.add(name, distinct)
            if len(plainer := _plainer(distinct)):
                store.add(name, plainer)

    def formed(self, name: str, form: str, values: pa.Array, often: pa.Array | None) -> None:
        """A column of tokens holds tokens and nothing else, one enciphered in place no other letters, whatever made
        it."""
        if form == _TOKEN and _all_tokens(values):
            return
        none = pc.invert(pc.match_substring_regex(values, form))
        wrong = pc.sum(none if often is None else often.filter(none)).as_py() or 0
        if wrong:
            self.malformed[name] = self.malformed.get(name, 0) + wrong

    def judge(self, store: Seen | None) -> None:
        findings = [*self._identifiers(), *self._malformed()]
        if store is not None:
            findings += self._values(store)
        if findings:
            raise _leak(self.publication, findings)

    def _identifiers(self) -> Iterator[Finding]:
        for name, tally in self.tallies.items():
            for kind, count in sorted(tally.counts.items()):
                if kind not in self.publication.allowed(name):
                    yield name, f"{_SAID[kind]} in {count} row(s)", count

    def _malformed(self) -> Iterator[Finding]:
        for name, count in self.malformed.items():
            of = "a token" if self.publication.plan[name].kind == "hmac" else "what its mask enciphers"
            yield name, f"{count} row(s) without the form of {of}", count

    def _values(self, store: Seen) -> Iterator[Finding]:
        columns = {name: self.publication.foreign(name) for name in self.tallies}
        ctx, of = self.publication.ctx, self.publication
        kept = absent.place(ctx.settings, published_table(of.entry.id, of.zone, of.policy))
        for name, personal, how, count in compared(store, columns, ctx.tables, kept):
            verb = "are" if how == "same" else "hold"
            yield name, f"{count} distinct value(s) that {verb} unmasked values of {personal.name}", count


def _all_tokens(values: pa.Array) -> bool:
    """Whether the column has the form of tokens throughout, by its bytes: a third of what the expression takes."""
    offsets, _ = buffers(values)
    return bool((np.diff(offsets) == 2 * TOKEN_BYTES).all()) and has_only(values, _HEXADECIMAL)


def _texts(values: pa.Array) -> pa.Array | None:
    """A column as text, where it may hold an identifier: strings, and whole numbers of eleven digits or more, of
    whatever type, others null."""
    kind = values.type
    if pa.types.is_string(kind):
        return values
    if pa.types.is_integer(kind):
        whole = kind
    elif pa.types.is_floating(kind) or (pa.types.is_decimal(kind) and kind.precision - kind.scale >= _DIGITS):
        whole = pa.decimal128(38, 0)
    else:
        return None
    least = 10 ** (_DIGITS - 1)
    # Arrow makes a plain number a decimal of nineteen digits before the point: none of scale 20 or more holds it.
    long = pc.greater_equal(values, pa.scalar(least, kind) if pa.types.is_decimal(kind) else least)
    if not pc.any(long).as_py():
        return None
    found = pc.if_else(pc.and_(long, _is_whole(values)), values, None)
    return found.cast(whole, safe=False).cast(pa.string())


def _plainer(texts: pa.Array) -> pa.Array:
    """What is written another way than usual, as it usually is: without blanks and invisible characters, full-width
    letters and digits as others (NFKC, Unicode annex 15). 张　三 in a list is 张三."""
    unusual = texts.filter(pc.match_substring_regex(texts, _UNUSUAL))
    return pc.utf8_normalize(pc.replace_substring_regex(unusual, _BLANKS, ""), "NFKC").unique()


def _is_whole(values: pa.Array) -> pa.Array:
    """Of floats those that a number of twenty digits holds."""
    if pa.types.is_integer(values.type):
        return values.is_valid()
    whole = pc.equal(values, pc.floor(values))
    return pc.and_(whole, pc.less(values, 1e20)) if pa.types.is_floating(values.type) else whole


def _leak(publication: Watched, findings: list[Finding]) -> LeakFound:
    entry, said = publication.entry, "; ".join(f"column {name}: {what}" for name, what, _ in findings)
    return LeakFound(
        f"{publication.zone}/{publication.policy} would leak and was not published: {said}",
        dataset=entry.id,
        field=findings[0][0],
        rule="nothing leaked (law 3)",
        expected="no identifier and no unmasked value of a field graded 3 or more",
        next_step=(
            f"mask or drop the column in {entry.file}, or correct what fills it; "
            "the publication before this one still stands"
        ),
    )
