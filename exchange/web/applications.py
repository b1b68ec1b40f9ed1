"""Applications for what is opened on conditions (有条件开放申请) over HTTP: apply, answer, decide, look, download."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from exchange import trail
from exchange.accounts import Session
from exchange.applications import LONGEST_NAME, Given, apply_for, find, given, listed, take
from exchange.cases import LONGEST
from exchange.errors import ExchangeError, NotThere
from exchange.opening import Application, Step, Use
from exchange.web import pieces
from exchange.web.house import COUNTED, After, Applicant, Caller, House, Number, TheHouse
from exchange.web.requests import moved
from lake import store
from lake.media import MEDIA
from lake.releases import SUMS, Standing, shown, sums
from schemas.errors import LakeError
from schemas.workdays import day_of

router = APIRouter(prefix="/api/v1/applications", tags=["开放申请 applications"])
Text = Annotated[str, Field(min_length=1, max_length=LONGEST)]


class Applied(BaseModel):
    """What is applied for, and what is undertaken for it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "dataset": "transport.bus_ride",
                "applicant": "某某大学城市研究所",
                "use": "innovation",
                "purpose": "按小时和区域分析客流，用于公交线路优化研究",
                "safeguards": "只在本单位内网使用，不与其他数据比对识别个人，期满删除",
                "until": "2027-12-31T23:59:59+08:00",
                "accepts": True,
            }
        },
    )

    dataset: Text
    applicant: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] = Field(
        description="申请主体: the person or body that will use it"
    )
    use: Use = Field(
        description="用途: innovation 创新应用, governance 城市治理, service 社会服务, other 其他"
    )
    purpose: Text = Field(description="用途说明: what it will be used for")
    safeguards: Text = Field(description="安全保障措施: how it will be kept safe")
    until: Text = Field(description="使用期限, ISO 8601 with a time zone")
    accepts: bool = Field(description="接受开放条件: the dataset's conditions are accepted")


@router.post("", status_code=201, summary="申请 Apply for what is opened on conditions")
def applied(house: TheHouse, caller: Applicant, applied: Applied) -> dict[str, Any]:
    """By an account of the public."""
    return _told(house, caller, apply_for(house.desk, caller.principal, applied.model_dump()))


@router.get("", summary="清单 Those that you have a part in")
def applications(house: TheHouse, caller: Applicant, after: After = 0) -> list[dict[str, Any]]:
    """By number, 500 at a time: those that follow come with the last number as `after`."""
    return [_told(house, caller, each) for each in listed(house.desk, caller.principal, after)]


@router.get("/{number}", summary="一件申请 One application, its events, its clocks and what can be done now")
def application(house: TheHouse, caller: Applicant, number: Number) -> dict[str, Any]:
    return _told(house, caller, find(house.desk, caller.principal, number))


@router.post("/{number}/{step}", summary="办理 Take a step")
def step(
    house: TheHouse,
    caller: Applicant,
    number: Number,
    step: Step,
    said: Annotated[
        dict[str, Any], Body(examples=[{"consent": True, "reason": "用途符合开放条件"}], max_length=10)
    ],
) -> dict[str, Any]:
    return _told(house, caller, take(house.desk, caller.principal, number, step, said))


def _told(house: House, caller: Session, application: Application) -> dict[str, Any]:
    """What people wrote its sides alone are told."""
    terms, party = application.terms, bool(application.sides(caller.principal))
    return {
        "number": application.number,
        "state": application.state,
        "dataset": terms.dataset,
        "account": terms.account,
        "provider": terms.provider,
        "applicant": terms.applicant if party else None,
        "use": terms.use,
        "purpose": terms.purpose if party else None,
        "safeguards": terms.safeguards if party else None,
        "until": terms.until.isoformat(),
        "conditions": terms.conditions,
        **moved(house, caller, application, texts=party),
    }


# ── downloads ─────────────────────────────────────────────────────────────────────────────────────────────


