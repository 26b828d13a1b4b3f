"""KZG point evaluation, 0x0A (EIP-4844): whether a committed polynomial has a value at a point. ckzg."""

from __future__ import annotations

import functools
import hashlib
import tempfile

import ckzg

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.errors import PrecompileFailure
from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.gas import POINT_EVALUATION_GAS

_INPUT_BYTES = 192
_VERSION = b"\x01"
_FIELD_ELEMENTS_PER_BLOB = 4096
_BLS_MODULUS = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
_ANSWER = _FIELD_ELEMENTS_PER_BLOB.to_bytes(32, "big") + _BLS_MODULUS.to_bytes(32, "big")

# The groups' generators, and τ·G2 of Ethereum's KZG ceremony of 2023 (consensus specifications, trusted_setup_4096).
_G1 = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
_G2 = (
    "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
    "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
)
_TAU_G2 = (
    "b5bfd7dd8cdeb128843bc287230af38926187075cbfbefa81009a2ce615ac53d2914e5870cb452d2afaaab24f3499f72"
    "185cbfee53492714734429b7b38608e23926c911cceceac9a36851477ba4c60b087041de621000edc98edada20c1def2"
)
_G2_POINTS = 65


def point_evaluation(frame: Frame) -> bytes:
    """Read versioned hash (32 bytes) ‖ z (32) ‖ y (32) ‖ commitment (48) ‖ proof (48); return EIP-4844's constants.

    Raises:
        PrecompileFailure: another length, a hash of another commitment, or the proof doesn't hold.
    """
    # GAS
    data = frame.message.data
    if len(data) != _INPUT_BYTES:
        raise PrecompileFailure(f"{len(data)} bytes; {_INPUT_BYTES} are needed")
    charge_gas(frame, POINT_EVALUATION_GAS)

    # OPERATION
    z, y, commitment, proof = data[32:64], data[64:96], data[96:144], data[144:]
    if data[:32] != _VERSION + hashlib.sha256(commitment).digest()[1:]:
        raise PrecompileFailure("the versioned hash isn't the commitment's")
    try:
        holds = ckzg.verify_kzg_proof(commitment, z, y, proof, _verification_setup())
    except RuntimeError:
        # The library's own words may change with its version, and what is said here stands in receipts.
        raise PrecompileFailure("not a commitment, point, value and proof") from None
    if not holds:
        raise PrecompileFailure("the proof doesn't hold")
    return _ANSWER


@functools.cache
def _verification_setup() -> object:
    """Return a trusted setup that can verify proofs, and nothing else.

    Of the 8257 points of the ceremony's file, e(C − y·G1, G2) = e(π, τ·G2 − z·G2) needs only the generators and τ·G2;
    the others serve to make commitments and are generators here. Takes a second or two, the first time.
    """
    g1 = [_G1] * _FIELD_ELEMENTS_PER_BLOB
    g2 = [_G2, _TAU_G2, *[_G2] * (_G2_POINTS - 2)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join([str(len(g1)), str(len(g2)), *g1, *g2, *g1]))
        file.flush()
        return ckzg.load_trusted_setup(file.name, 0)
