"""Which key made the tokens that are published, and whether it is still there."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipelines.cli.common import AsJson, open_context

_FINE = (None, "as published", "masks changed", "rows forgotten")


def keys(
    verify: Annotated[
        bool, typer.Option("--verify", help="compute the tokens again from the curated rows and compare")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """密钥 Key versions of the published tables. Exit code 1 if a current table's key is not at hand or not its own."""
    import json

    from pipelines.console.show import show_keys
    from pipelines.keyring import standing

    found = list(standing(open_context(), verify=verify))
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], indent=1))
    else:
        show_keys(found)
    lost = [each for each in found if each.current and each.state in ("missing", "another key")]
    if lost or any(each.check not in _FINE for each in found if each.state in ("in use", "kept")):
        raise typer.Exit(1)
