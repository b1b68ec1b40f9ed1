"""The departments' lists, sent whole every day: schools, medical institutions, land parcels, households."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sample import history
from sample.people import Numbers, credit_codes, digits, join, take
from sample.plan import City, Draw, Faults, Flags, Part, edit, full_width, spaced, thousands, wrong_check
from sample.registers import addresses, districts, new_column
from sample.words import BRANDS, DIVISIONS, STREETS

SCHOOL = Faults(
    40,
    (
        "ragged_row",
        "duplicate_key",
        "full_width",
        "spaces",
        "unknown_code",
        "wrong_check_digit",
        "wrong_form",
    ),
)
INSTITUTION = Faults(
    40, ("duplicate_key", "full_width", "spaces", "unknown_code", "wrong_form", "negative_number")
)
PARCEL = Faults(40, ("duplicate_key", "out_of_bounds", "wrong_form", "unknown_code"))
HOUSEHOLD = Faults(30, ("negative_number", "out_of_bounds"))
_HOSPITALS = 10_000_000
"""Credit codes of medical institutions are numbered from here on; those of schools from 0."""


def _place(city: City, number: Numbers) -> Numbers:
    return (number * 5 + city.seed) % len(DIVISIONS)


def _snapshot(
    city: City, number: Numbers, first: int, faults: Faults
) -> tuple[Numbers, Numbers, dict[str, Flags]]:
    """Of a list sent whole: day of the last change, day of vanishing, and what changed since yesterday."""
    clean = faults.clean(number)
    moved, gone = (
        history.changed(number, first, city.day, clean),
        history.gone(number, first, city.day, clean),
    )
    came, today = history.born(number, first), city.day > 1
    changes = {
        "new": (came == city.day) & today,
        "changed": (moved == city.day) & (gone == 0) & today,
        "vanished": (gone == city.day) & today,
    }
    return moved, gone, changes


def schools(city: City, number: Numbers) -> Part:
    """The list of schools, in GB18030, as its clerks keep it: labels for codes, thousands marks, blanks."""
    moved, gone, changes = _snapshot(city, number, city.share(0.02, 80), SCHOOL)
    draw, faults, place = Draw(city, "school", number), SCHOOL.masks(number), _place(city, number)
    twin = np.where(faults["duplicate_key"], number - 1, number)
    code = join("32", digits(twin, 8))
    code = edit(edit(code, faults["full_width"], full_width), faults["wrong_form"], lambda v: v[:-1])
    stage = draw.pick(("幼儿园", "幼儿园", "小学", "小学", "初中", "高中", "中职", "特教"))
    name = join("南京市", take(np.array(list(DIVISIONS.values())), place), draw.pick(STREETS), "学校")
    pupils = digits(draw.below(1900) + 150 + moved * 10_000)
    faults["thousands_mark"] = np.asarray(pc.greater(pc.utf8_length(pupils), 3)) & SCHOOL.clean(number)
    columns = {
        "学校标识码": code,
        "统一社会信用代码": edit(
            credit_codes(twin, "12", _place(city, twin)), faults["wrong_check_digit"], wrong_check
        ),
        "学校名称": edit(name, faults["spaces"], spaced),
        "办学类型": edit(stage, faults["unknown_code"], lambda _: "学部"),
        "办学性质": draw.pick(("公办", "公办", "民办", "1")),
        "在校生数": edit(pupils, faults["thousands_mark"], thousands),
        "所在区": districts(place, number % 2),
        "地址": addresses(draw, place, moved),
        **new_column(city, len(number), "备注"),
    }
    return Part(columns, faults, changes).only(gone == 0)


def institutions(city: City, number: Numbers) -> Part:
    """The list of medical institutions, an Excel form with a title, a merged header and a footer."""
    moved, gone, changes = _snapshot(city, number, city.share(0.02, 60), INSTITUTION)
    draw, faults, place = Draw(city, "institution", number), INSTITUTION.masks(number), _place(city, number)
    twin = np.where(faults["duplicate_key"], number - 1, number)
    code = edit(join("H3201", digits(twin, 6)), faults["full_width"], full_width)
    name = join("南京", draw.pick(BRANDS), draw.pick(("医院", "社区卫生服务中心", "口腔门诊部", "中医医院")))
    planned = draw.below(600) + 20
    level = draw.pick(("三级甲等", "三甲", "二级甲等", "二级", "一级", "未定级"))
    columns = {
        "机构/代码": edit(code, faults["wrong_form"], lambda v: v.replace("H", "K")),
        "机构/名称": edit(name, faults["spaces"], spaced),
        "机构/统一社会信用代码": credit_codes(_HOSPITALS + twin, "12", _place(city, twin)),
        "级别": edit(level, faults["unknown_code"], lambda _: "四级特等"),
        "性质": draw.pick(("公立", "公办", "民办")),
        "床位/编制": pa.array(planned),
        "床位/实有": pa.array(
            np.where(faults["negative_number"], -1, planned - draw.below(20) + moved * 1000)
        ),
        "所在区": districts(place, number % 3),
        "地址": addresses(draw, place, moved),
    }
    return Part(columns, faults, changes).only(gone == 0)


def parcels(city: City, number: Numbers) -> Part:
    """Parcels of land, in Parquet, typed: decimals, doubles, dates."""
    moved, gone, changes = _snapshot(city, number, city.share(0.05, 60), PARCEL)
    draw, faults, place = Draw(city, "parcel", number), PARCEL.masks(number), _place(city, number)
    twin = np.where(faults["duplicate_key"], number - 1, number)
    code = join(take(np.array(list(DIVISIONS)), _place(city, twin)), "GB", digits(twin, 7))
    area, price = draw.below(9_000_000) + 50_000, draw.below(900_000_000) + 10_000 + moved
    longitude = 118.5 + draw.below(5_000) / 10_000
    since = np.datetime64("2026-02-28") - draw.below(6000).astype("timedelta64[D]")
    columns = {
        "parcel_no": edit(code, faults["wrong_form"], lambda v: v.replace("GB", "JB")),
        "land_use": edit(
            draw.pick(("07", "08", "09", "10", "工业用地", "14")), faults["unknown_code"], lambda _: "99"
        ),
        "area": cents(area, 16),
        "price": cents(price, 18),
        "holder": join("南京", draw.pick(BRANDS), "置业有限公司"),
        "division": districts(place, np.ones(len(number), dtype=np.int64)),
        "longitude": pa.array(np.where(faults["out_of_bounds"], 32.04, longitude)),
        "latitude": pa.array(31.7 + draw.below(6_000) / 10_000),
        "supplied_on": pa.array(since),
    }
    return Part(columns, faults, changes).only(gone == 0)


def households(city: City, number: Numbers) -> Part:
    """Households of the survey, in JSON under `data.households`; what they have spent changes every day."""
    draw, faults, place = Draw(city, "household", number), HOUSEHOLD.masks(number), _place(city, number)
    income = draw.below(2_000_000) + 300_000
    spent = Draw(city, "spent", number, city.day).below(300_000)
    columns = {
        "no": join("ZH", digits(number, 8)),
        "members": pa.array(np.where(faults["out_of_bounds"], 0, draw.below(6) + 1)),
        "income": pa.array(np.where(faults["negative_number"], -1, income) / 100),
        "spending": pa.array(spent / 100),
        "district": districts(place, number % 4),
        "month": pa.array(["2026-03"] * len(number)),
    }
    return Part(columns, faults)


def cents(amount: Numbers, precision: int) -> pa.Array:
    """Hundredths as decimals with two places."""
    text = digits(amount, 3)
    whole, rest = pc.utf8_slice_codeunits(text, 0, -2), pc.utf8_slice_codeunits(text, -2, None)
    return join(whole, ".", rest).cast(pa.decimal128(precision, 2))
