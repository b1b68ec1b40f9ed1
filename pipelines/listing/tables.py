"""The lists as tables for people, in the words of 发改高技〔2017〕1272号."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Final

from croniter import croniter

from lake import releases
from pipelines.context import Context
from schemas.load import Catalogue
from schemas.model import Entry, Field, Open
from schemas.policy import open_fields
from schemas.workdays import HERE, day_of

Row = dict[str, str]
CLASSES: Final = {"1": "基础", "2": "主题", "3": "部门"}
SHARES: Final = {"unconditional": "1 无条件共享", "conditional": "2 有条件共享", "none": "3 不予共享"}
OPENS: Final = {"unconditional": "无条件开放", "conditional": "有条件开放"}
FORMATS: Final = {
    "database": "3 数据库",
    "lake": "3 数据库",
    "http": "7 服务接口",
    "exchange": "7 服务接口",
}
"""Of sources; those of files are told by the file's own form."""
SHEETS: Final = {"csv", "tsv", "excel"}
TYPES: Final = {
    "string": "C 字符型",
    "integer": "I 整型",
    "decimal": "N 数值型",
    "number": "B 双精度型",
    "boolean": "L 逻辑型",
    "date": "D 日期型",
    "timestamp": "T 日期时间型",
    "binary": "G 通用型",
}
CYCLES: Final = (
    (timedelta(days=1), "实时", "CONT"),
    (timedelta(days=7), "每日", "DAILY"),
    (timedelta(days=28), "每周", "WEEKLY"),
    (timedelta(days=89), "每月", "MONTHLY"),
    (timedelta(days=180), "每季度", "QUARTERLY"),
    (timedelta(days=364), "每半年", "ANNUAL_2"),
    (timedelta.max, "每年", "ANNUAL"),
)
"""Runs that lie closer together than this have the cycle's word, and the EU's code for the frequency."""
_RUNS: Final = 12


def resource(catalogue: Catalogue, entry: Entry, published: date | None) -> Row:
    department, share, public = catalogue.departments[entry.owner], entry.share, entry.open
    told = share.conditions or share.basis
    return {
        "信息资源分类": f"{CLASSES.get(entry.code[0], '')} {entry.code.partition('/')[0]}",
        "信息资源名称": entry.title.zh,
        "信息资源代码": entry.code,
        "标识": entry.id,
        "信息资源提供方": department.title.zh,
        "提供方代码": department.uscc,
        "信息资源摘要": entry.summary.zh,
        "信息资源格式": _format(entry),
        "共享类型": SHARES[share.type],
        "共享条件": told.zh if told else "",
        "共享方式": "" if share.type == "none" else "1 共享平台",
        "是否向社会开放": "0" if public.type == "none" else "1",
        "开放条件": public.conditions.zh if public.conditions else "",
        "更新周期": cycle(catalogue, entry)[0],
        "发布日期": published.isoformat() if published else "",
        "关联资源代码": " ".join(catalogue.entries[each].code for each in entry.inputs),
    }


def _format(entry: Entry) -> str:
    kind = entry.source.kind
    if kind != "file":
        return FORMATS[kind]
    return "2 电子表格" if getattr(entry.source, "format", "") in SHEETS else "6 自描述"


def items(entry: Entry) -> Iterator[Row]:
    for field in entry.fields.values():
        yield {
            "信息资源代码": entry.code,
            "信息资源名称": entry.title.zh,
            "信息项名称": field.title.zh,
            "字段": field.name,
            "数据类型": TYPES[field.type],
            "数据长度": _length(field),
            "数据元": field.element or "",
            "分级": str(field.grade),
            "是否开放": "1" if field.name in open_fields(entry) else "0",
        }


def _length(field: Field) -> str:
    if field.type == "decimal":
        return f"{field.precision},{field.scale}"
    return str(field.length or "")


def opened(ctx: Context, entry: Entry) -> Row:
    found = releases.holding(ctx.settings.lake_root, entry)
    index: Mapping[str, Any] = found[1] if found else {}
    return {
        "数据名称": entry.title.zh,
        "信息资源代码": entry.code,
        "标识": entry.id,
        "提供方": ctx.catalogue.departments[entry.owner].title.zh,
        "开放属性": OPENS[entry.open.type],
        "开放条件": entry.open.conditions.zh if entry.open.conditions else "",
        "许可": _licence(entry.open),
        "信息项": "、".join(entry.fields[name].title.zh for name in open_fields(entry)),
        "更新周期": cycle(ctx.catalogue, entry)[0],
        "下载格式": " ".join(file["format"] for file in index.get("files", ()) if file["rows"] is not None),
        "行数": str(index.get("rows", "")),
        "最近发布": day_of(datetime.fromisoformat(index["released_at"])).isoformat() if index else "",
    }


def _licence(public: Open) -> str:
    """Its name, with where it is read or what it says."""
    if public.type == "conditional":
        return "见开放条件"
    if public.licence is None:
        return "未声明许可"
    text = public.licence.text.zh if public.licence.text else None
    return " ".join(filter(None, (public.licence.zh, public.licence.url or text)))


def cycle(catalogue: Catalogue, entry: Entry) -> tuple[str, str]:
    """How often a dataset is collected, in the word of 1272号 and the EU's code: by the shortest time between its runs,
    and of a derived one that of its most frequent input."""
    gap = _gap(catalogue, entry)
    return next((word, code) for limit, word, code in CYCLES if gap < limit)


def _gap(catalogue: Catalogue, entry: Entry) -> timedelta:
    if entry.schedule is None:
        return min(_gap(catalogue, catalogue.entries[name]) for name in entry.inputs)
    return _shortest(entry.schedule.cron)


@cache
def _shortest(cron: str) -> timedelta:
    """The shortest time between two of a schedule's runs."""
    runs = croniter(cron, datetime(2026, 1, 1, tzinfo=HERE))
    times = [runs.get_next(datetime) for _ in range(_RUNS)]
    return min(after - before for before, after in itertools.pairwise(times))
