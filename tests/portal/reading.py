"""A page as a browser takes it: its elements, what they say, what they lead to."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

VOID = {"meta", "link", "input", "br", "img", "hr"}
LOADING = {"src", "srcset", "href", "action", "poster", "data", "formaction"}


@dataclass
class Page(HTMLParser):
    """Elements with their attributes, and the text within each kind of element. AssertionError where tags do not match."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    around: list[tuple[str, str]] = field(default_factory=list)
    """Of each element that is open, its name and the language of its words."""
    said: list[tuple[str, str, str]] = field(default_factory=list)
    """Each run of words, with the name and the language of what it stands in."""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        if tag not in VOID:
            self.opened.append(tag)
            self.around.append((tag, dict(attrs).get("lang") or (self.around[-1][1] if self.around else "")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag
        self.around.pop()

    def handle_data(self, data: str) -> None:
        if self.opened:
            self.texts[self.opened[-1]][-1] += data
            self.said.append((*self.around[-1], data))

    def links(self) -> list[str]:
        """What the page leads to or loads."""
        return [
            value
            for tag, attrs in self.elements
            for name, value in attrs.items()
            if name in LOADING and value
        ]

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for found, attrs in self.elements if found == tag]


def parsed(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert not page.opened
    return page


def broken(root: Path) -> list[str]:
    """Links of the pages below a folder that lead to nothing in it. AssertionError where one leads elsewhere."""
    missing = []
    for file in sorted(root.rglob("*.html")):
        for link in parsed(file.read_text("utf-8")).links():
            parts = urlsplit(link)
            if parts.scheme == "data":
                continue
            assert not parts.scheme and not parts.netloc, link
            target = (file.parent / parts.path).resolve() if parts.path else file
            assert target.is_relative_to(root.resolve())
            if not target.is_file():
                missing.append(f"{file.relative_to(root)}: {link}")
            elif parts.fragment:
                ids = {attrs.get("id") for _, attrs in parsed(target.read_text("utf-8")).elements}
                missing += [] if parts.fragment in ids else [f"{file.relative_to(root)}: {link}"]
    return missing
