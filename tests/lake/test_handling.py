"""What people did about rows set aside: written once, logged, in order, and believed only as it was logged."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lake import handling
from lake.auditlog import AuditLog
from lake.handling import PLACES, SALT, VALUES, Act, Said
from lake.signing import Signer
from lake.verify import Copy, verify
from schemas.errors import LakeError
from schemas.settings import Settings
from tests.conftest import NOW

ABOUT = ("dept.data", "20260305T120000Z-00000001")


@pytest.fixture
def log(settings: Settings) -> AuditLog:
    return AuditLog(settings, Signer(Ed25519PrivateKey.generate()), lambda: NOW)


def places(*rows: int, file: str = "a.csv") -> pa.Table:
    return pa.Table.from_pylist([{"file": file, "row": row} for row in rows], schema=PLACES)


def values(**cells: Any) -> pa.Table:
    """`x2="甲"` is row 2 of column x."""
    rows = [
        {"file": "a.csv", "row": int(name[1:]), "column": name[0], "value": text}
        for name, text in cells.items()
    ]
    return pa.Table.from_pylist(rows, schema=VALUES)


def correct(settings: Settings, log: AuditLog, table: pa.Table, **more: Any) -> Act:
    return handling.record(
        settings, log, ABOUT, "correct", table, said=Said("li", NOW, department="d"), **more
    )


def test_acts_are_numbered_and_keep_their_order(settings: Settings, log: AuditLog) -> None:
    first = handling.record(
        settings, log, ABOUT, "assign", places(2, 3, 3), said=Said("li", NOW, department="d")
    )
    second = handling.record(settings, log, ABOUT, "dismiss", places(3), said=Said("li", NOW, "已拆除"))
    assert handling.acts(settings, *ABOUT) == [first, second]
    assert (first.rows, first.values, first.name[:6], second.name[:6]) == (2, 0, "00001-", "00002-")
    assert handling.rows_of(settings, second).to_pylist() == [{"file": "a.csv", "row": 3}]
    assert handling.batches(settings, "dept.data") == [ABOUT[1]]
    said = [log.entry(number) or {} for number in range(4)]
    assert [(each["kind"], each["phase"]) for each in said] == [
        ("assign", "attempt"),
        ("assign", "outcome"),
        ("dismiss", "attempt"),
        ("dismiss", "outcome"),
    ]
    handling.require_logged(log, [first, second], settings)


def test_of_two_corrections_of_a_cell_the_last_counts(settings: Settings, log: AuditLog) -> None:
    acts = [correct(settings, log, values(x2="甲", y2="1")), correct(settings, log, values(x2="乙", x3=None))]
    found = handling.corrections(acts, settings).to_pylist()
    assert {(row["row"], row["column"]): row["value"] for row in found} == {
        (2, "x"): "乙",
        (2, "y"): "1",
        (3, "x"): None,
    }
    assert [proof.rows for proof in handling.proofs(settings, acts)] == [2, 2]


def test_an_act_that_takes_another_s_place_keeps_its_number(settings: Settings, log: AuditLog) -> None:
    old = correct(settings, log, values(x2="甲", x3="乙"))
    correct(settings, log, values(x3="丙"))
    new = correct(settings, log, values(x3="乙"), number=1)
    handling.remove(settings, old)
    assert handling.acts(settings, *ABOUT)[0] == new
    assert handling.corrections(handling.acts(settings, *ABOUT), settings)["value"].to_pylist() == ["丙"]


def plain_digest(table: pa.Table) -> str:
    """Of the Parquet that anybody can write of these rows."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_statistics=False)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def test_the_value_of_a_correction_cannot_be_tried_against_the_log(settings: Settings, log: AuditLog) -> None:
    act = correct(settings, log, values(x2="13987651234"))
    assert (log.entry(act.entry) or {})["handled"]["sha256"] == act.sha256
    assert act.sha256 != plain_digest(values(x2="13987651234"))
    assert act.sha256 != correct(settings, log, values(x2="13987651235")).sha256
    other = AuditLog(settings, Signer(Ed25519PrivateKey.generate()), lambda: NOW)
    assert handling._salted(log, ABOUT, values(x2="甲")).schema.metadata.keys() == {SALT.encode()}
    assert act.sha256 != plain_digest(handling._salted(other, ABOUT, values(x2="13987651234")))
    assert handling.rows_of(settings, act).schema.metadata is None


def test_an_act_that_is_written_again_is_the_same_file(settings: Settings, log: AuditLog) -> None:
    """As by an erasure that was killed before the act was gone whose place it takes."""
    old = correct(settings, log, values(x2="甲", x3="乙"))
    left = handling.rows_of(settings, old).slice(1)
    new, again = (correct(settings, log, left, number=1) for _ in range(2))
    assert (again.name, again.sha256) == (new.name, new.sha256)
    assert handling.acts(settings, *ABOUT) in ([old, again], [again, old])


def test_acts_from_before_the_salt_are_read_verified_and_written_anew(
    settings: Settings, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(handling, "_salted", lambda log, about, rows: rows)
        old = correct(settings, log, values(x2="甲", x3="乙"))
    assert old.sha256 == plain_digest(values(x2="甲", x3="乙"))
    new = correct(settings, log, values(x2="丙"))
    handling.require_logged(log, [old, new], settings)
    found = handling.corrections([old, new], settings)
    assert found.schema == VALUES
    assert {(row["row"], row["value"]) for row in found.to_pylist()} == {(2, "丙"), (3, "乙")}
    assert list(verify(Copy(settings.lake_root), log.signer.trust)) == []
    left = handling.rows_of(settings, old).slice(1)
    once, twice = (correct(settings, log, left, number=1) for _ in range(2))
    assert once.sha256 == twice.sha256 != plain_digest(left)


def test_an_act_that_cannot_be_logged_is_none(settings: Settings, log: AuditLog) -> None:
    (Path(settings.lake_root) / "proof").mkdir(parents=True)
    (Path(settings.lake_root) / "proof" / "log").write_text("in the way")
    with pytest.raises(LakeError, match="audit log cannot be written"):
        correct(settings, log, values(x2="甲"))
    assert handling.acts(settings, *ABOUT) == []


def test_rows_that_were_changed_are_not_read(settings: Settings, log: AuditLog) -> None:
    act = correct(settings, log, values(x2="甲"))
    path = Path(handling.address(settings, act))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(LakeError, match="missing or were changed"):
        handling.corrections([act], settings)
    path.unlink()
    with pytest.raises(LakeError, match="missing or were changed"):
        handling.corrections([act], settings)


@pytest.mark.parametrize(
    "change",
    [
        {"by": "wang"},
        {"why": "另一个"},
        {"sha256": "0" * 64},
        {"entry": 2},
        {"entry": 99},
        {"batch": "2026-other"},
    ],
)
def test_what_the_log_does_not_hold_does_not_count(
    settings: Settings, log: AuditLog, change: dict[str, Any]
) -> None:
    act = correct(settings, log, values(x2="甲"))
    log.append({"action": "else"})
    handling.require_logged(log, [act], settings)
    forged = act.model_copy(update=change)
    with pytest.raises(LakeError, match="not the one in the audit log"):
        handling.require_logged(log, [forged], settings)


def test_what_was_written_cannot_be_read(settings: Settings, log: AuditLog) -> None:
    act = correct(settings, log, values(x2="甲"))
    Path(handling.address(settings, act)).with_suffix(".json").write_text("{")
    with pytest.raises(LakeError, match="cannot be read"):
        handling.acts(settings, *ABOUT)
