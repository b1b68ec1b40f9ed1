"""Proof of absence: every byte of lake, home and public site is looked through for the subject's identifiers and
tokens."""

from __future__ import annotations

from collections.abc import Iterator

from lake import search
from lake.erasures import Search
from lake.releases import PLACES
from pipelines.context import Context
from pipelines.erasure.batches import Work
from pipelines.erasure.traces import tokens_of
from schemas.errors import LakeError


def searched(work: Work) -> Search:
    """Look for the subject's identifiers and tokens in every file of lake, home and public site. LakeError, naming
    files and no value, where one is found."""
    needles = search.Needles([value for _, value in work.subject.values])
    tokens = search.Needles(tokens_of(work.ctx, work.subject), exact=True)
    files = list(_files(work.ctx))
    looked = search.search(files, needles)
    public = [uri for uri in files if _is_public(work.ctx, uri)]
    found = sorted({**looked.found, **search.search(public, tokens).found})
    if found:
        root = work.ctx.settings.lake_root
        shown = [uri.removeprefix(f"{root}/") for uri in found[:5]]
        shown = [
            "(its name holds the identifier)" if needles.among(each.encode()) else each for each in shown
        ]
        raise LakeError(
            f"the search still finds the subject in {len(found)} files: {', '.join(shown)}",
            rule="an erasure is certified only when nothing is left",
            next_step="if a run brought it back, run the erasure again; else see what the file is and remove it",
        )
    forms = needles.count + tokens.count
    return Search(files=looked.files, unread=len(looked.unread), bytes=looked.bytes, forms=forms, found=0)


def _files(ctx: Context) -> Iterator[str]:
    """Every file of the lake, of its home and of the public site, each once."""
    roots: list[str] = []
    for root in (str(ctx.settings.home.resolve()), ctx.settings.lake_root, ctx.settings.portal_root):
        if not any(root.startswith(f"{other}/") for other in roots):
            roots.append(root)
    for root in roots:
        yield from search.files_below(root)


def _is_public(ctx: Context, uri: str) -> bool:
    rest = uri.removeprefix(f"{ctx.settings.lake_root}/")
    return rest.partition("/")[0] in {"share", "open", *PLACES} or uri.startswith(
        f"{ctx.settings.portal_root}/"
    )
