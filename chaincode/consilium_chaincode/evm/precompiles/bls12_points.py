"""Points of BLS12-381 as EIP-2537 writes them: coordinates of 64 bytes, infinity all zeros. py-ecc."""

from __future__ import annotations

from py_ecc.optimized_bls12_381 import (
    FQ,
    FQ2,
    b,
    b2,
    curve_order,
    field_modulus,
    is_inf,
    is_on_curve,
    multiply,
    normalize,
)
from py_ecc.typing import Optimized_Point3D

from consilium_chaincode.evm.errors import PrecompileFailure

FIELD_BYTES = 64
G1_BYTES, G2_BYTES = 2 * FIELD_BYTES, 4 * FIELD_BYTES
SCALAR_BYTES = 32


def split(data: bytes, size: int) -> list[bytes]:
    """Return the parts of an input, each of `size` bytes.

    Raises:
        PrecompileFailure: not whole parts, or none.
    """
    if not data or len(data) % size:
        raise PrecompileFailure(f"{len(data)} bytes aren't one or more parts of {size} bytes")
    return [data[start : start + size] for start in range(0, len(data), size)]


def check_length(data: bytes, size: int) -> None:
    """Refuse an input of another size.

    Raises:
        PrecompileFailure: it is.
    """
    if len(data) != size:
        raise PrecompileFailure(f"{len(data)} bytes; {size} are needed")


def read_field_element(data: bytes) -> int:
    """Return a number below the field's modulus from 64 bytes.

    Raises:
        PrecompileFailure: it isn't below.
    """
    number = int.from_bytes(data, "big")
    if number >= field_modulus:
        raise PrecompileFailure("a coordinate isn't below the field's modulus")
    return number


def read_fq2(data: bytes) -> FQ2:
    """Return an element of the quadratic extension from 128 bytes, real part first.

    Raises:
        PrecompileFailure: a part isn't below the field's modulus.
    """
    return FQ2([read_field_element(data[:FIELD_BYTES]), read_field_element(data[FIELD_BYTES:])])


def read_g1(data: bytes, *, in_group: bool) -> Optimized_Point3D[FQ]:
    """Return a point of the curve from 128 bytes; additions take any point, the other contracts the group's.

    Raises:
        PrecompileFailure: it isn't on the curve, or not in the group.
    """
    x, y = read_field_element(data[:FIELD_BYTES]), read_field_element(data[FIELD_BYTES:])
    point = FQ(x), FQ(y), FQ(1 if x or y else 0)
    if not is_on_curve(point, b):
        raise PrecompileFailure("the point isn't on the curve")
    if in_group and not is_inf(multiply(point, curve_order)):
        raise PrecompileFailure("the point isn't in the group")
    return point


def read_g2(data: bytes, *, in_group: bool) -> Optimized_Point3D[FQ2]:
    """Return a point of the twist from 256 bytes.

    Raises:
        PrecompileFailure: it isn't on the twist, or not in the group.
    """
    point = read_fq2(data[: 2 * FIELD_BYTES]), read_fq2(data[2 * FIELD_BYTES :]), FQ2([1 if any(data) else 0, 0])
    if not is_on_curve(point, b2):
        raise PrecompileFailure("the point isn't on the twist")
    if in_group and not is_inf(multiply(point, curve_order)):
        raise PrecompileFailure("the point isn't in the group")
    return point


def write_g1(point: Optimized_Point3D[FQ]) -> bytes:
    """Return a point's 128 bytes."""
    return b"".join(int(coordinate).to_bytes(FIELD_BYTES, "big") for coordinate in normalize(point))


def write_g2(point: Optimized_Point3D[FQ2]) -> bytes:
    """Return a point's 256 bytes."""
    parts = [int(part) for coordinate in normalize(point) for part in coordinate.coeffs]
    return b"".join(part.to_bytes(FIELD_BYTES, "big") for part in parts)
