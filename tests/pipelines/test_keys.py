"""No key, no publication; and what a key is never shown in."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from pipelines.connections import from_environment
from pipelines.keys import Key, load_key
from schemas.errors import MaskError

GOOD = bytes(range(32)).hex()


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUANWU_KEY_2026a", f" {GOOD.upper()}\n")
    key = load_key("2026a", from_environment)
    assert key == Key("2026a", bytes(range(32)))
    assert GOOD not in repr(key)


def test_from_the_connection_by_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUANWU_CONN_XUANWU_KEYS", f"keys://?1={GOOD}&2={GOOD[::-1]}")
    assert load_key("1", from_environment).secret == bytes(range(32))
    assert load_key("2", from_environment).secret != bytes(range(32))
    with pytest.raises(MaskError, match="version 3"):
        load_key("3", from_environment)


def test_without_a_key_the_next_step_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MaskError, match="nothing was published") as caught:
        load_key("1", from_environment)
    assert "XUANWU_KEY_1" in str(caught.value.next_step)
    assert "openssl rand -hex 32" in str(caught.value.next_step)


@pytest.mark.parametrize("text", ["abc", GOOD[:-2], GOOD[:-1], "zz" * 32, "00" * 32, "0123" * 16, "密" * 64])
def test_a_weak_key_is_refused_and_not_quoted(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUANWU_KEY_1", text)
    with pytest.raises(MaskError) as caught:
        load_key("1", from_environment)
    assert text not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("version", ["", "a-b", "../1", "version", "VERSION", "1" * 33, "一"])
def test_a_version_s_name_is_plain(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`XUANWU_KEY_VERSION` is the setting that says which version is in use."""
    monkeypatch.setenv("XUANWU_KEY_VERSION", GOOD)
    with pytest.raises(MaskError, match="key version"):
        load_key(version, from_environment)


def test_purposes_and_hashes_get_keys_of_their_own() -> None:
    key = Key("1", bytes(range(32)))
    derived = {
        key.derive("token/share", "sm3"),
        key.derive("token/open", "sm3"),
        key.derive("token/share", "sha256"),
    }
    assert len(derived) == 3
    assert key.secret not in derived


def test_hkdf_is_that_of_rfc_5869() -> None:
    """Its extract and expand steps written out, with no salt."""
    secret = bytes(range(32))
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    expanded = hmac.new(extracted, b"xuanwu/token/share\x01", hashlib.sha256).digest()
    assert Key("1", secret).derive("token/share", "sha256") == expanded


def test_the_check_value_tells_keys_apart() -> None:
    one, other = Key("1", bytes(range(32))), Key("1", bytes(range(1, 33)))
    assert one.check != other.check
    assert len(one.check) == 8
    assert one.check == Key("2", bytes(range(32))).check
