"""What a check expects, in words, from its name and the arguments of the catalogue; never from the data.
Light."""

from __future__ import annotations

from typing import Any

PREFIXES = (
    "expect_column_pair_values_",
    "expect_column_values_",
    "expect_column_",
    "expect_table_",
    "expect_",
)
FIELD_NAMES = {"column", "column_A", "column_B", "column_list"}
MOST = 8


def expected(expect: str, arguments: dict[str, Any]) -> str:
    """`to match regex (regex ^J3201)`; long lists are cut."""
    words = next(expect.removeprefix(prefix) for prefix in PREFIXES if expect.startswith(prefix)).replace(
        "_", " "
    )
    given = {
        name: value for name, value in arguments.items() if name not in FIELD_NAMES and value is not None
    }
    details = ", ".join(f"{name} {_short(value)}" for name, value in given.items())
    return f"{words} ({details})" if details else words


def _short(value: Any) -> str:
    if isinstance(value, list | tuple | set):
        items = [_short(item) for item in list(value)[:MOST]]
        return "[" + ", ".join(items + ["…"] * (len(value) > MOST)) + "]"
    return str(value)
