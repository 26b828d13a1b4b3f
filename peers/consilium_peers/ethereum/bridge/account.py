"""Who pays on the public chain: a key from an encrypted keystore file, a private file or the environment.

Never from the command line, which every user of the machine can read and shells write down.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from consilium_peers.ethereum.bridge.libraries import accounts
from consilium_peers.ethereum.errors import AccountError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

KEY_VARIABLE = "CONSILIUM_ETHEREUM_KEY"
"""The environment variable that may hold the key: 64 hexadecimal digits, with or without 0x."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_KEY_DIGITS = 64


def load_account(key_file: Path | None, keystore: Path | None, ask_passphrase: Callable[[], str]) -> LocalAccount:
    """Return the account whose key one of the three places holds.

    Args:
        key_file: a file with the key, which its owner alone can read.
        keystore: a keystore file (Web3 Secret Storage, version 3), as wallets write it.
        ask_passphrase: called for a keystore's passphrase.

    Raises:
        AccountError: none of them, more than one, a file that others can read, a wrong passphrase, no key.
        MissingLibraryError: eth-account isn't installed.
    """
    if key_file is not None and keystore is not None:
        raise AccountError("a key file and a keystore exclude each other; name one")
    if keystore is not None:
        return _from_keystore(keystore, ask_passphrase)
    if key_file is not None:
        return _from_key(read_private_text(key_file), str(key_file))
    text = os.environ.get(KEY_VARIABLE)
    if text is None:
        raise AccountError(f"who pays? name a keystore or a key file, or set {KEY_VARIABLE}")
    return _from_key(text, KEY_VARIABLE)


def read_private_text(path: Path) -> str:
    """Read a file with a secret in it, without the white space around it.

    Raises:
        AccountError: it can't be read, or others than its owner may.
    """
    try:
        with path.open() as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OTHERS:
                raise AccountError(
                    f"{path} holds a secret and others may read it (mode {stat.S_IMODE(mode):04o}): chmod 600 {path}"
                )
            return file.read().strip()
    except OSError as error:
        raise AccountError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AccountError(f"{path} holds no text") from None


def _from_key(text: str, source: str) -> LocalAccount:
    digits = text.strip().removeprefix("0x")
    try:
        if len(digits) != _KEY_DIGITS:
            raise ValueError
        return _account(bytes.fromhex(digits))
    except ValueError:
        # Without the text: it may be a key with a typing error.
        raise AccountError(f"{source} holds no key: {_KEY_DIGITS} hexadecimal digits") from None


def _from_keystore(path: Path, ask_passphrase: Callable[[], str]) -> LocalAccount:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise AccountError(f"the keystore {path} can't be read: {error}") from None
    library = accounts()
    try:
        return _account(bytes(library.decrypt(text, ask_passphrase())))
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise AccountError(f"the keystore {path} can't be opened: {error}") from None


def _account(key: bytes) -> LocalAccount:
    account: LocalAccount = accounts().from_key(key)
    return account
