"""Masks in words, for data dictionaries: what a reader must know of a field, in Chinese and English."""

from __future__ import annotations

from schemas.model import Clip, Constant, Fpe, Generalise, Hmac, Mask, Noise, Partial, Redact, Round

Words = tuple[str, str]
_STEPS = {
    "district": ("区县", "district"),
    "city": ("设区市", "city"),
    "province": ("省", "province"),
    "day": ("日", "day"),
    "month": ("月", "month"),
    "quarter": ("季度", "quarter"),
    "year": ("年", "year"),
    "decade": ("年代", "decade"),
}
_KINDS = {
    "resident_id": ("身份证号", "resident ids"),
    "phone": ("手机号", "mobile numbers"),
    "landline": ("固定电话号码", "landline numbers"),
    "email": ("邮箱", "e-mail addresses"),
    "bank_card": ("银行卡号", "bank card numbers"),
    "plate": ("车牌号", "licence plates"),
    "passport": ("护照和通行证号", "passport numbers"),
    "uscc": ("统一社会信用代码", "unified social credit codes"),
    "name": ("称谓或标签旁的姓名", "names beside a label or a title"),
}


def words_of(mask: Mask, key_version: str | None = None) -> Words:
    """What the mask does, in Chinese and in English. `key_version` is told with what a key is needed for."""
    if isinstance(mask, Hmac | Fpe):
        return _keyed(mask, key_version or "?")
    if isinstance(mask, Partial):
        return (
            f"保留前 {mask.first} 位和后 {mask.last} 位，其余以 {mask.char} 代替",
            f"first {mask.first} and last {mask.last} characters kept, the rest is {mask.char}",
        )
    if isinstance(mask, Generalise):
        return _generalised(mask)
    if isinstance(mask, Redact):
        zh, en = zip(*(_KINDS[kind] for kind in mask.what), strict=True)
        return f"文本中的{'、'.join(zh)}以标签代替", f"{', '.join(en)} in the text are replaced by labels"
    if isinstance(mask, Constant):
        return f"一律为“{mask.value}”", f"always “{mask.value}”"
    return _number(mask)


def _keyed(mask: Hmac | Fpe, version: str) -> Words:
    where = (f"（作用域 {mask.domain} 的各表互通）", f" in all tables of the domain {mask.domain}")
    zh, en = where if mask.domain else ("", "")
    if isinstance(mask, Hmac):
        name = "SM3" if mask.hash == "sm3" else "SHA-256"
        return (
            f"以 HMAC-{name} 计算的假名（密钥版本 {version}），同值同码{zh}，不可还原",
            f"pseudonym by HMAC-{name} (key version {version}): equal values have equal codes{en}",
        )
    invalid = ("，不是有效号码", ", none of them a valid number") if mask.recognised else ("", "")
    return (
        f"以 FF1-{mask.cipher.upper()} 保形加密（密钥版本 {version}），同值同码{zh}，无密钥不可还原{invalid[0]}",
        f"encrypted in its form by FF1-{mask.cipher.upper()} (key version {version}): equal values have equal "
        f"codes{en}{invalid[1]}",
    )


def _generalised(mask: Generalise) -> Words:
    if mask.bins is not None:
        bounds = ", ".join(f"{bound:g}" for bound in mask.bins)
        return f"归入区间，下界为 {bounds}", f"put into bins with the lower bounds {bounds}"
    zh, en = _STEPS[str(mask.to)]
    return f"概括到{zh}", f"generalised to the {en}"


def _number(mask: Mask) -> Words:
    if isinstance(mask, Round):
        return f"四舍五入到 {mask.to:g} 的倍数", f"rounded to a multiple of {mask.to:g}"
    if isinstance(mask, Noise):
        return (
            f"加入差分隐私拉普拉斯噪声（OpenDP，ε = {mask.epsilon:g}，敏感度 {mask.sensitivity:g}）",
            f"with Laplace noise of differential privacy (OpenDP, ε = {mask.epsilon:g}, "
            f"sensitivity {mask.sensitivity:g})",
        )
    if isinstance(mask, Clip):
        zh = [f"下限 {mask.min:g}"] if mask.min is not None else []
        en = [f"not below {mask.min:g}"] if mask.min is not None else []
        zh += [f"上限 {mask.max:g}"] if mask.max is not None else []
        en += [f"not above {mask.max:g}"] if mask.max is not None else []
        return "截断：" + "，".join(zh), "clipped: " + ", ".join(en)
    return "原值", "as it is"
