"""The departments' databases: residents, marriages, enterprises, social insurance. Columns as their systems
name them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sample import history
from sample.people import Numbers, adult, credit_codes, digits, iso, join, people, take
from sample.plan import City, Draw, Faults, Part, edit, full_width, spaced, thousands, wrong_check
from sample.words import BRAND_ENDS, BRANDS, BUSINESSES, DIVISIONS, ETHNICITIES, STREETS

_CODES = np.array(list(DIVISIONS))
_DISTRICTS = np.array(list(DIVISIONS.values()))
_TWO_YEARS = 730 * 86_400
_STRANGERS = 40_000_000
"""Ranks from here on are persons who have right ids and live elsewhere."""

RESIDENT = Faults(
    200,
    (
        "wrong_check_digit",
        "duplicate_key",
        "full_width",
        "missing_name",
        "impossible_date",
        "unknown_code",
        "birth_date_mismatch",
        "spaces",
        "short_phone",
    ),
)
MARRIAGE = Faults(
    120, ("wrong_check_digit", "wrong_form", "unknown_person", "unknown_code", "impossible_date")
)
ENTERPRISE = Faults(
    100,
    (
        "wrong_check_digit",
        "duplicate_key",
        "lower_case",
        "full_width",
        "unknown_code",
        "missing_name",
        "negative_number",
        "spaces",
    ),
)
INSURANCE = Faults(
    150, ("wrong_check_digit", "duplicate_key", "unknown_employer", "negative_number", "unknown_code")
)


def districts(place: Numbers, labels: Numbers) -> pa.Array:
    """District codes, and the district's name where `labels` is 0."""
    return pc.if_else(pa.array(labels == 0), take(_DISTRICTS, place), take(_CODES, place))


def addresses(draw: Draw, place: Numbers, moved: Numbers) -> pa.Array:
    """Addresses; the house number tells on which day it changed last."""
    house = digits(draw.below(400) + 1 + moved * 1000)
    return join("南京市", take(_DISTRICTS, place), draw.pick(STREETS), "路", house, "号")


def new_column(city: City, size: int, name: str) -> dict[str, pa.Array]:
    """From day 3 on the department's system has one column more."""
    return {name: pa.array(["无"] * size)} if city.day == 3 else {}


def residents(city: City, number: Numbers) -> Part:
    """Registered residents, the origin of names, dates of birth and phones."""
    draw, faults, clean = Draw(city, "resident", number), RESIDENT.masks(number), RESIDENT.clean(number)
    faults["duplicate_key"] &= number < city.rows - history.EDGE
    who = people(np.where(faults["duplicate_key"], number - 1, number), city.seed)
    ids = who.id_no
    update = history.updates(number, city.rows, city.day, clean, draw.below(_TWO_YEARS))
    faults["lower_case"] = clean & np.asarray(pc.ends_with(ids, "X"))
    ids = edit(edit(ids, faults["wrong_check_digit"], wrong_check), faults["full_width"], full_width)
    names = edit(edit(draw.names(), faults["missing_name"], lambda _: None), faults["spaces"], spaced)
    birth = draw.dates(np.where(faults["birth_date_mismatch"], who.birth + 1, who.birth))
    faults["label_not_code"] = clean & (number % 7 == 0)
    phones = draw.phones()
    columns = {
        "GMSFHM": edit(ids, faults["lower_case"], str.lower),
        "XM": names,
        "XBDM": edit(digits(who.gender), number % 5 == 0, lambda v: "男" if v == "1" else "女"),
        "CSRQ": edit(birth, faults["impossible_date"], lambda _: "1990-02-30"),
        "MZDM": draw.pick(ETHNICITIES),
        "XZQHDM": edit(
            districts(who.division, np.where(faults["label_not_code"], 0, 1)),
            faults["unknown_code"],
            lambda _: "320199",
        ),
        "JZDZ": addresses(draw, who.division, update.changed_on),
        "LXDH": edit(
            edit(phones, number % 9 == 0, lambda v: f"{v[:3]}-{v[3:7]}-{v[7:]}"),
            faults["short_phone"],
            lambda _: "1540000",
        ),
        "GXSJ": iso(update.stamp),
        **new_column(city, len(number), "BZ"),
    }
    return Part(columns, faults, update.changes, update.arrives)


