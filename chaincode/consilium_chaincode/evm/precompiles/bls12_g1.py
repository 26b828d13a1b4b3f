"""G1 of BLS12-381 (EIP-2537): sum at 0x0B, multi-scalar multiplication at 0x0C, mapping to it at 0x10. py-ecc."""

from __future__ import annotations

from py_ecc.bls.hash_to_curve import clear_cofactor_G1, map_to_curve_G1
from py_ecc.optimized_bls12_381 import FQ, Z1, add, multiply

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.gas import BLS12_G1ADD_GAS, BLS12_G1MUL_GAS, BLS12_MAP_FP_TO_G1_GAS
from consilium_chaincode.evm.precompiles.bls12_points import (
    FIELD_BYTES,
    G1_BYTES,
    SCALAR_BYTES,
    check_length,
    read_field_element,
    read_g1,
    split,
    write_g1,
)
from consilium_chaincode.evm.precompiles.bls12_prices import g1_msm_price
from consilium_chaincode.evm.state_keys import Reading, Turn


def bls12_g1_add(frame: Frame) -> bytes:
    """Read two points, return their sum.

    Raises:
        PrecompileFailure: another length, or not points of the curve.
    """
    # GAS
    data = frame.message.data
    check_length(data, 2 * G1_BYTES)
    charge_gas(frame, BLS12_G1ADD_GAS)

    # OPERATION
    first, second = (read_g1(part, in_group=False) for part in split(data, G1_BYTES))
    return write_g1(add(first, second))


def bls12_g1_msm(frame: Frame) -> Reading[bytes]:
    """Read pairs of a point and a number of 32 bytes, return the sum of the multiples.

    Raises:
        PrecompileFailure: no whole pairs, or not points of the group.
    """
    # GAS
    pairs = split(frame.message.data, G1_BYTES + SCALAR_BYTES)
    charge_gas(frame, g1_msm_price(len(pairs), BLS12_G1MUL_GAS))

    # OPERATION
    total = Z1
    for pair in pairs:
        point = read_g1(pair[:G1_BYTES], in_group=True)
        total = add(total, multiply(point, int.from_bytes(pair[G1_BYTES:], "big")))
        yield Turn()
    return write_g1(total)


def bls12_map_fp_to_g1(frame: Frame) -> bytes:
    """Read an element of the field, return the point of the group that it maps to.

    Raises:
        PrecompileFailure: another length, or not an element of the field.
    """
    # GAS
    data = frame.message.data
    check_length(data, FIELD_BYTES)
    charge_gas(frame, BLS12_MAP_FP_TO_G1_GAS)

    # OPERATION
    return write_g1(clear_cofactor_G1(map_to_curve_G1(FQ(read_field_element(data)))))