@router.get("/{number}/releases", summary="可下载的数据 What a granted application gives to download now")
def releases(house: TheHouse, caller: Caller, number: Number) -> list[dict[str, Any]]:
    """The newest release first; `sha256` of each file is the one of its certificate."""
    right = given(house.desk, caller, number)
    return [
        {
            "release": name_of(release),
            "released_at": release[1]["released_at"],
            "rows": release[1]["rows"],
            "snapshot": str(release[1]["snapshot"]),
            "files": [
                {
                    **{name: file[name] for name in ("name", "format", "size", "sha256", "rows")},
                    "url": place_of(number, release, file["name"]),
                }
                for file in release[1]["files"]
            ],
        }
        for release in shown(house.tables, right.entry)
    ]


def name_of(release: Standing) -> str:
    return release[0].rsplit("/", 1)[-1]


def place_of(number: int, release: Standing, name: str) -> str:
    """Where a file of a release is downloaded by an application."""
    return f"{router.prefix}/{number}/releases/{name_of(release)}/{name}"


class Named(BaseModel):
    """A file of a release in a path."""

    number: int = Field(ge=1, le=COUNTED)
    release: str = Field(max_length=200)
    file: str = Field(max_length=200)


@router.head("/{number}/releases/{release}/{file}", include_in_schema=False)
@router.get(
    "/{number}/releases/{release}/{file}", summary="下载 A file of a release", response_class=Response
)
def download(request: Request, house: TheHouse, caller: Caller, named: Annotated[Named, Path()]) -> Response:
    """Whole or a range of it. `SHA256SUMS` is the sums of all. Each file is in the audit log before it leaves, once a
    day for each token and application."""
    try:
        right = given(house.desk, caller, named.number)
        return _file(request, house, caller, right, named)
    except ExchangeError as error:
        table = _table_of(house, caller, named.number)
        if table is not None:
            trail.refused(house.desk, caller, "open", table=table, error=error)
        raise


def _table_of(house: House, caller: Session, number: int) -> tuple[str, str] | None:
    """What an application is about, for who has a part in it."""
    try:
        terms = find(house.desk, caller.principal, number).terms
    except NotThere:
        return None
    return terms.dataset, terms.policy


def _file(request: Request, house: House, caller: Session, right: Given, named: Named) -> Response:
    release = next(
        (each for each in shown(house.tables, right.entry) if name_of(each) == named.release), None
    )
    if release is None:
        raise NotThere(
            "there is no such release, or no more",
            next_step=f"GET {router.prefix}/{right.application.number}/releases lists them",
        )
    folder, index = release
    if named.file == SUMS:
        return Response(sums(index["files"]), media_type="text/plain; charset=utf-8")
    file = next((each for each in index["files"] if each["name"] == named.file), None)
    if file is None:
        raise NotThere("the release has no such file")
    headers = {
        "ETag": f'"{file["sha256"]}"',
        "Content-Type": MEDIA[file["format"]],
        "Content-Disposition": f'attachment; filename="{file["name"]}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    path = store.join(house.tables.root, folder, file["name"])
    _require_certified(path, file, (file["sha256"], store.size_of(path)))

    def leaving() -> None:
        _require_certified(path, file, store.digest_of(path))
        _note(house, caller, right, release, file)

    return pieces.answer(request, path, headers, leaving)


def _require_certified(path: str, file: dict[str, Any], found: tuple[str, int]) -> None:
    """LakeError where the digest and the size that were found are not those of the certificate. Each answer asks anew
    and reads the file for it, a range too (200 MB: 0.14 s from a disk): nothing says for sure that a file has not
    changed since it was read."""
    if found != (file["sha256"], file["size"]):
        raise LakeError(
            "a file of a release is not what was certified: it was changed, and is given to nobody",
            file=path,
            next_step="`xuanwu verify` says what else was; put the file back from a backup, or publish the next batch",
        )


_seen = pieces.Seen[tuple[str, str, str, str, str]]()


def _note(house: House, caller: Session, right: Given, release: Standing, file: dict[str, Any]) -> None:
    """Log a download before a byte of it leaves: an attempt, and its rows with it. One in many pieces is one."""
    folder, index = release
    day = day_of(house.desk.clock()).isoformat()
    with _seen.once((caller.token, right.purpose, day, folder, file["name"])) as new:
        if new:
            told = trail.told(house.desk, caller, right, "open") | {"snapshot": str(index["snapshot"])}
            trail.log(house.desk, told, "attempt", release=name_of(release), file=file["name"])
            trail.log(house.desk, told, "outcome", rows=file["rows"] or 0, result="handed out")
