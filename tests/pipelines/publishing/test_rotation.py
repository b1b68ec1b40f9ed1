"""Key versions rotate: published under 1, rotated to 2, published again; what was under 1 stays readable and joinable
as long as key 1 is kept, and is gone once it is taken away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lake.records import Merged
from pipelines import keyring
from pipelines.cli import app
from pipelines.keyring import standing
from pipelines.keys import Key
from pipelines.maskfile import mask_file
from pipelines.masks.tokens import Tokens
from schemas.load import Catalogue
from schemas.model import Hmac
from schemas.settings import Settings
from tests.leaks import bytes_below
from tests.pipelines.publishing.making import FIELDS, ID, KEY, SECRET, City, people

SECRET_2 = SECRET[::-1]
TABLE = ("share", "health__visit__default")


class Rotated(NamedTuple):
    """Published under key 1, then under key 2, both kept: the batch and the two snapshots."""

    city: City
    merged: Merged
    first: int
    second: int


@pytest.fixture
def city(
    settings: Settings, make_catalogue: Callable[[dict[str, str]], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> City:
    monkeypatch.setenv(KEY, SECRET)
    return City(settings, make_catalogue)


@pytest.fixture
def rotated(city: City, monkeypatch: pytest.MonkeyPatch) -> Rotated:
    merged = city.curate(1, people())
    first = city.publish(merged)
    use_key_2(city, monkeypatch)
    second = city.publish(merged)
    assert (first.key_version, second.key_version, second.reused) == ("1", "2", False)
    return Rotated(city, merged, first.snapshot, second.snapshot)


def use_key_2(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUANWU_KEY_2", SECRET_2)
    city.settings = city.settings.model_copy(update={"key_version": "2"})
    city.change()


def tokens_of(city: City, snapshot: int) -> set[str]:
    return set(city.ctx.tables.scan(TABLE, ["id_no"], snapshot).read_all().column(0).to_pylist())


def expected(secret: str, version: str) -> set[str]:
    ids = pa.array([row["id_no"] for row in people()])
    return set(Tokens(Key(version, bytes.fromhex(secret)), "share/default").of(ids, Hmac()).to_pylist())


def test_each_snapshot_has_the_tokens_of_its_own_key(rotated: Rotated) -> None:
    city, _, first, second = rotated
    assert [snapshot for snapshot, _ in city.ctx.tables.snapshots(TABLE)] == [second, first]
    assert tokens_of(city, first) == expected(SECRET, "1")
    assert tokens_of(city, second) == expected(SECRET_2, "2")


def test_a_file_masked_with_the_old_key_joins_with_the_old_snapshot(rotated: Rotated, tmp_path: Path) -> None:
    city, _, first, _ = rotated
    file, output = tmp_path / "in.csv", tmp_path / "out.parquet"
    lines = [
        ",".join(str(row[name] or "") if name in ("visit_no", "id_no") else "" for name in FIELDS)
        for row in people()
    ]
    file.write_text("\n".join([",".join(FIELDS), *lines]) + "\n", "utf-8")
    done = mask_file(
        city.ctx, file, output, entry=city.entry, zone="share", policy="default", key_version="1"
    )
    assert done.rows == 8
    assert set(pq.read_table(output)["id_no"].to_pylist()) == tokens_of(city, first)


def test_the_same_rows_are_found_again_and_nothing_is_written(rotated: Rotated) -> None:
    again = rotated.city.publish(rotated.merged)
    assert (again.snapshot, again.reused) == (rotated.second, True)


def test_a_key_taken_away_takes_its_snapshots_along(
    rotated: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    city, merged, _, second = rotated
    monkeypatch.delenv(KEY)
    renewed = city.publish(merged)
    assert [snapshot for snapshot, _ in city.ctx.tables.snapshots(TABLE)] == [renewed.snapshot] != [second]
    left = bytes_below(Path(city.ctx.tables.location(TABLE)))
    assert not any(token.encode() in left for token in expected(SECRET, "1"))
    assert tokens_of(city, renewed.snapshot) == expected(SECRET_2, "2")


def test_other_masks_and_another_key_leave_nothing_of_the_old(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = city.curate(1, people())
    city.publish(merged)
    city.change(fields={**FIELDS, "name": {**FIELDS["name"], "mask": {"share": "hmac", "open": "drop"}}})
    use_key_2(city, monkeypatch)
    city.publish(merged)
    assert len(list(city.ctx.tables.snapshots(TABLE))) == 1


def test_tokens_are_verified_under_the_key_of_each_snapshot(
    rotated: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    city, _, first, second = rotated
    found = [
        (each.snapshot, each.version, each.state, each.check) for each in standing(city.ctx, verify=True)
    ]
    assert found == [(second, "2", "in use", "as published"), (first, "1", "kept", "as published")]
    monkeypatch.setenv(KEY, SECRET[2:] + SECRET[:2])
    assert [(each.state, each.check) for each in standing(city.ctx, verify=True)] == [
        ("in use", "as published"),
        ("another key", "no key"),
    ]
    monkeypatch.delenv(KEY)
    assert [each.state for each in standing(city.ctx)] == ["in use", "missing"]


def test_tokens_that_are_not_the_key_s_are_told(rotated: Rotated, monkeypatch: pytest.MonkeyPatch) -> None:
    city = rotated.city
    real = keyring.apply

    def other(values: pa.Array, *rest: Any) -> pa.Array:
        return real(values.take(pa.array([0] * len(values))), *rest)

    monkeypatch.setattr(keyring, "apply", other)
    assert {each.check for each in standing(city.ctx, verify=True)} == {"differs"}


def test_what_cannot_be_verified_any_more_says_why(rotated: Rotated) -> None:
    city = rotated.city
    city.change(
        fields={
            **FIELDS,
            "id_no": {**FIELDS["id_no"], "mask": {"share": {"kind": "hmac", "domain": "x"}, "open": "drop"}},
        }
    )
    assert {each.check for each in standing(city.ctx, verify=True)} == {"masks changed"}


def test_the_command_tells_what_is_left_to_publish_again(
    city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    city.publish(city.curate(1, people()))
    monkeypatch.setenv("XUANWU_HOME", str(city.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(tmp_path / "catalogue"))
    done = CliRunner().invoke(app, ["keys", "--verify", "--json"])
    assert (done.exit_code, [row["check"] for row in json.loads(done.stdout)]) == (0, ["as published"])
    monkeypatch.setenv("XUANWU_KEY_2", SECRET_2)
    monkeypatch.setenv("XUANWU_KEY_VERSION", "2")
    done = CliRunner().invoke(app, ["keys"])
    assert done.exit_code == 0
    assert f"xuanwu run {ID} --from publish" in done.stdout
    monkeypatch.delenv(KEY)
    assert CliRunner().invoke(app, ["keys"]).exit_code == 1
