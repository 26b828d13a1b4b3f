"""A hospital's own secrets at rest, each in a file sealed with AES-256-GCM.

The sealing key comes from a passphrase (scrypt), or rests in a PKCS#11 token and never leaves it. The secret's name is
authenticated too, so that one secret can't be put in another's place.

The token seals, but doesn't agree keys: X25519 keys and seeds are in this process's memory while they are used. SoftHSM
2.6 could derive with X25519, but under the key type of Edwards curves, where PKCS#11 3.0 has one of its own; and what
it derives must leave the token all the same. One AES key serves every kind of secret and every token that has
CKM_AES_GCM.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from consilium_client.configuration import HospitalConfiguration
from consilium_client.errors import KeystoreError
from consilium_peers.durable import write_durably
from consilium_peers.token_keys import TokenSealingKey

PASSPHRASE_VARIABLE = "CONSILIUM_PASSPHRASE"  # noqa: S105 - the name of a variable
_NONCE_BYTES = 12
_SALT = "salt"
_SALT_BYTES = 16
_SHORTEST_PASSPHRASE = 12


def read_passphrase(file: Path | None) -> bytes:
    """Read the passphrase from `file`, or from the environment variable CONSILIUM_PASSPHRASE.

    Raises:
        KeystoreError: there is none, or it is shorter than 12 characters.
    """
    text = os.environ.get(PASSPHRASE_VARIABLE, "")
    if file is not None:
        if not file.is_file():
            raise KeystoreError(f"no passphrase file at {file}; create it, readable by you alone")
        text = file.read_text().strip()
    if len(text) < _SHORTEST_PASSPHRASE:
        raise KeystoreError(
            f"the keystore's passphrase has {len(text)} characters and needs {_SHORTEST_PASSPHRASE}; "
            f"set {PASSPHRASE_VARIABLE} or passphrase_file"
        )
    return text.encode()


class Sealer(Protocol):
    """Seals and opens secrets under one key. `nonce` has 12 bytes and is never used twice."""

    def encrypt(self, nonce: bytes, secret: bytes, name: bytes) -> bytes:
        """Return `secret` under AES-256-GCM with its tag, `name` authenticated."""
        ...

    def decrypt(self, nonce: bytes, sealed: bytes, name: bytes) -> bytes | None:
        """Return the secret; None when the key is another or anything was changed."""
        ...


class PassphraseSealer:
    """Seals under a key derived from a passphrase; making one takes about 0.1 s."""

    def __init__(self, directory: Path, passphrase: bytes) -> None:
        """Derive the key; the salt is kept in `directory`, made at the first call."""
        salt_file = directory / _SALT
        if not salt_file.exists():
            write_durably(salt_file, os.urandom(_SALT_BYTES))
        # Parameters of RFC 7914's interactive use, raised to 32 MiB of memory.
        scrypt = Scrypt(salt=salt_file.read_bytes(), length=32, n=2**15, r=8, p=1)
        self._cipher = AESGCM(scrypt.derive(passphrase))

    def encrypt(self, nonce: bytes, secret: bytes, name: bytes) -> bytes:
        """Seal; see Sealer."""
        return self._cipher.encrypt(nonce, secret, name)

    def decrypt(self, nonce: bytes, sealed: bytes, name: bytes) -> bytes | None:
        """Open; see Sealer."""
        try:
            return self._cipher.decrypt(nonce, sealed, name)
        except (InvalidTag, ValueError):
            return None


class Keystore:
    """Sealed secrets in one folder."""

    def __init__(self, directory: Path, sealed_by: bytes | Sealer) -> None:
        """Open the folder with a passphrase or a sealer."""
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sealer = PassphraseSealer(directory, sealed_by) if isinstance(sealed_by, bytes) else sealed_by

    def store(self, name: str, secret: bytes) -> None:
        """Seal `secret` under `name`, durably, replacing what was there.

        Raises:
            TokenError: the sealing key rests in a token, and the token is gone.
        """
        nonce = os.urandom(_NONCE_BYTES)
        write_durably(self._path(name), nonce + self._sealer.encrypt(nonce, secret, name.encode()), mode=0o600)

    def load(self, name: str) -> bytes | None:
        """Open the secret called `name`; None when there is none.

        Raises:
            KeystoreError: it was sealed under another passphrase or key, or the file was changed.
            TokenError: the sealing key rests in a token, and the token is gone.
        """
        path = self._path(name)
        if not path.exists():
            return None
        sealed = path.read_bytes()
        secret = self._sealer.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        if secret is None:
            raise KeystoreError(
                f"{path} doesn't open: the passphrase is wrong, it was sealed by another key, or the file was changed; "
                "secrets sealed under a passphrase move into a token's care by: consilium client seal-with-token"
            )
        return secret

    def seal_anew(self, former: Sealer) -> int:
        """Take over every secret that `former` sealed, and return their number; those sealed already are left.

        A kill in between leaves some sealed by the one and some by the other: do it again.

        Raises:
            KeystoreError: neither opens a secret; those before it were taken over.
            TokenError: a sealing key rests in a token, and the token is gone.
        """
        before = Keystore(self.directory, former)
        moved = 0
        for path in sorted(self.directory.glob("*.sealed")):
            name, sealed = path.stem, path.read_bytes()
            if self._sealer.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode()) is None:
                secret = before.load(name)
                if secret is not None:
                    self.store(name, secret)
                    moved += 1
        return moved

    def delete(self, name: str) -> None:
        """Forget a secret; nothing happens when there is none."""
        self._path(name).unlink(missing_ok=True)

    def x25519(self, name: str) -> X25519PrivateKey:
        """Return the X25519 key called `name`, made and stored at the first call."""
        raw = self.load(name)
        if raw is None:
            raw = X25519PrivateKey.generate().private_bytes_raw()
            self.store(name, raw)
        return X25519PrivateKey.from_private_bytes(raw)

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.sealed"


def open_keystore(configuration: HospitalConfiguration) -> Keystore:
    """Open a hospital's keystore, with the passphrase or the token that its configuration names.

    Raises:
        KeystoreError: there is no passphrase.
        TokenError: the token can't be opened, or has no such key.
    """
    directory, key = _directory(configuration), configuration.sealing_key
    return Keystore(directory, read_passphrase(configuration.passphrase_file) if key is None else TokenSealingKey(key))


def seal_with_token(configuration: HospitalConfiguration, passphrase_file: Path | None) -> int:
    """Make the sealing key in its token unless it is there, and take over what a passphrase sealed.

    No agent may run meanwhile. Returns the number of secrets taken over. The passphrase is asked for only where one was
    used, and may be forgotten afterwards; what deleted files leave on the disk opens with it still.

    Raises:
        KeystoreError: the configuration names no token, or a secret opens with neither.
        TokenError: the token can't be opened, or can't make the key.
    """
    if configuration.sealing_key is None:
        raise KeystoreError("the configuration names no token; give it the field keystore (docs/hospitals.md shows it)")
    directory = _directory(configuration)
    keystore = Keystore(directory, TokenSealingKey.make(configuration.sealing_key))
    if not (directory / _SALT).exists():
        return 0
    moved = keystore.seal_anew(PassphraseSealer(directory, read_passphrase(passphrase_file)))
    (directory / _SALT).unlink()
    return moved


def _directory(configuration: HospitalConfiguration) -> Path:
    return configuration.state / "keys"
