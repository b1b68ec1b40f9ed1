"""What may be done to a value before others see it. The kernels are in `pipelines.masks`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator
from pydantic import Field as Key

from schemas.model.basics import Model, Step


class Keep(Model):
    """The value as it is."""

    kind: Literal["keep"] = "keep"


class Drop(Model):
    """The column is not published."""

    kind: Literal["drop"] = "drop"


class Hmac(Model):
    """A keyed token: equal values give equal tokens within one domain, and nothing across domains."""

    kind: Literal["hmac"] = "hmac"
    hash: Literal["sm3", "sha256"] = "sm3"
    domain: str | None = Key(
        default=None,
        description="tokens join within one domain; default `share/<policy>`, `open/<dataset>`",
    )


class Fpe(Model):
    """Format-preserving encryption: another number of the same form, which only the key's holder can turn back. A value
    that is not of the form becomes empty."""

    kind: Literal["fpe"] = "fpe"
    form: Literal["digits", "alphanumeric", "resident_id", "uscc", "mobile"] = Key(
        description="of resident_id, uscc and mobile none ever becomes a valid number; digits and alphanumeric "
        "(capital letters) keep what sets characters apart; with any other letter, as of a name, a value becomes empty"
    )
    cipher: Literal["sm4", "aes"] = "sm4"
    domain: str | None = Key(
        default=None,
        description="values agree within one domain; default `share/<policy>`, `open/<dataset>`",
    )

    @property
    def recognised(self) -> bool:
        """Whether an enciphered value cannot be taken for one that is not."""
        return self.form in ("resident_id", "uscc", "mobile")


class Partial(Model):
    """Keep the first and last characters; the rest becomes `char`. Of a value of which that would hide fewer than four
    characters, and less than a third, everything does."""

    kind: Literal["partial"] = "partial"
    first: int = Key(default=0, ge=0)
    last: int = Key(default=0, ge=0)
    char: str = Key(default="*", min_length=1, max_length=1)


class Generalise(Model):
    """A coarser value: a division code to its district or city, a date to its month or year, a number to its bin."""

    kind: Literal["generalise"] = "generalise"
    to: Step | None = None
    bins: tuple[float, ...] | None = Key(default=None, description="lower bounds, rising: [0, 18, 60]")


class Round(Model):
    """A number rounded to a multiple of `to`."""

    kind: Literal["round"] = "round"
    to: float = Key(gt=0)


class Clip(Model):
    """A number kept within bounds (top and bottom coding)."""

    kind: Literal["clip"] = "clip"
    min: float | None = None
    max: float | None = None


class Constant(Model):
    """Every value becomes this one."""

    kind: Literal["constant"] = "constant"
    value: str


class Noise(Model):
    """Of aggregates: a number with Laplace noise of differential privacy, drawn once for each batch."""

    kind: Literal["noise"] = "noise"
    epsilon: float = Key(gt=0, le=100, description="spent on this column by every release that is new")
    sensitivity: float = Key(
        gt=0, description="how much one person changes the column at most, all rows together (L1)"
    )
    min: float | None = Key(default=None, description="lower results become this, such as 0 of a count")


Identifier = Literal[
    "resident_id", "phone", "landline", "email", "bank_card", "plate", "passport", "uscc", "name"
]
"""What is found in free text (docs/privacy.md)."""


class Redact(Model):
    """Identifiers inside free text become a label such as `[phone]`."""

    kind: Literal["redact"] = "redact"
    what: tuple[Identifier, ...] = get_args(Identifier)


_MaskUnion = Annotated[
    Keep | Drop | Hmac | Fpe | Partial | Generalise | Round | Clip | Constant | Noise | Redact,
    Key(discriminator="kind"),
]
SHORT_MASKS = ("keep", "drop", "hmac", "redact")


def _short_mask(value: Any) -> Any:
    """`hmac` for `{kind: hmac}`. Lists become tuples, as strict validation asks after a validator of ours."""
    if isinstance(value, dict):
        return {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    return {"kind": value} if isinstance(value, str) and value in SHORT_MASKS else value


Mask = Annotated[
    _MaskUnion, BeforeValidator(_short_mask, json_schema_input_type=Literal[SHORT_MASKS] | _MaskUnion)
]


class Masks(Model):
    """The mask of a field for each zone."""

    share: Mask | None = None
    open: Mask | None = None
