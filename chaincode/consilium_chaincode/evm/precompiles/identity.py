"""Identity, 0x04: a copy."""

from __future__ import annotations

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.gas import IDENTITY_GAS, IDENTITY_WORD_GAS
from consilium_chaincode.evm.words import words_of


def identity(frame: Frame) -> bytes:
    """Return the input."""
    # GAS
    data = frame.message.data
    charge_gas(frame, IDENTITY_GAS + IDENTITY_WORD_GAS * words_of(len(data)))

    # OPERATION
    return data
