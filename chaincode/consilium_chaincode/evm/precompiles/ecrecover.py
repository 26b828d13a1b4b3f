"""ECRECOVER, 0x01: the address that signed a digest, by secp256k1 (coincurve)."""

from __future__ import annotations

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.errors import InvalidSignature
from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.gas import ECRECOVER_GAS
from consilium_chaincode.evm.memory import padded
from consilium_chaincode.evm.signatures import Signature, recover_any_address

_V_OF_EVEN_Y = 27


def ecrecover(frame: Frame) -> bytes:
    """Read digest ‖ v ‖ r ‖ s, 32 bytes each; return the address in 32 bytes, nothing for a bad signature."""
    # GAS
    charge_gas(frame, ECRECOVER_GAS)

    # OPERATION
    data = padded(frame.message.data, 0, 128)
    v, r, s = (int.from_bytes(data[start : start + 32], "big") for start in (32, 64, 96))
    try:
        address = recover_any_address(data[:32], Signature(v - _V_OF_EVEN_Y, r, s))
    except InvalidSignature:
        return b""
    return bytes(12) + address
