"""A hospital's own secrets at rest, each in a file sealed with AES-256-GCM under a key from a passphrase (scrypt).

The file's name is authenticated too, so that one secret can't be put in another's place.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from consilium_client.errors import KeystoreError
from consilium_peers.durable import write_durably

PASSPHRASE_VARIABLE = "CONSILIUM_PASSPHRASE"  # noqa: S105 - the name of a variable
_NONCE_BYTES = 12
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


class Keystore:
    """Sealed secrets in one folder, `directory`. Opening it derives the sealing key once."""

    def __init__(self, directory: Path, passphrase: bytes) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        salt_file = directory / "salt"
        if not salt_file.exists():
            write_durably(salt_file, os.urandom(_SALT_BYTES))
        # Parameters of RFC 7914's interactive use, raised to 32 MiB of memory.
        scrypt = Scrypt(salt=salt_file.read_bytes(), length=32, n=2**15, r=8, p=1)
        self._cipher = AESGCM(scrypt.derive(passphrase))

    def store(self, name: str, secret: bytes) -> None:
        """Seal `secret` under `name`, durably, replacing what was there."""
        nonce = os.urandom(_NONCE_BYTES)
        write_durably(self._path(name), nonce + self._cipher.encrypt(nonce, secret, name.encode()), mode=0o600)

    def load(self, name: str) -> bytes | None:
        """Open the secret called `name`; None when there is none.

        Raises:
            KeystoreError: the passphrase is wrong, or the file was changed.
        """
        path = self._path(name)
        if not path.exists():
            return None
        sealed = path.read_bytes()
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError):
            raise KeystoreError(f"{path} doesn't open: the passphrase is wrong, or the file was changed") from None

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
