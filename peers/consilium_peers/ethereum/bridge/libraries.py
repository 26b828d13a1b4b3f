"""Ethereum's libraries, loaded when they are first needed: who serves JSON-RPC or approves terms does without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from consilium_peers.ethereum.errors import MissingLibraryError

if TYPE_CHECKING:
    from eth_account import Account


def encode_values(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """Return values as contracts take them.

    Raises:
        ValueError: a value isn't of its type.
        MissingLibraryError: eth-abi isn't installed.
    """
    try:
        from eth_abi import abi
        from eth_abi.exceptions import EncodingError
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    try:
        return bytes(abi.encode(types, values))
    except EncodingError as error:
        raise ValueError(str(error)) from None


def decode_values(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Return the values that a contract answered.

    Raises:
        ValueError: the data isn't of these types.
        MissingLibraryError: eth-abi isn't installed.
    """
    try:
        from eth_abi import abi
        from eth_abi.exceptions import DecodingError
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    try:
        return tuple(abi.decode(types, data))
    except (DecodingError, OverflowError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def accounts() -> type[Account]:
    """Return eth-account's accounts, which take a second to load.

    Raises:
        MissingLibraryError: eth-account isn't installed.
    """
    try:
        from eth_account import Account
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    return Account


def _missing(error: ModuleNotFoundError) -> MissingLibraryError:
    return MissingLibraryError(
        f"the bridge needs {error.name}, which isn't installed: pip install 'consilium[rewards]'"
    )
