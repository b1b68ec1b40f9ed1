"""Whether what was assessed covers a dataset as it is now: an assessment comes before the change that it is about."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lake.contracts import Change, Used, history
from lake.records import Published
from lake.verify import Copy, verify
from pipelines.cli import app
from pipelines.contracts.assessing import outdated
from pipelines.contracts.compare import changes
from pipelines.report import write_report
from schemas.model import Assessed, Document
from tests.pipelines.badinput.town import DATASET, Town, csv_of, rows
from tests.pipelines.contracts.test_compare import FIELDS, contract, entry, field

LOOSER = Change(zh="甲", en="a", loosens=True)
STRICTER = Change(zh="甲", en="a")
SAID = 'secrecy: {day: "2026-01-05", number: 保审1号}, impact: {day: "2026-01-06", number: 评1号}, approved: {day: "2026-01-07", number: 审1号}'
OPENED = ("grade: 3, mask: {share: {kind: partial, first: 1}, open: drop}", "grade: 2, mask: {open: drop}")


def assessed(secrecy: int | None, impact: int | None = None) -> Assessed | None:
    """On these days of the year."""
    if secrecy is None:
        return None
    said = [Document(day=date(2026, 1, day), number="1") for day in (secrecy, impact or secrecy, 31)]
    return Assessed(secrecy=said[0], impact=said[1], approved=said[2])


def used(number: int, day: int, of: Assessed | None, *found: Change) -> Used:
    at = datetime(2026, 1, day, 8, tzinfo=UTC)
    return Used("a.b", number, at, "b", "c", found, {"path": str(number), "sha256": ""}, of)


def kinds(*forms: Used) -> list[str]:
    """Of forms in the order in which they came."""
    return [each.kind for each in outdated(forms[::-1])]


BOTH = ["secrecy", "impact"]
CASES: dict[str, tuple[tuple[Used, ...], list[str]]] = {
    "the first form": ((used(1, 20, assessed(5)),), []),
    "a change that protects no less": ((used(1, 10, assessed(5)), used(2, 20, assessed(5), STRICTER)), []),
    "a field more of persons": (
        (used(1, 10, assessed(5)), used(2, 20, assessed(5), Change(zh="甲", en="a", personal=True))),
        BOTH,
    ),
    "a change that nobody assessed": ((used(1, 10, assessed(5)), used(2, 20, assessed(5), LOOSER)), BOTH),
    "assessed anew before the change": ((used(1, 10, assessed(5)), used(2, 20, assessed(15), LOOSER)), []),
    "assessed afterwards": (
        (used(1, 10, assessed(5)), used(2, 20, assessed(5), LOOSER), used(3, 25, assessed(24))),
        [],
    ),
    "on the day": ((used(1, 10, assessed(5)), used(2, 20, assessed(20), LOOSER)), []),
    "one of the two": ((used(1, 10, assessed(5)), used(2, 20, assessed(15, 5), LOOSER)), ["impact"]),
    "another change since": (
        (used(1, 10, assessed(5)), used(2, 20, assessed(15), LOOSER), used(3, 25, assessed(15), LOOSER)),
        BOTH,
    ),
    "a stricter one since": (
        (used(1, 10, assessed(5)), used(2, 20, assessed(5), LOOSER), used(3, 25, assessed(5), STRICTER)),
        BOTH,
    ),
    "first said with the change": ((used(1, 10, None), used(2, 20, assessed(5), LOOSER)), []),
    "first said after it, and older": (
        (used(1, 10, None), used(2, 20, None, LOOSER), used(3, 25, assessed(5))),
        BOTH,
    ),
    "first said after it, and newer": (
        (used(1, 10, None), used(2, 20, None, LOOSER), used(3, 25, assessed(24))),
        [],
    ),
    "never said": ((used(1, 10, None), used(2, 20, None, LOOSER)), []),
}


@pytest.mark.parametrize(("forms", "expected"), CASES.values(), ids=CASES)
def test_what_does_not_cover_the_newest_form(forms: tuple[Used, ...], expected: list[str]) -> None:
    assert kinds(*forms) == expected


@pytest.mark.parametrize(
    ("more", "loosens", "reassess"),
    [
        ({"fields": {"born": {"type": "date", "grade": 3, "masks": FIELDS["name"]["masks"]}}}, False, True),
        ({"fields": {"born": "date"}}, False, False),
        ({"fields": {"name": None}, "share": {"type": "conditional"}}, None, False),
        (field("age", grade=3), False, True),
        (field("name", grade=4), False, False),
        (field("name", grade=2), True, True),
        ({"title": {"zh": "丙", "en": "C"}}, False, False),
    ],
)
def test_what_is_to_be_assessed_anew(more: dict[str, object], loosens: bool | None, reassess: bool) -> None:
    found = [
        change
        for change in changes(contract(entry()), contract(entry(**more)))
        if change.en.startswith(("field", "entry"))
    ]
    assert found
    assert any(change.reassess for change in found) == reassess
    assert loosens is None or any(change.loosens for change in found) == loosens


def test_an_assessment_that_goes_protects_less() -> None:
    whole = {
        "secrecy": {"day": "2026-01-05", "number": "甲1"},
        "approved": {"day": "2026-01-07", "number": "乙1"},
    }
    impact = {"impact": {"day": "2026-01-06", "number": "丙1"}}
    none, some, most = (contract(entry(assessed=each)) for each in (None, whole, whole | impact))
    assert [(c.en, c.loosens) for c in changes(some, none)] == [("assessment removed", True)]
    assert [(c.en, c.loosens) for c in changes(none, some)] == [("assessment added", False)]
    assert [(c.en, c.loosens) for c in changes(most, some)] == [
        ("assessment: impact 丙1 (2026-01-06) → none", True)
    ]
    assert changes(some, most)[0].zh == "编目前评估：个人信息保护影响评估 无 → 丙1（2026-01-06）"
    assert len({each.digest for each in (none, some, most)}) == 3
    assert len({each.contract for each in (none, some, most)}) == 1


# ── a lake ────────────────────────────────────────────────────────────────────────────────────────────────


def rewrite(town: Town, *pairs: tuple[str, str]) -> None:
    path = town.catalogue / "police/person.yaml"
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def published(town: Town, day: int) -> dict[str, Published]:
    return {each.zone: each for each in town.run(day) if isinstance(each, Published)}


def releases(town: Town) -> list[str]:
    """Every file of every release."""
    return sorted(map(str, (Path(town.settings.lake_root) / "downloads").rglob("*")))


def test_an_upgrade_that_brings_the_key_publishes_nothing_anew(town: Town) -> None:
    """A lake of before, then the same batch again with it: told in the log once, the snapshots stay."""
    town.leave("01", csv_of(rows(1)))
    (town.catalogue / "policy.yaml").write_text("catalogue: {assess_from: 4}\n")
    rewrite(town, (f"assessed: {{{SAID}}}\n", ""))
    before, released = published(town, 1), releases(town)
    assert [each.assessed for each in history(town.settings.lake_root)] == [None]
    rewrite(town, ("source:", f"assessed: {{{SAID}}}\nsource:"))
    for _ in range(2):
        after = published(town, 1)
        assert len(after) == 2
        assert all(each.reused for each in after.values())
        assert {zone: each.snapshot for zone, each in after.items()} == {
            zone: each.snapshot for zone, each in before.items()
        }
        assert releases(town) == released != []
    newest, first = history(town.settings.lake_root)
    assert [change.en for change in newest.changes] == ["assessment added"]
    assert newest.assessed is not None and newest.contract == first.contract
    assert list(verify(Copy(town.settings.lake_root))) == []


def test_what_changed_since_it_was_assessed_is_told(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (1, 2, 3):
        town.leave(f"0{day}", csv_of(rows(day)))
    town.run(1)
    monkeypatch.setenv("XUANWU_HOME", str(town.settings.home))
    words = "changed since it was assessed: the secrecy review of 2026-01-05 does not cover the change #2"
    page = tmp_path / "report.html"

    def told() -> tuple[bool, bool]:
        done = CliRunner().invoke(app, ["catalogue", "history", DATASET])
        assert done.exit_code == 0
        return words in done.stdout, words in write_report(town.ctx, page).read_text()

    assert told() == (False, False)
    rewrite(town, OPENED)
    town.run(2)
    assert told() == (True, True)
    said = json.loads(CliRunner().invoke(app, ["catalogue", "history", "--json"]).stdout)
    assert [(each["kind"], each["day"], each["change"]) for each in said[0]["outdated"]] == [
        ("secrecy", "2026-01-05", 2),
        ("impact", "2026-01-06", 2),
    ]
    assert said[1]["outdated"] == []
    today = datetime.now(UTC).date()
    rewrite(town, *((f"2026-01-0{day}", str(today)) for day in (5, 6, 7)))
    town.run(3)
    assert told() == (False, False)
