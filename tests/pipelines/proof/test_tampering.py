"""Every file of a lake and every row of its databases: whatever is changed, cut off, taken away, swapped or put there is
found and named, or the page that an auditor reads first says that it is not.

The lake is one that lived: days of datasets that build on one another, one person erased, one whose erasure was lifted,
a table withdrawn, earlier releases kept. Where and how it is changed is drawn by chance from a fixed seed.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from lake.auditlog import line_of
from lake.certificates import lake_keys
from lake.ledger import Ledger
from lake.merkle import Frontier, leaf_hash
from lake.signing import Signer, Trust, canonical, load_signer
from lake.tables import Tables
from lake.verify import Copy, Finding, catalogue, ledger, verify
from pipelines.erasure.erase import erase, lift
from schemas.settings import Settings
from tests.pipelines.erasure.town import KEY, Town, csv_of, person, subject, visits

COVERED = {"curated", "downloads", "landing", "open", "proof", "quarantine", "released", "share", "verdicts"}
INNER = ("curated", "quarantine")
"""Their metadata files are covered as far as they are current."""
NOT_COVERED = {"origins", "records", "standard"}
"""What nobody outside reads: docs/auditor.md says so."""
SET_ASIDE = (
    '  - {expect: expect_column_values_to_not_match_regex, column: no, regex: "55$", on_fail: quarantine}\n'
)
Change = Callable[[Path, random.Random], None]
Entry = dict[str, object]


@dataclass(frozen=True)
class Lived:
    """A lake, the keys that are trusted, and the one that signs."""

    settings: Settings
    lake: Path
    trust: Trust
    signer: Signer


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        town = Town(tmp_path_factory.mktemp("town"))
        visit = town.settings.catalogue / "health/visit.yaml"
        visit.write_text(visit.read_text() + SET_ASIDE)
        town.people()
        for day in (1, 2):
            town.leave(day, csv_of(visits(day)))
            town.run(day)
        erase(town.ctx, subject(person(13)[0]), "X-1")
        lift(town.ctx, erase(town.ctx, subject(person(14)[0]), "X-2").erasure.id)
        entry = town.settings.catalogue / "base/ages.yaml"
        closed = entry.read_text().replace(
            "share: {type: unconditional}", "share: {type: none, basis: {zh: 依据}}"
        )
        entry.write_text(closed)
        town.run(2, "base.ages")
        yield Lived(
            town.settings,
            town.lake,
            lake_keys(str(town.lake)),
            load_signer(town.settings, lambda _: ""),
        )


@pytest.fixture
def copy(lived: Lived, tmp_path: Path) -> Path:
    """What is spoilt. Originals are read-only, which stops nobody who owns the disk."""
    shutil.copytree(lived.lake, tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return tmp_path / "copy"


def found(lake: Path, trust: Trust | None, kept: dict[str, object] | None = None) -> list[Finding]:
    return list(verify(Copy(str(lake)), trust, kept))


def below(lake: Path, *patterns: str) -> list[Path]:
    return sorted({path for pattern in patterns for path in lake.glob(pattern) if path.is_file()})


def unnamed(lake: Path, spoilt: Sequence[Path], findings: Sequence[Finding]) -> list[str]:
    """The spoilt files that no finding names."""
    told = "\n".join(map(str, findings))
    return [name for path in spoilt if (name := path.relative_to(lake).as_posix()) not in told]


# ── ways to spoil a file ──────────────────────────────────────────────────────────────────────────────────


def flip(path: Path, chance: random.Random) -> None:
    """One bit."""
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def insert(path: Path, chance: random.Random) -> None:
    """One byte more."""
    data, at = path.read_bytes(), chance.randrange(path.stat().st_size + 1)
    path.write_bytes(data[:at] + bytes([chance.randrange(256)]) + data[at:])


def cut(path: Path, chance: random.Random) -> None:
    """The end is missing."""
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def remove(path: Path, chance: random.Random) -> None:
    path.unlink()


CHANGES: tuple[Change, ...] = (flip, insert, cut, remove)
GROUPS = {
    "landed manifests": ("landing/*/*/*/manifest.json",),
    "originals": ("landing/*/*/*/files/*",),
    "verdicts": ("verdicts/*/*/*/*",),
    "data files": ("share/*/*/data/*", "open/*/*/data/*"),
    "manifests and their lists": ("share/*/*/metadata/*.avro", "open/*/*/metadata/*.avro"),
    "table metadata": ("share/*/*/metadata/*.json", "open/*/*/metadata/*.json"),
    "downloads": ("downloads/**/*",),
    "releases": ("released/**/*",),
    "inner tables": tuple(f"{zone}/*/{kind}" for zone in INNER for kind in ("data/*", "metadata/*.avro")),
    "attestations": ("proof/attestations/**/*.json",),
    "contracts": ("proof/contracts/**/*.json",),
    "certificates": ("proof/certificates/**/*.json",),
    "certificates of erasure": ("proof/erasures/*.json",),
}
LOG = ("proof/log/*",)
KEYS = ("proof/keys/*",)


def test_the_lake_holds_every_kind_of_file_and_is_right(lived: Lived) -> None:
    assert [str(each) for each in found(lived.lake, lived.trust)] == []
    assert {path.name for path in lived.lake.iterdir()} == COVERED | NOT_COVERED
    tried = below(lived.lake, *LOG, *KEYS, *(each for group in GROUPS.values() for each in group))
    covered = [
        path
        for zone in COVERED
        for path in (lived.lake / zone).rglob("*")
        if path.is_file() and not (zone in INNER and path.name.endswith(".metadata.json"))
    ]
    assert tried == sorted(covered)
    assert all(below(lived.lake, *patterns) for patterns in GROUPS.values())
    assert {path.name for path in below(lived.lake, *GROUPS["verdicts"])} == {
        "verdict.json",
        "rejects.parquet",
    }
    ends = {path.name.split(".", 1)[-1] for path in tried}
    assert ends > {"parquet", "avro", "metadata.json", "jsonl", "csv", "pem", "lifted.json", "json"}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("group", GROUPS)
def test_every_file_of_a_kind(lived: Lived, copy: Path, group: str, change: Change) -> None:
    """All of them at once, and each is named: nothing hides behind another finding."""
    chance = random.Random(f"{group} {change.__name__}")
    spoilt = below(copy, *GROUPS[group])
    if change is remove:
        spoilt = [path for path in spoilt if not forgotten(lived.lake, path.relative_to(copy).as_posix())]
    for path in spoilt:
        change(path, chance)
    findings = found(copy, lived.trust)
    assert unnamed(copy, spoilt, findings) == []


@pytest.mark.parametrize("change", CHANGES)
def test_the_metadata_that_leads_into_an_inner_table(lived: Lived, copy: Path, change: Change) -> None:
    chance = random.Random(change.__name__)
    spoilt = [copy / path for path in verified(lived.lake).attested.values()]
    assert {path.relative_to(copy).parts[0] for path in spoilt} == set(INNER)
    for path in spoilt:
        change(path, chance)
    assert unnamed(copy, spoilt, found(copy, lived.trust)) == []


def forgotten(lake: Path, path: str) -> bool:
    """Metadata before the current one, which Iceberg itself removes in time."""
    return path.endswith(".metadata.json") and path not in verified(lake).standing.values()


def verified(lake: Path) -> Copy:
    looked = Copy(str(lake))
    assert not list(verify(looked))
    return looked


@pytest.mark.parametrize("group", GROUPS)
def test_files_that_took_each_other_s_place(lived: Lived, copy: Path, group: str) -> None:
    """One file of each content, two by two."""
    files = list({path.read_bytes(): path for path in below(copy, *GROUPS[group])}.values())
    for one, other in zip(files[::2], files[1::2], strict=False):
        data = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(data)
    spoilt = files[: len(files) // 2 * 2]
    assert spoilt or group == "releases"
    assert unnamed(copy, spoilt, found(copy, lived.trust)) == []


def test_one_file_in_one_way_at_a_time(lived: Lived, copy: Path) -> None:
    """Drawn from all that is covered; the lake is right again in between."""
    chance = random.Random(329)
    files = below(copy, *(each for group in GROUPS.values() for each in group))
    for path in chance.sample(files, 24):
        data, change = path.read_bytes(), chance.choice((flip, insert, cut))
        change(path, chance)
        told = [str(each) for each in found(copy, lived.trust)]
        assert any(path.relative_to(copy).as_posix() in each for each in told), (path.name, change.__name__)
        path.write_bytes(data)
    assert found(copy, lived.trust) == []


@pytest.mark.parametrize("change", CHANGES)
def test_the_log_and_its_head(lived: Lived, copy: Path, change: Change) -> None:
    chance = random.Random(change.__name__)
    for path in below(copy, *LOG):
        data = path.read_bytes()
        for _ in range(1 if change is remove else 8):
            change(path, chance)
            if not path.exists() or path.read_bytes() != data:
                assert any(each.place.startswith("proof/log/") for each in found(copy, lived.trust))
            path.write_bytes(data)


@pytest.mark.parametrize("change", CHANGES)
def test_the_keys_that_lie_in_the_lake(lived: Lived, copy: Path, change: Change) -> None:
    """Who was handed no key believes these; without them nothing is trusted."""
    for path in below(copy, *KEYS):
        change(path, random.Random(change.__name__))
        assert found(copy, None)


# ── who holds the signing key ─────────────────────────────────────────────────────────────────────────────


def signed_again(copy: Path, signer: Signer, change: Callable[[list[Entry]], None]) -> None:
    """The whole log written anew with other entries, every checkpoint validly signed by the city's own key."""
    path = copy / "proof/log/00000000.jsonl"
    entries = [json.loads(line)["entry"] for line in path.read_bytes().splitlines()]
    change(entries)
    frontier, lines, signed = Frontier(), [], {}
    for entry in entries:
        frontier.append(leaf_hash(canonical(entry)))
        said = {"size": frontier.size, "root": frontier.root().hex(), "time": entry["at"]}
        signed = {**said, "key": signer.id, "signature": signer.sign("checkpoint", said)}
        lines.append(line_of(entry, signed))
    path.write_bytes(b"".join(lines))
    head = {"checkpoint": signed, "frontier": [peak.hex() for peak in frontier.peaks]}
    (copy / "proof/log/head.json").write_bytes(canonical(head) + b"\n")


