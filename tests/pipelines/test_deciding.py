"""What may go into a log that is never changed. The people are invented."""

from __future__ import annotations

import pytest

from pipelines.deciding import official, plain
from schemas.errors import XuanwuError


@pytest.mark.parametrize("who", ["李娜", "王小明主任", "data centre, night shift"])
def test_who_decides_is_named(who: str) -> None:
    assert official(f" {who} ", "--by") == who


@pytest.mark.parametrize(
    "why", ["李娜说可以", "联系人张伟已核实", "电话13812345678", "身份证11010519491231002X", "", "x" * 501]
)
def test_a_reason_holds_nobody(why: str) -> None:
    with pytest.raises(XuanwuError) as stopped:
        plain(why, "--why")
    assert why[:3] not in str(stopped.value) or not why


@pytest.mark.parametrize("who", ["李娜 13812345678", "苏A12345"])
def test_who_decides_has_no_number(who: str) -> None:
    with pytest.raises(XuanwuError):
        official(who, "--by")


@pytest.mark.parametrize("text", ["科员\x1b[2J", "\u202e科员"])
def test_what_is_logged_commands_no_terminal(text: str) -> None:
    for told in (official, plain):
        with pytest.raises(XuanwuError, match="command a terminal"):
            told(text, "--by")


def test_a_reason_in_words() -> None:
    assert plain("上月  补录，数量核对无误", "--why") == "上月 补录，数量核对无误"
