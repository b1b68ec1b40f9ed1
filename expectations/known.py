"""What a check may know beside the batch itself. Light: it imports no Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from schemas.model import Entry

EXISTS = "expect_column_values_to_exist_in_dataset"


@dataclass(frozen=True)
class Known:
    """`interval_end` is aware; `previous_rows` is None for a first batch; `codes` maps a code list to its
    codes; `datasets` names those whose curated rows stand in the connection as views."""

    interval_end: datetime
    previous_rows: int | None = None
    codes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    datasets: frozenset[str] = frozenset()


def referenced_datasets(entry: Entry) -> set[str]:
    """Datasets whose curated rows the entry's checks look into."""
    return {str(check.arguments.get("dataset")) for check in entry.checks if check.expect == EXISTS}