def checkpoints(copy: Path) -> list[Entry]:
    """What an auditor might have kept on any day."""
    lines = (copy / "proof/log/00000000.jsonl").read_bytes().splitlines()
    return [json.loads(line)["checkpoint"] for line in lines]


def test_history_written_anew_by_who_holds_the_key(lived: Lived, copy: Path) -> None:
    """Without a kept checkpoint it is as good as the true one; with any that covers the change it is found."""
    kept = checkpoints(copy)
    assert all(found(copy, lived.trust, kept=dict(each)) == [] for each in (kept[0], kept[5], kept[-1]))
    at = [n for n, line in enumerate(log_entries(copy)) if line.get("result") == "done"][2]

    def fewer_warnings(entries: list[Entry]) -> None:
        entries[at]["counts"] = {"rows_in": 1, "rows_out": 1, "warnings": 0}

    signed_again(copy, lived.signer, fewer_warnings)
    assert found(copy, lived.trust) == []
    for number in sorted({*random.Random(1).sample(range(len(kept)), 6), at - 1, at, len(kept) - 1}):
        told = [str(each) for each in found(copy, lived.trust, kept=dict(kept[number]))]
        assert bool(told) == (number >= at), number
        assert all("not the one of the kept checkpoint" in each for each in told)


def log_entries(copy: Path) -> list[Entry]:
    lines = (copy / "proof/log/00000000.jsonl").read_bytes().splitlines()
    return [json.loads(line)["entry"] for line in lines]


