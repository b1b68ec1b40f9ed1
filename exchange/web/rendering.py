"""Pages for people, of templates: they hold no script, load nothing, and are framed by nobody."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import AfterValidator

Written = Annotated[str, AfterValidator(lambda text: text.replace("\r\n", "\n"))]
"""What somebody wrote in a form: browsers send two signs for a line's end, and count one."""


@cache
def _templates() -> Environment:
    folder = Path(__file__).with_name("templates")
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(name: str, status: int = 200, sends: str = "", **facts: Any) -> HTMLResponse:
    """A page. `sends` is another origin that its forms may lead to."""
    nonce = secrets.token_urlsafe(16)
    text = _templates().get_template(f"{name}.html.j2").render(nonce=nonce, **facts)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self' {sends}".rstrip()
        + "; frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(text, status, headers)


def to(place: str) -> RedirectResponse:
    """To another page, by GET."""
    return RedirectResponse(place, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
