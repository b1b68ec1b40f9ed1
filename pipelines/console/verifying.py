"""`xuanwu verify`: what was looked at, what is wrong, and whom one must trust for that, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from lake import progress, store
from lake.auditlog import HEAD, LOG
from lake.certificates import Certificate
from lake.releases import PLACES
from lake.signing import Trust, public_key
from lake.verify import Copy, Finding, verify
from lake.verify.downloads import check_site
from pipelines.console.showing import shown
from pipelines.telling import file_name
from portal import SUMS
from schemas.errors import LakeError, one_line
from schemas.policy import ZONES
from schemas.settings import Settings, absolute

LOOKS: Final = 3


def verify_lake(
    lake: str | None,
    keys: list[Path],
    checkpoint: Path | None,
    *,
    every: bool,
    with_ledger: bool,
    site: str = "",
) -> bool:
    """Print the first thing that is wrong, or every thing; whether all is right. LakeError where there is nothing to
    look at.

    Of a lake that is at work one part is read after another, and what was published or removed in between fits neither:
    while its log grows meanwhile, what is wrong is looked at again, `LOOKS` times in all."""
    settings = Settings(lake=lake) if lake else Settings()
    copy = Copy(settings.lake_root)
    trust = Trust.of(public_key(path.read_bytes(), str(path)) for path in keys) if keys else None
    console = Console(soft_wrap=True, highlight=False)
    if not any(store.exists(copy.uri(place)) for place in ("proof", *ZONES, *PLACES)):
        raise LakeError("nothing was ever published here: there is no audit log", file=copy.root)
    with shown(), progress.going("核验 verify", unit="bytes"):
        for _ in range(LOOKS):
            copy = Copy(settings.lake_root)
            before = _head(copy)
            wrong = chain(
                _findings(copy, trust, _kept(checkpoint), settings, with_ledger), _of_site(copy, site)
            )
            found = list(islice(wrong, None if every else 1))
            at_work = bool(found) and _head(copy) != before
            if not at_work:
                break
    if at_work:
        copy.notes.append(
            "the lake was at work meanwhile, which what is told may be of: look again, or at a copy"
        )
    for finding in found:
        console.print(f"[red]错误 wrong[/red] {escape(one_line(str(told(finding))))}")
    if not found:
        _say(console, copy, trust)
    elif not every:
        console.print("还有 there may be more: --all")
    for note in copy.notes:
        console.print(f"[yellow]注意 note[/yellow] {escape(one_line(note))}")
    return not found


def _head(copy: Copy) -> bytes:
    """The newest checkpoint of the log, which every entry moves."""
    path = f"{LOG}/{HEAD}"
    return copy.read(path) if copy.exists(path) else b""


def _findings(
    copy: Copy, trust: Trust | None, kept: dict[str, Any] | None, settings: Settings, with_ledger: bool
) -> Iterator[Finding]:
    yield from verify(copy, trust, kept)
    if with_ledger:
        from lake.ledger import Ledger
        from lake.tables import Tables
        from lake.verify import catalogue, ledger

        yield from ledger.check(Ledger(settings.database_url), copy.certificates)
        yield from _requests(copy, settings)
        if copy.root == Settings().lake_root:
            yield from catalogue.check(Tables(settings), copy)
        else:
            copy.notes.append(
                "Iceberg's catalogue leads to the lake itself, and not to this copy: not compared"
            )


def _of_site(copy: Copy, place: str) -> Iterator[Finding]:
    """What is wrong with a public site by the certificates of the lake, which has been looked at before."""
    if not place:
        return
    site = Copy(absolute(place))
    if not site.exists(SUMS):
        raise LakeError("there is no public site", file=place, expected=f"a folder with {SUMS} in it")
    wrong = list(check_site(site, copy.downloads))
    yield from (Finding(f"site, {each.place}", each.what) for each in wrong)
    if not wrong:
        copy.notes.append(f"site: {len(site.digests)} downloads are as certified; its pages nobody certifies")


def _requests(copy: Copy, settings: Settings) -> Iterator[Finding]:
    from exchange.logged import unlike
    from exchange.state import State
    from lake.auditlog import entries

    state = State(settings)
    if not state.begun:
        copy.notes.append("XUANWU_EXCHANGE has no database: its cases are not compared with the log")
        return
    proved = (entry for _, entry in islice(entries(copy.root), copy.entries))
    for case, wrong in unlike(state, proved, _since(copy.entries)):
        yield Finding(f"exchange, {case}", wrong)


def _since(start: int) -> Iterator[dict[str, Any]]:
    """What the lake's own log has gained since, for the database goes on too: the next look proves it."""
    from lake.auditlog import entries

    with suppress(ValueError):  # from a line on that is none nothing is believed
        for _, entry in entries(Settings().lake_root, start):
            yield entry


def told(finding: Finding) -> Finding:
    """As anybody may read it: a landed file may be called after a person."""
    folder, files, name = finding.place.partition("/files/")
    if not (folder.startswith("landing/") and files):
        return finding
    return Finding(f"{folder}{files}{file_name(name)}", finding.what)


def _kept(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        found: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("checkpoint", found), dict):
        raise LakeError(
            "the kept file is no checkpoint", file=str(path), expected="a copy of proof/log/head.json"
        )
    return found


def _say(console: Console, copy: Copy, trust: Trust | None) -> None:
    certificates: list[Certificate] = list(copy.certificates.values())
    tables = {each.table for each in certificates}
    console.print(
        f"[green]通过 verified[/green] {len(certificates)} certificates of {len(tables)} tables, "
        f"{copy.entries} entries of the log, {len(copy.digests)} files, {sum(copy.sizes.values()):,} bytes"
    )
    console.print(f"检查点 checkpoint: size {copy.checkpoint.get('size')} root {copy.checkpoint.get('root')}")
    if trust is None:
        console.print(
            "[yellow]注意 note[/yellow] the keys that lie in the lake itself were believed: this proves that nothing "
            "changed since, not who signed. Give the key that you were handed with --key."
        )
    else:
        console.print(f"信任的密钥 trusted keys: {', '.join(sorted(trust.keys))}")