def test_an_entry_left_out_by_who_holds_the_key(lived: Lived, copy: Path) -> None:
    """What it told of is still there and is named, kept checkpoint or not; what left no other trace, as a check's
    outcome, is missed only by who kept a checkpoint."""
    kept = checkpoints(copy)[-1]
    entries = log_entries(copy)
    whole = (copy / "proof/log/00000000.jsonl").read_bytes()
    for action in ("publish", "erase", "lift", "withdraw", "attest", "stage"):
        last = [entry for entry in entries if entry["action"] == action][-1]
        signed_again(copy, lived.signer, partial(without, last))
        assert action == "stage" or found(copy, lived.trust), action
        assert found(copy, lived.trust, kept=dict(kept)), action
        (copy / "proof/log/00000000.jsonl").write_bytes(whole)


def without(last: Entry, entries: list[Entry]) -> None:
    """All that was said of what the last entry speaks of."""
    about = {name: last[name] for name in ("action", "table", "erasure", "batch") if name in last}
    entries[:] = [entry for entry in entries if not about.items() <= entry.items()]


# ── the databases ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def home(lived: Lived, tmp_path: Path) -> Path:
    """The databases, copied as they stand."""
    (tmp_path / "home").mkdir()
    for name in ("ledger.db", "iceberg.db"):
        with (
            closing(sqlite3.connect(lived.settings.home / name)) as source,
            closing(sqlite3.connect(tmp_path / "home" / name)) as target,
        ):
            source.backup(target)
    return tmp_path / "home"


