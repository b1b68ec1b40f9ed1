"""The five documents of a de-identification's evaluation say what the gate measured, and what became of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lake import certificates
from lake.batch import Batch
from pipelines.proof import certifying
from pipelines.report import write_evaluations
from pipelines.report.evaluation import Evaluation, evaluations
from schemas.errors import DisclosureRisk, XuanwuError
from tests.pipelines.gates.clinic import FIELDS, OPEN, PATIENT, made, measured, opened, patients, refused
from tests.pipelines.gates.making import NOW, Town, entry
from tests.pipelines.publishing.making import KEY, SECRET

DOCUMENTS = ("一、评估方案", "二、标识符识别报告", "三、重标识风险计算", "四、评估报告", "五、过程记录")


def page(town: Town, folder: Path) -> str:
    (path,) = write_evaluations(town.ctx, folder)
    assert path == folder / "open.health__patient.html"
    return re.sub(r"<[^>]+>|\s+", " ", path.read_text(encoding="utf-8"))


def evaluation(town: Town) -> Evaluation:
    (found,) = evaluations(town.ctx, [PATIENT])
    return found


def said(text: str, *words: str) -> None:
    """The words follow each other, whatever stands between their blanks."""
    assert re.search(r"\s+".join(re.escape(each) for each in words), text), words


def test_a_page_says_what_the_gate_measured(clinic: Town, tmp_path: Path) -> None:
    published = opened(clinic, patients(2000))
    found, text = measured(published), page(clinic, tmp_path)
    assert all(each in text for each in DOCUMENTS)
    said(
        text, "2,000 = 发布 published", f"{published.rows_out:,}", "+ 抑制 left out", f"{found.suppressed:,}"
    )
    assert f"1/k = 1/{found.k}" in text and f"= {found.mean_risk}" in text
    said(text, found.risk, "&lt; 0.05")
    assert f"l = {found.l}（≥ 2）" in text and f"t = {found.t}" in text
    assert "标识度 3 级" in re.sub(r"\s+", " ", text)
    assert str(published.snapshot) in text


def test_every_field_is_there_with_what_it_tells_and_what_becomes_of_it(clinic: Town) -> None:
    opened(clinic, patients(2000))
    found = {each.field.name: each for each in evaluation(clinic).fields}
    assert list(found) == sorted(
        FIELDS, key=lambda name: ["direct", "quasi", "sensitive", "none"].index(FIELDS[name]["risk"])
    )
    assert found["no"].words is None
    assert found["born"].words == ("概括到年代", "generalised to the decade")
    assert found["gender"].words == ("原值", "as it is")


def test_values_that_a_mask_emptied_are_told_with_the_mask(
    clinic: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, SECRET)
    mask = {"share": "drop", "open": {"kind": "fpe", "form": "digits"}}
    card = {"card": {"type": "string", "grade": 3, "risk": "none", "mask": mask}}
    clinic.write(PATIENT, made({"fields": [*OPEN["fields"], "card"]}, card))
    rows = [{**row, "card": "x" if at < 1234 else f"99202{at:09}"} for at, row in enumerate(patients(2000))]
    opened(clinic, rows)
    text = page(clinic, tmp_path)
    assert text.count("values not of the form") == 1
    said(text, "不合格式而清空的值", "values", "not", "of", "the", "form,", "emptied:", "1,234")


def test_releases_stand_newest_first_and_a_damaged_one_is_told(clinic: Town, tmp_path: Path) -> None:
    clinic.write(PATIENT, made({"disclosure": {"suppress_up_to": 0.3}}))
    first, second = (opened(clinic, patients(2000 + 500 * day), day) for day in (1, 2))
    found = evaluation(clinic)
    assert [each.certificate.snapshot for each in found.releases if each.certificate] == [
        second.snapshot,
        first.snapshot,
    ]
    assert [act.words[1] for act in found.acts] == ["judged and published"] * 2
    assert [act.detail for act in found.acts] == [f"{each.rows_out:,} 行 rows" for each in (first, second)]
    path = Path(clinic.settings.lake_root, certificates.path_of("open", "health__patient", first.snapshot))
    path.write_bytes(path.read_bytes().replace(b'"rows":', b'"rows" :'))
    assert "✗" in page(clinic, tmp_path)


def test_what_was_refused_is_told_and_what_stood_before_stands(clinic: Town, tmp_path: Path) -> None:
    conditions = {"zh": "须登记", "en": "register first"}
    clinic.write(PATIENT, made({"type": "conditional", "conditions": conditions}))
    assert "未发布 not published" in page(clinic, tmp_path)
    said(page(clinic, tmp_path), "须登记", "register first")
    published = opened(clinic, patients(2000))
    clinic.write(PATIENT, made({"disclosure": {"suppress_up_to": 0.0}}))
    error = refused(clinic, patients(1500), day=2)
    assert isinstance(error, DisclosureRisk)
    certifying.stopped(clinic.ctx, Batch(dataset=PATIENT, start=NOW, end=NOW), "publish", "open/open", error)
    found, text = evaluation(clinic), page(clinic, tmp_path)
    assert found.stopped is not None and found.stopped.detail == "DisclosureRisk"
    assert found.newest is not None and found.newest.snapshot == published.snapshot
    assert found.changed and "the entry has changed" in text and "最近一次发布被拦下" in text


def test_aggregates_and_things(town: Town, tmp_path: Path) -> None:
    ward = {"ward": {"type": "string", "grade": 1}, "patients": {"type": "integer", "grade": 1}}
    open_ = {"type": "unconditional", "fields": list(ward), "counts": ["patients"], "downloads": ["csv"]}
    rows = [{"ward": f"W{n}", "patients": 4 + n} for n in range(40)]
    town.entries = {"health.ward": entry("health.ward", ward, open=open_, subject="thing")}
    town.publish(town.curate(rows, "health.ward", 1), "open")
    (path,) = write_evaluations(town.ctx, tmp_path)
    text = re.sub(r"<[^>]+>|\s+", " ", path.read_text(encoding="utf-8"))
    assert "仅含汇总数据" in text
    said(text, "所示最小计数", "least count shown", "10（≥ 10）")
    said(text, "计数过小的行", "rows of small counts", "6；抑制 left out 6")
    town.write("health.ward", entry("health.ward", ward, open={**open_, "counts": None}, subject="thing"))
    assert write_evaluations(town.ctx, tmp_path) == []


def test_a_name_that_is_no_dataset(clinic: Town, tmp_path: Path) -> None:
    with pytest.raises(XuanwuError, match="no dataset `health"):
        write_evaluations(clinic.ctx, tmp_path, ["health.patients"])
