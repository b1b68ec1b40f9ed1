"""What is shared by all entries: elements and departments, judged once where they stand."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.findings import Finding
from schemas.house import House
from schemas.model import ElementFile, Field, Masks
from schemas.rules.checks import check_findings
from schemas.rules.fields import unfit_masks, unfit_options, unknown_codes, unknown_formats
from schemas.yamlfile import Unreadable, decode, read_bytes


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
    import pyarrow as pa

    from schemas.identifiers import is_uscc  # NumPy and Arrow, where a catalogue is judged

    names = list(house.departments)
    valid = is_uscc(pa.array([house.departments[name].uscc for name in names], pa.string()))
    first: dict[str, str] = {}
    for name, right in zip(names, valid, strict=True):
        uscc = house.departments[name].uscc
        if not right:
            why = f"`{uscc}` is no unified social credit code"
            yield Finding((name, "uscc"), why, "18 characters with a right check character (GB 32100)")
        other = first.setdefault(uscc, name)
        if other != name:
            yield Finding((name, "uscc"), f"is also that of `{other}`", "a code of its own")
