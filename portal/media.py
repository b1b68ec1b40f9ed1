"""The media types of the site's files (IANA). A web server has its own list by the ends of names; S3 tells what it was
told, and a browser would save a page that is told as bytes."""

from __future__ import annotations

from typing import Final

from lake.media import MEDIA

_PAGES: Final = {
    "html": "text/html; charset=utf-8",
    "atom": "application/atom+xml",
    "xml": "application/xml",
    "jsonld": "application/ld+json",
}


def media_of(path: str) -> str:
    """What a file of the site is, by the end of its name; text without one."""
    return (MEDIA | _PAGES).get(path.rsplit(".", 1)[-1], "text/plain; charset=utf-8")
