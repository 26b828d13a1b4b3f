"""A hospital's configuration file: where its profile, table, policy, state and studies lie. Paths are relative."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from consilium_client.errors import ConfigurationError
from consilium_peers.errors import TokenError
from consilium_peers.pkcs11_token import TokenKey
from consilium_proto.cipher_path import CipherPath

_PATHS = ("profile", "table", "policy", "state")
_FIELDS = {*_PATHS, "data_set", "passphrase_file", "keystore", "studies", "encryption", "replay"}


@dataclass(frozen=True)
class HospitalConfiguration:
    """One hospital's files.

    `data_set` is the hospital's own short name for the table, known to it alone; `cipher_path` the way through SEAL.
    The keys in `state` are sealed under a passphrase, or by `sealing_key`, which rests in a PKCS#11 token. With
    `replay` the agent acts on the state that it computes from its peer's blocks, not on the peer's word.
    """

    profile: Path
    table: Path
    policy: Path
    state: Path
    data_set: str
    passphrase_file: Path | None
    studies: tuple[Path, ...]
    cipher_path: CipherPath = CipherPath.INTERFACE
    sealing_key: TokenKey | None = None
    replay: bool = True


def load_configuration(path: Path) -> HospitalConfiguration:
    """Read a hospital's configuration.

    Raises:
        ConfigurationError: missing, not YAML, or a field absent, unknown or of the wrong kind; it names the field.
    """
    document = _read(path)
    base = path.resolve().parent
    if unknown := sorted(set(document) - _FIELDS):
        raise ConfigurationError(f"{path}: unknown field {unknown[0]!r}; known are {', '.join(sorted(_FIELDS))}")
    for field in (*_PATHS, "data_set"):
        if not isinstance(document.get(field), str):
            raise ConfigurationError(f"{path}: {field} is {document.get(field)!r}; expected a text")
    studies = document.get("studies")
    if not isinstance(studies, list) or not studies or not all(isinstance(entry, str) for entry in studies):
        raise ConfigurationError(f"{path}: studies is {studies!r}; expected a list of study files")
    replay = document.get("replay", True)
    if not isinstance(replay, bool):
        raise ConfigurationError(f"{path}: replay is {replay!r}; expected true or false")
    passphrase_file = document.get("passphrase_file")
    return HospitalConfiguration(
        **{field: base / document[field] for field in _PATHS},
        data_set=document["data_set"],
        passphrase_file=None if passphrase_file is None else base / str(passphrase_file),
        studies=tuple(base / entry for entry in studies),
        cipher_path=_cipher_path(path, document.get("encryption", CipherPath.INTERFACE.value)),
        sealing_key=_sealing_key(path, document),
        replay=replay,
    )


def _sealing_key(path: Path, document: dict[str, Any]) -> TokenKey | None:
    if "keystore" not in document:
        return None
    if document.get("passphrase_file") is not None:
        raise ConfigurationError(f"{path}: passphrase_file and keystore exclude each other; keep one")
    keystore = document["keystore"]
    if not isinstance(keystore, dict) or set(keystore) != {"pkcs11"}:
        raise ConfigurationError(f"{path}: keystore is {keystore!r}; expected the field pkcs11")
    try:
        return TokenKey.read(keystore["pkcs11"], path.resolve().parent)
    except TokenError as error:
        raise ConfigurationError(f"{path}: keystore.{error}") from None


def _cipher_path(path: Path, value: object) -> CipherPath:
    try:
        return CipherPath(value)
    except ValueError:
        known = " or ".join(choice.value for choice in CipherPath)
        raise ConfigurationError(f"{path}: encryption is {value!r}; expected {known}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigurationError(f"no hospital configuration at {path}; docs/hospitals.md shows one") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} isn't YAML: {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path} holds {type(document).__name__}; expected fields such as profile and table")
    return document
