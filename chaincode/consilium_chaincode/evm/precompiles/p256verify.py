"""P256VERIFY, 0x100 (EIP-7951): an ECDSA signature over secp256r1 (`cryptography`)."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.gas import P256VERIFY_GAS

_INPUT_BYTES = 160
_ORDER = 0xFFFFFFFF_00000000_FFFFFFFF_FFFFFFFF_BCE6FAAD_A7179E84_F3B9CAC2_FC632551
_VALID = (1).to_bytes(32, "big")
_PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


def p256verify(frame: Frame) -> bytes:
    """Read digest ‖ r ‖ s ‖ x ‖ y of the key, 32 bytes each; return 1 in 32 bytes, nothing when it doesn't hold."""
    # GAS
    data = frame.message.data
    charge_gas(frame, P256VERIFY_GAS)

    # OPERATION
    if len(data) != _INPUT_BYTES:
        return b""
    r, s, x, y = (int.from_bytes(data[start : start + 32], "big") for start in (32, 64, 96, 128))
    if not 0 < r < _ORDER or not 0 < s < _ORDER:
        return b""
    try:
        key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        key.verify(utils.encode_dss_signature(r, s), data[:32], _PREHASHED)
    except (ValueError, InvalidSignature):
        return b""
    return _VALID
