"""Ids and codes are unique, and every name that stands for something names something that is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from schemas.draft import Draft
from schemas.findings import Finding, KeyPath, near
from schemas.house import House
from schemas.model import EntryFile, Policy


def id_is_place(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """The id is the file's place: `civil_affairs.marriage` is civil_affairs/marriage.yaml."""
    if written.id == draft.place:
        return
    twin = house.drafts.get(written.id)
    if twin is not None:
        yield Finding(
            ("id",), f"two datasets have the id `{written.id}`: {twin.file} and this", f"`{draft.place}`"
        )
    else:
        department, name = written.id.split(".")
        expected = f"`{draft.place}`, or the file as {department}/{name}.yaml"
        yield Finding(("id",), f"`{written.id}` does not match the file's place", expected)


def departments_known(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """The owner and the department of the id are rows of departments.yaml. A derived dataset may stand in a
    folder of its own, such as base/ or theme/ (基础库, 主题库): its owner answers for it."""
    wanted: dict[KeyPath, str] = {("owner",): written.owner} if draft.has("owner") else {}
    if draft.has("source") and written.source.kind != "lake":
        wanted[("id",)] = draft.place.split(".")[0]
    for path, name in wanted.items():
        if not house.knows("departments", name):
            unknown = f"no department `{name}`" + near(name, house.departments)
            yield Finding(path, unknown, "a department of departments.yaml")


def code_unique(house: House) -> Iterator[tuple[Draft, Finding]]:
    """A 政务信息资源代码 names one dataset."""
    first: dict[str, Draft] = {}
    for draft in house.drafts.values():
        if draft.written is not None and draft.has("code"):
            other = first.setdefault(draft.written.code, draft)
            if other is not draft:
                yield draft, Finding(("code",), f"is also the code of {other.file}", "a code of its own")


def known_fields(names: Iterable[str], path: KeyPath, draft: Draft) -> Iterator[Finding]:
    """Each of a list of names is a field of the dataset."""
    every = draft.names
    if not every:
        return
    for number, name in enumerate(names):
        if name not in every:
            unknown = f"`{name}` is no field of this dataset" + near(name, every)
            yield Finding((*path, number), unknown, "a field under `fields`")


def known_field(name: str, path: KeyPath, draft: Draft) -> Iterator[Finding]:
    """One name is a field of the dataset."""
    for finding in known_fields([name], path, draft):
        yield finding._replace(path=path)


def key_fields(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """The key's fields are there, each once."""
    yield from known_fields(written.key, ("key",), draft)
    for number, name in enumerate(written.key):
        if name in written.key[:number]:
            yield Finding(("key", number), f"`{name}` stands here twice", "each field once")


def merge_order(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """An upsert needs to know which of two rows is newer; nothing else does."""
    path, merge = ("merge", "order_by"), written.merge
    if merge.kind == "upsert" and merge.order_by is None:
        yield Finding(
            path, "is missing: an upsert keeps the newest row by it", "a field that grows with each change"
        )
    elif merge.kind != "upsert" and merge.order_by is not None:
        yield Finding(
            path, f"says nothing to a merge of kind {merge.kind}", "`kind: upsert`, or no `order_by`"
        )
    elif merge.order_by is not None:
        yield from known_field(merge.order_by, path, draft)


def policy_fields(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """Every field that a share policy or `open` names is there."""
    for name, policy in written.share.policies.items():
        yield from _policy(policy, ("share", "policies", name), draft)
    yield from _policy(written.open, ("open",), draft)


def _policy(policy: Policy, path: KeyPath, draft: Draft) -> Iterator[Finding]:
    yield from known_fields(policy.fields or (), (*path, "fields"), draft)
    yield from known_fields(policy.drop, (*path, "drop"), draft)
    for name in policy.mask:
        yield from known_field(name, (*path, "mask", name), draft)
