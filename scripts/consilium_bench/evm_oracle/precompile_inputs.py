"""Inputs for the precompiled contracts: mostly valid ones, some with a flipped bit, a byte less, a byte more."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from random import Random

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from py_ecc import optimized_bls12_381 as bls12
from py_ecc import optimized_bn128 as bn254
from py_ecc.bls.g2_primitives import G1_to_pubkey

from consilium_bench.evm_oracle.keys import Key
from consilium_chaincode.evm.precompiles.bls12_points import write_g1, write_g2

_G1_INFINITY = b"\xc0" + bytes(47)
_SMALL = range(1, 6)


def precompile_input(random: Random, number: int) -> bytes:
    """Return an input for the contract at that address."""
    data = _INPUTS[number](random)
    choice = random.random()
    if choice < 0.7 or not data:
        return data
    if choice < 0.8:
        place = random.randrange(len(data))
        return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]
    return data[:-1] if choice < 0.9 else data + b"\1"


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _recovery(random: Random) -> bytes:
    digest = random.randbytes(32)
    signature = Key.of_number(random.choice(_SMALL)).sign(digest)
    return digest + _word(27 + signature.y_parity) + _word(signature.r) + _word(signature.s)


def _bytes(random: Random) -> bytes:
    return random.randbytes(random.choice((0, 1, 31, 32, 33, 64, 200)))


def _power(random: Random) -> bytes:
    lengths = [random.choice((0, 1, 2, 32, 33, 64, 100)) for _ in range(3)]
    if random.random() < 0.1:
        lengths[random.randrange(3)] = random.choice((1024, 1025, 2**255))
    numbers = b"".join(random.randbytes(min(length, 1100)) for length in lengths)
    if random.random() < 0.3:
        numbers = numbers[: lengths[0]] + bytes(5) + numbers[lengths[0] + 5 :]
    return b"".join(map(_word, lengths)) + numbers


@functools.cache
def _bn254_g1(multiple: int) -> bytes:
    x, y = bn254.normalize(bn254.multiply(bn254.G1, multiple))
    return _word(int(x)) + _word(int(y))


@functools.cache
def _bn254_g2(multiple: int) -> bytes:
    x, y = bn254.normalize(bn254.multiply(bn254.G2, multiple))
    return b"".join(_word(int(part)) for coordinate in (x, y) for part in reversed(coordinate.coeffs))


def _bn254_sum(random: Random) -> bytes:
    return b"".join(random.choice((bytes(64), _bn254_g1(random.choice(_SMALL)))) for _ in range(2))


def _bn254_product(random: Random) -> bytes:
    return _bn254_g1(random.choice(_SMALL)) + _word(random.choice((0, 1, 2, 2**256 - 1, random.getrandbits(256))))


def _bn254_pairs(random: Random) -> bytes:
    if random.random() < 0.3:
        return random.choice((b"", bytes(192), bytes(64) + _bn254_g2(2)))
    # e(3·G1, G2) · e(−G1, 3·G2) is one; with another factor it isn't.
    factor = random.choice((3, 3, 4))
    return _bn254_g1(3) + _bn254_g2(1) + _bn254_g1(bn254.curve_order - 1) + _bn254_g2(factor)


def _compression(random: Random) -> bytes:
    return random.choice((0, 1, 2, 12, 20)).to_bytes(4, "big") + random.randbytes(208) + bytes([random.choice((0, 1))])


@functools.cache
def _commitment(value: int) -> bytes:
    """Return the commitment to the polynomial that has one value everywhere; the proof of that is infinity."""
    return bytes(G1_to_pubkey(bls12.multiply(bls12.G1, value)))


def _evaluation(random: Random) -> bytes:
    value = random.choice(_SMALL)
    commitment = _commitment(value)
    versioned = b"\x01" + hashlib.sha256(commitment).digest()[1:]
    claimed = value if random.random() < 0.8 else value + 1
    return versioned + _word(random.getrandbits(250)) + _word(claimed) + commitment + _G1_INFINITY


@functools.cache
def _bls12_g1(multiple: int) -> bytes:
    return write_g1(bls12.multiply(bls12.G1, multiple))


@functools.cache
def _bls12_g2(multiple: int) -> bytes:
    return write_g2(bls12.multiply(bls12.G2, multiple))


def _bls12_g1_sum(random: Random) -> bytes:
    return b"".join(random.choice((bytes(128), _bls12_g1(random.choice(_SMALL)))) for _ in range(2))


def _bls12_g2_sum(random: Random) -> bytes:
    return b"".join(random.choice((bytes(256), _bls12_g2(random.choice(_SMALL)))) for _ in range(2))


def _bls12_g1_products(random: Random) -> bytes:
    scalars = [random.choice((0, 1, random.getrandbits(256))) for _ in range(random.randint(1, 3))]
    return b"".join(_bls12_g1(random.choice(_SMALL)) + _word(scalar) for scalar in scalars)


def _bls12_g2_products(random: Random) -> bytes:
    scalars = [random.choice((0, 1, random.getrandbits(256))) for _ in range(random.randint(1, 2))]
    return b"".join(_bls12_g2(random.choice(_SMALL)) + _word(scalar) for scalar in scalars)


def _bls12_pairs(random: Random) -> bytes:
    factor = random.choice((3, 3, 4))
    return _bls12_g1(3) + _bls12_g2(1) + _bls12_g1(bls12.curve_order - 1) + _bls12_g2(factor)


def _bls12_field_elements(count: int) -> Callable[[Random], bytes]:
    def elements(random: Random) -> bytes:
        return b"".join(random.randrange(bls12.field_modulus).to_bytes(64, "big") for _ in range(count))

    return elements


@functools.cache
def _p256_key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


def _p256_signature(random: Random) -> bytes:
    key, digest = _p256_key(random.choice(_SMALL)), random.randbytes(32)
    signature = key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True))
    public = key.public_key().public_numbers()
    return digest + b"".join(map(_word, (*utils.decode_dss_signature(signature), public.x, public.y)))


_INPUTS: dict[int, Callable[[Random], bytes]] = {
    0x01: _recovery,
    0x02: _bytes,
    0x03: _bytes,
    0x04: _bytes,
    0x05: _power,
    0x06: _bn254_sum,
    0x07: _bn254_product,
    0x08: _bn254_pairs,
    0x09: _compression,
    0x0A: _evaluation,
    0x0B: _bls12_g1_sum,
    0x0C: _bls12_g1_products,
    0x0D: _bls12_g2_sum,
    0x0E: _bls12_g2_products,
    0x0F: _bls12_pairs,
    0x10: _bls12_field_elements(1),
    0x11: _bls12_field_elements(2),
    0x100: _p256_signature,
}
QUICK = (0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x09, 0x0B, 0x0D, 0x100)
SLOW = (0x08, 0x0A, 0x0C, 0x0E, 0x0F, 0x10, 0x11)
"""Those that take the specification a tenth of a second or more."""
