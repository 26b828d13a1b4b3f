"""Precompiled contracts against what other libraries say, and against mathematics."""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
import sys
from pathlib import Path

import ckzg
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from evm_world import call_precompile

from consilium_bench.evm_oracle.keys import Key
from consilium_chaincode.evm.precompiles import PRECOMPILES
from consilium_chaincode.evm.precompiles.point_evaluation import _verification_setup
from consilium_chaincode.evm.signatures import ORDER

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_the_addresses_are_osakas() -> None:
    assert sorted(int.from_bytes(address, "big") for address in PRECOMPILES) == [*range(1, 0x12), 0x100]


@pytest.mark.parametrize("library", ["ckzg", "coincurve", "Crypto", "cryptography", "py_ecc", "sha3"])
def test_a_missing_library_stops_the_evm_at_its_start(library: str) -> None:
    program = f"import sys; sys.modules[{library!r}] = None; import consilium_chaincode.evm.execution"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert re.search(rf"(ImportError|ModuleNotFoundError): .*\b{library}\b", done.stderr)


# ECRECOVER


def test_a_signer_is_recovered() -> None:
    key, digest = Key.of_number(77), hashlib.sha256(b"digest").digest()
    y_parity, r, s = key.sign(digest)
    data = digest + word(27 + y_parity) + word(r) + word(s)
    assert call_precompile(1, data) == (bytes(12) + key.address, 3_000)
    # s in the upper half is the same signature with the other parity; the contract takes both.
    assert call_precompile(1, digest + word(28 - y_parity) + word(r) + word(ORDER - s))[0] == bytes(12) + key.address
    for bad in (digest + word(29) + data[64:], digest + word(0) + data[64:], data[:64] + word(0) + data[96:], b""):
        assert call_precompile(1, bad) == (b"", 3_000)


# Hashes and identity


@pytest.mark.parametrize("size", [0, 1, 32, 33, 200])
def test_hashes_and_copies_cost_by_the_word(size: int) -> None:
    data, words = bytes(range(size)), (size + 31) // 32
    assert call_precompile(2, data) == (hashlib.sha256(data).digest(), 60 + 12 * words)
    assert call_precompile(4, data) == (data, 15 + 3 * words)
    output, used = call_precompile(3, data)
    assert (output is not None and len(output) == 32 and output[:12] == bytes(12), used) == (True, 600 + 120 * words)


def test_ripemd160_of_its_authors_examples() -> None:
    assert call_precompile(3, b"")[0] == bytes(12) + bytes.fromhex("9c1185a5c5e9fc54612808977ee8f548b2258d31")
    assert call_precompile(3, b"abc")[0] == bytes(12) + bytes.fromhex("8eb208f7e05d987a9b044a8e98c6b087f15a0bfc")


# MODEXP


def powered(base: bytes, exponent: bytes, modulus: bytes) -> bytes:
    return b"".join(word(len(each)) for each in (base, exponent, modulus)) + base + exponent + modulus


def test_fermats_little_theorem() -> None:
    prime = 2**256 - 2**32 - 977
    data = powered(b"\x03", word(prime - 1), word(prime))
    # 32 bytes cost 16 for each of the exponent's 255 further bits.
    assert call_precompile(5, data) == (word(1), 16 * 255)


@pytest.mark.parametrize(
    ("lengths", "exponent", "price"),
    [
        ((1, 1, 1), b"\x01", 500),
        ((64, 32, 64), word(2**255), 2 * 8 * 8 * 255),
        ((64, 40, 64), b"\xff" * 40, 2 * 8 * 8 * (16 * 8 + 255)),
        ((64, 40, 64), bytes(32) + b"\xff" * 8, 2 * 8 * 8 * (16 * 8)),
        ((33, 0, 1), b"", 500),
        ((1024, 1, 1024), b"\x02", 2 * 128 * 128),
    ],
)
def test_the_price_of_eip_7883(lengths: tuple[int, int, int], exponent: bytes, price: int) -> None:
    base, _, modulus = lengths
    output, used = call_precompile(5, powered(b"\xff" * base, exponent, b"\xfd" * modulus))
    expected = pow(int.from_bytes(b"\xff" * base, "big"), int.from_bytes(exponent, "big"), int("fd" * modulus, 16))
    assert (output, used) == (expected.to_bytes(modulus, "big"), price)


