"""Precompiled contracts, one file each: what they cost and what they return.

Their libraries are imported here: where one is missing the EVM doesn't start, rather than answer wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.precompiles.blake2f import blake2f
from consilium_chaincode.evm.precompiles.bls12_g1 import bls12_g1_add, bls12_g1_msm, bls12_map_fp_to_g1
from consilium_chaincode.evm.precompiles.bls12_g2 import bls12_g2_add, bls12_g2_msm, bls12_map_fp2_to_g2
from consilium_chaincode.evm.precompiles.bls12_pairing import bls12_pairing
from consilium_chaincode.evm.precompiles.bn254 import bn254_add, bn254_mul, bn254_pairing
from consilium_chaincode.evm.precompiles.ecrecover import ecrecover
from consilium_chaincode.evm.precompiles.identity import identity
from consilium_chaincode.evm.precompiles.modexp import modexp
from consilium_chaincode.evm.precompiles.p256verify import p256verify
from consilium_chaincode.evm.precompiles.point_evaluation import point_evaluation
from consilium_chaincode.evm.precompiles.ripemd160 import ripemd160
from consilium_chaincode.evm.precompiles.sha256 import sha256
from consilium_chaincode.evm.state_keys import Reading

Precompile: TypeAlias = Callable[[Frame], bytes | Reading[bytes]]
"""Returns the output, at once or, where the work is long, with turns in between."""

_NUMBERED: dict[int, Precompile] = {
    0x01: ecrecover,
    0x02: sha256,
    0x03: ripemd160,
    0x04: identity,
    0x05: modexp,
    0x06: bn254_add,
    0x07: bn254_mul,
    0x08: bn254_pairing,
    0x09: blake2f,
    0x0A: point_evaluation,
    0x0B: bls12_g1_add,
    0x0C: bls12_g1_msm,
    0x0D: bls12_g2_add,
    0x0E: bls12_g2_msm,
    0x0F: bls12_pairing,
    0x10: bls12_map_fp_to_g1,
    0x11: bls12_map_fp2_to_g2,
    0x100: p256verify,
}

PRECOMPILES = {number.to_bytes(20, "big"): contract for number, contract in _NUMBERED.items()}
"""Each precompiled contract by its address (20 bytes)."""
