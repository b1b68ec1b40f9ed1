"""Two forms of a contract beside each other: what changed, in Chinese and English, and whether it protects less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lake.contracts import Change, Contract
from pipelines.contracts.form import TOLD, UNTOLD
from pipelines.contracts.loosening import item_loosens, loosens, personal
from schemas.terms import MODELS, TERMS

Item = Mapping[str, Any]
LONGEST: Final = 60
"""Characters of a value that is told in a sentence."""
MOST: Final = 10
"""Codes that are told of a list that changed."""
_WORDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "entry": ("条目", "entry", "EntryFile"),
    "assessed": ("编目前评估", "assessment", "Assessed"),
    "source": ("来源", "source", "DatabaseSource FileSource HttpSource ExchangeSource LakeSource"),
    "schedule": ("采集计划", "schedule", "Schedule"),
    "merge": ("归并方式", "merge", "Merge"),
    "brake": ("刹车", "brake", "BrakeFile"),
    "retention": ("保存期限", "retention", "RetentionFile"),
    "share": ("共享", "share", "Share"),
    "open": ("开放", "open", "Open"),
    "field": ("字段", "field", "FieldFile"),
    "check": ("质量规则", "check", "Check"),
    "publication": ("发布表", "published table", "Policy"),
    "limits": ("披露限值", "disclosure limits", "Limits"),
    "mask": ("发布字段", "published field", "Masks"),
    "codes": ("代码表", "code list", "Code"),
}
"""What a section's things are called, and the models whose terms its keys are (`schemas.terms`)."""

_LABELS: Final = {"mask": "脱敏方式", "codes": "代码", "labels": "名称与别名"}


def changes(before: Contract, after: Contract) -> list[Change]:
    """All that differs, by section. What is not told is compared only where one key has digested both forms."""
    found: list[Change] = []
    for section in _WORDS:
        old, new = before.facts.get(section, {}), after.facts.get(section, {})
        for item in dict.fromkeys([*new, *old]):
            if section not in ("mask", "limits") or _in_both(item, before, after):
                found += _of_item(section, item, old.get(item), new.get(item), before.key == after.key)
    return found


def _in_both(item: str, *contracts: Contract) -> bool:
    """Whether the publication stands in both: of one that came or went, the table is told."""
    return all(item.partition(" ")[0] in each.facts.get("publication", {}) for each in contracts)


def _of_item(section: str, item: str, old: Item | None, new: Item | None, same_key: bool) -> Iterator[Change]:
    if old is None or new is None:
        yield _came_or_went(section, item, old or new or {}, added=old is None)
        return
    for key in dict.fromkeys([*new, *old]):
        was, is_now = old.get(key), new.get(key)
        if _differ(was, is_now, same_key):
            yield _of_key(section, item, key, _plain(was), _plain(is_now))


def _differ(was: Any, is_now: Any, same_key: bool) -> bool:
    """By digest where there is one; of digests by two keys by what else is known."""
    if not (_is_digest(was) and _is_digest(is_now)):
        return bool(was != is_now)
    if same_key:
        return bool(was[UNTOLD] != is_now[UNTOLD])
    known = [name for name in (TOLD, "count") if name in was and name in is_now]
    return any(was[name] != is_now[name] for name in known)


def _is_digest(value: Any) -> bool:
    return isinstance(value, dict) and UNTOLD in value


def _plain(value: Any) -> Any:
    return value[TOLD] if _is_digest(value) and TOLD in value else value


def _came_or_went(section: str, item: str, said: Item, *, added: bool) -> Change:
    zh, en, _ = _WORDS[section]
    verb = ("增加", "added") if added else ("删除", "removed")
    told = [_shown(said[key]) for key in ("type", "mask") if key in said]
    told += [(f"{said['grade']} 级", f"grade {said['grade']}")] if "grade" in said else []
    more_zh, more_en = (" ".join(words) for words in zip(*told, strict=True)) if told else ("", "")
    name = f" {item}" if item else ""
    return Change(
        zh=f"{verb[0]}{zh}{name}" + (f"（{more_zh}）" if told else ""),
        en=f"{en}{name} {verb[1]}" + (f" ({more_en})" if told else ""),
        loosens=item_loosens(section, added=added),
        personal=added and personal(section, None, said.get("grade")),
    )


def _of_key(section: str, item: str, key: str, was: Any, is_now: Any) -> Change:
    zh, en, _ = _WORDS[section]
    label, name = _label(section, key), f" {item}" if item else ""
    told_zh, told_en = _codes(was, is_now) if section == "codes" else _told(was, is_now)
    return Change(
        zh=f"{zh}{name}：{label}{told_zh}",
        en=f"{en}{name}: {key} {told_en}",
        loosens=loosens(section, key, was, is_now),
        personal=key == "grade" and personal(section, was, is_now),
    )


def _label(section: str, key: str) -> str:
    terms = (TERMS.get(f"{model}.{key}") for model in _WORDS[section][2].split())
    return next((zh for zh, _ in filter(None, terms)), _LABELS.get(key, key))


def _told(was: Any, is_now: Any) -> tuple[str, str]:
    (old_zh, old), (new_zh, new) = _shown(was), _shown(is_now)
    if old == new or max(len(old), len(new)) > LONGEST:
        return "有变更", "changed"
    return f" {old_zh} → {new_zh}", f"{old} → {new}"


def _shown(value: Any) -> tuple[str, str]:
    """A value in words; of one that is not told, and of sets and expressions, how many there are."""
    if value is None:
        return "无", "none"
    if isinstance(value, dict) and "number" in value:
        return (f"{value['number']}（{value['day']}）", f"{value['number']} ({value['day']})")
    if _is_digest(value):
        return (f"{value['count']} 项", f"{value['count']} values") if "count" in value else ("…", "…")
    if isinstance(value, dict) and "kind" in value:
        return _mask(value)
    if isinstance(value, list | tuple):
        return (f"{len(value)} 项", f"{len(value)} values")
    return (str(value), str(value))


def _mask(said: Item) -> tuple[str, str]:
    """The kind, with its numbers and names; not the constant."""
    more = " ".join(f"{key}={_shown(said[key])[1]}" for key in said if key not in ("kind", "value"))
    kind = str(said["kind"])
    return " ".join(filter(None, (MODELS.get(kind.capitalize(), kind), more))), " ".join(
        filter(None, (kind, more))
    )


def _codes(was: Any, is_now: Any) -> tuple[str, str]:
    """How many codes came and went, and which, where they are told."""
    if not isinstance(was, list) or not isinstance(is_now, list):
        return _told(was, is_now)
    came, went = ([each for each in one if each not in two] for one, two in ((is_now, was), (was, is_now)))
    zh = "；".join(f"{verb} {_some(codes)}" for verb, codes in (("增加", came), ("删除", went)) if codes)
    en = "; ".join(f"{verb} {_some(codes)}" for verb, codes in (("added", came), ("removed", went)) if codes)
    return f" {zh or '次序有变更'}", en or "in another order"


def _some(codes: list[str]) -> str:
    """The first of them, and how many they are where there are more."""
    return ", ".join(codes[:MOST]) + (f" … ({len(codes)})" if len(codes) > MOST else "")
