"""What a reader sees beside the rows."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Seen:
    """`name` is the file's name for messages, `notes` what is not an error but worth a line (a new column,
    rows left out), `keys` the JSON keys that some record has, `columns` the file's columns in order, with their types
    where it declares any."""

    name: str
    notes: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    columns: dict[str, str] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Each text once, although a file may be opened twice."""
        if (line := f"{self.name}: {text}") not in self.notes:
            self.notes.append(line)
