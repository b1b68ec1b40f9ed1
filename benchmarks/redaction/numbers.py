"""Identifiers and the ordinary numbers beside them, drawn at random: nobody's, right in form and check digit.

The check digits are computed here by the letter of each standard, not by the kernels that are measured."""

from __future__ import annotations

from random import Random

_DIVISIONS = (
    "320102",
    "320104",
    "320105",
    "320106",
    "320111",
    "320113",
    "320114",
    "320115",
    "320116",
    "320117",
    "320118",
    "110101",
    "110105",
    "120103",
    "130102",
    "140105",
    "150102",
    "210102",
    "220102",
    "230103",
    "310101",
    "310115",
    "330106",
    "340102",
    "350203",
    "360102",
    "370203",
    "410105",
    "420106",
    "430104",
    "440106",
    "440305",
    "450103",
    "460105",
    "500103",
    "510104",
    "520103",
    "530102",
    "540102",
    "610113",
    "620102",
    "630103",
    "640104",
    "650102",
)
_CODE = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CARDS = (
    *(
        ("622202", 19),
        ("621700", 19),
        ("622848", 19),
        ("621661", 19),
        ("955880", 19),
        ("436742", 16),
        ("622588", 16),
    ),
    *(
        ("402658", 16),
        ("518710", 16),
        ("356895", 16),
        ("370285", 15),
        ("622155", 16),
        ("623058", 19),
        ("601382", 19),
    ),
)
_AREAS = ("025", "0512", "010", "021", "0571", "0551", "0755", "0519")
_PLACES = "京津沪渝冀豫云辽黑湘皖鲁新苏苏苏苏苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_PLATE = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


def digits(random: Random, count: int) -> str:
    return "".join(random.choices("0123456789", k=count))


def _date(random: Random, first: int, last: int) -> tuple[int, int, int]:
    return random.randint(first, last), random.randint(1, 12), random.randint(1, 28)


def resident_id(random: Random) -> str:
    """GB 11643: 18 characters, one in twelve of the 15 digits issued until 1999."""
    year, month, day = _date(random, 1938, 2015)
    place = random.choice(_DIVISIONS)
    if random.random() < 1 / 12:
        return f"{place}{year % 100 if year < 2000 else 71:02}{month:02}{day:02}{digits(random, 3)}"
    body = f"{place}{year}{month:02}{day:02}{digits(random, 3)}"
    total = sum(int(digit) * (2 ** (17 - index) % 11) for index, digit in enumerate(body))
    return body + "10X98765432"[total % 11]


def uscc(random: Random) -> str:
    """GB 32100, with weights 3^i modulo 31."""
    kind = random.choice(("91", "91", "91", "92", "93", "11", "12", "51", "52"))
    body = kind + random.choice(_DIVISIONS) + "".join(random.choices(_CODE, k=9))
    total = sum(_CODE.index(letter) * (3**index % 31) for index, letter in enumerate(body))
    return body + _CODE[(31 - total % 31) % 31]


def with_luhn(body: str) -> str:
    total = 0
    for index, digit in enumerate(reversed(body)):
        doubled = int(digit) * (1 if index % 2 else 2)
        total += doubled - 9 if doubled > 9 else doubled
    return body + str(-total % 10)


def bank_card(random: Random) -> str:
    first, length = random.choice(_CARDS)
    return with_luhn(first + digits(random, length - len(first) - 1))


def phone(random: Random) -> str:
    return f"1{random.choice('3456789')}{digits(random, 9)}"


def landline(random: Random) -> str:
    area = random.choice(_AREAS)
    local = random.choice("2345678") + digits(random, 7)
    form = random.choice(
        (
            "{a}-{n}",
            "{a}-{n}",
            "({a}){n}",
            "（{a}）{n}",
            "{a} {h} {t}",
            "{a}{n}",
            "{n}",
            "{h}-{t}",
            "{a}-{n}-{x}",
        )
    )
    return form.format(a=area, n=local, h=local[:4], t=local[4:], x=random.randint(1, 8999))


def email(random: Random) -> str:
    user = random.choice(
        (
            "zhang.wei",
            "li_na",
            "wangfang88",
            "chen-jie",
            "xu.m",
            "sunny_1990",
            "hr",
            "nj.liu+work",
            digits(random, 9),
        )
    )
    host = random.choice(
        ("qq.com", "163.com", "nanjing.gov.cn", "139.com", "example.com.cn", "mail.example.edu.cn")
    )
    return f"{user}@{host}"


def passport(random: Random) -> str:
    letters = random.choice(("E", "E", "G", "EA", "EH", "C", "H", "D", "PE", "K"))
    return letters + digits(random, 9 - len(letters) if len(letters) == 2 else 8)


def plate(random: Random) -> str:
    place, city = random.choice(_PLACES), random.choice("ABCDEFGHJK")
    tail = list(digits(random, 5))
    for place_of_letter in random.sample(
        range(5), random.choice((0, 0, 1, 1, 2))
    ):  # GA 36: two letters at most
        tail[place_of_letter] = random.choice(_PLATE[:24])
    form = random.random()
    if form < 0.25:  # new energy: D or F and five digits, or five digits and D or F
        tail = random.choice(
            (f"{random.choice('DF')}{digits(random, 5)}", f"{digits(random, 5)}{random.choice('DF')}")
        )
    elif form < 0.32:
        tail = digits(random, 4) + random.choice("警学挂")
    between = random.choice(("", "", "·", " "))
    return place + city + between + "".join(tail)


