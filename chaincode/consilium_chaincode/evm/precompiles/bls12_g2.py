"""G2 of BLS12-381 (EIP-2537): sum at 0x0D, multi-scalar multiplication at 0x0E, mapping to it at 0x11. py-ecc."""

from __future__ import annotations

from py_ecc.bls.hash_to_curve import clear_cofactor_G2, map_to_curve_G2
from py_ecc.optimized_bls12_381 import Z2, add, multiply

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.gas import BLS12_G2ADD_GAS, BLS12_G2MUL_GAS, BLS12_MAP_FP2_TO_G2_GAS
from consilium_chaincode.evm.precompiles.bls12_points import (
    FIELD_BYTES,
    G2_BYTES,
    SCALAR_BYTES,
    check_length,
    read_fq2,
    read_g2,
    split,
    write_g2,
)
from consilium_chaincode.evm.precompiles.bls12_prices import g2_msm_price
from consilium_chaincode.evm.state_keys import Reading, Turn


def bls12_g2_add(frame: Frame) -> bytes:
    """Read two points, return their sum.

    Raises:
        PrecompileFailure: another length, or not points of the curve.
    """
    # GAS
    data = frame.message.data
    check_length(data, 2 * G2_BYTES)
    charge_gas(frame, BLS12_G2ADD_GAS)

    # OPERATION
    first, second = (read_g2(part, in_group=False) for part in split(data, G2_BYTES))
    return write_g2(add(first, second))


def bls12_g2_msm(frame: Frame) -> Reading[bytes]:
    """Read pairs of a point and a number of 32 bytes, return the sum of the multiples.

    Raises:
        PrecompileFailure: no whole pairs, or not points of the group.
    """
    # GAS
    pairs = split(frame.message.data, G2_BYTES + SCALAR_BYTES)
    charge_gas(frame, g2_msm_price(len(pairs), BLS12_G2MUL_GAS))

    # OPERATION
    total = Z2
    for pair in pairs:
        point = read_g2(pair[:G2_BYTES], in_group=True)
        total = add(total, multiply(point, int.from_bytes(pair[G2_BYTES:], "big")))
        yield Turn()
    return write_g2(total)


def bls12_map_fp2_to_g2(frame: Frame) -> bytes:
    """Read an element of the field, return the point of the group that it maps to.

    Raises:
        PrecompileFailure: another length, or not an element of the field.
    """
    # GAS
    data = frame.message.data
    check_length(data, 2 * FIELD_BYTES)
    charge_gas(frame, BLS12_MAP_FP2_TO_G2_GAS)

    # OPERATION
    return write_g2(clear_cofactor_G2(map_to_curve_G2(read_fq2(data))))
