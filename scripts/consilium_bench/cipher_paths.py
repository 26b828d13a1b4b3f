"""The ways to encrypt that are compared."""

from __future__ import annotations

from consilium_client.cipher_path import CipherPath
from consilium_client.encryption import UpdateCipher
from consilium_proto.parameter_sets import ParameterSet

# Through TenSEAL's own interface, which is the default, and through SEAL's buffers.
INTERFACE, FAST = "interface", "fast"
PATHS = (INTERFACE, FAST)


def new_cipher(path: str, parameter_set: ParameterSet, key_seed: bytes, epoch: int) -> UpdateCipher:
    """Return a cipher that takes this path."""
    if path not in PATHS:
        raise ValueError(f"no path {path!r}; there are {', '.join(PATHS)}")
    chosen = CipherPath.BUFFERS if path == FAST else CipherPath.INTERFACE
    return UpdateCipher(parameter_set, key_seed, epoch, chosen)