def test_modexp_at_its_edges() -> None:
    assert call_precompile(5, b"")[0] == b""
    assert call_precompile(5, powered(b"\x05", b"\x02", b"\x00"))[0] == b"\x00"
    assert call_precompile(5, powered(b"\x05", b"", b"\x07"))[0] == b"\x01"
    # Numbers that end too soon go on with zeros: 5^2 mod 0x0700.
    assert call_precompile(5, powered(b"\x05", b"\x02", b"\x07\x00")[:-1])[0] == (25).to_bytes(2, "big")
    for place in range(3):
        lengths = [1, 1, 1]
        lengths[place] = 1025
        assert call_precompile(5, b"".join(map(word, lengths)), gas=5_000) == (None, 5_000)


# bn254

FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
CURVE_ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617
G2 = b"".join(
    map(
        word,
        (
            11559732032986387107991004021392285783925812861821192530917403151452391805634,
            10857046999023057135944570762232829481370756359578518086990519993285655852781,
            4082367875863433681332203403145435568316851327593401208105741076214120093531,
            8495653923123431417604973247489272438418190587263600148770280649306958101930,
        ),
    )
)


def affine_sum(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    """Add points by the schoolbook's rule, apart from any library."""
    (x1, y1), (x2, y2) = first, second
    slope = 3 * x1 * x1 * pow(2 * y1, -1, FIELD) if first == second else (y2 - y1) * pow(x2 - x1, -1, FIELD)
    x = (slope * slope - x1 - x2) % FIELD
    return x, (slope * (x1 - x) - y1) % FIELD


def g1(point: tuple[int, int]) -> bytes:
    return word(point[0]) + word(point[1])


G = (1, 2)
NEGATIVE = (1, FIELD - 2)


def test_bn254_sums_and_multiples() -> None:
    double = affine_sum(G, G)
    triple = affine_sum(double, G)
    assert call_precompile(6, g1(G) + g1(G)) == (g1(double), 150)
    assert call_precompile(6, g1(double) + g1(G)) == (g1(triple), 150)
    assert call_precompile(6, g1(G) + g1(NEGATIVE)) == (bytes(64), 150)
    assert call_precompile(6, g1(G)) == (g1(G), 150)
    assert call_precompile(7, g1(G) + word(3)) == (g1(triple), 6_000)
    assert call_precompile(7, g1(G) + word(CURVE_ORDER)) == (bytes(64), 6_000)
    assert call_precompile(7, g1(G) + word(CURVE_ORDER + 2)) == (g1(double), 6_000)


@pytest.mark.parametrize("bad", [word(1) + word(3), word(FIELD + 1) + word(2), word(1) + word(FIELD + 2)])
def test_bn254_refuses_what_is_no_point(bad: bytes) -> None:
    assert call_precompile(6, bad, gas=1_000) == (None, 1_000)
    assert call_precompile(7, bad, gas=7_000) == (None, 7_000)


def test_bn254_pairings() -> None:
    double = affine_sum(G, G)
    # e(2G, H) · e(−G, H)² = 1
    pairs = g1(double) + G2 + 2 * (g1(NEGATIVE) + G2)
    assert call_precompile(8, pairs) == (word(1), 45_000 + 3 * 34_000)
    assert call_precompile(8, g1(G) + G2) == (word(0), 45_000 + 34_000)
    assert call_precompile(8, b"") == (word(1), 45_000)
    assert call_precompile(8, bytes(64) + G2) == (word(1), 45_000 + 34_000)
    for bad in (g1(G), g1(G) + G2[:-1] + b"\x00", g1(G) + G2 + b"\x00"):
        assert call_precompile(8, bad, gas=500_000) == (None, 500_000)


# BLAKE2F


def test_blake2f_makes_the_hash_that_hashlib_makes() -> None:
    initial = [
        int.from_bytes(each, "little")
        for each in struct.unpack(
            "<8s8s8s8s8s8s8s8s",
            struct.pack(
                "<8Q",
                0x6A09E667F3BCC908 ^ 0x01010040,
                0xBB67AE8584CAA73B,
                0x3C6EF372FE94F82B,
                0xA54FF53A5F1D36F1,
                0x510E527FADE682D1,
                0x9B05688C2B3E6C1F,
                0x1F83D9ABFB41BD6B,
                0x5BE0CD19137E2179,
            ),
        )
    ]
    for message in (b"", b"abc", bytes(range(128))):
        data = struct.pack("<8Q", *initial) + message.ljust(128, b"\0") + struct.pack("<2Q", len(message), 0) + b"\x01"
        output, used = call_precompile(9, struct.pack(">I", 12) + data)
        assert (output, used) == (hashlib.blake2b(message).digest(), 12)


def test_blake2f_refuses_other_inputs_and_costs_by_the_round() -> None:
    data = bytes(212) + b"\x01"
    assert call_precompile(9, data)[1] == 0
    for bad in (data[:-1], data + b"\0", bytes(212) + b"\x02"):
        assert call_precompile(9, bad, gas=100) == (None, 100)
    assert call_precompile(9, struct.pack(">I", 101) + data[4:], gas=100) == (None, 100)


# Point evaluation

G1_COMPRESSED = bytes.fromhex(
    "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
)
INFINITY = b"\xc0" + bytes(47)
ANSWER = word(4096) + word(0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001)


def evaluation(commitment: bytes, z: int, y: int, proof: bytes) -> bytes:
    return b"\x01" + hashlib.sha256(commitment).digest()[1:] + word(z) + word(y) + commitment + proof


def test_a_constant_polynomial_has_its_value_everywhere() -> None:
    data = evaluation(G1_COMPRESSED, 12345, 1, INFINITY)
    assert call_precompile(10, data) == (ANSWER, 50_000)
    false = evaluation(G1_COMPRESSED, 12345, 2, INFINITY)
    beyond = evaluation(G1_COMPRESSED, 2**256 - 1, 1, INFINITY)
    no_point = evaluation(b"\xff" * 48, 0, 1, INFINITY)
    for bad in (false, beyond, no_point, b"\x02" + data[1:], data[:-1]):
        assert call_precompile(10, bad, gas=60_000) == (None, 60_000)


def test_the_ceremonys_second_power_is_the_one_that_proofs_are_verified_with() -> None:
    # The example of EIP-4844's reference tests: a proof of a polynomial that isn't constant.
    commitment = bytes.fromhex(
        "8f59a8d2a1a625a17f3fea0fe5eb8c896db3764f3185481bc22f91b4aaffcca25f26936857bc3a7c2539ea8ec3a952b7"
    )
    z = int("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000", 16)
    y = int("1522a4a7f34e1ea350ae07c29c96c7e79655aa926122e95fe69fcbd932ca49e9", 16)
    proof = bytes.fromhex(
        "a62ad71d14c5719385c0686f1871430475bf3a00f0aa3f7b8dd99a9abc2160744faf0070725e00b60ad9a026a15b1a8c"
    )
    assert call_precompile(10, evaluation(commitment, z, y, proof))[0] == ANSWER
    assert ckzg.verify_kzg_proof(commitment, word(z), word(y), proof, _verification_setup())


# BLS12-381

BLS_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
BLS_FIELD = int("1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab", 16)
BLS_G1_X = int("17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb", 16)
BLS_G1_Y = int("08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1", 16)
BLS_G2 = (
    int("024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8", 16),
    int("13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e", 16),
    int("0ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801", 16),
    int("0606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be", 16),
)


def element(number: int) -> bytes:
    return number.to_bytes(64, "big")


BLS_1 = element(BLS_G1_X) + element(BLS_G1_Y)
BLS_1_NEGATIVE = element(BLS_G1_X) + element(BLS_FIELD - BLS_G1_Y)
BLS_2 = b"".join(map(element, BLS_G2))


def multiple(contract: int, point: bytes, scalar: int) -> bytes:
    output, _ = call_precompile(contract, point + word(scalar))
    assert output is not None
    return output


@pytest.mark.parametrize(
    ("addition", "product", "point", "price", "single"),
    [(0x0B, 0x0C, BLS_1, 375, 12_000), (0x0D, 0x0E, BLS_2, 600, 22_500)],
)
def test_bls12_sums_and_multiples_agree(addition: int, product: int, point: bytes, price: int, single: int) -> None:
    double = multiple(product, point, 2)
    assert call_precompile(addition, point + point) == (double, price)
    assert call_precompile(addition, double + bytes(len(point)))[0] == double
    assert call_precompile(product, point + word(BLS_ORDER)) == (bytes(len(point)), single)
    both = call_precompile(product, point + word(3) + double + word(2**256 - 1))
    discount = {12_000: 949, 22_500: 1000}[single]
    assert both == (multiple(product, point, (3 + 2 * (2**256 - 1)) % BLS_ORDER), 2 * single * discount // 1000)


def test_bls12_pairings_are_bilinear() -> None:
    double_1, double_2 = multiple(0x0C, BLS_1, 2), multiple(0x0E, BLS_2, 2)
    pairs = double_1 + BLS_2 + BLS_1_NEGATIVE + double_2
    assert call_precompile(0x0F, pairs) == (word(1), 37_700 + 2 * 32_600)
    assert call_precompile(0x0F, BLS_1 + BLS_2) == (word(0), 37_700 + 32_600)
    assert call_precompile(0x0F, bytes(128) + BLS_2)[0] == word(1)


def test_bls12_maps_into_the_groups() -> None:
    for contract, count, product, price in ((0x10, 1, 0x0C, 5_500), (0x11, 2, 0x0E, 23_800)):
        point, used = call_precompile(contract, element(5) * count)
        assert point is not None
        assert used == price
        # Multiplying refuses what isn't in the group, and its order takes everything in it to infinity.
        assert multiple(product, point, BLS_ORDER) == bytes(len(point))
        assert point != call_precompile(contract, element(6) * count)[0]


# On the curve, not in the group: x = 4 has a point, whose order isn't the group's.
OUTSIDE = element(4) + element(pow(68, (BLS_FIELD + 1) // 4, BLS_FIELD))


def test_bls12_additions_take_any_point_of_the_curve_and_multiplications_the_groups_alone() -> None:
    assert call_precompile(0x0B, OUTSIDE + OUTSIDE)[0] is not None
    assert call_precompile(0x0C, OUTSIDE + word(2), gas=20_000) == (None, 20_000)
    assert call_precompile(0x0F, OUTSIDE + BLS_2, gas=100_000) == (None, 100_000)


@pytest.mark.parametrize("contract", range(0x0B, 0x12))
def test_bls12_refuses_no_input_half_an_input_and_numbers_beyond_the_field(contract: int) -> None:
    for bad in (b"", b"\x01", element(BLS_FIELD) * 8, b"\x01" * 512, bytes(160 * 9 + 1)):
        assert call_precompile(contract, bad, gas=500_000) == (None, 500_000)


# P256VERIFY


def test_signatures_over_secp256r1() -> None:
    key = ec.derive_private_key(99, ec.SECP256R1())
    digest = hashlib.sha256(b"digest").digest()
    r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
    public = key.public_key().public_numbers()
    data = digest + b"".join(map(word, (r, s, public.x, public.y)))
    assert call_precompile(0x100, data) == (word(1), 6_900)
    # Both halves of s are valid (EIP-7951 sets no bound): whoever counts signatures has to bear that in mind.
    high = digest + b"".join(map(word, (r, P256_ORDER - s, public.x, public.y)))
    assert call_precompile(0x100, high) == (word(1), 6_900)
    for bad in (
        bytes(32) + data[32:],
        digest + word(0) + data[64:],
        digest + word(r) + word(P256_ORDER) + data[96:],
        data[:96] + word(0) + word(0),
        data[:96] + word(public.x) + word(public.y ^ 1),
        data[:-1],
        data + b"\0",
        b"",
    ):
        assert call_precompile(0x100, bad) == (b"", 6_900)


def loading(*lines: str) -> subprocess.CompletedProcess[str]:
    program = "\n".join(("import sys", *lines))
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)


def test_pairing_libraries_are_loaded_by_the_first_call_alone() -> None:
    """An endorser that nobody asks for a pairing starts in half the time."""
    started = loading(
        "from consilium_chaincode.evm.precompiles import PRECOMPILES",
        "assert not [name for name in sys.modules if name.startswith('py_ecc')]",
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})",
        "from evm_world import call_precompile",
        "assert call_precompile(0x06, bytes(128)) == (bytes(64), 150)",
        "assert 'py_ecc' in sys.modules",
    )
    assert started.returncode == 0, started.stderr


def test_without_the_pairing_libraries_nothing_starts() -> None:
    started = loading(
        "import importlib.machinery",
        "find = importlib.machinery.PathFinder.find_spec",
        "hidden = lambda name, *rest: None if name == 'py_ecc' else find(name, *rest)",
        "importlib.machinery.PathFinder.find_spec = hidden",
        "import consilium_chaincode.evm.precompiles",
    )
    assert started.returncode == 1
    assert "ModuleNotFoundError: No module named 'py_ecc'" in started.stderr
