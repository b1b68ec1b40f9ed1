"""The way of the sample city, a stage at a time, each tried with faults and held against itself without.

Before a stage the lake is put aside. The stage runs once undisturbed: its calls are counted, and what it leaves is
what every disturbed run must leave. Then, for each fault: the lake as it was before, the stage with the fault, a look
at what readers see, the stage again, and the comparison of everything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.faults import state
from tests.faults.lake import Lake, Step, way
from tests.faults.stopping import Call, Ended, run


class Fault(Protocol):
    """Something that happens while a process stands at a call; returns what it was, in words."""

    def __call__(self, lake: Lake, step: Step, call: Call, process: int) -> str: ...


@dataclass(frozen=True)
class Outcome:
    """One fault and what came of it: `fault` in words, at which call of how many, and what is `wrong` since."""

    step: Step
    fault: str
    call: int
    calls: int
    name: str
    wrong: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = "; ".join(self.wrong) or "the same as without it"
        return f"{self.step}: {self.fault} at call {self.call} of {self.calls} ({self.name}): {what}"


def all_the_way(lake: Lake, faults: Callable[[int], Sequence[Fault]], seed: int = 0) -> Iterator[Outcome]:
    """The faults that a stage's number is given, at places a like distance apart and shifted by chance."""
    chance = random.Random(seed)
    for number, step in enumerate(way(lake)):
        yield from tried(lake, step, faults(number), chance)


def tried(lake: Lake, step: Step, faults: Sequence[Fault], chance: random.Random) -> Iterator[Outcome]:
    """One stage with each of the faults; it is done afterwards, undisturbed."""
    lake.put_aside("before")
    before = lake.look(state.readable)
    calls = lake.undisturbed(step).calls
    lake.put_aside("after")
    expected, after = lake.look(state.content), lake.look(state.readable)
    if expected["proof"]:
        raise AssertionError(f"{step} left no whole proof without a fault: {expected['proof']}")
    for number, fault in enumerate(faults):
        lake.take_back("before")
        at = 1 + min(calls - 1, int((number + chance.random()) * calls / len(faults)))
        words, ended = _struck(lake, step, fault, at)
        wrong = (*_unclear(lake, ended), *_seen(lake, before, after), *_run_again(lake, step, expected))
        number, name = (ended.stopped.number, ended.stopped.name) if ended.stopped else (0, "")
        yield Outcome(step, words or "the end came first", number, calls, name, wrong)
    lake.take_back("after")


def _struck(lake: Lake, step: Step, fault: Fault, at: int) -> tuple[str, Ended]:
    words: list[str] = []
    lake.forget()
    ended = run(
        lake.work(step), lake.home, at, lambda call, process: words.append(fault(lake, step, call, process))
    )
    lake.wait()
    return "".join(words), ended


def _unclear(lake: Lake, ended: Ended) -> Iterator[str]:
    """A stage that lived on and failed has an error of ours, which names its batch and says what to do."""
    last = (lake.told().strip().splitlines() or [""])[-1]
    if ended.code > 0 and not (last.startswith("schemas.errors.") and "next: " in last):
        yield f"its error is none of ours: {last[:200]}"


def _seen(lake: Lake, before: state.State, after: state.State) -> Iterator[str]:
    """What is wrong with what readers saw between the fault and the run again."""
    seen = lake.look(state.readable)
    for name, value in seen.items():
        if value not in (before.get(name), after.get(name)):
            yield f"readers saw neither before nor after: {name}"
    yield from (f"readable without a certificate: {name}" for name in lake.look(state.uncertified))


def _run_again(lake: Lake, step: Step, expected: state.State) -> list[str]:
    if run(lake.work(step)).code:
        return [f"it could not be run again: {lake.told()}"]
    return state.differences(lake.look(state.content), expected)
