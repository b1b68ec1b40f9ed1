"""The errors of Xuanwu. Every one is a message that a person can act on, and never holds a personal value.

XuanwuError                 where (dataset, file, row, field), what rule, what was expected, what to do
├── CatalogueError          schemas: the catalogue is not valid; carries every problem at once
├── SettingsError           schemas: a setting or a connection is missing or malformed
├── LakeError               lake: a zone, a table or the ledger
│   ├── Unbalanced          rows in and rows out differ: the batch stops (law 2)
│   ├── BudgetSpent         a dataset's privacy budget does not do for one more draw of noise
│   ├── CommitConflict      another run committed first; run it again
│   └── StageHeld           another process is at the same stage of the same batch; wait for it
├── SourceError             pipelines: a source is unreachable, changed its form, or sent something unreadable
│   └── ColumnsMissing      pipelines: the source lacks columns that the entry collects
├── DeliveryError           pipelines: a recipient's database or folder did not take a delivery; try again
│   └── DeliveryUnfit       pipelines: it will not take it before a person has put it right
├── MaskError               pipelines: a mask cannot be applied (a missing key, a wrong type)
├── LeakFound               pipelines: what is about to be published holds what it must not; nothing was published
├── DisclosureRisk          pipelines: too many rows of an open release single persons out; nothing was published
├── CheckFailed             pipelines: a check with `on_fail: stop` failed; the batch stops
├── DecisionNeeded          pipelines: the batch is held until a person says whether it goes on
│   └── Refused             pipelines: a person said that it does not
└── EngineError             expectations: the engine failed, which says nothing about the data
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_UNSEEN = {
    code: f"\\u{code:04x}"
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        0x2028,
        0x2029,
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    )
}


def one_line(text: str) -> str:
    """Names come from sources: what would break a line, move a terminal's cursor or turn the reading direction is
    written out (Unicode TR 36)."""
    return text.translate(_UNSEEN)


def unforeseen(error: BaseException) -> str:
    """What may be told of an error that is none of ours: its kind, and that of what it came of, each with the way to it
    through our code and the place where it arose. Its own words stay unsaid: a library's may quote a value."""
    said, seen = [], set[int]()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        said.append(f"{type(found).__name__} at {_way(found) or 'an unknown place'}")
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return "an error that nobody foresaw: " + "; which came of ".join(said)


_OURS = ("dags", "exchange", "expectations", "lake", "pipelines", "plugins", "portal", "sample", "schemas")


def _way(error: BaseException) -> str:
    """`pipelines.merge._merged:120 > pyarrow.lib.check_status:92`."""
    places, step = [], error.__traceback__
    while step is not None:
        module = str(step.tb_frame.f_globals.get("__name__", "?"))
        if module.partition(".")[0] in _OURS or step.tb_next is None:
            name = step.tb_frame.f_code.co_name.removeprefix(f"{module}.")  # Cython's are whole
            places.append(f"{module}.{name}:{step.tb_lineno}")
        step = step.tb_next
    return " > ".join(places)


class XuanwuError(Exception):
    """A message with its place. `str()` renders it on one line; `next_step` says what to do about it."""

    def __init__(
        self,
        message: str,
        *,
        dataset: str | None = None,
        batch: str | None = None,
        file: str | None = None,
        row: int | None = None,
        field: str | None = None,
        rule: str | None = None,
        expected: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.message = message
        self.place = {
            name: value
            for name, value in {
                "dataset": dataset,
                "batch": batch,
                "file": file,
                "row": row,
                "field": field,
                "rule": rule,
            }.items()
            if value is not None
        }
        self.expected = expected
        self.next_step = next_step
        super().__init__(str(self))

    def __reduce__(self) -> tuple[Any, ...]:
        """An error of a worker reaches the process that waits for it with its place."""
        return _again, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        parts = [self.message]
        if self.place:
            parts.append("[" + ", ".join(f"{name} {value}" for name, value in self.place.items()) + "]")
        if self.expected:
            parts.append(f"expected: {self.expected}")
        if self.next_step:
            parts.append(f"next: {self.next_step}")
        return one_line("; ".join(parts))


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in the catalogue: where it stands, what is wrong, and the form expected."""

    file: str
    line: int
    key: str
    message: str
    expected: str = ""

    def __str__(self) -> str:
        tail = f"; expected: {self.expected}" if self.expected else ""
        return f"{self.file}:{self.line}: {self.key}: {self.message}{tail}"


def _again(kind: type[XuanwuError], args: tuple[Any, ...], state: dict[str, Any]) -> XuanwuError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class CatalogueError(XuanwuError):
    """The catalogue is not valid. `problems` holds all of them, in file and line order."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__(
            f"the catalogue has {len(self.problems)} problem(s)\n" + "\n".join(str(p) for p in self.problems)
        )

    def __str__(self) -> str:
        """A line for each problem."""
        return self.message


class SettingsError(XuanwuError):
    """A setting or connection is missing or malformed."""


class LakeError(XuanwuError):
    """A zone, a table or the ledger cannot do what was asked."""


class Unbalanced(LakeError):
    """Rows in and rows out of a stage differ."""


class BudgetSpent(LakeError):
    """A dataset's privacy budget does not do for one more draw of noise. Nothing was drawn or published."""


class CommitConflict(LakeError):
    """Another run committed to the table first."""


class StageHeld(LakeError):
    """Another process is at the same stage of the same batch."""


class SourceError(XuanwuError):
    """A source is unreachable, changed its form, or sent something that cannot be read."""


class ColumnsMissing(SourceError):
    """The source lacks columns. `missing` are their names, `found` all that the source has, with their types."""

    def __init__(
        self, message: str, *, missing: Sequence[str], found: Mapping[str, str], **place: Any
    ) -> None:
        super().__init__(message, **place)
        self.missing = tuple(missing)
        self.found = dict(found)
        self.landed: Any = None
        """The landed file that lacks them, where a file was landed."""


class DeliveryError(XuanwuError):
    """A recipient's database or folder did not take a delivery; what it held before stands."""


class DeliveryUnfit(DeliveryError):
    """The target is not what was declared: trying again helps nothing before somebody has put it right."""


class MaskError(XuanwuError):
    """A mask cannot be applied."""


class LeakFound(XuanwuError):
    """A column about to be published holds identifiers or unmasked values. Says where, of what kind and how many."""


class DisclosureRisk(XuanwuError):
    """An open release about persons is above the limit of GB/T 42460, and suppression would cost too many rows."""


class CheckFailed(XuanwuError):
    """A check with `on_fail: stop` failed: the batch stops before the curated table."""


class DecisionNeeded(XuanwuError):
    """The batch would do something unusual: it is held for a person's decision. Says what was seen, in counts."""


class Refused(DecisionNeeded):
    """A person decided that the batch does not go on."""


class EngineError(XuanwuError):
    """The engine failed, which says nothing about the data."""
