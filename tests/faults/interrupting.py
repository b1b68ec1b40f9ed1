"""Ctrl-C: `xuanwu run` is sent SIGINT at many moments of its way from PostgreSQL, and what came of it is told.

python -m tests.faults.interrupting --count 60
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final

import pytest
import sqlalchemy as sa

from tests.conftest import write_catalogue
from tests.waiting import LIMIT, PROGRAM, ran, until

SERVER: Final = "postgresql+psycopg://postgres@127.0.0.1:5432"
PROMPT: Final = 5.0
"""Seconds within which an interrupted command has ended."""
DATASET: Final = "police.person"
ENTRY: Final = """\
id: police.person
title: {zh: 人员, en: Persons}
summary: {zh: 人员, en: Persons}
code: "301001/000001"
owner: police
assessed: {secrecy: {day: "2026-01-05", number: 保审1号}, impact: {day: "2026-01-06", number: 评1号}, approved: {day: "2026-01-07", number: 审1号}}
source: {kind: database, connection: police, table: person}
schedule: {cron: "0 0 * * *", timezone: UTC, start: "2026-03-01"}
key: [no]
merge: {kind: snapshot}
share: {type: unconditional}
open: {type: unconditional, fields: [no, district], downloads: [csv]}
fields:
  no: {type: string, grade: 1}
  name: {type: string, grade: 3, mask: {share: {kind: partial, first: 1}, open: drop}}
  phone: {type: string, grade: 3, mask: {share: hmac, open: drop}}
  age: {type: integer, grade: 3, mask: {share: {kind: generalise, bins: [0, 18, 60]}, open: drop}}
  district: {type: string, grade: 1}
checks:
  - {expect: expect_column_values_to_match_regex, column: phone, regex: "^1[0-9]{10}$", on_fail: quarantine}
"""
ROWS: Final = """\
CREATE TABLE person AS SELECT 'P' || lpad(n::text, 7, '0') AS no, '名' || n AS name,
 '13' || lpad(n::text, 9, '0') AS phone, 20 + n % 50 AS age, '玄武区' || n % 9 AS district
FROM generate_series(1, {count}) n"""


@dataclass(frozen=True)
class Interrupted:
    """What came of one interruption. `code` is None of a command that had to be killed; `ended` is in seconds after
    the signal."""

    at: float
    code: int | None
    ended: float
    said: str

    @property
    def outcome(self) -> str:
        if self.code is None:
            return "hung"
        if self.code < 0:
            return signal.Signals(-self.code).name
        if "Traceback" in self.said:
            return f"{self.code}, traceback"
        if "Exception ignored" in self.said or "Error" in self.said:
            return f"{self.code}, stray noise"
        if self.code != 130:
            return "done before" if self.code == 0 else f"{self.code}"
        return "130, told" if "interrupted" in self.said else "130, nothing said"


@contextmanager
def source(rows: int) -> Iterator[str]:
    """The URL of a database of its own, whose table `person` has so many rows."""
    name = f"xuanwu_sig_{os.getpid()}"
    admin = sa.create_engine(f"{SERVER}/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        filled = sa.create_engine(f"{SERVER}/{name}", poolclass=sa.NullPool)
        with filled.begin() as connection:
            connection.execute(sa.text(ROWS.format(count=rows)))
        yield f"postgresql://postgres@127.0.0.1:5432/{name}"
    finally:
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


def environment(home: Path, catalogue: Path, url: str) -> dict[str, str]:
    """Of the commands, of which nothing is told to anyone else."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("XUANWU_")},
        "XUANWU_HOME": str(home),
        "XUANWU_CATALOGUE": str(catalogue),
        "XUANWU_CONN_POLICE": url,
        "XUANWU_KEY_1": bytes(range(32)).hex(),
        "XUANWU_UNTIL": "2026-03-01",
    }


def hearing() -> None:
    """For a process about to be started: a shell's background jobs ignore Ctrl-C, and so would what a test run starts
    that is one of them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipelines.cli", *arguments]


def interrupt(variables: Mapping[str, str], at: float, *, begun: bool = False) -> Interrupted:
    """Run the dataset and interrupt it so many seconds after its start, or after its batch has `begun`; what does not
    end is interrupted again, and killed."""
    home = Path(variables["XUANWU_HOME"])
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / f"{home.name}.said").open("w+", encoding="utf-8") as said:
        process = subprocess.Popen(
            command("run", DATASET), env=dict(variables), stdout=said, stderr=said, preexec_fn=hearing
        )
        if begun and not until(lambda: _says(said) or process.poll() is not None, PROGRAM):
            process.kill()
            pytest.fail(f"the process {process.args!r} began no batch in {PROGRAM} s")
        time.sleep(at)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        code = _ended(process)
        ended = time.monotonic() - sent
        if code is None:
            process.send_signal(signal.SIGINT)
            if _ended(process) is None:
                process.kill()
                process.wait(LIMIT)
        said.seek(0)
        return Interrupted(at, code, ended, said.read())


def _says(said: IO[str]) -> bool:
    return os.fstat(said.fileno()).st_size > 0


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(PROMPT * 2)
    except subprocess.TimeoutExpired:
        return None


def gone_on(variables: Mapping[str, str], said: str) -> str:
    """What is wrong after the command by which the interrupted one said that it goes on; nothing where the batch is
    done."""
    again = command("resume") if "xuanwu resume" in said else command("run", DATASET)
    known: dict[str, Any] = {"env": dict(variables), "capture_output": True, "text": True, "check": False}
    resumed, told = (ran(each, **known) for each in (again, command("status", "--json")))
    states = [batch["state"] for batch in json.loads(told.stdout)["batches"]]
    return "" if resumed.returncode == 0 and states == ["done"] else f"{states} {resumed.stderr}"


def catalogue(folder: Path) -> Path:
    return write_catalogue(folder, {"police/person.yaml": ENTRY})


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--count", type=int, default=60)
    asked.add_argument("--rows", type=int, default=300_000)
    asked.add_argument("--first", type=float, default=0.75, help="seconds after the start, of the first")
    asked.add_argument("--last", type=float, default=8.0)
    asked.add_argument("--resumed", type=int, default=6, help="every so many-th is resumed")
    given = asked.parse_args()
    found: Counter[str] = Counter()
    with TemporaryDirectory() as folder, source(given.rows) as url:
        where = catalogue(Path(folder) / "catalogue")
        for number in range(given.count):
            at = given.first + (given.last - given.first) * number / max(given.count - 1, 1)
            variables = environment(Path(folder) / f"home{number}", where, url)
            one = interrupt(variables, at)
            found[one.outcome] += 1
            wrong = (
                gone_on(variables, one.said)
                if number % given.resumed == 0 and one.outcome == "130, told"
                else ""
            )
            tell(f"{at:5.2f} s  {one.outcome:<20} after {one.ended:.2f} s  {wrong}")
            if one.outcome not in {"130, nothing said", "done before"}:
                tell("    " + "\n    ".join(one.said.splitlines()[-6:]))
    for outcome, times in found.most_common():
        tell(f"{times:4} {outcome}")
    return 0 if set(found) <= {"130, told", "done before"} else 1


if __name__ == "__main__":
    sys.exit(main())
