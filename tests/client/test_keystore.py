"""Keys at rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from consilium_client.errors import KeystoreError
from consilium_client.keystore import PASSPHRASE_VARIABLE, Keystore, read_passphrase

PASSPHRASE = b"correct horse battery"


def test_a_secret_comes_back_and_isnt_readable_on_disk(tmp_path: Path) -> None:
    Keystore(tmp_path, PASSPHRASE).store("seed", b"\x07secret seed\x07")
    assert Keystore(tmp_path, PASSPHRASE).load("seed") == b"\x07secret seed\x07"
    assert not any(b"secret seed" in path.read_bytes() for path in tmp_path.iterdir())
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_a_wrong_passphrase_opens_nothing(tmp_path: Path) -> None:
    Keystore(tmp_path, PASSPHRASE).store("seed", b"secret")
    with pytest.raises(KeystoreError, match="passphrase is wrong"):
        Keystore(tmp_path, b"another passphrase").load("seed")


def test_one_secret_cant_stand_in_for_another(tmp_path: Path) -> None:
    keystore = Keystore(tmp_path, PASSPHRASE)
    keystore.store("seed", b"secret")
    (tmp_path / "seed.sealed").rename(tmp_path / "mask.sealed")
    with pytest.raises(KeystoreError):
        keystore.load("mask")


def test_a_key_is_made_once_and_deleted_for_good(tmp_path: Path) -> None:
    keystore = Keystore(tmp_path, PASSPHRASE)
    first = keystore.x25519("mask-1").private_bytes_raw()
    assert keystore.x25519("mask-1").private_bytes_raw() == first
    keystore.delete("mask-1")
    assert keystore.x25519("mask-1").private_bytes_raw() != first


def test_passphrases_are_found_and_weak_ones_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE.decode())
    assert read_passphrase(None) == PASSPHRASE
    with pytest.raises(KeystoreError, match="no passphrase file"):
        read_passphrase(tmp_path / "absent")
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "short")
    with pytest.raises(KeystoreError, match="has 5 characters"):
        read_passphrase(None)