IDENTIFIERS = {
    made.__name__: made for made in (resident_id, phone, landline, email, bank_card, passport, plate, uscc)
}


# ── the ordinary numbers ──────────────────────────────────────────────────────────────────────────────────


def _day(random: Random) -> str:
    year, month, day = _date(random, 2015, 2026)
    form = random.choice(("{}年{}月{}日", "{}-{:02}-{:02}", "{}/{}/{}", "{}.{}.{}", "{}{:02}{:02}"))
    return form.format(year, month, day)


def _money(random: Random) -> str:
    amount = round(10 ** random.uniform(1, 11), 2)
    return random.choice((f"{amount:,.2f}", f"{amount:.2f}", f"{amount:.0f}", f"{amount:,.0f}"))


def _document(random: Random) -> str:
    who = random.choice(("宁政发", "宁政办发", "苏府规", "国办函", "宁数〔办〕", "玄政字", "宁发改投资字"))
    return f"{who}〔{random.randint(2015, 2026)}〕{random.randint(1, 980)}号"


def _serial(random: Random) -> str:
    return random.choice(("", "", "SF", "YT", "A", "NJ-")) + digits(random, random.randint(9, 20))


def _order(random: Random) -> str:
    """Half of them look like mobile numbers."""
    return phone(random) if random.random() < 0.5 else f"20{random.randint(15, 26)}{digits(random, 10)}"


def _with_luhn_by_chance(random: Random) -> str:
    return with_luhn(random.choice("123456789") + digits(random, random.randint(11, 17)))


def _case(random: Random) -> str:
    """Division, day and a number of the day, as counters number their cases: one in eleven has the check digit of GB
    11643."""
    year, month, day = _date(random, 2018, 2025)
    return f"{random.choice(_DIVISIONS)}{year}{month:02}{day:02}{digits(random, 4)}"


def _coordinate(random: Random) -> str:
    return f"{random.uniform(118, 119):.6f}, {random.uniform(31, 33):.6f}"


def _parcel(random: Random) -> str:
    return f"{random.choice(_DIVISIONS)}{digits(random, 6)}GB{digits(random, 5)}F{digits(random, 8)}"


ORDINARY = {
    "date": _day,
    "money": _money,
    "docno": _document,
    "serial": _serial,
    "order": _order,
    "luhn": _with_luhn_by_chance,
    "case": _case,
    "coordinate": _coordinate,
    "parcel": _parcel,
    "time": lambda random: f"{random.randint(0, 23)}:{random.randint(0, 59):02}",
    "decimal": lambda random: f"{random.uniform(0, 300):.{random.randint(1, 4)}f}",
    "count": lambda random: str(random.randint(1, 20_000)),
    "age": lambda random: str(random.randint(1, 95)),
    "speed": lambda random: random.choice(("40", "60", "80", "120")),
    "postcode": lambda random: f"21{digits(random, 4)}",
    "short": lambda random: digits(random, random.randint(4, 8)),
    "model": lambda random: (
        f"{random.choice(('XW', 'DN', 'KQ-', 'A', 'E', 'G'))}{digits(random, random.randint(3, 8))}"
    ),
    "house": lambda random: (
        f"{random.randint(1, 399)}号{random.randint(1, 30)}幢{random.randint(101, 3204)}室"
    ),
    "stock": lambda random: digits(random, random.choice((4, 6))),
    "version": lambda random: ".".join(str(random.randint(0, 30)) for _ in range(4)),
    "ip": lambda random: f"10.{random.randint(0, 255)}.{random.randint(0, 255)}.{random.randint(1, 254)}",
    "icp": lambda random: f"{random.randint(2010, 2026)}{digits(random, 6)}",
    "isbn": lambda random: f"978-7-{digits(random, 4)}-{digits(random, 4)}-{digits(random, 1)}",
    "ean": lambda random: f"69{digits(random, 11)}",
    "invoice": lambda random: digits(random, random.choice((8, 10, 12, 20))),
}


# ── how a number is written ───────────────────────────────────────────────────────────────────────────────

_WIDE = {ord("0") + i: 0xFF10 + i for i in range(10)} | {ord("A") + i: 0xFF21 + i for i in range(26)}
_GROUPS = {
    "resident_id": (6, 8, 4),
    "phone": (3, 4, 4),
    "bank_card": (4, 4, 4, 4, 4),
    "uscc": (2, 6, 9, 1),
}


def written(random: Random, kind: str, number: str) -> str:
    """Seven in ten as they are; others in groups, full-width, with a country's prefix, or broken by the end of a
    line."""
    way = random.random()
    groups = _GROUPS.get(kind)
    if way < 0.7:
        return number
    if way < 0.8:
        return number.translate(_WIDE)
    if groups and way < 0.93 and not (kind == "resident_id" and len(number) == 15):
        return random.choice((" ", "-", "\u3000", "\u00a0")).join(cut(number, groups))
    if kind == "phone" and way < 0.96:
        return random.choice(("+86", "+86 ", "86-", "0086")) + number
    if kind in ("resident_id", "phone", "bank_card", "uscc") and way > 0.97:
        place = random.randint(3, len(number) - 3)
        return f"{number[:place]}\n{number[place:]}"
    return number


def cut(number: str, groups: tuple[int, ...]) -> list[str]:
    pieces, at = [], 0
    for length in groups:
        pieces.append(number[at : at + length])
        at += length
    return [piece for piece in pieces if piece]