def run(database: Path, sql: str, *values: object) -> int:
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(sql, values).rowcount


def rows_of(database: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def test_every_row_of_the_ledger_that_was_certified(lived: Lived, home: Path, tmp_path: Path) -> None:
    """Each in one column drawn by chance; then each taken away."""
    looked, database, chance = verified(lived.lake), home / "ledger.db", random.Random(11)

    def wrong() -> list[Finding]:
        return list(ledger.check(Ledger(f"sqlite:///{database}"), looked.certificates))

    assert wrong() == []
    certified = sorted(
        {n for c in looked.certificates.values() for b in c.batches if b.ledger for n in b.ledger.attempts}
    )
    assert len(certified) > 30
    shutil.copy(database, tmp_path / "right.db")
    for number in chance.sample(certified, 12):
        name = chance.choice(list(OTHER))
        assert run(database, f"UPDATE attempts SET {name} = {OTHER[name]} WHERE id = ?", number) == 1
        assert wrong(), (number, name)
        shutil.copy(tmp_path / "right.db", database)
        run(database, "DELETE FROM attempts WHERE id = ?", number)
        assert wrong(), number
        shutil.copy(tmp_path / "right.db", database)
    assert wrong() == []


OTHER = {
    "dataset": "'police.other'",
    "batch_id": "batch_id || 'x'",
    "stage": "'publish'",
    "part": "part || 'x'",
    "number": "number + 1",
    "state": "'lost'",
    "started": "'2026-03-01T00:00:00+00:00'",
    "finished": "'2026-03-01T00:00:00+00:00'",
    "rows_in": "coalesce(rows_in, 0) + 1",
    "rows_out": "coalesce(rows_out, 0) + 1",
    "counts": "json_set(counts, '$.rows', 7)",
    "message": "message || 'x'",
}
"""Columns of an attempt, and what each is made to be."""


def test_a_publication_that_the_ledger_makes_up(lived: Lived, home: Path) -> None:
    looked, database = verified(lived.lake), home / "ledger.db"
    columns = {str(row[1]) for row in rows_of(database, "PRAGMA table_info(attempts)")}
    names = ", ".join(sorted(columns - {"id", "counts", "number"}))
    told_of = "number + 100, '{\"snapshot\": 7}'"
    made = f"INSERT INTO attempts ({names}, number, counts) SELECT {names}, {told_of} FROM attempts"
    assert run(
        database,
        f"{made} WHERE id = (SELECT max(id) FROM attempts WHERE stage = 'publish' AND state = 'done')",
    )
    told = [str(each) for each in ledger.check(Ledger(f"sqlite:///{database}"), looked.certificates)]
    assert any("no certificate does" in each for each in told)


def test_every_row_of_iceberg_s_catalogue_that_readers_follow(lived: Lived, home: Path) -> None:
    looked, database = verified(lived.lake), home / "iceberg.db"
    settings = Settings(home=home, lake=str(lived.lake))

    def wrong() -> list[str]:
        return [str(each) for each in catalogue.check(Tables(settings), looked)]

    assert wrong() == []
    led = rows_of(
        database,
        "SELECT table_namespace, table_name, metadata_location FROM iceberg_tables WHERE metadata_location IS NOT NULL",
    )
    assert {str(zone) for zone, _, _ in led} == {"share", "open", *INNER}
    of = "WHERE table_namespace = ? AND table_name = ?"
    for (zone, name, leads), (_, _, other) in zip(led, [*led[1:], led[0]], strict=True):
        run(database, f"UPDATE iceberg_tables SET metadata_location = ? {of}", other, zone, name)
        assert any("leads readers to other metadata" in each and f"{zone}.{name}" in each for each in wrong())
        run(database, f"UPDATE iceberg_tables SET table_name = 'other' {of}", zone, name)
        assert {f"Iceberg's catalogue, {zone}.{name}: the table is missing"} < set(wrong())
        assert any(f"{zone}.other: the log does not know" in each for each in wrong())
        run(
            database,
            f"UPDATE iceberg_tables SET table_name = ?, metadata_location = ? {of}",
            name,
            leads,
            zone,
            "other",
        )
    assert wrong() == []
