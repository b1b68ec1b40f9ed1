"""The list of tokens: notes are what people of any department wrote at the exchange."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from exchange.accounts import Token
from pipelines.console.exchanged import show_tokens

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_no_note_moves_the_operator_s_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    note = "\x1b[2J\x1b]0;x\x07 [red]laptop"
    show_tokens([Token("0" * 16, "wang", note, ("read",), NOW, NOW, None)])
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\x07" not in said
    assert "\\x1b[2J" in said and "[red]" in said
