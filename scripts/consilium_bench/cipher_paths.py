"""The ways to encrypt that are compared."""

from __future__ import annotations

from consilium_client.encryption import UpdateCipher
from consilium_proto.cipher_path import CipherPath
from consilium_proto.parameter_sets import ParameterSet

# Through TenSEAL's own interface, which is the default, and through SEAL's buffers.
INTERFACE, FAST = "interface", "fast"
PATHS = (INTERFACE, FAST)


def seal_path(path: str) -> CipherPath:
    """Return which way through SEAL all parts of a measurement take."""
    if path not in PATHS:
        raise ValueError(f"no path {path!r}; there are {', '.join(PATHS)}")
    return CipherPath.BUFFERS if path == FAST else CipherPath.INTERFACE


def new_cipher(path: str, parameter_set: ParameterSet, key_seed: bytes, epoch: int) -> UpdateCipher:
    """Return a cipher that takes this path."""
    return UpdateCipher(parameter_set, key_seed, epoch, seal_path(path))
