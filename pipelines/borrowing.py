"""An entry for a table that another platform shares with us, drafted from what it says of it.

A draft is for a person to read: what it describes is passed on to nobody until somebody decides otherwise (Decree 809,
Art. 25), and a field keeps its element only where its values come unmasked and the element is known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pipelines.context import Context
from pipelines.sources.exchange import certified, offered
from pipelines.sources.exchange_client import open_peer
from schemas.errors import SourceError
from schemas.load import Catalogue
from schemas.model import ExchangeSource

HEADER = """# yaml-language-server: $schema=../../entry.schema.json
# Drafted from what the other platform says of the table. Read it, correct it, and see that `source.key` is the key that
# they tell you by another way. `assessed` is yours to say: what your department reviewed before it is catalogued here.
"""
_BASIS = {
    "zh": "由其他平台共享取得，未经提供方同意不再提供（《政务数据共享条例》第二十五条）",
    "en": "Obtained from another platform by sharing; not passed on without its consent (Decree 809, Art. 25)",
}


@dataclass(frozen=True)
class Wanted:
    """Which table of which platform, and what it shall be here: `owner` is our department that obtains it."""

    connection: str
    dataset: str
    policy: str
    owner: str
    name: str | None = None

    @property
    def id(self) -> str:
        return f"{self.owner}.{self.name or self.dataset.partition('.')[2]}"


def borrowed(ctx: Context, wanted: Wanted) -> str:
    """The YAML of a draft. SourceError where the table is not granted to us, or not proved by the key that its own
    certificate names."""
    connection, dataset, policy = wanted.connection, wanted.dataset, wanted.policy
    source = ExchangeSource(
        kind="exchange", connection=connection, dataset=dataset, policy=policy, key="0" * 16, retries=1
    )
    what = f"{connection}/{dataset}/{policy}"
    with open_peer(connection, ctx.connect(connection), what, timeout=60.0, retries=1) as peer:
        table = offered(peer, source)
        data = peer.get("tables", dataset, table.policy, "certificate", snapshot=table.snapshot)
        source = source.model_copy(update={"key": _key_named(data), "policy": table.policy})
        certified(peer, source, table)
    try:
        said = _entry(ctx.catalogue, source, table.described, wanted)
    except (KeyError, TypeError, AttributeError):
        raise SourceError("the other platform's description of the table cannot be read", file=what) from None
    return HEADER + yaml.safe_dump(
        said, allow_unicode=True, sort_keys=False, default_flow_style=None, width=120
    )


def _key_named(data: bytes) -> str:
    """The key that a certificate says it is signed by: of a first acquaintance there is no other word."""
    from lake.certificates import decode

    try:
        return decode(data, None).key
    except ValueError as error:
        raise SourceError(f"the other platform's certificate cannot be read: {error}") from None


def _entry(
    catalogue: Catalogue, source: ExchangeSource, told: Mapping[str, Any], wanted: Wanted
) -> dict[str, Any]:
    fields = {str(each["name"]): _field(catalogue, each) for each in told["fields"]}
    key = [each for each in told["key"] if each in fields] or list(fields)[:1]
    hours = told.get("schedule") or {"cron": "0 6 * * *"}
    return {
        "id": wanted.id,
        "title": dict(told["title"]),
        "summary": dict(told["summary"]),
        "code": told["code"],
        "owner": wanted.owner,
        **({"subject": told["subject"]} if told.get("subject") else {}),
        "source": source.model_dump(include={"kind", "connection", "dataset", "policy", "key"}),
        "schedule": dict(hours),
        "key": key,
        "merge": {"kind": "snapshot"},
        "share": {"type": "none", "basis": dict(_BASIS)},
        "open": {"type": "none", "basis": dict(_BASIS)},
        "fields": fields,
        "checks": [
            {"expect": "expect_table_row_count_to_be_between", "min_value": 1, "on_fail": "stop"},
        ],
    }


def _field(catalogue: Catalogue, told: Mapping[str, Any]) -> dict[str, Any]:
    """A field by its element where that is known here and its values are whole; else by type and grade."""
    title, element = dict(told["title"]), told.get("element")
    if element in catalogue.elements and told["mask"] == "keep":
        return {"element": element, "title": title}
    kind = "string" if told["mask"] in ("hmac", "fpe", "partial", "constant", "redact") else told["type"]
    return {"type": kind, "grade": told["grade"], "title": title}