def marriages(city: City, number: Numbers) -> Part:
    """Marriages of adult residents; names are not collected again."""
    first = city.share(0.3, 30)
    draw, faults, clean = Draw(city, "marriage", number), MARRIAGE.masks(number), MARRIAGE.clean(number)
    one, two = people(adult(2 * number), city.seed), people(adult(2 * number + 1), city.seed)
    update = history.updates(number, first, city.day, clean, draw.below(_TWO_YEARS))
    his = pa.array(one.gender == 1)
    husband = pc.if_else(his, one.id_no, two.id_no)
    strangers = people(adult(number[faults["unknown_person"]] + _STRANGERS), city.seed).id_no
    husband = pc.replace_with_mask(husband, pa.array(faults["unknown_person"]), strangers)
    day = update.stamp.astype("datetime64[D]") - draw.below(30).astype("timedelta64[D]")
    status = pa.array(np.where(update.changed_on > 0, 40, np.where(number % 8 == 0, 40, 20)))
    columns = {
        "DJZH": edit(join("J3201", digits(number, 10)), faults["wrong_form"], lambda v: v.replace("J", "L")),
        "NFSFZH": edit(husband, faults["wrong_check_digit"], wrong_check),
        "VFSFZH": pc.if_else(his, two.id_no, one.id_no),
        "HYZK": edit(status.cast(pa.string()), faults["unknown_code"], lambda _: "77"),
        "DJJGQH": districts(one.division, number % 6),
        "DJRQ": edit(draw.dates(day), faults["impossible_date"], lambda _: "20250231"),
        "GXSJ": iso(update.stamp),
    }
    return Part(columns, faults, update.changes, update.arrives)


def enterprise_codes(city: City, number: Numbers) -> pa.Array:
    return credit_codes(number, "91", _enterprise_division(city, number))


def _enterprise_division(city: City, number: Numbers) -> Numbers:
    return (number * 7 + city.seed) % len(DIVISIONS)


def enterprises(city: City, number: Numbers) -> Part:
    """The whole list of enterprises every day: some are new, some changed, some struck off since
    yesterday."""
    first = city.share(0.2, 60)
    draw, faults, clean = Draw(city, "enterprise", number), ENTERPRISE.masks(number), ENTERPRISE.clean(number)
    moved = history.changed(number, first, city.day, clean)
    gone = history.gone(number, first, city.day, clean)
    place, line = _enterprise_division(city, number), draw.below(len(BUSINESSES))
    twin = np.where(faults["duplicate_key"], number - 1, number)
    codes = edit(enterprise_codes(city, twin), faults["wrong_check_digit"], wrong_check)
    codes = edit(edit(codes, faults["lower_case"], str.lower), faults["full_width"], full_width)
    trade = take(np.array([words for _, words in BUSINESSES]), line)
    names = join("南京", draw.pick(BRANDS), draw.pick(BRAND_ENDS), trade, "有限公司")
    names = edit(edit(names, faults["missing_name"], lambda _: None), faults["spaces"], spaced)
    capital = join(digits(draw.below(5000) + 10 + moved * 10_000), ".", digits(draw.below(100), 2))
    faults["thousands_mark"] = clean & (number % 4 == 0)
    capital = edit(capital, faults["thousands_mark"], thousands)
    since = np.datetime64("2026-02-28") - draw.below(9000).astype("timedelta64[D]")
    section = take(np.array([code for code, _ in BUSINESSES]), line)
    columns = {
        "TYSHXYDM": codes,
        "QYMC": names,
        "FDDBR": draw.names(),
        "ZCZB": edit(capital, faults["negative_number"], lambda v: f"-{v}"),
        "CLRQ": draw.dates(since),
        "HYML": edit(section, faults["unknown_code"], lambda _: "Z9"),
        "DJZT": draw.pick(("存续", "存续", "存续", "在业", "1", "吊销")),
        "XZQH": districts(place, number % 9),
        "ZS": addresses(draw, place, moved),
        **new_column(city, len(number), "SFXW"),
    }
    came = history.born(number, first)
    changes = {
        "new": (came == city.day) & (city.day > 1),
        "changed": (moved == city.day) & (gone == 0) & (city.day > 1),
        "vanished": (gone == city.day) & (city.day > 1),
    }
    return Part(columns, faults, changes).only(gone == 0)


def insured(city: City, number: Numbers) -> Part:
    """Employees in the pension scheme, each with the credit code of the employer."""
    first = city.share(0.5, 50)
    draw, faults, clean = Draw(city, "insurance", number), INSURANCE.masks(number), INSURANCE.clean(number)
    faults["duplicate_key"] &= number < first - history.EDGE
    who = people(adult(number), city.seed)
    update = history.updates(number, first, city.day, clean, draw.below(_TWO_YEARS))
    companies = city.share(0.2, 60)
    work = np.where(faults["unknown_employer"], number + 10_000_000, draw.below(companies))
    base = join(digits(draw.below(20_000) + 4_000 + update.changed_on * 100), ".", digits(draw.below(100), 2))
    twin = np.where(faults["duplicate_key"], number - 1, number)
    status = digits(np.where(update.changed_on > 0, 2, 1 + (number % 13 == 0)))
    columns = {
        "GRBH": join("P", digits(twin, 10)),
        "SFZH": edit(who.id_no, faults["wrong_check_digit"], wrong_check),
        "DWXYDM": enterprise_codes(city, work),
        "JFJS": edit(base, faults["negative_number"], lambda v: f"-{v}"),
        "JFYS": digits(draw.below(300)),
        "CBZT": edit(status, faults["unknown_code"], lambda _: "8"),
        "GXSJ": iso(update.stamp),
    }
    return Part(columns, faults, update.changes, update.arrives)
