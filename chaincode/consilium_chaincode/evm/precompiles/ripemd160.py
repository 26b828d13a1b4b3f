"""RIPEMD-160, 0x03. From pycryptodome: hashlib has it only where the system's OpenSSL does."""

from __future__ import annotations

from Crypto.Hash import RIPEMD160

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.gas import RIPEMD160_GAS, RIPEMD160_WORD_GAS
from consilium_chaincode.evm.words import words_of


def ripemd160(frame: Frame) -> bytes:
    """Return the hash of the input, in 32 bytes."""
    # GAS
    data = frame.message.data
    charge_gas(frame, RIPEMD160_GAS + RIPEMD160_WORD_GAS * words_of(len(data)))

    # OPERATION
    return bytes(12) + RIPEMD160.new(data).digest()
