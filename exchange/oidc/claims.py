"""Which department and roles somebody has, by the claims of the identity provider: a YAML file of the operator's.

    department: {claim: org_code, map: {"11320100MB9034012M": education}}
    roles: {claim: realm_access.roles, map: {exchange-requester: requester}}
    scopes: {read: exchange.read, request: exchange.request}     # without, every token is for both
    clients: {education-etl: {department: education, roles: [requester]}}
    contact: 市数据局 identity@city.example
    others:                                                      # whose access tokens are taken besides
      province: {issuer: "https://idp.province.example", audience: "https://exchange.city.example",
                 department: {claim: dept, map: {"330000-ZJ": education}}, roles: {map: {reader: requester}}}

Where a `map` is given it is all that counts; without one a value stands for the department or role of its own name, but
not another's: what a province calls by a name of ours is none of ours. What a claim says beyond that is no right, and
is passed over: providers say many things.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from exchange.accounts import OF_ISSUER, SCOPES, Scope
from exchange.errors import Unplaced
from exchange.oidc.provider import safe
from exchange.people import ROLES, Principal, Role
from schemas.errors import SettingsError
from schemas.model.basics import Model
from schemas.yamlfile import Unreadable, decode, parse, read_bytes

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures by a key pair (RFC 7518, RFC 8037). None of a shared secret: whoever checks one could make one."""
NO_DEPARTMENT: Final = frozenset[Role]({"authority", "data_centre", "auditor", "public"})
"""Roles that somebody may have without a department."""
LONGEST_NAME: Final = 96
"""Characters of the name of somebody of a provider's."""
_SUBJECT: Final = re.compile(r"[A-Za-z0-9._@|-]{1,90}")


class Departments(Model):
    """`map`: the claim's value to a key of departments.yaml."""

    claim: str = "department"
    map: dict[str, str] = Field(default_factory=dict)


class Roles(Model):
    """`map`: a value of the claim to a role."""

    claim: str = "roles"
    map: dict[str, Role] = Field(default_factory=dict)


class Client(Model):
    """A system that comes with its own credentials. `subject`: its `sub`, where that is not the client's id."""

    department: str = ""
    roles: list[Role] = Field(min_length=1)
    subject: str = ""


class Claims(Model):
    """What the operator says of a provider's tokens."""

    department: Departments = Departments()
    roles: Roles = Roles()
    scopes: dict[Scope, str] = Field(default_factory=dict)
    clients: dict[str, Client] = Field(default_factory=dict)
    algorithms: tuple[Algorithm, ...] = Field(("RS256", "PS256", "ES256", "EdDSA"), min_length=1)
    types: tuple[Literal["at+jwt", "jwt"], ...] = Field(("at+jwt",), min_length=1)
    """What the header of an access token says in `typ` (RFC 9068); `jwt` for a provider that writes no more."""
    contact: str = ""
    """Whom to ask about a department or a role."""


class Other(Claims):
    """Another issuer, such as the province's. Its subjects are `oidc:<its name here>:<sub>`."""

    issuer: str
    audience: str = Field(min_length=1)


class Own(Claims):
    """The whole file."""

    others: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,15}$")], Other] = Field(
        default_factory=dict
    )


def read_claims(path: Path | None, departments: Collection[str]) -> Own:
    """The file; what stands for itself without one. SettingsError tells everything that is wrong in it."""
    if path is None:
        return Own()
    try:
        said, findings = parse(decode(read_bytes(path)))
        wrong = [finding.message for finding in findings]
        found = Own.model_validate(said)
    except OSError as error:
        raise _wrong(path, [f"it cannot be read ({type(error).__name__})"]) from None
    except Unreadable as error:
        raise _wrong(path, [error.finding.message]) from None
    except ValidationError as error:
        each = error.errors(include_input=False, include_url=False)
        raise _wrong(path, [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in each]) from None
    wrong += _faults(found, departments)
    for name, other in found.others.items():
        wrong += [f"others.{name}: {each}" for each in _faults(other, departments)]
        if not safe(other.issuer):
            wrong.append(f"others.{name}: the issuer is no https:// address")
    if len({other.issuer for other in found.others.values()}) < len(found.others):
        wrong.append("others: an issuer stands there twice")
    if wrong:
        raise _wrong(path, wrong)
    return found


