"""What people did about rows set aside: written once, logged, in order, and believed only as it was logged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lake import handling
from lake.auditlog import AuditLog
from lake.handling import PLACES, VALUES, Act, Said
from lake.signing import Signer
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
