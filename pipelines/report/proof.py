"""Each publication's certificate in words: what an auditor reads before checking it with `xuanwu verify`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lake import certificates, store
from lake.auditlog import logged
from lake.certificates import Certificate, decode, lake_keys, path_of
from lake.records import Published
from lake.signing import Trust
from pipelines.context import Context


@dataclass(frozen=True)
class Proof:
    """A certificate with its place in the audit log; `wrong` says why it does not hold, else it is empty."""

    path: str
    certificate: Certificate | None
    index: int | None
    wrong: str = ""

    @property
    def words(self) -> tuple[str, str]:
        """In Chinese and English."""
        if self.certificate is None or self.wrong:
            return f"未认证：{self.wrong}", f"not certified: {self.wrong}"
        found = self.certificate
        zh = [
            f"已认证：快照 {found.snapshot}，{found.rows:,} 行",
            f"{len(found.masks)} 个字段按脱敏规则 {found.masks_hash[:12]} 处理",
            f"{len(found.batches)} 个批次行数平衡",
            f"由密钥 {found.key} 签名，审计日志第 {self.index} 条",
        ]
        en = [
            f"certified: snapshot {found.snapshot}, {found.rows:,} rows",
            f"{len(found.masks)} fields under the masks {found.masks_hash[:12]}",
            f"{len(found.batches)} batches balance",
            f"signed by the key {found.key}, entry {self.index} of the audit log",
        ]
        return "，".join(zh) + "。", "; ".join(en) + "."


def proofs(ctx: Context, publications: list[Published]) -> dict[str, Proof]:
    """By table. Signatures are checked with the keys that lie in the lake; whose they are is the auditor's question."""
    lake = ctx.settings.lake_root
    indexes, trust = logged(lake), lake_keys(lake)
    found = {}
    for each in publications:
        zone, _, table = each.table.partition(".")
        found[each.table] = proof_of(lake, path_of(zone, table, each.snapshot), indexes, trust)
    return found


def proof_of(lake: str, path: str, indexes: Mapping[tuple[str, str], int], trust: Trust) -> Proof:
    """Of one certificate, by what `logged` and `lake_keys` give."""
    uri = store.join(lake, path)
    if not store.exists(uri):
        return Proof(path, None, None, "没有证书 there is no certificate")
    data = store.read_bytes(uri)
    index = indexes.get((path, certificates.digest_of(data)))
    try:
        wrong = "" if index is not None else "审计日志中没有 it is not in the audit log"
        return Proof(path, decode(data, trust), index, wrong)
    except ValueError as error:
        return Proof(path, None, index, str(error))