def _faults(found: Claims, departments: Collection[str]) -> list[str]:
    """Departments that there are not, and clients that have none where they need one."""
    named = {*found.department.map.values(), *(each.department for each in found.clients.values())} - {""}
    return (
        [f"no department `{name}` in departments.yaml" for name in sorted(named - set(departments))]
        + [
            f"clients.{name}: {', '.join(each.roles)} needs a department"
            for name, each in found.clients.items()
            if not each.department and not NO_DEPARTMENT.issuperset(each.roles)
        ]
        + [
            f"clients.{name}: the public is of no department"
            for name, each in found.clients.items()
            if each.department and set(each.roles) == {"public"}
        ]
    )


def _wrong(path: Path, wrong: list[str]) -> SettingsError:
    return SettingsError(
        f"the claims' file is malformed: {'; '.join(wrong)}",
        file=str(path),
        expected="department, roles, scopes, clients, algorithms, types, contact, others",
        next_step="correct the file that XUANWU_OIDC_CLAIMS names",
    )


# ── whose a token is ──────────────────────────────────────────────────────────────────────────────────────


def name_of(said: Mapping[str, Any], prefix: str = OF_ISSUER) -> str:
    """The name of a token's subject in the exchange: unique, since a provider gives a `sub` once (OpenID Connect
    Core, 5.7), which it does not promise of a user's name or e-mail, and since no `sub` that is told has the colon that
    ends the `prefix` of its issuer. What has other signs, or is long, is told as a digest."""
    subject = said["sub"]
    if _SUBJECT.fullmatch(subject) and len(prefix) + len(subject) <= LONGEST_NAME:
        return prefix + subject
    return f"{prefix}~{hashlib.sha256(subject.encode(errors='replace')).hexdigest()[:40]}"


def principal_of(
    claims: Claims, said: Mapping[str, Any], departments: Collection[str], prefix: str = OF_ISSUER
) -> Principal:
    """Whom these claims speak of, which were checked before. Unplaced where they give no department that is known, or
    no role."""
    name = name_of(said, prefix)
    client = _client(claims, said)
    if client is not None:
        return Principal(name, client.department, frozenset(client.roles))
    ours = not isinstance(claims, Other)
    known = claims.roles.map or (dict(zip(ROLES, ROLES, strict=True)) if ours else {})
    roles = frozenset(known[each] for each in _values(said, claims.roles.claim) if each in known)
    named = claims.department.map or ({each: each for each in departments} if ours else {})
    found = {named[each] for each in _values(said, claims.department.claim) if each in named}
    if not roles:
        raise _unplaced(claims, name, "no role", claims.roles.claim)
    if len(found) > 1:
        raise _unplaced(claims, name, "more than one department", claims.department.claim)
    if not found and not roles <= NO_DEPARTMENT:
        raise _unplaced(claims, name, "no department", claims.department.claim)
    return Principal(name, "" if roles == {"public"} else next(iter(found), ""), roles)


def _client(claims: Claims, said: Mapping[str, Any]) -> Client | None:
    """The system that speaks for itself in this token. A person who came through the same client is none."""
    name = said.get("client_id", said.get("azp"))
    found = claims.clients.get(name) if isinstance(name, str) else None
    return found if found is not None and said["sub"] == (found.subject or name) else None


def _unplaced(claims: Claims, name: str, what: str, claim: str) -> Unplaced:
    whom = claims.contact or "whoever runs the city's identity provider"
    return Unplaced(
        f"身份提供方未给出本平台的部门或角色 the identity provider gives you {what} that the exchange knows",
        who=name,
        expected=f"it in the claim `{claim}`",
        next_step=f"ask {whom}",
    )


def scopes_of(claims: Claims, said: Mapping[str, Any]) -> frozenset[Scope]:
    """What an access token is good for (`scope`, RFC 9068, 2.2.3)."""
    if not claims.scopes:
        return frozenset(SCOPES)
    scope = said.get("scope", said.get("scp", ""))
    held = set(scope.split() if isinstance(scope, str) else _texts(scope))
    return frozenset(ours for ours, theirs in claims.scopes.items() if theirs in held)


def _values(said: Mapping[str, Any], claim: str) -> list[str]:
    """The texts of a claim: by its whole name, which may have dots in it, or step by step."""
    found: Any = said.get(claim)
    if found is None:
        found = said
        for step in claim.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
    return _texts(found)


def has(said: Mapping[str, Any], claim: str) -> bool:
    """Whether the claim says anything."""
    return bool(_values(said, claim))


def _texts(value: Any) -> list[str]:
    each = value if isinstance(value, list) else [value]
    return [one for one in each if isinstance(one, str)]
