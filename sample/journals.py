"""What the departments send of each day: vaccinations, bus rides, construction permits, hotline orders."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sample.people import Numbers, adult, digits, iso, join, minor, people
from sample.plan import DAYS, City, Draw, Faults, Flags, Part, Times, edit, full_width, thousands, wrong_check
from sample.registers import districts, enterprise_codes
from sample.words import BRANDS, DIVISIONS, MOBILE_PREFIX, SENTENCES, STOPS, STREETS

VACCINATION = Faults(
    40, ("wrong_check_digit", "nul_byte", "unknown_code", "out_of_bounds", "impossible_date")
)
RIDE = Faults(
    500, ("wrong_form", "duplicate_key", "full_width", "negative_number", "ragged_row", "long_distance")
)
PERMIT = Faults(40, ("duplicate_key", "wrong_form", "impossible_date", "unknown_employer", "negative_number"))
ORDER = Faults(60, ("wrong_form", "closed_before_opened", "unknown_code", "duplicate_key", "empty_content"))


def _moments(city: City, draw: Draw, from_hour: int, hours: int) -> Times:
    """Times of the city's day, to the second."""
    start = np.datetime64(city.date).astype("datetime64[s]") + np.timedelta64(from_hour, "h")
    return start + draw.below(hours * 3600).astype("timedelta64[s]")


def _numbers(city: City, prefix: str, number: Numbers, width: int = 8) -> pa.Array:
    """Serial numbers that begin with the day: no two days share one."""
    return join(f"{prefix}{city.date:%Y%m%d}", digits(number, width))


def vaccinations(city: City, number: Numbers) -> Part:
    """Doses given to children of the city. Gender and date of birth are not collected again."""
    draw, faults = Draw(city, "vaccination", number, city.day), VACCINATION.masks(number)
    child = minor(draw.below(max(1, int(city.rows * 0.29))))
    who = people(child, city.seed)
    dose = np.where(faults["out_of_bounds"], 9, draw.below(3) + 1)
    day = np.full(len(number), np.datetime64(city.date))
    columns = {
        "接种流水号": edit(_numbers(city, "V", number), faults["nul_byte"], lambda v: v + "\0"),
        "受种者身份证号": edit(who.id_no, faults["wrong_check_digit"], wrong_check),
        "疫苗": edit(
            draw.pick(("01", "02", "乙肝疫苗", "DTaP", "麻腮风疫苗", "06")),
            faults["unknown_code"],
            lambda _: "新型疫苗",
        ),
        "剂次": digits(dose),
        "接种日期": edit(draw.dates(day), faults["impossible_date"], lambda _: "2026-02-29"),
        "接种地区划": districts(who.division, number % 5),
    }
    return Part(columns, faults)


