"""A JSON API's pages become files of the landing zone, as received; all of them or none."""

from __future__ import annotations

from lake import landing
from lake.batch import Batch
from lake.records import Landed, LandedFile
from pipelines.context import Context
from pipelines.drift.judge import judged
from pipelines.readers import Scan
from pipelines.sources.http_client import open_session
from pipelines.sources.http_connection import parse
from pipelines.sources.http_paging import Page, pages
from pipelines.sources.placeholders import filled
from pipelines.sources.scanned import columns_of, notes_on, scanned, seen_columns
from schemas.errors import SourceError
from schemas.model import Entry, HttpSource


def collect_http(ctx: Context, entry: Entry, batch: Batch) -> Landed:
    """Land every page of the entry's path, and reconcile their records with the total that the API reports.

    `{date}` and the like in the path and the parameters are the batch's. SourceError in plain words where
    the API fails, does not answer in JSON, repeats itself or counts otherwise; nothing is landed then.
    SettingsError where the connection is missing or malformed."""
    if (done := landing.landed(ctx.settings, batch)) is not None:
        return done
    declared = entry.source
    assert isinstance(declared, HttpSource)  # noqa: S101
    source = declared.model_copy(update={"path": filled(declared.path, entry, batch)})
    params = {name: filled(value, entry, batch) for name, value in source.params.items()}
    api = parse(source.connection, ctx.connect(source.connection))
    columns = columns_of(entry)
    files: list[LandedFile] = []
    scans: list[Scan] = []
    total = None
    with (
        landing.open_landing(ctx.settings, batch) as writer,
        open_session(api, source, ctx.clock) as session,
    ):
        for number, page in enumerate(pages(source, params, session.get), start=1):
            file, seen = scanned(_land(writer, source, number, page), source, columns)
            _agree(file, page)
            files.append(file)
            scans.append(seen)
            total = page.total if total is None else total
        rows = sum(file.rows for file in files)
        _reconcile(source, rows, total)
        landed = Landed(
            batch=batch,
            files=tuple(files),
            rows=rows,
            counted=total,
            notes=notes_on(scans, columns, source.path),
            columns=seen_columns(scans, columns),
            collected_at=ctx.clock(),
        )
        return writer.commit(judged(ctx, entry, landed))


def _land(writer: landing.LandingWriter, source: HttpSource, number: int, page: Page) -> LandedFile:
    name = f"page-{number:05d}.json"
    path, sha256, size = writer.add_stream(name, [page.answer.body])
    return LandedFile(
        path=path,
        origin=f"{source.path}#{name}",
        sha256=sha256,
        size=size,
        rows=page.records,
        format="json",
        encoding=page.answer.encoding,
    )


def _agree(file: LandedFile, page: Page) -> None:
    """What was landed reads back as the records that arrived."""
    if file.rows != page.records:
        raise SourceError(
            f"the page holds {page.records} records, of which {file.rows} can be read again",
            file=file.origin,
            next_step="ask the department why the page is not plain JSON, then run the batch again",
        )


def _reconcile(source: HttpSource, rows: int, total: int | None) -> None:
    if total is not None and rows != total:
        raise SourceError(
            f"the API reports {total} records and {rows} arrived",
            file=source.path,
            rule="landed equals what the source counted",
            next_step="run the batch again; if it stays so, ask the department or correct source.paging",
        )
