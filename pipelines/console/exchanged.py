"""Tables for the terminal: what the command line shows people of the exchange, Chinese first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from pipelines.console.show import number, printable, terminal, titled

if TYPE_CHECKING:
    from exchange.accounts import Account, Token
    from exchange.looks import Look
    from exchange.risks import Risk
    from exchange.usage import Usage
    from pipelines.publishing.granting import Grant


def show_accounts(found: Sequence[Account]) -> None:
    """A line an account; of each token that is good now the day on which it ends."""
    table = titled(
        "账户 Accounts",
        (
            "账户 account",
            "部门 department",
            "角色 roles",
            "密码 password",
            "关闭 closed",
            "令牌到期 tokens until",
        ),
    )
    for each in found:
        until = sorted(f"{token.expires:%Y-%m-%d}" for token in each.tokens)
        table.add_row(
            escape(printable(each.name)),
            each.department,
            " ".join(each.roles),
            "是 yes" if each.password else "",
            f"{each.closed:%Y-%m-%d}" if each.closed else "",
            " ".join(until),
        )
    terminal().print(table)


def show_tokens(found: Sequence[Token]) -> None:
    """A line a token, the newest last."""
    table = titled(
        "令牌 Tokens",
        ("编号 id", "账户 account", "种类 kind", "范围 scopes", "到期 until", "撤销 revoked", "说明 note"),
    )
    for each in found:
        ended = f"{each.revoked:%Y-%m-%d}" if each.revoked else ""
        table.add_row(
            each.id,
            each.account,
            each.kind,
            " ".join(each.scopes),
            f"{each.expires:%Y-%m-%d}",
            ended,
            escape(printable(each.note)),
        )
    terminal().print(table)


def show_grants(found: Sequence[Grant]) -> None:
    """A line a grant, by number."""
    table = titled(
        "授权 Grants",
        ("编号\nno.", "数据集\ndataset", "需求方\ngiven to", "范围\nscope", "到期\nuntil", "状态\nstate"),
        ("专表行数\nrows of its own",),
    )
    for each in found:
        scope = [each.policy, *([f"{len(each.columns)} columns"] if each.columns else []), each.division]
        table.add_row(
            str(each.number),
            each.dataset,
            each.department,
            " ".join(filter(None, scope)),
            each.until[:10],
            each.state,
            number(each.rows),
        )
    terminal().print(table)


def show_usage(found: Sequence[Usage]) -> None:
    """A line for each table, reader, purpose and door, the most read first."""
    table = titled(
        "使用情况 Usage",
        ("数据集 dataset", "部门 department", "账户 account", "用途 purpose", "方式 door"),
        ("次数 reads", "行 rows", "拒绝 refused"),
    )
    for each in found:
        names = (f"{each.dataset} {each.policy}", each.department, each.account, each.purpose, each.door)
        counts = (f"{each.reads:,}", f"{each.rows:,}", f"{each.refused:,}")
        table.add_row(*(escape(name) for name in names), *counts)
    terminal().print(table)


def show_looks(found: Sequence[Look]) -> None:
    """A line a read, the oldest first."""
    table = titled(
        "查阅记录 Looks",
        ("时间 at", "部门 department", "账户 account", "用途 purpose", "数据集 dataset", "范围 what"),
    )
    for each in found:
        what = "整表，或在其中 a whole table, perhaps" if each.whole else "本人的行 the person's rows"
        names = (each.at[:19], each.department, each.by, each.purpose, f"{each.dataset} {each.policy}")
        table.add_row(*(escape(name) for name in names), what)
    terminal().print(table)


def show_risks(found: Sequence[Risk], incidents: Mapping[int, Sequence[int]]) -> None:
    """A line a risk, the newest first, with the incidents that it is part of."""
    from exchange.words import RISKS

    table = titled(
        "风险提示 Risks",
        ("编号\nno.", "日期\nday", "提示\nwhat", "读取方\nwho", "数据集\ndata"),
        ("数量\ncount", "此前最多\nmost before", "提示自\nfrom"),
    )
    for each in found:
        it = each.finding
        about = [*it.datasets, it.policy, f"request {it.request}" if it.request else ""]
        what = [
            *RISKS[it.rule],
            *(f"安全事件 incident {number}" for number in incidents.get(each.number, ())),
        ]
        names = (
            " ".join(what),
            f"{it.department} {it.account}".strip(),
            " ".join(filter(None, about)),
        )
        counts = (f"{count:,}" for count in (it.counted, it.usual, it.bound))
        table.add_row(
            str(each.number), it.day.isoformat(), *(escape(printable(name)) for name in names), *counts
        )
    terminal().print(table)