def rides(city: City, number: Numbers) -> Part:
    """Taps of travel cards on buses."""
    draw, faults = Draw(city, "ride", number, city.day), RIDE.masks(number)
    card = edit(
        join("9700", digits(draw.below(max(50, city.rows)), 12)), faults["wrong_form"], lambda v: v[:-3]
    )
    twin = np.where(faults["duplicate_key"], number - 1, number)
    boarded = iso(_moments(city, draw, 5, 18))
    faults["other_date_form"] = RIDE.clean(number) & (number % 10 == 0)
    distance = (draw.below(25_000) + 400) / 1000
    cents = np.array([100, 160, 200, 80])[draw.below(4)]
    fare = join(digits(cents // 100), ".", digits(cents % 100, 2))
    columns = {
        "ride_no": _numbers(city, "R", twin, 10),
        "card_no": edit(card, faults["full_width"], full_width),
        "line": join(digits(draw.below(180) + 1), "路"),
        "stop": draw.pick(STOPS),
        "boarded_at": edit(boarded, faults["other_date_form"], lambda v: v[:16].replace("-", "/")),
        "fare": edit(fare, faults["negative_number"], lambda v: f"-{v}"),
        "distance": pa.array(np.where(faults["long_distance"], 999.0, distance)).cast(pa.string()),
    }
    return Part(columns, faults)


def permits(city: City, number: Numbers) -> Part:
    """Construction permits of the day. The remark is free text, with phones and ids in it."""
    draw, faults = Draw(city, "permit", number, city.day), PERMIT.masks(number)
    twin = np.where(faults["duplicate_key"], number - 1, number)
    code = join(f"3201{city.date:%y%m%d}", digits(twin, 6))
    builder = np.where(faults["unknown_employer"], number + 10_000_000, draw.below(city.share(0.2, 60)))
    cost = join(digits(draw.below(90_000_000) + 1_000_000), ".", digits(draw.below(100), 2))
    faults["thousands_mark"] = PERMIT.clean(number) & (number % 2 == 0)
    area = join(digits(draw.below(90_000) + 100), ".", digits(draw.below(100), 2))
    day = np.full(len(number), np.datetime64(city.date))
    faults["personal_remark"] = number % 3 == 0
    columns = {
        "许可证号": edit(code, faults["wrong_form"], lambda v: v[:-2]),
        "项目名称": join(draw.pick(BRANDS), draw.pick(STREETS), "地块项目"),
        "施工单位代码": enterprise_codes(city, builder),
        "合同价格": edit(cost, faults["thousands_mark"], thousands),
        "建筑面积": edit(area, faults["negative_number"], lambda v: f"-{v}"),
        "所在区": districts(draw.below(len(DIVISIONS)), number % 2),
        "发证日期": edit(draw.dates(day), faults["impossible_date"], lambda _: "2026/02/30"),
        "状态": draw.pick(("有效", "有效", "已发证", "变更")),
        "备注": _remarks(city, draw, number, faults["personal_remark"]),
        "更新时间": iso(_moments(city, draw, 9, 8)),
    }
    return Part(columns, faults)


def _remarks(city: City, draw: Draw, number: Numbers, personal: Flags) -> pa.Array:
    """`联系人…，电话…，身份证号…` where `personal`, else a remark about nobody."""
    ids = people(adult(number), city.seed).id_no
    told = join("联系人", draw.names(), "，电话", draw.phones(), "，身份证号", ids)
    return pc.if_else(pa.array(personal), told, pa.scalar("夜间施工须另行报批"))


def work_orders(city: City, number: Numbers) -> Part:
    """New orders of the hotline, half of yesterday's closed, each sent as one JSON object."""
    fresh = city.share(0.1, 60)
    if number[0] >= fresh:
        return _closed(City(city.folder, city.day - 1, city.rows, city.seed), number - fresh, city)
    return _opened(city, number, city.date >= DAYS[2])


def _opened(city: City, number: Numbers, with_channel: bool) -> Part:
    draw, faults = Draw(city, "order", number, city.day), ORDER.masks(number)
    twin = np.where(faults["duplicate_key"], number - 1, number)
    called = _moments(city, draw, 8, 9)
    after = np.where(faults["closed_before_opened"], -7200, 600 + number % 600).astype("timedelta64[s]")
    words = join(draw.pick(SENTENCES), "，请回电", draw.phones())
    columns = {
        "order_no": edit(_numbers(city, "NJ", twin, 6), faults["wrong_form"], lambda v: v[2:]),
        "category": edit(
            draw.pick(("1", "2", "投诉", "举报类", "建议")), faults["unknown_code"], lambda _: "点赞"
        ),
        "phone": join(f"{MOBILE_PREFIX} ", digits(draw.below(10**4), 4), " ", digits(draw.below(10**4), 4)),
        "content": edit(words, faults["empty_content"], lambda _: ""),
        "district": districts(draw.below(len(DIVISIONS)), number % 2),
        "created_at": pc.replace_substring(iso(called), " ", "T"),
        "status": pa.array(["待办"] * len(number)),
        "updated_at": pc.replace_substring(iso(called + after), " ", "T"),
    }
    if with_channel:
        columns["channel"] = draw.pick(("电话", "网站", "小程序"))
    return Part(columns, faults)


def _closed(before: City, number: Numbers, today: City) -> Part:
    """Yesterday's orders of even number that had no fault, now closed."""
    part = _opened(before, number, today.date >= DAYS[2])
    done = ORDER.clean(number) & (number % 2 == 0)
    closed = _moments(today, Draw(today, "closed", number, today.day), 10, 6)
    columns = part.columns | {
        "status": pa.array(["办结"] * len(number)),
        "updated_at": pc.replace_substring(iso(closed), " ", "T"),
    }
    return Part(columns, {}, {"changed": done}).only(done)
