"""What a policy makes of an entry: the mask of each published field, tried on no rows, and the key if one is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.context import Context
from pipelines.keys import Key, load_key
from pipelines.masks import check_plan
from pipelines.masks.tokens import Tokens
from schemas.errors import MaskError
from schemas.model import Entry, Mask, Zone
from schemas.policy import domain_of, mask_plan, needs_key, policies


@dataclass(frozen=True)
class Planned:
    """`key` is None where no mask needs one; `domain` is the reader's, where a mask names none."""

    plan: dict[str, Mask]
    key: Key | None
    domain: str

    def tokens(self, expected: int = 0) -> Tokens | None:
        """A fresh memory of tokens, for one pass over the rows, of which so many are expected."""
        return Tokens(self.key, self.domain, expected) if self.key else None


def planned(
    ctx: Context, entry: Entry, zone: Zone, policy: str, *, key_version: str | None = None
) -> Planned:
    """The plan, tried on no rows: what cannot work is known before anything is written.

    `key_version` is that of another key than the one in use. MaskError where the policy grants no field, a mask does
    not fit, or the key is missing."""
    granted = policies(entry, zone).get(policy)
    plan = {} if granted is None else mask_plan(entry, zone, granted)
    if not plan:
        raise MaskError(
            f"policy {policy} of zone {zone} grants no field",
            dataset=entry.id,
            expected=", ".join(policies(entry, zone)) or f"no publication: {zone}.type is none",
            next_step=f"see `{zone}:` in {entry.file}",
        )
    version = key_version or ctx.settings.key_version
    without = f"nothing was published to {zone}/{policy}"
    key = load_key(version, ctx.connect, without) if needs_key(plan) else None
    work = Planned(plan, key, domain_of(zone, entry.id, policy, granted))
    check_plan(plan, entry.fields, work.tokens())
    return work
