"""What is looked for in free text: one `Finder` for each way an identifier is written, in the order they are tried.

Byte patterns find candidates in the *shadow* of a text (`masks.shadow`); check digits, the words before a candidate
and the numbers that were ever given out prove them, so that ordinary numbers are left alone:

    email          an address with a host and a dot
    resident_id    18 characters with GB 11643's check digit and a real date; 15 digits with a real date
    phone          mobile numbers of 11 digits, with or without +86; not what a word calls an order or serial number
    landline       an area code of China's numbering plan and 7 or 8 digits, set apart or after a word such as 电话;
                   7 or 8 digits after such a word
    uscc           18 characters with GB 32100's check character
    bank_card      13 to 19 digits with Luhn's sum that begin like a card, or stand after 卡号 or 账号
    passport       passports and permits to Hong Kong, Macao and Taiwan, after a word such as 护照
    plate          vehicles' plates (GA 36)

Numbers are looked for twice, as they stand and read loosely: 138.0013.8000, ①③⑧…, 一三八… (`IN_ORDER`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.masks import shadow as shadows
from schemas.buffers import Flags, flags
from schemas.identifiers import (
    PROVINCES,
    USCC_ALPHABET,
    is_bank_card,
    is_old_resident_id,
    is_resident_id,
    is_uscc,
)

NEAR, AHEAD = 14, 4
"""Characters before a candidate among which its word is looked for; and after it, of what a quantity is told in."""


class Pattern(NamedTuple):
    """A byte pattern over the shadow, whose group 1 is a candidate but for its first character, which is a byte that
    `begins` one. Where `least` is not 0 that and so many characters after it are digits, spaces, hyphens or ends of
    lines."""

    regex: re.Pattern[bytes]
    begins: Flags
    least: int = 0


class Finder(NamedTuple):
    """How one kind is found: the mask's word for it, patterns of candidates, what proves a candidate (without its
    spaces, hyphens and ends of lines), the words of which one must stand before it, those that may not stand right
    before it, and those that may not follow."""

    kind: str
    patterns: tuple[Pattern, ...]
    proves: Callable[[pa.Array], Flags] | None = None
    after: re.Pattern[str] | None = None
    never_after: re.Pattern[str] | None = None
    never_before: re.Pattern[str] | None = None


class Touching(TypedDict):
    """What may not touch a candidate."""

    before: str
    after: str


class Words(TypedDict):
    """The words of a finder."""

    never_after: re.Pattern[str]
    never_before: re.Pattern[str]


LABELS = {
    "email": "[邮箱]",
    "resident_id": "[身份证号]",
    "phone": "[手机号]",
    "landline": "[电话号]",
    "uscc": "[信用代码]",
    "bank_card": "[银行卡号]",
    "passport": "[证件号]",
    "plate": "[车牌号]",
    "name": "[姓名]",
}
"""What stands in the place of each kind."""


# ── the patterns: S may stand between two digits of one number, G must ────────────────────────────────────

_S, _G, _N = "[ \n-]{0,3}", "[ \n-]{1,3}", "[0-9]"
_B = "\n?"
"""Where a line may end inside a number."""
_MONTH = f"(?:0{_S}[1-9]|1{_S}[0-2])"
_DAY = f"(?:0{_S}[1-9]|[12]{_S}{_N}|3{_S}[01])"
_YEAR = f"(?:1{_S}[89]|2{_S}0){_S}{_N}{_S}{_N}"
_RESIDENT = _S.join([*[_N] * 5, _YEAR, _MONTH, _DAY, *[_N] * 3, "[0-9Xx]"])
_OLD_RESIDENT = _S.join([*[_N] * 5, _N, _N, _MONTH, _DAY, *[_N] * 3])
_REST_OF_PHONE = (
    f"[3-9]{_N}{_S}{_N}{{4}}{_S}{_N}{{4}}",
    f"[3-9]{_N}{_S}{_N}{{3}}{_S}{_N}{{5}}",
    f"[3-9]{_N}{{2}}{_S}{_N}{{4}}{_S}{_N}{{3}}",
    f"{_G}[3-9](?:{_G}{_N}){{9}}",
    f"{_B}[3-9](?:{_B}{_N}){{9}}",
)
_PHONE = f"1(?:{'|'.join(_REST_OF_PHONE)})"
_CARDS = (
    f"{_B}{_N}(?:{_B}{_N}){{11,17}}",
    f"{_N}{{3}}(?:{_G}{_N}{{4}}){{3}}{_G}{_N}{{1,3}}",
    f"{_N}{{3}}{_G}{_N}{{6}}{_G}{_N}{{4,5}}",
    f"{_N}{{5}}{_G}{_N}{{7,13}}",
)
_SHORTER_CARD = f"{_N}{{3}}(?:{_G}{_N}{{4}}){{2}}{_G}{_N}{{1,4}}"
_LOCAL = "[A-Za-z0-9._%+!#$&'*~^-]"
_HOST = r"(?:[A-Za-z0-9-]++\.)+[A-Za-z][A-Za-z0-9-]+"
_P, _X, _E, _D = (
    rf"\x{byte:02x}" for byte in (shadows.PROVINCE, shadows.SUFFIX, shadows.EMBASSY, shadows.DOT)
)
_BODY = "[A-HJ-NP-Za-hj-np-z0-9]"
_PLATE = (
    rf" ?[A-Za-z][ {_D}-]{{0,2}}(?=[A-Za-z]{{0,3}}[0-9])"
    rf"(?:{_BODY}{{5,6}}(?![A-Za-z0-9])|{_BODY}{{4}}[{_X}{_E}])"
)
AREA = (
    "(?:10|2[0-57-9]|3(?:[1579][0-9]|35|49)|4(?:[1357][0-9]|2[179]|6[4789]|8[23])|5(?:[13579][0-9]|2[37]|4[36]|6[1-6]|80)|"
    "6(?:3[1-5]|6[0238]|9[12])|7(?:[13579][0-9]|01|2[248]|4[3-6]|6[023689])|8(?:[3579][0-9]|1[2-8]|2[567]|8[1-8])|"
    "9(?:[013579][0-9]|4[13]))"
)
"""Area codes of the numbering plan, without the 0."""
_SUBSCRIBER = f"[2-8]{_N}{{2,3}}{_S}{_N}{{4}}"
_EXTENSION = f"(?:[ -]{{1,2}}{_N}{{1,4}})?"
_APART = rf"(?:\){_S}|{_G}){_SUBSCRIBER}{_EXTENSION}"
_C = f"[{USCC_ALPHABET}{USCC_ALPHABET[10:].lower()}]"
_CODE = _S.join(["[1-9]", *[_N] * 6, *[_C] * 10])


# ── the words before a candidate ──────────────────────────────────────────────────────────────────────────

_GAP = r"[：:为是# \t\r\n\u3000\xa0（(]*"
_IS = rf"(?:号码|号|码)?{_GAP}\Z"
_CALLED = (
    "电话|座机|固话|固定电话|传真|热线|致电|拨打|来电|回电|总机|值班|值班室|传达室|服务台|前台|门卫|办公室|咨询|客服|联系|"
    "联系方式|[Tt][Ee][Ll]|[Pp]hone"
)
CALLED = re.compile(f"(?:{_CALLED}){_IS}")
_MOBILE = "手机|移动电话|微信"
MOBILE = re.compile(f"(?:{_CALLED}|{_MOBILE}){_IS}")
_NUMBERED = (
    "订单|单|编|流水|批次|批|合同|序列|序|文|票|运单|快递|账单|案|工|货|型|许可证|备案|档案|条形|凭证|交易|受理|业务|登记|表|"
    "资产|住院|门诊|病历|学籍|发票|设备|合约|项目|任务"
)
SERIAL = re.compile(
    rf"(?:(?:{_NUMBERED})(?:号码|号|码|编号|代码|No\.?|NO\.?)|订单|流水|单据|快递|编号|"
    rf"(?<=[\u4e00-\u9fff])(?<![机话卡账帐户证信线呼份照支的个尾老旧新原])号){_GAP}(?:[A-Za-z]{{1,5}}-?)?\Z"
)
"""A number that these words name is that of a thing."""
AMOUNT = re.compile(r"(?:金额|价款|合计|总额|报价|限价|资金|投资|[￥¥]|RMB|人民币|共计)[：:为是 \t]*\Z")
UNIT = re.compile(
    r"(?:\.[0-9])|[ \u3000]?(?:元|万|亿|美元|欧元|吨|千克|公斤|克|平方|立方|公里|千米|米|户|人次|件|个|千瓦|度|%|％)"
)
"""What follows a quantity."""
_CARD_WORDS = "卡号|账号|帐号|账户|银行卡|储蓄卡|信用卡|借记卡|开户"
CARD = re.compile(_CARD_WORDS)
IDENTITY = re.compile("身份|证件|证号|公民号码")
PASSPORT = re.compile("护照|通行证|回乡证|台胞证|居留证|证件|[Pp]assport|PASSPORT")

_SCHEMES = (
    "4[0-9]{15}|4[0-9]{18}|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}|"
    "3[47][0-9]{13}|3(?:0[0-5]|095|[689][0-9])[0-9]{11}|35(?:2[89]|[3-8][0-9])[0-9]{12}|"
    "(?:62|81|9[45])[0-9]{14,17}|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12}|60[0-9]{14}|60[0-9]{17}"
)
"""Visa; Mastercard; Amex, Diners, JCB; UnionPay and the old domestic numbers of Chinese banks; Discover; and cards that
banks issued before UnionPay. Each has its lengths."""


def is_scheme_card(numbers: pa.Array) -> Flags:
    """Cards that begin with a number that ISO/IEC 7812 gave to a payment scheme, and are as long as its cards are."""
    return is_bank_card(numbers) & flags(pc.match_substring_regex(numbers, f"^(?:{_SCHEMES})$"))


def is_likely_code(numbers: pa.Array) -> Flags:
    """Credit codes by their check character, of an authority and kind that there is (GB 32100, table 1) and of a known
    province or the nation: of other numbers one in 31 has the check character."""
    places = "|".join(map(str, (10, *PROVINCES)))
    kinds = "[15][1239]|[24678][129]|3[1-59]|9[1-3]|A[19]|N[1239]|Y1"
    return is_uscc(numbers) & flags(pc.match_substring_regex(numbers, f"^(?:{kinds})(?:{places})"))


# ── the finders ───────────────────────────────────────────────────────────────────────────────────────────


def _pattern(first: str, rest: str, *, before: str = "", after: str = "", least: int = 0) -> Pattern:
    """A candidate that begins with `first` and goes on with `rest` (group 1), not touched by `before` or
    `after`. `least` is of `Pattern`.

    The set of first characters comes first because `re` runs to the next of them at the speed of memory; and
    only it is consumed, so that a candidate may begin inside another one, which may prove false."""
    touched = f"(?<!{before}{first})" if before else ""
    begins = np.array([re.match(first.encode(), bytes([byte])) is not None for byte in range(256)])
    return Pattern(re.compile(f"{first}{touched}(?=({rest}){after})".encode()), begins, least)


_ALONE: Touching = {"before": _N, "after": f"(?!{_N})"}
_CARD_ALONE: Touching = {"before": "[A-Za-z0-9]", "after": rf"(?!\.?{_N})"}
_APART_FROM_LETTERS: Touching = {"before": "[A-Za-z0-9]", "after": "(?![A-Za-z0-9])"}
_NAMED = f"{SERIAL.pattern}|{AMOUNT.pattern}"
_THING: Words = {"never_after": re.compile(rf"{_NAMED}|[0-9][.．]\Z"), "never_before": UNIT}
"""Of a number that others have by chance: not what is a thing's, an amount, or the fraction of a number."""
_PHONE_THING: Words = {"never_after": re.compile(rf"{_NAMED}|(?<![0-9])0[.．]\Z"), "never_before": UNIT}
"""The same of a telephone, which may be an item of a list: 1.138…"""
_CARD = _pattern("[1-9]", "|".join(_CARDS), **_CARD_ALONE, least=12)
_CARD_IN_GROUPS = _pattern("[1-9]", "|".join(_CARDS[1:]), **_CARD_ALONE, least=12)
_CARD_PATTERNS = (_CARD, _pattern("[1-9]", _SHORTER_CARD, **_CARD_ALONE, least=12))
_OLD_ID = (_pattern("[1-8]", _S + _OLD_RESIDENT, **_ALONE, least=14),)
_PHONE_PATTERNS = (
    _pattern("[0+8]", rf"(?:(?<=\+)86|(?<=8)6|086|(?<=0)){_S}{_PHONE}", **_ALONE),
    _pattern("1", _PHONE.removeprefix("1"), **_ALONE, least=10),
)
FINDERS = (
    Finder("email", (_pattern(_LOCAL, f"{_LOCAL}*+@{_HOST}", before=_LOCAL),)),
    Finder("resident_id", (_pattern("[1-8]", _S + _RESIDENT, least=16),), is_resident_id),
    Finder("uscc", (_pattern("[1-9ANYany]", _S + _CODE, **_APART_FROM_LETTERS),), is_likely_code),
    Finder("resident_id", _OLD_ID, is_old_resident_id, after=IDENTITY),
    Finder("bank_card", _CARD_PATTERNS, is_bank_card, after=CARD),
    Finder("bank_card", (_CARD_IN_GROUPS,), is_scheme_card, **_THING),
    Finder("phone", _PHONE_PATTERNS, **_PHONE_THING),
    Finder(
        "landline",
        (
            _pattern("[(0]", rf"(?:(?<=\()0|(?<=0)){AREA}{_APART}", **_ALONE),
            _pattern("[+]", rf"86{_S}\(?0?\)?{_S}{AREA}{_APART}", **_ALONE),
        ),
        never_after=SERIAL,
    ),
    Finder("landline", (_pattern("0", f"{AREA}{_SUBSCRIBER}{_EXTENSION}", **_ALONE),), after=CALLED),
    Finder("landline", (_pattern("[2-8]", f"{_N}{{2,3}}{_S}{_N}{{4}}{_EXTENSION}", **_ALONE),), after=CALLED),
    Finder("bank_card", _CARD_PATTERNS, is_scheme_card, **_THING),
    Finder("resident_id", _OLD_ID, is_old_resident_id, **_THING),
    Finder("passport", (_pattern("[A-Za-z]", "[A-Za-z]?[0-9]{6,9}", **_APART_FROM_LETTERS),), after=PASSPORT),
    Finder("plate", (_pattern(_P, _PLATE), _pattern(_E, rf"[ {_D}-]{{0,2}}{_N}{{6}}(?![A-Za-z0-9])"))),
)
_SURE = FINDERS[:2]
"""Addresses and resident ids: what follows a point of theirs is no telephone."""
_LOOSE = (
    *(
        each
        for each in FINDERS[2:]
        if each.kind != "plate" and (each.proves is not is_old_resident_id or each.after is not None)
    ),
    Finder("phone", _PHONE_PATTERNS, after=MOBILE, **_PHONE_THING),
)
"""Those that look through what is read loosely (`masks.shadow`): plates have dots and Chinese characters of their own,
and where nothing proves a number but its form, a word must. A telephone that one says it is may be set apart once."""
IN_ORDER: tuple[tuple[Finder, bool], ...] = (
    *((each, False) for each in _SURE),
    (_SURE[1], True),
    *((each, False) for each in FINDERS[2:]),
    *((each, True) for each in _LOOSE),
)
"""The finders as they are tried, and whether in the text read loosely."""
_BLANK = r"\p{Z}\p{Cf}\p{Cc}"
_ODD = rf"\p{{No}}{''.join(shadows.WORDS)}"
_POINT = r"[./\\_．／＼＿·•・‧]"
_SET_APART = (
    rf"\p{{Nd}}{{3}}{_POINT}[A-Za-zＡ-Ｚａ-ｚ\p{{Nd}}]{{4,}}{_POINT}[A-Z\p{{Nd}}]|(?:\p{{Nd}}{_POINT}){{10}}|"
    rf"\b0\p{{Nd}}{{2,3}}{_POINT}[2-8]\p{{Nd}}{{4}}"
)
"""As people set numbers apart: what took in every form would take in every day, decimal and address of a machine."""
MAY_HOLD = (
    rf"\p{{Nd}}(?:[{_BLANK}\p{{Pd}}−()（）]{{0,3}}\p{{Nd}}){{9}}|[@＠]|(?s:使.{{0,2}}\p{{Nd}}{{6}})|"
    rf"[{shadows.PROVINCES}][{_BLANK}]?[A-Za-zＡ-Ｚａ-ｚ]|"
    rf"(?s:(?:{_CALLED}|{_MOBILE}|{_CARD_WORDS}).{{0,6}}\p{{Nd}}{{3}})|"
    rf"(?s:(?:{PASSPORT.pattern}).*)[A-Za-zＡ-Ｚａ-ｚ]\p{{Nd}}{{6}}|"
    rf"(?:[\p{{Nd}}A-Za-zＡ-Ｚａ-ｚ][{_BLANK}\p{{Pd}}−]{{0,3}}){{18}}|"
    rf"[{_ODD}](?:[{_BLANK}\p{{Pd}}−]?[{_ODD}]){{2}}|\p{{Nd}}[{_ODD}]{{1,2}}\p{{Nd}}|[\x{{20DD}}\x{{20E3}}]|{_SET_APART}"
)
"""For RE2: a text without any of these holds no identifier of any finder, of those read loosely none of a usual form.
What comes to it must be short: RE2 keeps no large automaton, and takes a hundred times as long without."""
