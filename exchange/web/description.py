"""The OpenAPI description of one table: its columns with their titles in Chinese and English, and examples to try.

Examples are made up from the types of the published columns: no value of a row is among them.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from exchange.access import Access
from exchange.reading import COMPARISONS, MOST_CONDITIONS, MOST_ROWS
from exchange.web.formats import FORMATS
from schemas.policy import mask_plan, policies

Item = dict[str, Any]
TEXT: Final[Item] = {"type": "string"}
PROBLEMS: Final = {
    "401": ("令牌未知、过期或已撤销", "the token is unknown, expired or revoked"),
    "403": ("没有授权", "no grant"),
    "404": ("没有这张表或快照", "no such table or snapshot"),
    "422": ("请求不合规", "a parameter does not fit"),
    "429": ("请求过于频繁，按 Retry-After 再来", "too many requests: come again after Retry-After"),
    "503": ("暂时无法处理，按 Retry-After 再来", "busy: come again after Retry-After"),
}


def described(right: Access, schema: pa.Schema, address: str) -> Item:
    """An OpenAPI 3.1 document of the one call that reads the table's rows. `schema` is the published one."""
    entry = right.entry
    path = f"/api/v1/tables/{entry.id}/{right.policy}/rows"
    conditions = entry.share.conditions
    told = [f"{entry.summary.zh} {entry.summary.en}"]
    told += [f"共享条件 Conditions: {conditions.zh} {conditions.en or ''}".rstrip()] if conditions else []
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{entry.title.zh} {entry.title.en} ({right.policy})",
            "version": "1",
            "description": "\n\n".join(told),
        },
        "servers": [{"url": address}],
        "security": [{"token": []}],
        "paths": {path: {"get": _call(schema)}},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Row": _row(right, schema)},
        },
    }


def _call(schema: pa.Schema) -> Item:
    found = {code: _problem(*words) for code, words in PROBLEMS.items()}
    return {
        "summary": "读取行 Rows",
        "operationId": "rows",
        "parameters": _parameters(schema),
        "responses": {"200": _answer(schema)} | found,
    }


def _parameters(schema: pa.Schema) -> list[Item]:
    first, kind = schema.names[0], schema.field(0).type
    condition = f"{first}:eq:{_plain_text(_example(kind))}"
    pattern = f"^({'|'.join(schema.names)}):({'|'.join(COMPARISONS)}):"
    return [
        _parameter("columns", "列，逗号分隔；默认全部", "columns with commas; all without", TEXT, first),
        _parameter(
            "where",
            "条件，须全部满足",
            "conditions, all must hold",
            {"type": "array", "items": {**TEXT, "pattern": pattern}, "maxItems": MOST_CONDITIONS},
            [condition],
        ),
        _parameter("limit", "行数", "rows", _number(1, MOST_ROWS), 100),
        _parameter("after", "上一页的 next", "`next` of the page before", _number(0, 2**62), 0),
        _parameter(
            "snapshot", "快照，见 X-Snapshot", "snapshot of an earlier page", {"type": "integer"}, None
        ),
        _parameter("format", "格式", "form", {**TEXT, "enum": list(FORMATS), "default": "json"}, "json"),
    ]


def _parameter(name: str, zh: str, en: str, schema: Item, example: Any) -> Item:
    shown = {} if example is None else {"example": example}
    return {"name": name, "in": "query", "description": f"{zh} {en}", "schema": schema, **shown}


def _number(least: int, most: int) -> Item:
    return {"type": "integer", "minimum": least, "maximum": most}


def _answer(schema: pa.Schema) -> Item:
    row = {field.name: _example(field.type) for field in schema}
    page = {
        "type": "object",
        "required": ["snapshot", "rows", "next"],
        "properties": {
            "snapshot": TEXT,
            "rows": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}},
            "next": {"type": ["integer", "null"]},
        },
    }
    others: Item = {kind: {} for name, (kind, _) in FORMATS.items() if name != "json"}
    example = {"snapshot": "1", "rows": [row], "next": None}
    return {
        "description": "一页 A page",
        "headers": {name: {"schema": TEXT} for name in ("ETag", "X-Snapshot", "RateLimit")},
        "content": {"application/json": {"schema": page, "example": example}} | others,
    }


def _problem(zh: str, en: str) -> Item:
    body = {"type": "object", "properties": dict.fromkeys(("title", "title_zh", "detail"), TEXT)}
    return {"description": f"{zh} {en}", "content": {"application/problem+json": {"schema": body}}}


def _row(right: Access, schema: pa.Schema) -> Item:
    plan = mask_plan(right.entry, "share", policies(right.entry, "share")[right.policy])
    columns = {}
    for field in schema:
        known, mask = right.entry.fields.get(field.name), plan.get(field.name)
        words = [f"{known.title.zh} {known.title.en}"] if known else []
        words += [f"脱敏 mask: {mask.kind}"] if mask is not None and mask.kind != "keep" else []
        said = {**_type(field.type), "description": "; ".join(words), "examples": [_example(field.type)]}
        columns[field.name] = said
    return {"type": "object", "required": schema.names, "properties": columns, "additionalProperties": False}


# ── types, as the JSON answer writes them ─────────────────────────────────────────────────────────────────


def _type(kind: pa.DataType) -> Item:
    name, form, _ = _form(kind)
    return {"type": [name, "null"], **({"format": form} if form else {})}


def _example(kind: pa.DataType) -> Any:
    return _form(kind)[2]


def _form(kind: pa.DataType) -> tuple[str, str, Any]:
    """JSON's type, its format, and an example."""
    forms = (
        (pa.types.is_boolean, ("boolean", "", True)),
        (pa.types.is_integer, ("integer", "int64", 1)),
        (pa.types.is_floating, ("number", "double", 1.5)),
        (pa.types.is_decimal, ("string", "decimal", "12.50")),
        (pa.types.is_date, ("string", "date", "2026-01-31")),
        (pa.types.is_timestamp, ("string", "date-time", "2026-01-31T08:00:00+00:00")),
        (pa.types.is_binary, ("string", "byte", "eHc=")),
    )
    return next((form for fits, form in forms if fits(kind)), ("string", "", "文本 text"))


def _plain_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
