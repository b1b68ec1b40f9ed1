"""The register of incidents: every step is in the audit log as it is, every one in the log is there, and each follows
from those before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from lake.erasures import Erasure
from lake.incidents import FOLDER, Step, encoded, is_of, unlike
from lake.verify.copy import LEFT, Copy, Finding
from lake.verify.journal import Entry, Log


def check(copy: Copy, log: Log, erased: Mapping[str, Erasure]) -> Iterator[Finding]:
    """A step that was only attempted need not be there, unless another followed it. `erased` are the erasures that
    hold."""
    steps: dict[int, list[Step]] = {}
    for path in (yield from copy.finished(FOLDER)):
        entry = log.incidents.get(path)
        if entry is None:
            yield Finding(path, f"the log does not hold this step of an incident: {LEFT}")
            continue
        step = _read(copy, path, log, entry)
        if step is None:
            yield Finding(path, "the step of an incident is not the one in the audit log: it was changed")
            continue
        steps.setdefault(step.incident, []).append(step)
        if step.erasure and step.erasure not in erased:
            yield Finding(path, f"the erasure {step.erasure} has no certificate that holds")
    yield from (Finding(path, "the step was written anew after it counted") for path in log.rewritten)
    yield from _missing(copy, log)
    for number, found in steps.items():
        if wrong := unlike(found):
            yield Finding(f"incident {number}", wrong)


def _read(copy: Copy, path: str, log: Log, entry: Entry) -> Step | None:
    data = copy.read(path)
    try:
        step = Step.model_validate_json(data)
    except ValidationError:
        return None
    own = (path, step.entry) in log.attempted and is_of(step, entry)
    return step if own and encoded(step) == data else None


def _missing(copy: Copy, log: Log) -> Iterator[Finding]:
    last = {entry["incident"]: entry["place"] for entry in log.incidents.values()}
    for path, entry in log.incidents.items():
        done = entry["phase"] == "outcome" or entry["place"] < last[entry["incident"]]
        if done and not copy.exists(path):
            yield Finding(path, "a step of an incident is missing")
        for kind, numbers in (("risk", entry.get("risks", ())), ("request", entry.get("requests", ()))):
            for number in numbers:
                if (kind, number) not in log.cases:
                    yield Finding(path, f"it names the {kind} {number}, of which the log holds nothing")
