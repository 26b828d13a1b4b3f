"""The hospital's secrets sealed by a key in a PKCS#11 token: nobody opens them with the disk alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pkcs11
import pytest
import yaml
from soft_token import PIN, SoftToken

from consilium_client.commands.client import register
from consilium_client.configuration import HospitalConfiguration, load_configuration
from consilium_client.errors import ConfigurationError, KeystoreError
from consilium_client.keystore import PASSPHRASE_VARIABLE, Keystore, open_keystore, seal_with_token
from consilium_client.readiness import check_readiness
from consilium_peers.errors import TokenError
from consilium_peers.token_keys import TokenSealingKey

PASSPHRASE = b"correct horse battery"


@pytest.fixture
def configuration(soft_token: SoftToken, tmp_path: Path) -> HospitalConfiguration:
    return load_configuration(write(soft_token, tmp_path))


def write(soft_token: SoftToken, folder: Path, **changes: object) -> Path:
    document = {
        **{name: name for name in ("profile", "table", "policy", "state")},
        "data_set": "d",
        "studies": ["study.yaml"],
        "keystore": {"pkcs11": soft_token.fields("seal")},
        **changes,
    }
    path = folder / "hospital.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in document.items() if value is not None}))
    return path


def files(configuration: HospitalConfiguration) -> list[Path]:
    return sorted((configuration.state / "keys").iterdir())


def test_a_secret_comes_back_and_isnt_readable_on_disk(configuration: HospitalConfiguration) -> None:
    assert seal_with_token(configuration, None) == 0
    open_keystore(configuration).store("seed", b"\x07secret seed\x07")
    assert open_keystore(configuration).load("seed") == b"\x07secret seed\x07"
    [file] = files(configuration)
    assert b"secret seed" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0


def test_the_sealing_key_cant_be_read_out_of_the_token(
    configuration: HospitalConfiguration, soft_token: SoftToken
) -> None:
    seal_with_token(configuration, None)
    with soft_token.session() as session:
        found = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label="seal")
        assert found[pkcs11.Attribute.VALUE_LEN] == 32
        assert found[pkcs11.Attribute.SENSITIVE]
        assert found[pkcs11.Attribute.NEVER_EXTRACTABLE]
        assert not found[pkcs11.Attribute.WRAP]
        with pytest.raises(pkcs11.AttributeSensitive):
            found[pkcs11.Attribute.VALUE]


def test_the_disk_without_the_token_opens_nothing(configuration: HospitalConfiguration, tmp_path: Path) -> None:
    """Another token's key of the same label, and any passphrase, open nothing."""
    seal_with_token(configuration, None)
    open_keystore(configuration).store("seed", b"secret")
    other = SoftToken.initialise(tmp_path)
    foreign = TokenSealingKey.make(other.key("seal"))
    for sealed_by in (foreign, PASSPHRASE, PIN.encode()):
        with pytest.raises(KeystoreError, match="sealed by another key"):
            Keystore(configuration.state / "keys", sealed_by).load("seed")


def test_one_secret_cant_stand_in_for_another(configuration: HospitalConfiguration) -> None:
    seal_with_token(configuration, None)
    keystore = open_keystore(configuration)
    keystore.store("seed", b"secret")
    [file] = files(configuration)
    file.rename(file.with_name("mask.sealed"))
    with pytest.raises(KeystoreError, match="doesn't open"):
        keystore.load("mask")


@pytest.mark.parametrize("changed", [0, 12, -1])
def test_a_changed_file_opens_nothing_and_harms_nothing_else(
    configuration: HospitalConfiguration, changed: int
) -> None:
    seal_with_token(configuration, None)
    keystore = open_keystore(configuration)
    keystore.store("seed", b"secret")
    [file] = files(configuration)
    content = bytearray(file.read_bytes())
    content[changed] ^= 1
    file.write_bytes(content)
    with pytest.raises(KeystoreError, match="doesn't open"):
        keystore.load("seed")
    file.write_bytes(b"short")
    with pytest.raises(KeystoreError, match="doesn't open"):
        keystore.load("seed")
    keystore.store("other", b"secret too")
    assert keystore.load("other") == b"secret too"


def test_equal_secrets_are_sealed_differently(configuration: HospitalConfiguration) -> None:
    seal_with_token(configuration, None)
    keystore = open_keystore(configuration)
    sealed = set()
    for _ in range(5):
        keystore.store("seed", b"secret")
        sealed.add(files(configuration)[0].read_bytes()[:12])
    assert len(sealed) == 5


def test_keys_are_made_once_and_survive_a_lost_session(
    configuration: HospitalConfiguration, soft_token: SoftToken
) -> None:
    seal_with_token(configuration, None)
    keystore = open_keystore(configuration)
    first = keystore.x25519("wrapping").private_bytes_raw()
    soft_token.reconnect()
    assert keystore.x25519("wrapping").private_bytes_raw() == first
    assert seal_with_token(configuration, None) == 0  # asked again, it keeps the key
    assert open_keystore(configuration).x25519("wrapping").private_bytes_raw() == first


