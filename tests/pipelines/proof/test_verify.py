"""One byte, one row, one file: whatever is changed in a published lake, `xuanwu verify` notices."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from lake import certificates, signing
from lake.auditlog import AuditLog
from lake.ledger import Ledger
from lake.merkle import Frontier, leaf_hash
from lake.signing import Signer, Trust, canonical
from lake.verify import Copy, Finding, ledger, verify
from pipelines.cli import app
from pipelines.publishing.withdrawal import withdraw
from pipelines.report import write_report
from schemas.settings import Settings
from tests.pipelines.badinput.town import KEY, Town, csv_of, path_source, rows

INNER = ("curated", "quarantine")
CERTIFIED = ("proof", "share", "open", "landing", "verdicts", "downloads")
"""The folders in which no byte may change unnoticed."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town that published two days, the second one twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        town = Town(tmp_path_factory.mktemp("town"), path_source("csv", "csv", encoding="utf-8"))
        for day in (1, 2):
            town.leave(f"0{day}", csv_of(rows(day)))
            town.run(day)
        town.run(2)
        yield town


@pytest.fixture
def copy(town: Town, tmp_path: Path) -> Path:
    """The lake at another place, without its databases."""
    shutil.copytree(town.settings.lake_root, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def trust(town: Town) -> Trust:
    return signing.load_signer(town.settings, lambda _: "").trust


def wrong(lake: Path, trust: Trust | None = None, **more: object) -> list[str]:
    return [str(finding) for finding in verify(Copy(str(lake)), trust, **more)]  # type: ignore[arg-type]


def files(lake: Path) -> list[Path]:
    return [p for zone in CERTIFIED for p in sorted((lake / zone).rglob("*")) if p.is_file()]


def one(lake: Path, pattern: str) -> Path:
    return sorted(lake.glob(pattern))[-1]


def test_a_copy_is_verified_without_our_databases(copy: Path, trust: Trust) -> None:
    looked = Copy(str(copy))
    assert list(verify(looked, trust)) == []
    assert looked.entries >= 10
    assert len(looked.certificates) == 4
    told = set(looked.digests)
    assert {path.relative_to(copy).as_posix() for path in files(copy)} >= {
        p for p in told if not p.startswith(INNER)
    }
    assert any(path.startswith("curated") for path in told)


@pytest.mark.parametrize("zone", CERTIFIED)
def test_one_byte_anywhere(copy: Path, trust: Trust, zone: str) -> None:
    """Every file of the zone, at its ends and at three places between."""
    tried = 0
    for path in (each for each in files(copy) if each.is_relative_to(copy / zone)):
        data = path.read_bytes()
        path.chmod(0o600)
        for offset in sorted({0, len(data) // 4, len(data) // 2, len(data) * 3 // 4, len(data) - 1}):
            path.write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
            assert next(verify(Copy(str(copy)), trust), None), f"{path.name} at {offset} of {len(data)}"
            tried += 1
        path.write_bytes(data)
    assert tried >= 10
    assert wrong(copy, trust) == []


@pytest.mark.parametrize(
    "pattern", ["proof/log/0*.jsonl", "proof/log/head.json", "proof/certificates/*/*/*.json"]
)
def test_bytes_of_what_is_signed_at_many_places(copy: Path, trust: Trust, pattern: str) -> None:
    path = one(copy, pattern)
    data = path.read_bytes()
    places = random.Random(7)
    for offset in places.sample(range(len(data)), 60):
        path.write_bytes(
            data[:offset] + bytes([data[offset] ^ places.choice([1, 2, 8, 32, 128])]) + data[offset + 1 :]
        )
        assert next(verify(Copy(str(copy)), trust), None), f"{path.name} at {offset}"


def test_every_file_that_is_taken_away(copy: Path, trust: Trust) -> None:
    for path in files(copy):
        if path.parent.name == "keys" or (path.parent.name == "metadata" and path.name.startswith("00001-")):
            continue  # the key was given; the metadata before is history that Iceberg itself forgets
        path.rename(copy / "aside")
        assert next(verify(Copy(str(copy)), trust), None), path.name
        (copy / "aside").rename(path)


@pytest.mark.parametrize(
    "place",
    [
        "share/police__person__default/x.parquet",
        "share/police__person__default/.x.tmp",
        "open/other__table/data/x.parquet",
        "downloads/police/person/more.csv",
        "downloads/x.csv",
        "proof/log/00001000.jsonl",
        "proof/certificates/share/police__person__default/1.json",
        "proof/keys/mine.pem",
    ],
)
def test_a_file_that_is_put_there(copy: Path, trust: Trust, place: str) -> None:
    (copy / place).parent.mkdir(parents=True, exist_ok=True)
    (copy / place).write_bytes(b"a,b\n1,2\n")
    assert place in wrong(copy, trust)[0]


def test_a_file_beside_the_originals(copy: Path, trust: Trust) -> None:
    (one(copy, "landing/*/*/*/files") / "00002-more.csv").write_bytes(b"x")
    assert any("manifest does not name" in each for each in wrong(copy, trust))


def test_one_row_of_a_data_file(copy: Path, trust: Trust) -> None:
    for path in copy.glob("open/*/*/data/*.parquet"):
        table = pq.read_table(path)
        column = pa.array(["P999999", *table.column("no").to_pylist()[1:]])
        data = path.read_bytes()
        pq.write_table(table.set_column(0, table.schema.field("no"), column), path)
        assert any(path.name in each for each in wrong(copy, trust))
        path.write_bytes(data)


# ── the log's end ─────────────────────────────────────────────────────────────────────────────────────────


def log_lines(copy: Path) -> list[bytes]:
    return (copy / "proof/log/00000000.jsonl").read_bytes().splitlines(keepends=True)


def cut(copy: Path, lines: int) -> None:
    (copy / "proof/log/00000000.jsonl").write_bytes(b"".join(log_lines(copy)[:lines]))


def test_the_log_s_tail_cut_off(copy: Path, trust: Trust) -> None:
    for keep in range(len(log_lines(copy))):
        whole = (copy / "proof/log/00000000.jsonl").read_bytes()
        cut(copy, keep)
        assert any("the log's end is missing" in each for each in wrong(copy, trust))
        (copy / "proof/log/00000000.jsonl").write_bytes(whole)


def test_tail_and_head_cut_off_together(copy: Path, trust: Trust) -> None:
    """The head can be put back to an older checkpoint, which was signed: then the certificates have no entry."""
    roll_back(copy, 6)
    assert any("not the one in the audit log" in each for each in wrong(copy, trust))


def roll_back(copy: Path, size: int) -> None:
    cut(copy, size)
    frontier, found = Frontier(), [json.loads(line) for line in log_lines(copy)]
    for each in found:
        frontier.append(leaf_hash(canonical(each["entry"])))
    head = {"checkpoint": found[-1]["checkpoint"], "frontier": [peak.hex() for peak in frontier.peaks]}
    (copy / "proof/log/head.json").write_bytes(canonical(head) + b"\n")


@pytest.mark.parametrize("more", [1, 3, 1200])
def test_a_log_that_grows_while_it_is_looked_at(
    copy: Path, town: Town, trust: Trust, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    """An exchange is at work: between the log's last line and its head others write."""
    log = AuditLog(Settings(home=copy, lake=str(copy)), signing.load_signer(town.settings, lambda _: ""))
    read, left = Copy.read, [more, 1, 1]

    def reading(self: Copy, path: str) -> bytes:
        if path.endswith("head.json") and left:
            with log.turn() as append:
                append(*({"action": "approve", "by": "someone"} for _ in range(left.pop(0))))
        return read(self, path)

    monkeypatch.setattr(Copy, "read", reading)
    looked = Copy(str(copy))
    before = len(log_lines(copy))
    assert list(verify(looked, trust)) == []
    assert looked.entries == before + more + 2


def test_a_wrong_line_among_those_that_came_meanwhile_is_told_by_its_place(
    copy: Path, town: Town, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(Settings(home=copy, lake=str(copy)), signing.load_signer(town.settings, lambda _: ""))
    read, before = Copy.read, len(log_lines(copy))

    def reading(self: Copy, path: str) -> bytes:
        if path.endswith("head.json") and len(log_lines(copy)) == before:
            log.append({"action": "approve", "by": "someone"})
            with (copy / "proof/log/00000000.jsonl").open("ab") as file:
                file.write(b"nothing\n")
        return read(self, path)

    monkeypatch.setattr(Copy, "read", reading)
    (found, *_) = verify(Copy(str(copy)), trust)
    assert found.place == f"proof/log/00000000.jsonl line {before + 2}"


def test_a_line_that_is_being_written_is_read_again(
    copy: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, torn = Copy.read, ["proof/log/00000000.jsonl"]

    def reading(self: Copy, path: str) -> bytes:
        return read(self, torn.pop())[:-20] if torn and path == torn[0] else read(self, path)

    monkeypatch.setattr(Copy, "read", reading)
    assert wrong(copy, trust) == []


def test_a_kept_checkpoint_tells_a_lake_put_back_whole(copy: Path, town: Town, trust: Trust) -> None:
    """Everything after a day taken away, files and all: only who kept a checkpoint can tell."""
    kept = json.loads((copy / "proof/log/head.json").read_bytes())
    log = AuditLog(Settings(home=copy, lake=str(copy)), signing.load_signer(town.settings, lambda _: ""))
    log.append({"action": "approve", "by": "someone"})
    later = json.loads((copy / "proof/log/head.json").read_bytes())
    assert wrong(copy, trust, kept=kept) == wrong(copy, trust, kept=later) == []
    roll_back(copy, len(log_lines(copy)) - 1)
    assert wrong(copy, trust) == []
    assert "not the one of the kept checkpoint" in wrong(copy, trust, kept=later)[0]
    assert "none that a trusted key signed" in wrong(copy, trust, kept={"size": 1, "root": "", "key": ""})[0]


@pytest.mark.parametrize("change", ["swap", "drop", "repeat"])
def test_lines_of_the_log_in_another_order(copy: Path, trust: Trust, change: str) -> None:
    lines = log_lines(copy)
    new = {
        "swap": [lines[1], lines[0], *lines[2:]],
        "drop": [lines[0], *lines[2:]],
        "repeat": [lines[0], *lines],
    }[change]
    (copy / "proof/log/00000000.jsonl").write_bytes(b"".join(new))
    assert "the signed root is not the root" in wrong(copy, trust)[0]


# ── certificates ──────────────────────────────────────────────────────────────────────────────────────────


def test_swapped_certificates(copy: Path, trust: Trust) -> None:
    first, second = sorted(copy.glob("proof/certificates/share/*/*.json"))
    a, b = first.read_bytes(), second.read_bytes()
    first.write_bytes(b)
    second.write_bytes(a)
    assert "another snapshot's certificate" in wrong(copy, trust)[0]


def test_a_removed_certificate(copy: Path, trust: Trust) -> None:
    for path in copy.glob("proof/certificates/*/*/*.json"):
        path.rename(copy / "aside")
        assert "certificate" in wrong(copy, trust)[0]
        (copy / "aside").rename(path)


def test_another_key_s_certificate(copy: Path, trust: Trust) -> None:
    path = one(copy, "proof/certificates/share/*/*.json")
    other = Signer(Ed25519PrivateKey.generate())
    certificate = certificates.decode(path.read_bytes(), trust)
    path.write_bytes(certificates.encode(certificate.model_copy(update={"key": other.id}), other))
    assert "which is not trusted" in wrong(copy, trust)[0]
    path.write_bytes(certificates.encode(certificate, other))
    assert "signature is not right" in wrong(copy, trust)[0]


def test_a_lake_forged_whole_with_another_key(copy: Path, trust: Trust) -> None:
    """Log, certificates and key replaced: the lake's own keys cannot tell, and the one that was handed over can."""
    other = Signer(Ed25519PrivateKey.generate())
    frontier, lines, digests = Frontier(), [], {}
    for path in copy.glob("proof/certificates/*/*/*.json"):
        certificate = certificates.decode(path.read_bytes(), trust)
        data = certificates.encode(certificate.model_copy(update={"key": other.id, "previous": None}), other)
        path.write_bytes(data)
        digests[path.relative_to(copy).as_posix()] = certificates.digest_of(data)
    for line in log_lines(copy):
        entry = json.loads(line)["entry"]
        if "certificate" in entry:
            entry["certificate"]["sha256"] = digests[entry["certificate"]["path"]]
        frontier.append(leaf_hash(canonical(entry)))
        told = {"size": frontier.size, "root": frontier.root().hex(), "time": entry["at"]}
        signed = {**told, "key": other.id, "signature": other.sign("checkpoint", told)}
        lines.append(canonical({"entry": entry, "checkpoint": signed}) + b"\n")
    (copy / "proof/log/00000000.jsonl").write_bytes(b"".join(lines))
    roll_back(copy, len(lines))
    shutil.rmtree(copy / "proof/keys")
    (copy / "proof/keys").mkdir()
    (copy / f"proof/keys/{other.id}.pem").write_bytes(signing.public_pem(other.private.public_key()))
    assert wrong(copy) == []
    assert "not trusted" in wrong(copy, trust)[0]


Change = Callable[[dict[str, object]], object]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(rows_in=99), "curated 99"),
        (lambda c: c.update(suppressed=1), "suppressed 1"),
        (lambda c: c["batches"][-1]["balance"].update(landed=21), "landed 21"),
        (lambda c: c["batches"][-1]["balance"].update(inserted=19), "inserted 19"),
        (lambda c: c["batches"][-1]["balance"].update(checked=None), "lacks checked"),
        (lambda c: c["data"][0].update(rows=1), "rows of its files 1"),
        (lambda c: c.update(batches=[]), "names no batch"),
    ],
)
def test_a_certificate_that_does_not_add_up(copy: Path, trust: Trust, change: Change, words: str) -> None:
    """As a faulty or dishonest issuer would have signed it."""
    from lake.verify.balance import sums

    said = json.loads(one(copy, "proof/certificates/share/*/*.json").read_bytes())["certificate"]
    assert list(sums(certificates.Certificate.model_validate(said))) == []
    change(said)
    assert any(words in each for each in sums(certificates.Certificate.model_validate(said)))


# ── the ledger, withdrawal, the command ───────────────────────────────────────────────────────────────────


def ledger_findings(town: Town, copy: Path, database: Path) -> list[Finding]:
    looked = Copy(str(copy))
    assert list(verify(looked)) == []
    return list(ledger.check(Ledger(f"sqlite:///{database}"), looked.certificates))


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE attempts SET {what} WHERE id = (SELECT min(id) FROM attempts WHERE stage = '{stage}')"
        for stage in ("collect", "standardise", "check", "merge")
        for what in (
            "rows_in = rows_in + 1",
            "counts = replace(counts, '20', '21')",
            "message = 'x'",
            "number = 7",
        )
    ]
    + [
        "DELETE FROM attempts WHERE stage = 'check' AND id < 8",
        "UPDATE attempts SET rows_out = rows_out - 1 WHERE stage = 'publish' AND part = 'share/default'",
        "DELETE FROM attempts WHERE stage = 'publish'",
    ],
)
def test_one_row_of_the_ledger(town: Town, copy: Path, tmp_path: Path, change: str) -> None:
    database = tmp_path / "ledger.db"
    with sqlite3.connect(town.settings.home / "ledger.db") as source, sqlite3.connect(database) as target:
        source.backup(target)
    assert ledger_findings(town, copy, database) == []
    with sqlite3.connect(database) as changed:
        assert changed.execute(change).rowcount
    assert ledger_findings(town, copy, database)


def test_the_command(town: Town, copy: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(one(copy, "proof/keys/*.pem").read_bytes())
    good = CliRunner().invoke(app, ["verify", str(copy), "--key", str(key)])
    assert good.exit_code == 0 and "通过 verified" in good.output and "trusted keys" in good.output
    assert "were believed" in CliRunner().invoke(app, ["verify", str(copy)]).output
    for path in (one(copy, "open/*/*/data/*.parquet"), one(copy, "share/*/*/data/*.parquet")):
        path.write_bytes(path.read_bytes()[:-1])
    first = CliRunner().invoke(app, ["verify", str(copy)])
    every = CliRunner().invoke(app, ["verify", str(copy), "--all"])
    assert first.exit_code == every.exit_code == 1
    assert first.output.count("wrong") == 1 < every.output.count("wrong")


def test_the_report_tells_each_certificate_in_words(town: Town, tmp_path: Path) -> None:
    page = write_report(town.ctx, tmp_path / "report.html").read_text()
    key = signing.load_signer(town.settings, lambda _: "").id
    for zone, name in (("share", "police__person__default"), ("open", "police__person")):
        snapshot = town.ctx.tables.current_snapshot((zone, name))
        assert f"已认证：快照 {snapshot}，40 行" in page
        assert f"proof/certificates/{zone}/{name}/{snapshot}.json" in page
    assert page.count(f"由密钥 {key} 签名，审计日志第 ") == 2
    newest = town.ctx.tables.current_snapshot(("open", "police__person"))
    path = one(Path(town.settings.lake_root), f"proof/certificates/open/*/{newest}.json")
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"rows":', b'"rows" :'))
    assert "✗ 未认证" in write_report(town.ctx, tmp_path / "report.html").read_text()
    path.write_bytes(data)


def test_what_was_withdrawn_is_gone_and_the_log_says_so(town: Town, trust: Trust, tmp_path: Path) -> None:
    own = Town(tmp_path, path_source("csv", "csv", encoding="utf-8"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        own.leave("01", csv_of(rows(1)))
        own.run(1)
    lake = Path(own.settings.lake_root)
    shutil.copytree(lake / "open", tmp_path / "kept")
    entry = own.catalogue / "police/person.yaml"
    text = entry.read_text().replace(
        "open: {type: unconditional, fields: [no, district], downloads: [csv]}",
        "open: {type: none, basis: {zh: 依据}}",
    )
    entry.write_text(text)
    assert withdraw(own.ctx) == ["open.police__person"]
    assert wrong(lake) == []
    shutil.copytree(tmp_path / "kept", lake / "open", dirs_exist_ok=True)
    assert "the log does not say that open.police__person is published" in wrong(lake)[0]
