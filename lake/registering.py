"""Writing into the register of incidents: each step once, in a turn of the audit log, so that no two have one place.

A step counts once its JSON is there. A process killed before that has said nothing; one killed before the log's outcome
has, and whoever says the same again completes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from lake import store
from lake.auditlog import AuditLog
from lake.incidents import Said, Step, encoded, files_of, incident, is_of, numbers, path_of, told, unlike
from schemas.errors import LakeError
from schemas.settings import Settings

SALT: Final = "salt of an incident's texts"


def record(
    settings: Settings,
    log: AuditLog,
    said: Said,
    number: int | None = None,
    *,
    at: datetime | None = None,
    now: bool = False,
) -> tuple[Step, bool]:
    """Write a step of an incident down, of a new one without a number, `at` a moment (default: the log's); and whether
    it was new. One that is the last step already is that step: its process may have been killed before it told so, or
    before the log's outcome, which is written then. `now`: `when` is the moment of the call, so that a second call's
    is another. LakeError, with nothing done, where there is no such incident, the step does not follow from those
    before, one of them is not the log's, or the log cannot be written."""
    with log.turn() as append:
        if number is None:
            number, standing, last = _opening(settings.lake_root, said, now)
        else:
            standing = incident(settings.lake_root, number).steps
            last = standing[-1] if _same(standing[-1], said, now) else None
        require_logged(log, standing)
        if last is not None:
            _finish(log, append, last)
            return last, False
        step = _step(log, said, number, len(standing) + 1, at or log.clock())
        if wrong := unlike([*standing, step]):
            raise LakeError(f"incident {number}: {wrong}", next_step=f"xuanwu incident show {number}")
        return _write(settings, append, step), True


def forget(settings: Settings, log: AuditLog, step: Step, texts: Mapping[str, str], erasure: str) -> None:
    """Write a step anew with these texts in the place of its own, which told of somebody who is erased. All else of it
    stays, its moment too. May be killed and done again."""
    with log.turn() as append:
        require_logged(log, [step])
        salt = _salt(log, step.incident, step.place, step.at, texts)
        changed = {"texts": dict(texts), "salt": salt, "erasure": erasure}
        _write(settings, append, step.model_copy(update=changed))


def _write(settings: Settings, append: Callable[..., list[int]], step: Step) -> Step:
    line = told(step)
    (entry,) = append({**line, "phase": "attempt"})
    step = step.model_copy(update={"entry": entry})
    store.write_atomic(store.join(settings.lake_root, path_of(step.incident, step.place)), encoded(step))
    append({**line, "phase": "outcome"})
    return step


def _opening(lake: str, said: Said, now: bool) -> tuple[int, tuple[Step, ...], Step | None]:
    """The number of a new incident; or the newest one, where nothing but this opening is there of it. What is wrong
    with the newest keeps nobody from opening another."""
    newest = max(numbers(lake), default=1)
    if not files_of(lake, newest):
        return newest, (), None
    with suppress(LakeError):
        steps = incident(lake, newest).steps
        if len(steps) == 1 and _same(steps[0], said, now):
            return newest, steps, steps[0]
    return newest + 1, (), None


def _step(log: AuditLog, said: Said, number: int, place: int, at: datetime) -> Step:
    at = at.astimezone(UTC)
    salt = _salt(log, number, place, at, said.texts)
    return Step(**said.model_dump(), incident=number, place=place, at=at, salt=salt, entry=-1)


def _salt(log: AuditLog, number: int, place: int, at: datetime, texts: Mapping[str, str]) -> str:
    return log.digest([SALT, number, place, at.isoformat(), dict(texts)])


def _same(step: Step, said: Said, now: bool) -> bool:
    own = {name: getattr(step, name) for name in Said.model_fields}
    return own | ({"when": said.when} if now else {}) == dict(said)


def _finish(log: AuditLog, append: Callable[..., list[int]], step: Step) -> None:
    line = {**told(step), "phase": "outcome"}
    if not any({**entry, "at": None} == {**line, "at": None} for _, entry in log.entries(step.entry + 1)):
        append(line)


def require_logged(log: AuditLog, steps: Sequence[Step]) -> None:
    """LakeError unless the audit log holds each of these steps as it is."""
    for each in steps:
        entry: dict[str, Any] = log.entry(each.entry) or {}
        if not is_of(each, entry):
            raise LakeError(
                "a step of an incident is not the one in the audit log",
                file=path_of(each.incident, each.place),
                next_step="run `xuanwu verify`, and find out who changed it; nothing is added to the incident before",
            )
