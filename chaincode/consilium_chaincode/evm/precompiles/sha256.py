"""SHA-256, 0x02 (hashlib)."""

from __future__ import annotations

import hashlib

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.gas import SHA256_GAS, SHA256_WORD_GAS
from consilium_chaincode.evm.words import words_of


def sha256(frame: Frame) -> bytes:
    """Return the hash of the input."""
    # GAS
    data = frame.message.data
    charge_gas(frame, SHA256_GAS + SHA256_WORD_GAS * words_of(len(data)))

    # OPERATION
    return hashlib.sha256(data).digest()
