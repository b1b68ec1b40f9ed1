"""What is shared by all entries: elements and departments, judged once where they stand."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.findings import Finding
from schemas.house import House
from schemas.model import ElementFile, Field, Masks
from schemas.rules.checks import check_findings
from schemas.rules.fields import unfit_masks, unfit_options, unknown_codes, unknown_formats
from schemas.yamlfile import Unreadable, decode, read_bytes

_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The letters of GB 32100, without I O S V Z, by their value."""


def judge_shared(house: House) -> None:
    """Adds what is found to the findings of elements.yaml and departments.yaml."""
    for kind, findings in (("elements", _elements(house)), ("departments", _departments(house))):
        found = list(findings)
        if found:
            house.note(house.place(f"{kind}.yaml"), _text(house, kind), found)


def _text(house: House, kind: str) -> str:
    try:
        return decode(read_bytes(house.place(f"{kind}.yaml")))
    except Unreadable:
        return ""


def _elements(house: House) -> Iterator[Finding]:
    for name, element in house.elements.items():
        yield from _element(name, element, house)


def _element(name: str, element: ElementFile, house: House) -> Iterator[Finding]:
    precision, scale = element.precision or 18, element.scale if element.scale is not None else 2
    yield from unfit_options(element, element.type, precision, scale, (name,))
    yield from unknown_formats(element.formats or (), (name,))
    if element.codes is not None:
        yield from unknown_codes(element.codes, (name, "codes"), house)
    if element.type is not None:
        field = Field(name=name, title=element.title, type=element.type, grade=element.grade or 1)
        yield from unfit_masks(element.mask or Masks(), field, (name, "mask"))
    base = house.elements.get(element.like or "")
    inherited = len(base.checks) if base is not None else 0
    for number, check in enumerate(element.checks[inherited:]):
        yield from check_findings(check, (name, "checks", number), house, given=("column",))


def _departments(house: House) -> Iterator[Finding]:
    """Unified social credit codes have a right check character (GB 32100), and are one department's each."""
    first: dict[str, str] = {}
    for name, department in house.departments.items():
        if not is_uscc(department.uscc):
            why = f"`{department.uscc}` is no unified social credit code"
            yield Finding((name, "uscc"), why, "18 characters with a right check character (GB 32100)")
        other = first.setdefault(department.uscc, name)
        if other != name:
            yield Finding((name, "uscc"), f"is also that of `{other}`", "a code of its own")


def is_uscc(text: str) -> bool:
    """`schemas.identifiers.is_uscc` for one text, without Arrow and NumPy: they take a second to load, and every
    DAG file loads the catalogue. A test holds one against the other."""
    if len(text) != 18 or not set(text) <= set(_USCC) or not text[2:8].isdigit():
        return False
    total = sum(_USCC.index(letter) * pow(3, place, 31) for place, letter in enumerate(text[:17]))
    return _USCC[-total % 31] == text[17]
