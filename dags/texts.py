"""The entry's text as a DAG's documentation: what a person sees who opens the DAG in Airflow."""

from __future__ import annotations

from schemas.model import Entry
from schemas.policy import ZONES, policies

_TYPES = {"unconditional": "无条件 unconditional", "conditional": "有条件 conditional", "none": "不予 none"}


def dag_text(entry: Entry) -> str:
    """Markdown: summary, code, owner, share and open, fields with their grades, checks and what a failure does."""
    fields = "\n".join(
        f"| `{f.name}` | {f.title.zh} {f.title.en} | {f.type} | {f.grade} | {_origin(entry, f.name)} |"
        for f in entry.fields.values()
    )
    checks = "\n".join(
        f"| `{c.expect}` | {c.arguments.get('column', '')} | {c.on_fail} |" for c in entry.checks
    )
    published = ", ".join(f"{zone}/{name}" for zone in ZONES for name in policies(entry, zone))
    return f"""### {entry.title.zh} · {entry.title.en}

{entry.summary.zh}

{entry.summary.en}

| | |
|---|---|
| 政务信息资源代码 code | `{entry.code}` |
| 数源部门 owner | `{entry.owner}` |
| 共享 share | {_TYPES[entry.share.type]} |
| 开放 open | {_TYPES[entry.open.type]} |
| 发布 published as | {published or "-"} |
| 定义 defined in | `{entry.file}` |

| 字段 field | 名称 title | 类型 type | 分级 grade | 来源 from |
|---|---|---|---|---|
{fields}

| 检查 check | 字段 field | 不合格时 on failure |
|---|---|---|
{checks}
"""


def _origin(entry: Entry, name: str) -> str:
    shared = entry.fields[name].shared_from
    return f"`{shared.dataset}`" if shared else f"`{entry.fields[name].source}`"
