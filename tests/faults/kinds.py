"""The kinds of fault: each is given the process that stands at a call, and says in words what it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lake.lease import LEASE
from lake.ledger import Ledger
from pipelines.context import Context
from tests.conftest import NOW
from tests.faults.lake import Lake, Step
from tests.faults.stopping import Call, kill, tear
from tests.faults.trying import Fault


def killed_before(lake: Lake, step: Step, call: Call, process: int) -> str:
    """SIGKILL before the call."""
    kill(call, process)
    return "killed before"


def killed_within(lake: Lake, step: Step, call: Call, process: int) -> str:
    """SIGKILL with half of a write done."""
    tear(call, process)
    return "killed within" if call.torn else "killed before"


def beside(lake: Lake, step: Step, call: Call, process: int) -> str:
    """A second run of the stage while the first one stands still: it is refused, or does the work."""
    code = lake.meanwhile(lake.work(step))
    return {0: "a second run did it", 1: "a second run was refused", None: "a second run waited"}[code]


def overtaken(lake: Lake, step: Step, call: Call, process: int) -> str:
    """The process stands still for longer than its lease: another takes its place, and then it goes on."""

    def later() -> Context:
        ledger = Ledger(lake.city.settings.database_url, clock=lambda: NOW + 3 * LEASE)
        return replace(lake.ctx, ledger=ledger)

    code = lake.meanwhile(lake.work(step, later))
    return {0: "overtaken", 1: "overtaken in vain", None: "overtaken by one that waited"}[code]


def kills(total: int, stages: int, *, met: bool) -> Callable[[int], Sequence[Fault]]:
    """What each stage is tried with, so that there are so many kills in all; and one meeting, if wanted."""
    killing, meeting = (killed_before, killed_within), (beside, overtaken)
    each = -(-total // stages)

    def of(number: int) -> Sequence[Fault]:
        return [*(killing[(number + n) % 2] for n in range(each)), *([meeting[number % 2]] if met else [])]

    return of
