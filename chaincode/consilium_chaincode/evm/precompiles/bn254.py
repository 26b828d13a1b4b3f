"""The curve bn254 (alt_bn128): sum at 0x06, multiplication at 0x07 (EIP-196), pairing at 0x08 (EIP-197). py-ecc."""

from __future__ import annotations

from py_ecc.optimized_bn128 import (
    FQ,
    FQ2,
    FQ12,
    add,
    b,
    b2,
    curve_order,
    field_modulus,
    final_exponentiate,
    is_inf,
    is_on_curve,
    multiply,
    normalize,
    pairing,
)
from py_ecc.typing import Optimized_Point3D

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.errors import PrecompileFailure
from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.gas import BN254_ADD_GAS, BN254_MUL_GAS, BN254_PAIRING_GAS, BN254_PAIRING_PAIR_GAS
from consilium_chaincode.evm.memory import padded
from consilium_chaincode.evm.state_keys import Reading, Turn

_G1_BYTES, _PAIR_BYTES = 64, 192


def bn254_add(frame: Frame) -> bytes:
    """Read two points of 64 bytes, return their sum.

    Raises:
        PrecompileFailure: not a point.
    """
    # GAS
    charge_gas(frame, BN254_ADD_GAS)

    # OPERATION
    data = padded(frame.message.data, 0, 2 * _G1_BYTES)
    return _encode(add(_g1(data[:_G1_BYTES]), _g1(data[_G1_BYTES:])))


def bn254_mul(frame: Frame) -> bytes:
    """Read a point of 64 bytes and a number of 32, return the multiple.

    Raises:
        PrecompileFailure: not a point.
    """
    # GAS
    charge_gas(frame, BN254_MUL_GAS)

    # OPERATION
    data = padded(frame.message.data, 0, _G1_BYTES + 32)
    return _encode(multiply(_g1(data[:_G1_BYTES]), int.from_bytes(data[_G1_BYTES:], "big")))


def bn254_pairing(frame: Frame) -> Reading[bytes]:
    """Read pairs of a point of G1 (64 bytes) and one of G2 (128); return whether their pairings' product is one.

    Raises:
        PrecompileFailure: not whole pairs, or not points of these groups.
    """
    # GAS
    data = frame.message.data
    charge_gas(frame, BN254_PAIRING_GAS + BN254_PAIRING_PAIR_GAS * (len(data) // _PAIR_BYTES))

    # OPERATION
    if len(data) % _PAIR_BYTES:
        raise PrecompileFailure(f"{len(data)} bytes aren't pairs of {_PAIR_BYTES} bytes")
    product = FQ12.one()
    for start in range(0, len(data), _PAIR_BYTES):
        pair = data[start : start + _PAIR_BYTES]
        product *= pairing(_g2(pair[_G1_BYTES:]), _g1(pair[:_G1_BYTES]), final_exponentiate=False)
        yield Turn()
    is_one = final_exponentiate(product) == FQ12.one()
    return int(is_one).to_bytes(32, "big")


def _coordinates(data: bytes) -> list[int]:
    numbers = [int.from_bytes(data[start : start + 32], "big") for start in range(0, len(data), 32)]
    if any(number >= field_modulus for number in numbers):
        raise PrecompileFailure("a coordinate isn't below the field's modulus")
    return numbers


def _g1(data: bytes) -> Optimized_Point3D[FQ]:
    x, y = _coordinates(data)
    point = FQ(x), FQ(y), FQ(1 if x or y else 0)
    if not is_on_curve(point, b):
        raise PrecompileFailure("the point isn't on the curve")
    return point


def _g2(data: bytes) -> Optimized_Point3D[FQ2]:
    """Read a point of the twist, whose coordinates come with the imaginary part first."""
    x_imaginary, x_real, y_imaginary, y_real = numbers = _coordinates(data)
    point = FQ2([x_real, x_imaginary]), FQ2([y_real, y_imaginary]), FQ2([1 if any(numbers) else 0, 0])
    if not is_on_curve(point, b2):
        raise PrecompileFailure("the point isn't on the twist")
    if not is_inf(multiply(point, curve_order)):
        raise PrecompileFailure("the point isn't in the group")
    return point


def _encode(point: Optimized_Point3D[FQ]) -> bytes:
    x, y = normalize(point)
    return int(x).to_bytes(32, "big") + int(y).to_bytes(32, "big")