def test_secrets_move_from_the_passphrase_into_the_tokens_care(
    configuration: HospitalConfiguration, tmp_path: Path
) -> None:
    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    before = Keystore(configuration.state / "keys", PASSPHRASE)
    secrets = {f"secret-{number}": bytes([number]) * number for number in range(4)}
    for name, secret in secrets.items():
        before.store(name, secret)
    assert seal_with_token(configuration, tmp_path / "passphrase") == 4
    after = open_keystore(configuration)
    assert {name: after.load(name) for name in secrets} == secrets
    for name in secrets:
        with pytest.raises(KeystoreError):
            before.load(name)


def test_a_move_that_was_killed_is_finished(
    configuration: HospitalConfiguration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE.decode())
    before = Keystore(configuration.state / "keys", PASSPHRASE)
    for name in "abc":
        before.store(name, name.encode())
    assert configuration.sealing_key is not None
    Keystore(configuration.state / "keys", TokenSealingKey.make(configuration.sealing_key)).store("b", b"b")
    assert seal_with_token(configuration, None) == 2
    assert [open_keystore(configuration).load(name) for name in "abc"] == [b"a", b"b", b"c"]


def test_a_move_with_the_wrong_passphrase_changes_nothing(
    configuration: HospitalConfiguration, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Keystore(configuration.state / "keys", PASSPHRASE)
    before.store("seed", b"secret")
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "another passphrase")
    with pytest.raises(KeystoreError, match="doesn't open"):
        seal_with_token(configuration, None)
    assert before.load("seed") == b"secret"


def test_without_the_key_nothing_opens_and_the_remedy_is_named(configuration: HospitalConfiguration) -> None:
    with pytest.raises(TokenError, match="no secret key labelled 'seal'; make it: consilium client seal-with-token"):
        open_keystore(configuration)
    assert not (configuration.state / "keys").exists()


def test_a_wrong_pin_and_an_absent_token_and_module_are_named(
    configuration: HospitalConfiguration, tmp_path: Path
) -> None:
    assert configuration.sealing_key is not None
    (tmp_path / "wrong").write_text("0000")
    for change, said in (
        ({"pin_file": tmp_path / "wrong"}, r"refuses the PIN from .*wrong; correct it"),
        ({"token": "elsewhere"}, r"no token labelled 'elsewhere'; it has"),
        ({"module": tmp_path / "module.so"}, r"no PKCS#11 module at .*module\.so; the token's maker says"),
    ):
        key = dataclasses.replace(configuration.sealing_key, **change)
        with pytest.raises(TokenError, match=said):
            open_keystore(dataclasses.replace(configuration, sealing_key=key))


def test_a_key_that_could_be_read_out_is_refused(configuration: HospitalConfiguration, soft_token: SoftToken) -> None:
    with soft_token.session() as session:
        readable = {pkcs11.Attribute.EXTRACTABLE: True, pkcs11.Attribute.SENSITIVE: False}
        session.generate_key(pkcs11.KeyType.AES, 256, label="seal", store=True, template=readable)
    with pytest.raises(TokenError, match="can be read out of the token"):
        seal_with_token(configuration, None)


async def test_check_says_who_seals_the_keys(configuration: HospitalConfiguration) -> None:
    found = (await check_readiness(configuration))[0]
    assert (found.subject, found.passed) == ("keys", False)
    assert "seal-with-token" in found.detail
    seal_with_token(configuration, None)
    found = (await check_readiness(configuration))[0]
    assert found.passed
    assert "by key 'seal' in token 't-" in found.detail


def test_the_command_makes_the_key(
    configuration: HospitalConfiguration, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    register(parser)
    arguments = parser.parse_args(["seal-with-token", "--config", str(tmp_path / "hospital.yaml")])
    assert arguments.run(arguments) == 0
    assert "key 'seal' in token" in capsys.readouterr().out
    open_keystore(configuration)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"passphrase_file": "passphrase"}, "passphrase_file and keystore exclude each other"),
        ({"keystore": "softhsm"}, "keystore is 'softhsm'; expected the field pkcs11"),
        ({"keystore": {"pkcs11": {"module": "m"}}}, "keystore.pkcs11.token is None; expected a text"),
        ({"keystore": {"pkcs11": None}}, "keystore.pkcs11 is None; expected the fields module, token, label, pin_file"),
    ],
)
def test_a_mistake_in_the_configuration_names_the_field(
    soft_token: SoftToken, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(write(soft_token, tmp_path, **changes))
    assert said in str(caught.value)


def test_without_a_token_in_the_configuration_there_is_nothing_to_move(soft_token: SoftToken, tmp_path: Path) -> None:
    configuration = load_configuration(write(soft_token, tmp_path, keystore=None, passphrase_file="passphrase"))
    with pytest.raises(KeystoreError, match="names no token"):
        seal_with_token(configuration, None)
